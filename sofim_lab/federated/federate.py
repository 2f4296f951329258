"""The rounds of federated training: clients compute, the server takes one step with a real optimizer."""

import inspect
import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm.auto import tqdm

from sofim_lab.federated.clients import LocalWork, client_gradients, refuse_parts, trainable
from sofim_lab.federated.private import Privacy, private_gradient
from sofim_lab.optim.registry import closure_kind
from sofim_lab.problems import Dataset
from sofim_lab.training import EpochRecord, StepRecord, TrainingResult
from sofim_lab.training.evaluate import evaluate
from sofim_lab.training.point import point_of
from sofim_lab.training.progress import show_progress
from sofim_lab.training.refusals import refuse_bad_input, whole_number
from sofim_lab.training.train import finite, settings_of

_PARTS = ("train", "val")


def federate(
    model: nn.Module,
    data: Dataset,
    server: Optimizer,
    parts: Sequence[Tensor],
    *,
    rounds: int = 30,
    work: LocalWork | None = None,
    participation: float = 1.0,
    privacy: Privacy | None = None,
    seed: int = 0,
    name: str | None = None,
    progress: bool | None = None,
) -> TrainingResult:
    """Train a model in place with simulated clients, and keep every round.

    In a round some clients are drawn, each sends its Δ_k (see `client_gradients`), and their mean, weighted by numbers
    of samples, becomes the gradient of the server's optimizer: Δ = Σ_k n_k Δ_k / Σ_k n_k. With all clients, one local
    step and full batches it is the gradient of the mean loss of all samples, whatever the split. With `privacy` it is
    one release (see `private_gradient`), to whose noise every client adds its share.

    Args:
        model: Maps images to logits; its parameters are changed, but for frozen ones (`requires_grad=False`).
        data: `train` belongs to the clients; `train` and `val` are evaluated after each round.
        server: A `torch.optim.Optimizer` over the model's parameters that needs gradients alone.
        parts: Indices of each client's images in `data.train`, e.g. from `dirichlet_split`.
        rounds: 0 or more.
        work: What clients do in a round; by default one step with all their images.
        participation: Share of the clients that take part in a round, in (0, 1]; at least one does.
        privacy: Clipping and noise; needs all clients, one local step and full batches, for which its account is exact.
        seed: Seed of who takes part, of the batches and of the noise: equal for all servers of one seed.
        name: Name of the run; by default the server's class name.
        progress: Show a bar; None shows it except while a lesson's report is written.

    Returns:
        `TrainingResult` whose epochs and steps are rounds; it is marked `diverged` at the round after which a loss
        was not finite. Its settings are those of the server before the first round.

    Raises:
        ValueError: An argument is out of its range, or the privacy account would not hold; a client without samples, or
            with an index that no sample has; a server that needs a closure, or holds no parameter of the model; a model
            whose parameters are all frozen, and whatever `train` refuses of model and data.

    Example:
        >>> from sofim_lab.federated import dirichlet_split, fed_sofim
        >>> from sofim_lab.problems import load_digits, mlp
        >>> digits, model = load_digits("cpu"), mlp((64, 10), device="cpu")
        >>> parts = dirichlet_split(digits.train.y, clients=10, alpha=0.3)
        >>> server = fed_sofim(rate=1.0, rho=0.5)(model.parameters())
        >>> federate(model, digits, server, parts, rounds=20, progress=False).final.val_accuracy > 0.8
        True

    References:
        H. B. McMahan et al., 2016, arXiv 1602.05629 (FedAvg). S. J. Reddi et al., 2020, arXiv 2003.00295 (servers).
    """
    work = work or LocalWork()
    _refuse(data, parts, rounds, work, participation, privacy)
    _refuse_server(model, data, server)
    seed = whole_number("seed", seed)  # also one of NumPy, which PyTorch does not take
    known = settings_of(server) | vars(work)
    random = torch.Generator().manual_seed(seed)
    label = name or type(server).__name__
    history, steps, seconds = [_score(model, data, 0, 0.0)], [], 0.0
    diverged_at = None if finite(history[0], _PARTS) else 0
    for number in tqdm(
        range(1, rounds + 1), desc=label, unit="round", disable=not show_progress(progress), leave=False
    ):
        if diverged_at is not None:
            break
        started, before = time.perf_counter(), point_of(model.parameters())
        try:
            _set_gradient(model, server, _aggregate(model, data, parts, work, participation, privacy, random))
            server.step()
        except FloatingPointError:  # SOFIM refuses what is not finite; the weights are as they were
            diverged_at = number
            break
        length = float(torch.linalg.vector_norm(point_of(model.parameters()) - before))
        seconds += time.perf_counter() - started
        steps.append(StepRecord(number, number, history[-1].train_loss, length))
        scores = _score(model, data, number, seconds)
        if finite(scores, _PARTS):
            history.append(scores)
        else:
            diverged_at = number
    known |= {"rounds": rounds, "clients": len(parts), "participation": participation}
    known |= {"clip": privacy.clip, "noise": privacy.noise} if privacy else {}
    return TrainingResult(
        label, type(server).__name__, known, seed, data.device.type, tuple(steps), tuple(history), diverged_at
    )


