"""What a step of SOFIM costs, as a ratio to SGD(momentum=0.9, foreach=True) measured in the same run.

    python benchmarks/optimizer_step.py [--repeats 60] [--threads 2] [--devices cpu cuda]

All optimizers take turns in one process, so that a busy machine slows them alike; the ratios are those of the
medians. Note that foreach, the yardstick, is not the fastest SGD on a CPU: see the rows `for-loop` and `fused`.
AdaHessian (package pytorch-optimizer, extra `bench`) also needs a product with the Hessian; here that is diagonal, so
its row is a lower bound: in a real model the product costs one more pass through the network.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable

import torch
from pytorch_optimizer import AdaHessian
from torch.optim import SGD, Adam, Optimizer

from sofim_lab import SOFIM

YARDSTICK = "SGD foreach"
OPTIMIZERS: dict[str, Callable[[list[torch.Tensor]], Optimizer]] = {
    YARDSTICK: lambda ps: SGD(ps, lr=1e-9, momentum=0.9, foreach=True),
    "SGD for-loop": lambda ps: SGD(ps, lr=1e-9, momentum=0.9, foreach=False),
    "SGD fused": lambda ps: SGD(ps, lr=1e-9, momentum=0.9, fused=True),
    "Adam foreach": lambda ps: Adam(ps, lr=1e-9, foreach=True),
    "Adam fused": lambda ps: Adam(ps, lr=1e-9, fused=True),
    "AdaHessian": lambda ps: AdaHessian(ps, lr=1e-9),
    "SOFIM momentum": lambda ps: SOFIM(ps, lr=1e-9),
    "SOFIM gradient": lambda ps: SOFIM(ps, lr=1e-9, direction="gradient"),
}


def shapes() -> dict[str, list[tuple[int, ...]]]:
    """Parameter shapes: a ResNet-18 (its layers as matrices), an MLP, and many small tensors."""
    resnet = [(64, 147), (64, 576), (64, 576), (64, 576), (64, 576)]
    for width, before in ((128, 64), (256, 128), (512, 256)):
        resnet += [(width, 9 * before), (width, 9 * width), (width, before), (width, 9 * width), (width, 9 * width)]
    resnet += [(width,) for width in (64, 128, 256, 512) for _ in range(10)]
    return {
        "11 M in 62": [*resnet, (1000, 512), (1000,)],
        "1 M in 6": [(784, 1024), (1024,), (1024, 180), (180,), (180, 100), (100,)],
        "1 M in 400": [(50, 50)] * 400,
    }


def measure(sizes: list[tuple[int, ...]], device: str, repeats: int) -> dict[str, float]:
    """Median seconds of a step for each optimizer, taking turns, on two random gradients in alternation."""
    generator = torch.Generator().manual_seed(0)

    def draw() -> list[torch.Tensor]:
        return [torch.randn(shape, generator=generator).to(device) for shape in sizes]

    gradients, parameters, steps = (draw(), draw()), {}, {}
    for name, build in OPTIMIZERS.items():
        parameters[name] = [torch.nn.Parameter(x) for x in draw()]
        steps[name] = build(parameters[name]).step
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 3):
        # In another order each time: whoever follows a neighbour finds the caches as that one left them.
        for name in random.sample(list(steps), len(steps)):
            for p, g in zip(parameters[name], gradients[repeat % 2], strict=True):
                p.grad = g * p if name == "AdaHessian" else g  # it differentiates the gradient once more
            _wait(device)
            start = time.perf_counter()
            steps[name]()
            _wait(device)
            if repeat >= 3:  # the first turns allocate the state
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(device: str, repeats: int) -> str:
    """The ratios as a Markdown table, with the yardstick's milliseconds."""
    columns = {title: measure(sizes, device, repeats) for title, sizes in shapes().items()}
    lines = [f"| {device} | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for name in OPTIMIZERS:
        ratios = (f"{column[name] / column[YARDSTICK]:.2f}" for column in columns.values())
        lines.append(f"| {name} | " + " | ".join(ratios) + " |")
    milliseconds = (f"{1e3 * column[YARDSTICK]:.2f} ms" for column in columns.values())
    return "\n".join([*lines, f"| {YARDSTICK} takes | " + " | ".join(milliseconds) + " |"])


def _wait(device: str) -> None:
    """Let an accelerator finish what was asked of it."""
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Print one table for each device."""
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=60, help="steps per median (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--devices", nargs="+", default=devices, choices=["cpu", "cuda"], help="default: all there are")
    arguments = parser.parse_args()
    if arguments.repeats < 1 or arguments.threads < 1:
        parser.error("--repeats and --threads must be at least 1")
    if "cuda" in arguments.devices and not torch.cuda.is_available():
        parser.error("--devices cuda: torch finds no CUDA device here")
    torch.set_num_threads(arguments.threads)
    random.seed(0)
    print(f"torch {torch.__version__}, {arguments.threads} threads, medians of {arguments.repeats} steps\n")
    for device in arguments.devices:
        print(table(device, arguments.repeats), end="\n\n")


if __name__ == "__main__":
    main()
