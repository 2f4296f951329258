"""How long 32 runs of a small network on the digits take: one by one, in two processes, and in one pass.

python benchmarks/many_runs.py [epochs [device]]
"""

import sys
import time
from functools import partial
from itertools import product

import torch
from joblib import Parallel, delayed

from sofim_lab.optim import registry
from sofim_lab.problems import mlp
from sofim_lab.training import train, train_many
from sofim_lab.training.task import load  # read once in each process, as a sweep does

RUNS = 32
EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 2
DEVICE = sys.argv[2] if len(sys.argv) > 2 else "cpu"


def alone(sizes, name, seed):
    """One run by `train`."""
    torch.set_num_threads(1)
    model = mlp(sizes, seed=seed, device=DEVICE)
    optimizer = registry.make(name, model.parameters())
    return train(model, load("digits", DEVICE, "float32"), optimizer, epochs=EPOCHS, seed=seed, progress=False)


def together(sizes, name, seeds):
    """The same runs in one pass."""
    torch.set_num_threads(1)
    runs = [(partial(registry.make, name), seed) for seed in seeds]
    return train_many(partial(_model, sizes), load("digits", DEVICE, "float32"), runs, epochs=EPOCHS, progress=False)


def _model(sizes, seed):
    return mlp(sizes, seed=seed, device=DEVICE)


def one_after_another(run):
    """All runs in this process."""
    return [run(seed) for seed in range(RUNS)]


def timed(function, *argument):
    """Seconds of the quickest of three calls."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function(*argument)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    print("| network | optimizer | loop of `train`, s | two processes | one pass | one pass in each of two processes |")
    print("|---|---|---|---|---|---|")
    halves = [range(RUNS // 2), range(RUNS // 2, RUNS)]
    with Parallel(2) as processes:
        processes(delayed(alone)((64, 10), "SGD", seed) for seed in range(2))  # the workers have started
        for sizes, name in product(((64, 64, 10), (64, 64, 64, 10)), ("SOFIM", "SGD momentum")):
            one, many = partial(alone, sizes, name), partial(together, sizes, name)
            loop = timed(one_after_another, one)
            others = [
                timed(processes, [delayed(one)(seed) for seed in range(RUNS)]),
                timed(many, range(RUNS)),
                timed(processes, [delayed(many)(some) for some in halves]),
            ]
            row = " | ".join(f"{seconds:.2f} ({loop / seconds:.1f} ×)" for seconds in others)
            print(f"| {'-'.join(map(str, sizes))} | {name} | {loop:.2f} | {row} |", flush=True)
