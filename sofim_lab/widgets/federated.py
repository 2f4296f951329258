"""Explorer of lesson 09: federated training with clients whose classes differ."""

from dataclasses import dataclass
from functools import lru_cache, partial

import ipywidgets as W
from torch import Tensor

from sofim_lab.federated import (
    LocalWork,
    Server,
    class_counts,
    dirichlet_split,
    fed_adam,
    fed_avg,
    fed_ema,
    fed_sofim,
    federate,
)
from sofim_lab.plots import Picture, new_axes, picture, set_title
from sofim_lab.plots.beyond import describe_mixtures, describe_rounds, plot_mixtures, plot_rounds
from sofim_lab.problems import mlp
from sofim_lab.training import TrainingResult
from sofim_lab.widgets.digits import digits_on_cpu
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.sliders import log_slider, slider

CLIENTS = 20
SERVERS: dict[str, Server] = {
    "SOFIM, momentum": fed_sofim(2.0, rho=0.5),
    "SOFIM, gradient": fed_sofim(0.5, rho=0.5, direction="gradient"),
    "FedAdam": fed_adam(0.03),
    "averaged momentum": fed_ema(2.0),
}


@dataclass(frozen=True)
class ClientsState:
    """A federated run, FedAvg beside it on the same clients, and who has which classes."""

    counts: Tensor
    run: TrainingResult
    control: TrainingResult
    alpha: float


@lru_cache(maxsize=64)
def _federated(name: str, alpha: float, participation: float, steps: int, rounds: int) -> TrainingResult:
    """One run of a 64-32-10 network; FedAvg steps to the mean of the clients' weights."""
    digits, model = digits_on_cpu(), mlp((64, 32, 10), device="cpu")
    parts = dirichlet_split(digits.train.y, CLIENTS, alpha)
    server = (SERVERS.get(name) or fed_avg(0.2 * steps))(model.parameters())
    work = LocalWork(steps, rate=0.2, batch_size=32)
    run = partial(federate, model, digits, server, parts, rounds=rounds, work=work, participation=participation)
    return run(name=name, progress=False)


def clients_state(alpha: float, participation: float, steps: int, server: str, rounds: int = 30) -> ClientsState:
    """Train with twenty clients.

    Args:
        alpha: α of the Dirichlet split.
        participation: Share of the clients in a round.
        steps: Local steps E with 32 images each.
        server: Key in `SERVERS`.
        rounds: How many.

    Returns:
        The state that `render_clients` draws.
    """
    digits = digits_on_cpu()
    counts = class_counts(digits.train.y, dirichlet_split(digits.train.y, CLIENTS, alpha))
    names = (server, "FedAvg")
    run, control = (_federated(name, alpha, participation, steps, rounds) for name in names)
    return ClientsState(counts, run, control, alpha)


def render_clients(state: ClientsState) -> Picture:
    """Left who has what, right the validation accuracy round by round."""
    left, right = new_axes(2, width=9.6, height=3.6)
    plot_mixtures(state.counts, left)
    plot_rounds([state.run, state.control], right)
    set_title(left, f"α = {state.alpha:.2g}")
    set_title(right, f"{len(state.run.steps)} rounds")
    return picture(left, f"{describe_mixtures(state.counts)} {describe_rounds([state.run, state.control])}")


def clients_explorer() -> Explorer[ClientsState]:
    """Move α, participation, local steps and the server; see who has which classes, and how training goes."""
    return Explorer(
        {
            "alpha": log_slider("α", 0.1, -2, 2, late=True),
            "participation": slider("share", 0.25, 0.05, 1.0, 0.05, late=True),
            "steps": W.IntSlider(value=5, min=1, max=10, description="local steps", continuous_update=False),
            "server": W.Dropdown(options=list(SERVERS), description="server"),
        },
        clients_state,
        render_clients,
        goal=Goal(
            "with α ≤ 0.1 and at most half of the clients a round, bring the server's validation accuracy to 0.93 "
            "or more after 30 rounds.",
            _copes,
            example={"participation": 0.5},
        ),
        preview=partial(clients_state, rounds=2),
    )


def _copes(state: ClientsState) -> bool:
    """Whether a server gets far with clients that hardly have a class in common."""
    known = state.run.settings
    return state.alpha <= 0.1 and known["participation"] <= 0.5 and state.run.final.val_accuracy >= 0.93
