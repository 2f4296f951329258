"""Runs that nobody ran: curves of one's choice in the form of a sweep."""

from sofim_lab.benchmark import Benchmark, Final, Task
from sofim_lab.benchmark.protocol import Protocol
from sofim_lab.training import Configuration, Sweep

TARGETS = {"train_loss": 0.1, "test_loss": 0.2, "test_accuracy": 0.9, "val_loss": 0.2}
TASK = Task("digits", "mlp", epochs=10, targets=TARGETS)


def run_of(configuration, seed, losses, task=TASK, passes=1.0, lengths=(0.1,) * 11):
    """A run with these losses, on every part of the data, after each epoch."""
    epochs = range(len(losses))
    history = {"epoch": list(epochs), "seconds": [0.01 * e for e in epochs]}
    history["gradient_evaluations"] = [passes * e for e in epochs]
    history |= {f"{part}_loss": list(losses) for part in ("train", "val", "test")}
    shares = [None if loss is None else 1 - loss / 2 for loss in losses]
    history |= {f"{part}_accuracy": list(shares) for part in ("train", "val", "test")}
    where = {name: getattr(task, name) for name in ("model", "data", "stream", "batch_size", "epochs")}
    return {
        "run": f"{configuration.key}-{seed}",
        "configuration": configuration.key,
        "optimizer": configuration.optimizer,
        "settings": dict(configuration.settings),
        **where,
        "device": "cpu",
        "evaluate_on": ["train", "val", "test"],
        "seed": seed,
        "status": "ok",
        "error": "",
        "history": history,
        "steps": 19 * task.epochs,
        "step_length_quantiles": list(lengths),
    }


def arriving(arrival, task=TASK):
    """Losses of a run that reaches every target with epoch `arrival`, or never if that is infinite."""
    return [0.01 if epoch >= arrival else 1.0 for epoch in range(task.epochs + 1)]


def final(arrivals, task=TASK, passes=None):
    """A task whose optimizers arrive at the given epochs, one a seed; or with whole curves instead of an epoch."""
    chosen = {name: Configuration(name, {"lr": 1.0}) for name in arrivals}
    runs = [
        run_of(
            chosen[name],
            seed,
            one if isinstance(one, list) else arriving(one, task),
            task,
            passes=(passes or {}).get(name, 1.0),
        )
        for name, own in arrivals.items()
        for seed, one in enumerate(own)
    ]
    return Final(task, chosen, Sweep(tuple(runs)))


def bench(*finals):
    """A benchmark of these tasks, which knows SOFIM and Adam."""
    protocol = Protocol("made up", tuple(one.task for one in finals), ("SOFIM", "Adam"), 1, (8,), (0,))
    return Benchmark(protocol, {one.task.title: one for one in finals})
