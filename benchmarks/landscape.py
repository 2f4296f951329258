"""What a loss landscape costs, as a ratio to loss-landscapes' `random_plane` measured in the same run.

    python benchmarks/landscape.py [--points 51] [--rounds 5] [--threads 2] [--only mlp cnn ...] [--device cpu]

The peer, loss-landscapes 3.0.6, is not among this project's packages: install it with `pip install --no-deps` into an
environment of its own that also sees this one's packages. Without it the times and errors are printed alone. All ways
take turns in one process, so that a busy machine slows them alike; ratios are those of the medians and, in brackets,
of the minima. The error is the largest relative difference to a grid that plain code evaluates in float64.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sofim_lab.landscape import Directions, random_directions, refine, slice_2d
from sofim_lab.problems import load_digits, mlp

try:
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss
except ImportError:
    random_plane = None

LOSS = nn.CrossEntropyLoss()


class Residual(nn.Module):
    """A small residual network with norm layers: a module of no special form."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(64, 64), nn.Linear(64, 10)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU()) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """The logits of images (n, 64)."""
        h = self.enter(x)
        for block in self.blocks:
            h = h + block(h)
        return self.leave(h)


class Sequence(nn.Module):
    """A recurrent network that reads the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.leave = nn.GRU(8, 24, batch_first=True), nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of images (n, 64)."""
        return self.leave(self.read(x.view(-1, 8, 8))[0][:, -1])


def cnn(batch_norm: bool = False) -> nn.Module:
    """Two convolutions and a linear layer, 9,930 parameters."""
    norms = [nn.BatchNorm2d(16), nn.BatchNorm2d(32)] if batch_norm else [nn.Identity(), nn.Identity()]
    first = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), norms[0], nn.ReLU()]
    second = [nn.Conv2d(16, 32, 3, padding=1), norms[1], nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10)]
    return nn.Sequential(*first, *second)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: mlp((64, 64, 10), device="cpu"),
    "relu mlp": lambda: mlp((64, 64, 64, 10), "relu", device="cpu"),
    "cnn": cnn,
    "cnn with batch norm": lambda: cnn(batch_norm=True),
    "residual": Residual,
    "gru": Sequence,
    "wide mlp": lambda: mlp((64, 1024, 1024, 10), "relu", device="cpu"),
}
FEW = {"cnn": 13, "cnn with batch norm": 9, "gru": 13, "wide mlp": 9}  # points a side that show the ratio in seconds


def images(device: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """All 1,797 digits."""
    digits = load_digits(device, dtype)
    parts = (digits.train, digits.val, digits.test)
    return torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts])


@torch.no_grad()
def exact(model: nn.Module, data: tuple[Tensor, Tensor], directions: Directions, axis: np.ndarray) -> np.ndarray:
    """The grid by plain code in float64."""
    model = copy.deepcopy(model).double().eval()
    x, y = data[0].double(), data[1]
    start = {name: p.clone() for name, p in model.named_parameters()}
    first, second = directions.trees
    loss = np.empty((len(axis), len(axis)))
    for j, b in enumerate(axis):
        for i, a in enumerate(axis):
            for name, p in model.named_parameters():
                p.copy_(start[name] + a * first[name].double() + b * second[name].double())
            loss[j, i] = LOSS(model(x), y).item()
    return loss


def measure(name: str, device: str, points: int, rounds: int) -> str:
    """One row of the table."""
    torch.manual_seed(0)
    model, data = MODELS[name]().to(device).eval(), images(device)
    directions = random_directions(model, seed=0)
    theirs = copy.deepcopy(model)

    def peer() -> None:
        random_plane(theirs, Loss(LOSS, *data), distance=1, steps=points, normalization=None, deepcopy_model=True)

    def ours() -> np.ndarray:
        return slice_2d(model, LOSS, data, directions, points=points, progress=False).loss

    ways = {
        "ours": ours,
        "loop": lambda: slice_2d(model, LOSS, data, directions, points=points, method="loop", progress=False),
    }
    if random_plane is not None:
        ways["peer"] = peer
    seconds: dict[str, list[float]] = {way: [] for way in [*ways, "first"]}
    for turn in range(rounds + 1):
        for way, run in ways.items():
            seconds[way].append(clock(run, device))
        seconds["first"].append(clock(lambda: next(refine(model, LOSS, data, directions)), device))
        if turn == 0:
            seconds = {way: [] for way in seconds}  # a warm-up
    coarse = slice_2d(model, LOSS, data, directions, points=min(points, 11), progress=False)
    reference = exact(model, data, directions, coarse.a)
    error = float(np.abs(coarse.loss / reference - 1).max())
    middle = {way: statistics.median(values) for way, values in seconds.items()}
    ratios = ["–", "–"]
    if "peer" in seconds:
        ratios = [
            f"{middle['peer'] / middle[way]:.2f} ({min(seconds['peer']) / min(seconds[way]):.2f})"
            for way in ("ours", "loop")
        ]
    size = sum(p.numel() for p in model.parameters())
    return (
        f"| {name} | {size:,} | {points}×{points} | {coarse.settings['method']} | {middle['ours']:.3f} s | {ratios[0]} "
        f"| {ratios[1]} | {1e3 * middle['first']:.0f} ms | {error:.0e} |"
    )


def clock(run: Callable[[], object], device: str) -> float:
    """Seconds of one call, an accelerator's work included."""
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, help="points a side (default: 51, fewer for slow models)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS), help="default: all models")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.threads < 1 or (arguments.points or 2) < 2:
        parser.error("--rounds and --threads must be at least 1, --points at least 2")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device here")
    torch.set_num_threads(arguments.threads)
    if random_plane is None:
        print("loss-landscapes is not installed: no ratios\n")
    print(f"torch {torch.__version__}, {arguments.device}, {arguments.threads} threads, {arguments.rounds} turns\n")
    print("| model | d | grid | method | slice_2d | × the peer | plain loop × the peer | first picture | error |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.only:
        print(measure(name, arguments.device, arguments.points or FEW.get(name, 51), arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
