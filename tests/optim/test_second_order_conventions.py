"""What Newton and NaturalGradient share as torch optimizers: options, groups, copies, saved states, errors."""

import copy
import math
import pickle

import pytest
import torch
from second_order_cases import counted, pair_closure, tanh_network, vector
from torch import nn

from sofim_lab.curvature import memory
from sofim_lab.optim.natural_gradient import NaturalGradient
from sofim_lab.optim.newton import Newton

LOSS = nn.MSELoss()


def natural_gradient(params, **options):
    return NaturalGradient(params, LOSS, **options)


def levenberg_marquardt(params, **options):
    return Newton(params, **{"globalisation": "lm", **options})


MAKERS = {"Newton": Newton, "Newton-lm": levenberg_marquardt, "NaturalGradient": natural_gradient}
each = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def problem(seed=0, dtype=torch.float64):
    model, x, y = tanh_network((3, 4, 2), seed, dtype=dtype)
    return model, pair_closure(model, x, y, LOSS)


@each
def test_a_saved_run_continues_identically(make, tmp_path):
    model, closure = problem()
    optimizer = make(model.parameters(), damping=0.1, max_backtracks=7)
    for _ in range(3):
        optimizer.step(closure)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "run.pt")
    for _ in range(3):
        optimizer.step(closure)

    again, its_closure = problem()
    resumed = make(again.parameters())
    saved = torch.load(tmp_path / "run.pt")  # with the safe unpickler
    again.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    for _ in range(3):
        resumed.step(its_closure)
    assert torch.equal(vector(again.parameters()), vector(model.parameters()))
    assert resumed.param_groups[0]["damping"] == optimizer.param_groups[0]["damping"]
    assert resumed.param_groups[0]["max_backtracks"] == 7
    assert len(resumed.records) == 3
    assert len(optimizer.records) == 6


def test_the_damping_that_was_learned_is_part_of_the_state():
    model, closure = problem()
    optimizer = levenberg_marquardt(model.parameters(), damping=0.1)
    for _ in range(3):
        optimizer.step(closure)
    state = optimizer.state_dict()
    assert state["param_groups"][0]["damping"] == optimizer.param_groups[0]["damping"] != 0.1
    assert optimizer.records[1].damping != optimizer.records[0].damping == 0.1


@each
@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_continue_identically_and_take_the_records_along(make, copier):
    target = torch.ones(1, 3)
    p = nn.Parameter(torch.arange(3.0)[None])
    optimizer = make([p], damping=0.1, globalisation="none" if make is not levenberg_marquardt else "lm")

    def closure_of(q):
        return lambda: (LOSS(q.sin(), target), q.sin())

    optimizer.step(closure_of(p))
    twin = copier(optimizer)
    q = twin.param_groups[0]["params"][0]
    optimizer.step(closure_of(p))
    twin.step(closure_of(q))
    assert torch.equal(p, q)
    assert q is not p
    assert len(twin.records) == len(optimizer.records) == 2
    assert torch.equal(twin.records[0].eigenvalues, optimizer.records[0].eigenvalues)


@each
def test_a_state_of_an_older_version_gets_the_defaults_of_new_options(make):
    model, closure = problem()
    optimizer = make(model.parameters())
    state = optimizer.state_dict()
    del state["param_groups"][0]["cg_tol"]
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["cg_tol"] == 5e-4
    optimizer.step(closure)


@each
def test_records_are_bounded_and_can_be_cleared(make):
    model, closure = problem()
    optimizer = make(model.parameters(), max_records=2)
    held = optimizer.records
    for _ in range(4):
        optimizer.step(closure)
    assert len(held) == 2
    assert held is optimizer.records
    assert held[0].loss_after == held[1].loss
    held.clear()
    optimizer.step(closure)
    assert len(optimizer.records) == 1
    none = make(model.parameters(), max_records=0)
    none.step(closure)
    assert none.records == []