def _aggregate(
    model: nn.Module,
    data: Dataset,
    parts: Sequence[Tensor],
    work: LocalWork,
    participation: float,
    privacy: Privacy | None,
    random: torch.Generator,
) -> Tensor:
    """The server's gradient of one round, shape (d,)."""
    if privacy is not None:
        return private_gradient(model, data.train.x, data.train.y, privacy, random, holders=len(parts))
    count = max(1, round(participation * len(parts)))
    chosen = [parts[client] for client in torch.randperm(len(parts), generator=random)[:count].sort().values]
    sizes = torch.tensor([len(part) for part in chosen], dtype=data.train.x.dtype, device=data.device)
    return (sizes / sizes.sum()) @ client_gradients(model, data.train, chosen, work, random)


def _set_gradient(model: nn.Module, server: Optimizer, gradient: Tensor) -> None:
    """Give each parameter that is trained its piece of the vector, and the others none."""
    server.zero_grad()
    parameters = list(trainable(model).values())
    for p, piece in zip(parameters, gradient.split([p.numel() for p in parameters]), strict=True):
        p.grad = piece.view_as(p).clone()


def _score(model: nn.Module, data: Dataset, number: int, seconds: float) -> EpochRecord:
    """Loss and accuracy on the training and the validation images after a round."""
    (loss, accuracy), (val_loss, val_accuracy) = (
        evaluate(model, split, nn.functional.cross_entropy) for split in (data.train, data.val)
    )
    return EpochRecord(number, loss, val_loss, accuracy, val_accuracy, seconds)


def _refuse(
    data: Dataset,
    parts: Sequence[Tensor],
    rounds: int,
    work: LocalWork,
    participation: float,
    privacy: Privacy | None,
) -> None:
    """Say what is wrong before anything is changed."""
    if whole_number("rounds", rounds) < 0:
        raise ValueError(f"rounds={rounds!r} must be 0 or more")
    if not 0 < participation <= 1:
        raise ValueError(f"participation={participation!r} must lie in (0, 1]: the share of the clients in a round")
    refuse_parts(parts, len(data.train))
    if privacy is None:
        return
    if participation < 1 or work.steps > 1 or work.batch_size is not None:
        raise ValueError(
            "privacy needs participation=1.0 and work=LocalWork(steps=1, batch_size=None): its account is that of "
            "releases computed from all samples"
        )
    together = torch.cat(list(parts))
    if len(together) != len(data.train) or len(together.unique()) != len(together):
        raise ValueError(
            f"privacy needs parts that hold each of the {len(data.train)} training images once, as dirichlet_split "
            "deals them: an image held twice would count twice"
        )


def _refuse_server(model: nn.Module, data: Dataset, server: Optimizer) -> None:
    """The server has gradients and nothing else: no closure; and they have to be those of this model."""
    trainable(model)
    needed = inspect.signature(server.step).parameters.get("closure")
    if closure_kind(server) != "gradient" or (needed is not None and needed.default is inspect.Parameter.empty):
        raise ValueError(
            f"server={type(server).__name__} needs a closure, and clients send gradients alone: take one whose step() "
            "needs none, e.g. fed_avg(rate=0.5)(model.parameters())"
        )
    refuse_bad_input(model, data, server, epochs=0, batch_size=1, evaluate_on=_PARTS)
