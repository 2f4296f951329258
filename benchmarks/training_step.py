"""What a step of training ResNet-9 costs with each optimizer, as ratios to SGD(momentum=0.9) measured in the same run.

    python benchmarks/training_step.py [--device cuda] [--rounds 5] [--steps 10] [--batch 128] [--width 64]

Forward pass, backward pass and step, on noise of the shape of CIFAR-10's images: the cost does not depend on what they
show. The optimizers take turns in a random order. `state` is what an optimizer keeps between two steps, `peak` what a
step takes of the GPU's memory besides (gradients, activations, intermediate results).
"""

import argparse
import random
import statistics
import time

import torch
from torch import nn

from sofim_lab.benchmark.costs import state_bytes
from sofim_lab.optim import registry
from sofim_lab.problems import resolve_device
from sofim_lab.problems.conv_models import resnet9
from sofim_lab.training import make_closure

NAMES = ("SGD momentum", "SOFIM", "SOFIM gradient", "SGD", "Adam", "AdaHessian", "NystromSGD", "L-BFGS")
YARDSTICK, MB = NAMES[0], 2**20


def measure(options: argparse.Namespace, device: torch.device) -> dict[str, tuple[float, float, float]]:
    """Median seconds of a step, bytes of state and peak bytes of a step, by optimizer."""
    random_numbers = torch.Generator().manual_seed(0)
    x = torch.randn(options.batch, 3 * 32 * 32, generator=random_numbers).to(device)
    y = torch.randint(10, (options.batch,), generator=random_numbers).to(device)
    steps, optimizers = {}, {}
    for name in NAMES:
        model = resnet9((3, 32, 32), 10, width=options.width, seed=0, device=device)
        optimizer = optimizers[name] = registry.make(name, model.parameters(), lr=1e-6)
        closure = make_closure(model, optimizer, nn.functional.cross_entropy, x, y)
        steps[name] = lambda optimizer=optimizer, closure=closure: optimizer.step(closure)
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    peaks = {}
    for turn in range(options.rounds + 1):
        for name in random.sample(NAMES, len(NAMES)):
            before = start_of_memory(device)
            start = time.perf_counter()
            for _ in range(options.steps):
                steps[name]()
            if device.type != "cpu":
                torch.accelerator.synchronize()
            if turn:  # the first one allocates
                seconds[name].append((time.perf_counter() - start) / options.steps)
                peaks[name] = peak_of_memory(device) - before
    return {name: (statistics.median(seconds[name]), state_bytes(optimizers[name]), peaks[name]) for name in NAMES}


def start_of_memory(device: torch.device) -> int:
    """Bytes that lie there before; the peak begins anew."""
    if device.type != "cuda":
        return 0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def peak_of_memory(device: torch.device) -> float:
    """The most bytes since; known on CUDA alone."""
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else float("nan")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="timed turns of each (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="steps a turn (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="images a step (default: %(default)s)")
    parser.add_argument("--width", type=int, default=64, help="channels of the first layer (default: %(default)s)")
    options = parser.parse_args()
    device = resolve_device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"torch {torch.__version__}, {name}, batches of {options.batch}, width {options.width}\n")
    found = measure(options, device)
    print(f"| optimizer | ms a step | × {YARDSTICK} | state, MB | peak of a step besides, MB |\n|---|---|---|---|---|")
    for name, (seconds, state, peak) in found.items():
        ratio = seconds / found[YARDSTICK][0]
        print(f"| {name} | {1e3 * seconds:.3g} | {ratio:.3g} | {state / MB:.3g} | {peak / MB:.3g} |")


if __name__ == "__main__":
    main()
