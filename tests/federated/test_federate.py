"""Federated rounds against one machine that holds all data, and against clients trained one after another."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

from sofim_lab.federated import (
    LocalWork,
    Privacy,
    client_gradients,
    dirichlet_split,
    fed_adam,
    fed_avg,
    fed_avg_m,
    fed_ema,
    fed_sofim,
    federate,
)
from sofim_lab.optim import SOFIM, Newton
from sofim_lab.problems import Split, load_digits, mlp

DATA = load_digits("cpu", dtype=torch.float64)
PARTS = dirichlet_split(DATA.train.y, 7, 0.2)
SERVERS = {
    "SGD": fed_avg(0.5),
    "momentum": fed_avg_m(0.1),
    "Adam": fed_adam(0.01),
    "EMA": fed_ema(0.5),
    "SOFIM": fed_sofim(1.0, rho=0.1),
    "gradient": fed_sofim(0.5, rho=0.5, direction="gradient"),
    "warm-up": fed_sofim(1.0, rho=0.1, warm_up=3),
}


def network(seed=0):
    return mlp((64, 12, 10), seed=seed, device="cpu", dtype=torch.float64)


def loss_of(model, rows=slice(None)):
    return nn.functional.cross_entropy(model(DATA.train.x[rows]), DATA.train.y[rows])


def vector(model):
    return parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("name", SERVERS)
def test_all_clients_with_one_full_step_are_one_machine(name):
    """Whatever the split: the weighted mean of the clients' gradients is the gradient of the mean loss."""
    far, here = network(), network()
    federate(far, DATA, SERVERS[name](far.parameters()), PARTS, rounds=6, progress=False)
    optimizer = SERVERS[name](here.parameters())
    for _ in range(6):
        optimizer.zero_grad()
        loss_of(here).backward()
        optimizer.step()
    assert (vector(far) - vector(here)).abs().max() <= 1e-11


@pytest.mark.parametrize("size", [None, 10_000])
def test_clients_together_do_what_each_does_alone(size):
    model, work = network(), LocalWork(steps=4, rate=0.3, batch_size=size)  # a batch can have no more than all there is
    sent = client_gradients(model, DATA.train, PARTS, work, torch.Generator())
    for row, part in zip(sent, PARTS, strict=True):
        alone = copy.deepcopy(model)
        optimizer = torch.optim.SGD(alone.parameters(), lr=0.3)
        for _ in range(4):
            optimizer.zero_grad()
            loss_of(alone, part).backward()
            optimizer.step()
        assert (row - (vector(model) - vector(alone)) / (0.3 * 4)).abs().max() <= 1e-12


def test_fed_avg_takes_the_mean_of_the_clients_weights():
    model, work = network(), LocalWork(steps=3, rate=0.2)
    sizes = torch.tensor([len(part) for part in PARTS], dtype=torch.float64)
    start, sent = vector(model), client_gradients(model, DATA.train, PARTS, work, torch.Generator())
    mean = sizes / sizes.sum() @ (start - 0.2 * 3 * sent)
    federate(model, DATA, fed_avg(0.2 * 3)(model.parameters()), PARTS, rounds=1, work=work, progress=False)
    assert (vector(model) - mean).abs().max() <= 1e-13


def test_small_batches_are_drawn_from_the_clients_own_samples():
    """With one sample a step, a client of two equal samples sends the gradient of that sample."""
    model, twins = network(), [torch.tensor([3, 3]), torch.tensor([8])]
    sent = client_gradients(model, DATA.train, twins, LocalWork(batch_size=1), torch.Generator())
    for row, index in zip(sent, (3, 8), strict=True):
        model.zero_grad()
        loss_of(model, [index]).backward()
        assert (row - torch.cat([p.grad.flatten() for p in model.parameters()])).abs().max() <= 1e-13


def test_who_takes_part_depends_on_the_seed_alone():
    ends = []
    for seed in (1, 1, 2):
        model = network()
        work = LocalWork(steps=2, batch_size=8)
        options = {"rounds": 3, "work": work, "participation": 0.4, "seed": seed, "progress": False}
        federate(model, DATA, fed_avg(0.2)(model.parameters()), PARTS, **options)
        ends.append(vector(model))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_only_those_who_take_part_count():
    """With one of seven clients in one round, the step is that client's gradient."""
    model, before = network(), network()
    federate(model, DATA, fed_avg(1.0)(model.parameters()), PARTS, rounds=1, participation=0.1, progress=False)
    step = vector(before) - vector(model)
    gradients = client_gradients(before, DATA.train, PARTS, LocalWork(), torch.Generator())
    assert float((gradients - step).abs().max(dim=1).values.min()) <= 1e-13


