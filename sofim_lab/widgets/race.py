"""Explorer of lesson 00: a race on digits in which the learner sets SOFIM's ρ and η."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sofim_lab.optim import SOFIM
from sofim_lab.plots import Picture, describe_race, new_axes, picture, plot_race
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import OptimizerFactory, RaceResult, race
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider


def render_race(result: RaceResult) -> Picture:
    """Training loss and validation accuracy, with the final ranking in words."""
    left, right = new_axes(2, width=9.6)
    plot_race(result, "train_loss", left)
    plot_race(result, "val_accuracy", right)
    return picture(left, describe_race(result, "train_loss"))


def race_explorer(
    rivals: dict[str, OptimizerFactory] | None = None,
    *,
    epochs: int = 5,
    seed: int = 0,
    device: str | torch.device = "auto",
) -> Explorer[RaceResult]:
    """SOFIM with the ρ and η of the sliders against rivals whose settings stay as they are.

    Args:
        rivals: Name to constructor; by default SGD with momentum and Adam at settings that people start with. Each
            is trained once.
        epochs: Passes over the training images.
        seed: Seed of the common start and of the order of the images.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Returns:
        The explorer; its result is a `RaceResult`.
    """
    if rivals is None:
        rivals = {
            "SGD, momentum 0.9": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9),
            "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
        }
    digits = load_digits(device)

    def start(seed: int) -> nn.Module:
        return mlp((64, 32, 10), seed=seed, device=digits.device)

    settings: dict[str, Any] = {"seeds": (seed,), "progress": False}
    others = race(start, digits, rivals, epochs=epochs, **settings).runs

    def compute(rho: float, lr: float, epochs: int = epochs) -> RaceResult:
        """SOFIM trained anew, beside the first epochs of the others."""
        own = race(start, digits, {"SOFIM": lambda p: SOFIM(p, lr=lr, rho=rho)}, epochs=epochs, **settings).runs
        return RaceResult(own + tuple(replace(run, epochs=run.epochs[: epochs + 1]) for run in others))

    def wins(result: RaceResult) -> bool:
        losses = result.summary()["train_loss"]
        return bool(losses["SOFIM"] == losses.min()) and not result["SOFIM"][0].diverged

    return Explorer(
        {"rho": log_slider("ρ", 0.5, -3, 2, late=True), "lr": log_slider("η", 0.1, -3, 2, late=True)},
        compute,
        render_race,
        goal=Goal("find ρ and η with which SOFIM ends with the lowest training loss of the three.", wins),
        preview=lambda rho, lr: compute(rho, lr, epochs=1),
    )
