"""What SOFIM keeps for the next step may never show: whatever is done in between, it steps as if it kept nothing."""

import copy
import gc
import weakref
from collections import defaultdict

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from sofim_lab import SOFIM
from sofim_lab.optim._sofim.plan import Plan


def own(optimizer, i):
    """The state of a parameter, where it has one."""
    return optimizer.state.get(params(optimizer)[i], {})


def params(optimizer):
    return [p for group in optimizer.param_groups for p in group["params"]]


def drop_gradient(optimizer, i):
    params(optimizer)[i].grad = None


def replace_moment(optimizer, i):
    if state := own(optimizer, i):
        state["moment"] = 2 * state["moment"]


def move_moment(optimizer, i):
    if state := own(optimizer, i):
        state["moment"].data = 3 * state["moment"].data


def count_on(optimizer, i):
    if state := own(optimizer, i):
        state["step"] += 2


def forget_one(optimizer, i):
    optimizer.state.pop(params(optimizer)[i], None)


def replace_state(optimizer, i):
    if state := own(optimizer, i):
        optimizer.state[params(optimizer)[i]] = {"step": 1, "moment": state["moment"].clone()}


def exchange_states(optimizer, i):
    p, q = (p for p in params(optimizer) if p.shape == (5,))
    if optimizer.state.get(p) and optimizer.state.get(q):
        optimizer.state[p], optimizer.state[q] = optimizer.state[q], optimizer.state[p]


def forget_all(optimizer, i):
    optimizer.state = defaultdict(dict)


def widen(optimizer, i):
    p = params(optimizer)[i]
    p.data, p.grad = p.data.double(), p.grad.double()


def narrow(optimizer, i):
    p = params(optimizer)[i]
    p.data, p.grad = p.data.bfloat16(), p.grad.bfloat16()


def move(optimizer, i):
    params(optimizer)[i].data = params(optimizer)[i].data.clone()


def reverse(optimizer, i):
    optimizer.param_groups[0]["params"].reverse()


def regroup(optimizer, i):
    if len(optimizer.param_groups[0]["params"]) > 1:
        optimizer.add_param_group({"params": optimizer.param_groups[0]["params"].pop(), "rho": 2.0})


def replace_group(optimizer, i):
    optimizer.param_groups[0] = {**optimizer.param_groups[0], "rho": 5.0}


def set_options(**options):
    def change(optimizer, i):
        for group in optimizer.param_groups if "blocks" in options else optimizer.param_groups[:1]:
            group.update(options)

    return change


def reload(optimizer, i):
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


CHANGES = {
    change.__name__: change
    for change in (
        drop_gradient, replace_moment, move_moment, count_on, forget_one, replace_state, exchange_states, forget_all,
        widen, narrow, move, reverse, regroup, reload, replace_group,
    )
} | {
    "loop": set_options(foreach=False), "foreach": set_options(foreach=True), "rates": set_options(lr=0.1, rho=3.0),
    "average": set_options(beta=0.5), "ascent": set_options(maximize=True), "tensor": set_options(blocks="tensor"),
    "decay": set_options(weight_decay=0.1),
    "decoupled": set_options(weight_decay=0.1, decoupled_weight_decay=True),
}  # fmt: skip


def build(direction):
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 40), (5,), (5,), (700,)]
    return SOFIM([nn.Parameter(torch.randn(s, generator=generator)) for s in shapes], lr=0.3, direction=direction)


def take_step(optimizer, k, change, i):
    generator = torch.Generator().manual_seed(k)
    by_size = sorted(params(optimizer), key=torch.numel)
    for p in by_size:
        p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
    CHANGES[change](optimizer, i) if change else None
    optimizer.step()


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@example([("widen", 0), ("reload", 0), ("widen", 1)])  # moments of two dtypes beside parameters of one
@example([("widen", 0), ("reload", 0), ("widen", 1), ("widen", 2), ("widen", 3)])  # the same where all are of one
@given(st.lists(st.tuples(st.sampled_from([None, *CHANGES]), st.integers(0, 3)), min_size=3, max_size=8))
def test_a_step_is_the_same_as_with_nothing_kept(direction, changes):
    keeping, forgetful = build(direction), build(direction)
    for k, (change, i) in enumerate([(None, 0), *changes, (None, 0)]):
        forgetful._plan = Plan()
        take_step(keeping, k, change, i)
        take_step(forgetful, k, change, i)
        for p, q in zip(params(keeping), params(forgetful), strict=True):
            assert torch.equal(p, q)
            assert keeping.state.get(p, {}).keys() == forgetful.state.get(q, {}).keys()
            for name, value in keeping.state.get(p, {}).items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(forgetful.state[q][name]))


@pytest.mark.parametrize("change", [None, "rates", "average", "ascent", "decay", "move"])
def test_the_blocks_are_kept_where_nothing_forbids_it(change):
    optimizer = build("momentum")
    take_step(optimizer, 0, None, 0)
    kept = optimizer._plan._blocks
    take_step(optimizer, 1, change, 0)
    assert len(kept) == 1
    assert kept[0] is optimizer._plan._blocks[0]


def test_gradients_are_not_held():
    optimizer = build("momentum")
    take_step(optimizer, 0, None, 0)
    gradients = [weakref.ref(p.grad) for p in params(optimizer)]
    optimizer.zero_grad()
    gc.collect()
    assert [gradient() for gradient in gradients] == [None] * 4


def test_complex_parameters_can_be_moved():
    """Their blocks work on views, which would be those of the old numbers."""
    (p,) = params(optimizer := SOFIM([nn.Parameter(torch.ones(4, dtype=torch.complex64))], lr=1.0))
    for _ in range(2):
        p.grad = torch.ones_like(p)
        optimizer.step()
        old, p.data = p.data, p.data.clone()
    assert torch.equal(old, p)
    optimizer.step()
    assert not torch.isclose(old, p).any()


def test_gradients_are_not_held_after_an_error():
    optimizer = build("momentum")
    take_step(optimizer, 0, None, 0)
    for p in params(optimizer):
        p.grad = torch.full_like(p, torch.nan)
    gradient = weakref.ref(params(optimizer)[0].grad)
    with pytest.raises(FloatingPointError):
        optimizer.step()
    optimizer.zero_grad()
    gc.collect()
    assert gradient() is None


def test_an_error_in_the_middle_leaves_nothing_behind():
    optimizer, other = build("momentum"), build("momentum")
    for each in (optimizer, other):
        take_step(each, 0, None, 0)
        params(each)[1].grad[0] = torch.nan
        with pytest.raises(FloatingPointError):
            each.step()
    other._plan = Plan()
    for each in (optimizer, other):
        take_step(each, 1, None, 0)
    assert all(torch.equal(p, q) for p, q in zip(params(optimizer), params(other), strict=True))


def test_a_copy_keeps_blocks_of_its_own():
    optimizer = build("momentum")
    take_step(optimizer, 0, None, 0)
    twin = copy.deepcopy(optimizer)
    take_step(twin, 1, None, 0)
    assert not any(torch.equal(p, q) for p, q in zip(params(optimizer), params(twin), strict=True))
    take_step(optimizer, 1, None, 0)
    assert all(torch.equal(p, q) for p, q in zip(params(optimizer), params(twin), strict=True))