@each
def test_how_parameters_are_grouped_changes_nothing(make):
    model, closure = problem()
    whole = make(model.parameters(), damping=0.1)
    other, its_closure = problem()
    first, *rest = other.named_parameters()
    grouped = make([{"params": [first]}], damping=0.1)
    for named in rest:
        grouped.add_param_group({"params": [named]})
    for _ in range(3):
        whole.step(closure)
        grouped.step(its_closure)
    torch.testing.assert_close(vector(other.parameters()), vector(model.parameters()), rtol=1e-12, atol=1e-14)
    assert {g["damping"] for g in grouped.param_groups} == {whole.param_groups[0]["damping"]}


@each
def test_a_group_that_joins_later_takes_the_present_options(make):
    model, closure = problem()
    optimizer = make(model[0].parameters(), damping=0.1)
    optimizer.step(closure)
    optimizer.add_param_group({"params": model[2].parameters()})
    optimizer.step(closure)
    assert optimizer.records[1].eigenvalues.numel() > optimizer.records[0].eigenvalues.numel()


@each
def test_hooks_run_and_grad_modes_and_training_modes_stay(make):
    model, closure = problem()
    model.eval()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer, seen = make(model.parameters()), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("pre"))
    optimizer.register_step_post_hook(lambda *_: seen.append("post"))
    optimizer.step(closure)
    assert seen == ["pre", "post"]
    assert torch.is_grad_enabled()
    assert not model.training
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())


@each
def test_a_scheduler_moves_the_first_step_length(make):
    model, closure = problem()
    optimizer = make(model.parameters(), lr=1.0, damping=10.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5 if epoch == 0 else 0.0)
    optimizer.step(closure)
    scheduler.step()
    before = vector(model.parameters())
    optimizer.step(closure)
    assert optimizer.records[0].step_length == 0.5
    assert optimizer.records[1].step_length == 0.0
    assert torch.equal(vector(model.parameters()), before)


@each
def test_a_tensor_learning_rate(make):
    model, closure = problem()
    optimizer = make(model.parameters(), lr=torch.tensor(0.5), damping=10.0)
    optimizer.step(closure)
    assert optimizer.records[0].step_length == 0.5


@each
@pytest.mark.parametrize("solver", ["dense", "cg"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_low_precision_parameters_are_solved_for_in_float32(make, solver, dtype):
    model, closure = problem(dtype=dtype)
    optimizer = make(model.parameters(), damping=0.1, solver=solver)
    for _ in range(3):
        optimizer.step(closure)
    assert all(p.dtype == dtype for p in model.parameters())
    assert optimizer.records[-1].loss < optimizer.records[0].loss
    if solver == "dense":
        assert optimizer.records[0].eigenvalues.dtype == torch.float32


@each
def test_an_error_of_the_closure_at_a_trial_point_leaves_the_parameters(make):
    model, closure = problem()
    before = vector(model.parameters())

    @counted
    def failing():
        if failing.calls == 2:
            raise KeyboardInterrupt
        return closure()

    with pytest.raises(KeyboardInterrupt):
        make(model.parameters()).step(failing)
    assert torch.equal(vector(model.parameters()), before)


@each
def test_too_many_parameters_for_a_dense_matrix(make, monkeypatch):
    p = nn.Parameter(torch.zeros(1, 5001))
    with pytest.raises(ValueError, match=r'd = 5,001 .*300.1 MB .*max_d=5,000.*\(solver="cg"\)'):
        make([p])
    make([p], max_d=None)
    optimizer = make([p], solver="cg", damping=0.1)
    optimizer.step(lambda: (LOSS(p * 1, torch.ones(1, 5001)), p * 1))
    assert optimizer.records[0].loss_after < optimizer.records[0].loss

    small = make([nn.Parameter(torch.zeros(1, 50))])
    monkeypatch.setattr(memory, "free_memory", lambda device: 1000)
    with pytest.raises(MemoryError, match=r'0.0 MB.*d² bytes.*\(solver="cg"\)'):
        small.step(lambda: pytest.fail("evaluated before the check"))


BAD_OPTIONS = [
    ("lr", -0.1), ("lr", math.nan), ("lr", "fast"), ("lr", None), ("lr", torch.ones(2)),
    ("damping", -1e-3), ("damping", math.inf), ("damping", None),
    ("globalisation", "wolfe"), ("globalisation", None), ("solver", "lu"),
    ("linalg_dtype", torch.float16), ("linalg_dtype", "float64"),
    ("max_backtracks", -1), ("max_backtracks", 2.5), ("max_backtracks", True),
    ("cg_tol", -1.0), ("cg_max_iter", 0), ("max_d", 0), ("max_records", -1),
]  # fmt: skip


@each
@pytest.mark.parametrize(("name", "value"), BAD_OPTIONS)
def test_options_out_of_range_are_named(make, name, value):
    with pytest.raises(ValueError, match=rf"(Newton|NaturalGradient): {name} must be .*got"):
        make([nn.Parameter(torch.ones(2))], **{name: value})


def test_options_of_one_method_only():
    p = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"damping must be a finite number > 0, got 0"):
        Newton([p], damping=0.0, globalisation="lm")
    with pytest.raises(ValueError, match="kl_max must be a finite number > 0, got 0"):
        natural_gradient([p], kl_max=0)
    with pytest.raises(ValueError, match="'armijo', 'kl', 'none', got 'lm'"):
        natural_gradient([p], globalisation="lm")


@each
def test_options_that_are_changed_badly_later_are_refused_too(make):
    model, closure = problem()
    optimizer = make(model.parameters())
    optimizer.param_groups[0]["damping"] = -1.0
    before = vector(model.parameters())
    with pytest.raises(ValueError, match="damping must be"):
        optimizer.step(closure)
    assert torch.equal(vector(model.parameters()), before)


@each
@pytest.mark.parametrize(("name", "value"), [("lr", 0.5), ("damping", 0.5), ("solver", "cg")])
def test_groups_with_different_options_cannot_make_one_matrix(make, name, value):
    a, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    message = rf"one matrix over all groups: {name} must be the same in all.*in group 0.*in group 1; use two optimizers"
    with pytest.raises(ValueError, match=message):
        make([{"params": [a]}, {"params": [b], name: value}])
    optimizer = make([a])
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [b], name: value})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [b]})
    optimizer.param_groups[1][name] = value
    with pytest.raises(ValueError, match=message):
        optimizer.step(lambda: pytest.fail("evaluated before the check"))