def test_a_warm_up_is_averaged_momentum_first_and_sofim_afterwards():
    far, here = network(), network()
    gradients = torch.randn(5, len(vector(far)), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    server, moments, w, moment = fed_sofim(0.5, rho=2.0, warm_up=2)(far.parameters()), [], vector(here), 0.0
    for t, g in enumerate(gradients, start=1):
        torch.nn.utils.vector_to_parameters(g, here.parameters())
        for p, q in zip(far.parameters(), here.parameters(), strict=True):
            p.grad = q.detach().clone()
        server.step()
        moment = 0.9 * moment + 0.1 * g
        m = moment / (1 - 0.9**t)
        moments.append(m)
        w = w - (0.5 * m if t <= 2 else 0.5 * 2.0 * m / (2.0 + m @ m))
    assert (vector(far) - w).abs().max() <= 1e-9


@pytest.mark.parametrize(("direction", "control"), [("momentum", fed_ema), ("gradient", fed_avg)])
def test_the_control_of_a_direction_is_its_limit_for_large_rho(direction, control):
    ends = []
    for server in (fed_sofim(0.5, rho=1e12, direction=direction), control(0.5)):
        model = network()
        federate(model, DATA, server(model.parameters()), PARTS, rounds=5, progress=False)
        ends.append(vector(model))
    assert (ends[0] - ends[1]).abs().max() <= 1e-9


def test_the_rounds_are_kept():
    model = network()
    run = federate(model, DATA, fed_avg(0.5)(model.parameters()), PARTS, rounds=4, name="mine", progress=False)
    assert [record.epoch for record in run.epochs] == [0, 1, 2, 3, 4]
    assert run.final.train_loss == pytest.approx(float(loss_of(model).detach()))
    assert run.name == "mine"
    assert run.settings["clients"] == 7
    assert len(run.steps) == 4


@pytest.mark.parametrize("make", [lambda p: torch.optim.SGD(p, lr=1e308), lambda p: SOFIM(p, lr=1e308, rho=1e-3)])
def test_a_run_that_diverges_says_when(make):
    model = mlp((64, 10), device="cpu", dtype=torch.float64)
    run = federate(model, DATA, make(model.parameters()), PARTS, rounds=9, progress=False)
    assert run.diverged
    assert run.diverged_at < 9
    assert all(math.isfinite(record.train_loss) for record in run.epochs)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rounds": -1}, "rounds=-1"),
        ({"participation": 0.0}, "participation=0.0"),
        ({"parts": []}, "at least one client"),
        ({"parts": [torch.tensor([1]), torch.tensor([], dtype=torch.int64)]}, "without samples"),
        ({"parts": [torch.tensor([3]), torch.tensor([1197])]}, r"parts\[1\] holds the index 1197"),
        ({"parts": [torch.tensor([-1])]}, r"parts\[0\] holds the index -1"),
        ({"privacy": Privacy(1.0, 1.0), "parts": [torch.arange(1197) + 100_000]}, "the index 101196"),
        ({"rounds": 1.5}, "rounds=1.5 must be a whole number"),
        ({"seed": 0.5}, "seed=0.5 must be a whole number"),
        ({"privacy": Privacy(1.0, 1.0), "participation": 0.5}, "privacy needs participation=1.0"),
        ({"privacy": Privacy(1.0, 1.0), "work": LocalWork(steps=2)}, "privacy needs participation=1.0"),
        ({"privacy": Privacy(1.0, 1.0), "work": LocalWork(batch_size=5)}, "privacy needs participation=1.0"),
        ({"privacy": Privacy(1.0, 1.0), "parts": [*PARTS[:-1], PARTS[0]]}, "each of the 1197 training images once"),
    ],
)
def test_what_is_out_of_range_is_named_and_nothing_moves(options, named):
    model = network()
    before = vector(model)
    with pytest.raises(ValueError, match=named):
        federate(model, DATA, fed_avg(0.5)(model.parameters()), **{"parts": PARTS, "progress": False, **options})
    assert torch.equal(vector(model), before)


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"steps": 1.5}, {"steps": math.nan}, {"rate": 0.0}, {"batch_size": 0}]
)
def test_local_work_out_of_range_is_named(options):
    (name, value), *_ = options.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        LocalWork(**options)


