"""Runs that nobody ran: curves of one's choice in the form of a sweep."""

import numpy as np

from sofim_lab.benchmark import Final, Task
from sofim_lab.training import Configuration, Sweep

TARGETS = {"train_loss": 0.1, "test_loss": 0.2, "test_accuracy": 0.9, "val_loss": 0.2}
TASK = Task("digits", "mlp", epochs=10, targets=TARGETS)


def run_of(configuration, seed, arrival, task=TASK, status="ok", passes=1.0):
    """A run that reaches every target with epoch `arrival`, or never if that is infinite."""
    epochs = list(range(task.epochs + 1))
    there = np.array(epochs) >= arrival
    history = {"epoch": epochs, "seconds": [0.01 * e for e in epochs]}
    history["gradient_evaluations"] = [passes * e for e in epochs]
    for measure in ("train_loss", "val_loss", "test_loss"):
        history[measure] = np.where(there, 0.01, 1.0).tolist()
    for measure in ("train_accuracy", "val_accuracy", "test_accuracy"):
        history[measure] = np.where(there, 0.95, 0.1).tolist()
    return {
        "run": f"{configuration.key}-{seed}",
        "configuration": configuration.key,
        "optimizer": configuration.optimizer,
        "settings": dict(configuration.settings),
        "model": task.model,
        "data": task.data,
        "stream": task.stream,
        "batch_size": task.batch_size,
        "epochs": task.epochs,
        "device": "cpu",
        "evaluate_on": ["train", "val", "test"],
        "seed": seed,
        "status": status,
        "error": "",
        "history": history,
        "steps": 19 * task.epochs,
        "step_length_quantiles": [0.1] * 11,
    }


def final(arrivals, task=TASK, passes=None):
    """A task whose optimizers arrive at the given epochs, one a seed."""
    chosen = {name: Configuration(name, {"lr": 1.0}) for name in arrivals}
    runs = [
        run_of(chosen[name], seed, epoch, task, passes=(passes or {}).get(name, 1.0))
        for name, epochs in arrivals.items()
        for seed, epoch in enumerate(epochs)
    ]
    return Final(task, chosen, Sweep(tuple(runs)))