@each
def test_parameters_that_cannot_be_used_are_named(make):
    good = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"parameter 1 of group 0, shape \(3,\), requires no grad"):
        make([good, torch.ones(3)])
    with pytest.raises(ValueError, match=r"head.bias.*requires no grad"):
        make([("body", good), ("head.bias", nn.Parameter(torch.ones(3), requires_grad=False))])
    with pytest.raises(ValueError, match="complex64"):
        make([nn.Parameter(torch.ones(2, dtype=torch.complex64))])
    with pytest.raises(ValueError, match=r"one dtype, got torch.float32 and torch.float64"):
        make([good, nn.Parameter(torch.ones(2, dtype=torch.float64))])
    with pytest.raises(ValueError, match="no numbers"):
        make([nn.Parameter(torch.ones(0))])
    with pytest.raises(ValueError, match="empty parameter list"):
        make([])
    with pytest.raises(TypeError, match="pass its parameters"):
        make(nn.Linear(2, 2))


@each
def test_a_parameter_that_is_frozen_later_is_named(make):
    model, closure = problem()
    optimizer = make(model.named_parameters())
    model[0].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=r"0.weight.*requires no grad"):
        optimizer.step(closure)


@each
def test_a_step_without_closure_is_told_what_to_pass(make):
    with pytest.raises(TypeError, match="step needs a closure, got NoneType"):
        make([nn.Parameter(torch.ones(2))]).step()


@pytest.mark.gpu
@each
@pytest.mark.parametrize("solver", ["dense", "cg"])
def test_steps_on_a_cuda_device_are_those_on_the_cpu(make, solver):
    ends = []
    for device in ("cpu", "cuda"):
        model, x, y = tanh_network((3, 4, 2), 0)
        model, x, y = model.to(device), x.to(device), y.to(device)
        optimizer = make(model.parameters(), damping=0.1, solver=solver, cg_tol=0.0)  # or the last bits decide its end
        for _ in range(3):
            optimizer.step(pair_closure(model, x, y, LOSS))
        ends.append(vector(model.parameters()).cpu())
    torch.testing.assert_close(*ends, rtol=1e-8, atol=1e-10)