def test_running_statistics_are_refused():
    model = nn.Sequential(nn.Linear(64, 5), nn.BatchNorm1d(5), nn.Linear(5, 10)).double()
    with pytest.raises(ValueError, match=r"buffer '1.running_mean'"):
        client_gradients(model, DATA.train, PARTS, LocalWork(), torch.Generator())


@pytest.mark.parametrize("privacy", [None, Privacy(1.0, 1.0)])
def test_frozen_parameters_stay_and_the_others_learn(privacy):
    model = network()
    model[0].weight.requires_grad_(False)
    model[0].weight.grad = torch.ones_like(model[0].weight)  # left over from before it was frozen
    before = copy.deepcopy(model)
    federate(model, DATA, fed_avg(0.5)(model.parameters()), PARTS, rounds=2, privacy=privacy, progress=False)
    assert torch.equal(model[0].weight, before[0].weight)
    assert all(not torch.equal(p, q) for p, q in list(zip(model.parameters(), before.parameters(), strict=True))[1:])


def test_clients_leave_frozen_parameters_out():
    model, work = network(), LocalWork()
    sent = client_gradients(model, DATA.train, PARTS, work, torch.Generator())
    model[0].weight.requires_grad_(False)
    rest = client_gradients(model, DATA.train, PARTS, work, torch.Generator())
    assert (rest - sent[:, model[0].weight.numel() :]).abs().max() <= 1e-15


def test_a_model_that_is_frozen_altogether_is_refused():
    model = network().requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter to train"):
        federate(model, DATA, fed_avg(0.5)(model.parameters()), PARTS, progress=False)
    with pytest.raises(ValueError, match="no parameter to train"):
        client_gradients(model, DATA.train, PARTS, LocalWork(), torch.Generator())


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda model: fed_avg(0.5)(network(1).parameters()), "holds no parameter of this model"),
        (lambda model: torch.optim.LBFGS(model.parameters()), "server=LBFGS needs a closure"),
        (lambda model: Newton(model.parameters()), "server=Newton needs a closure"),
    ],
)
def test_a_server_that_cannot_serve_is_refused(make, named):
    model = network()
    before = vector(model)
    with pytest.raises(ValueError, match=named):
        federate(model, DATA, make(model), PARTS, progress=False)
    assert torch.equal(vector(model), before)


def test_a_validation_loss_that_is_not_finite_ends_the_run():
    x = DATA.val.x.clone()
    x[0] = 1e308
    data = replace(DATA, val=Split(x, DATA.val.y))
    model = mlp((64, 10), device="cpu", dtype=torch.float64)
    run = federate(model, data, fed_avg(1e4)(model.parameters()), PARTS, rounds=3, progress=False)
    assert run.diverged_at == 1
    assert math.isfinite(run.final.train_loss)


@pytest.mark.parametrize("rounds", [1, 3])
def test_the_settings_of_a_warm_up_are_those_meant(rounds):
    model = network()
    server = fed_sofim(0.5, rho=2.0, direction="gradient", warm_up=2)(model.parameters())
    for _ in range(2):
        run = federate(model, DATA, server, PARTS, rounds=rounds, progress=False)
        assert [run.settings[key] for key in ("lr", "rho", "direction", "warm_up")] == [1.0, 2.0, "gradient", 2]


def test_a_seed_of_numpy_is_a_seed():
    ends = []
    for seed in (3, np.int64(3)):
        model = network()
        run = federate(
            model, DATA, fed_avg(0.5)(model.parameters()), PARTS, rounds=1, participation=0.4, seed=seed, progress=False
        )
        ends.append(vector(model))
        assert type(run.seed) is int
    assert torch.equal(*ends)


@pytest.mark.parametrize("options", [{"rate": -1.0}, {"rho": -1.0}, {"rho": math.nan}, {"warm_up": -1}])
def test_settings_of_sofim_out_of_range_are_named(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value}"):
        fed_sofim(**{"rate": 1.0, **options})


@pytest.mark.parametrize("parts", [[], [torch.tensor([1]), torch.tensor([], dtype=torch.int64)]])
def test_clients_without_samples_are_refused(parts):
    with pytest.raises(ValueError, match="no client without samples"):
        client_gradients(network(), DATA.train, parts, LocalWork(), torch.Generator())
