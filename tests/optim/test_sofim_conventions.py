"""What every user of torch.optim relies on, and the errors of SOFIM."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from sofim_lab import SOFIM
from sofim_lab.optim._sofim.reduce import side_by_side

each_direction = pytest.mark.parametrize("direction", ["momentum", "gradient"])


def model_and_loss(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    x, y = torch.randn(16, 4).double(), torch.randn(16, 2).double()
    return model, lambda: nn.functional.mse_loss(model(x), y)


def descend(optimizer, loss, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def vector(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


@each_direction
def test_a_saved_run_continues_identically(direction, tmp_path):
    model, loss = model_and_loss()
    optimizer = SOFIM(model.parameters(), lr=0.3, direction=direction, weight_decay=0.01)
    descend(optimizer, loss, 3)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "run.pt")
    descend(optimizer, loss, 3)

    again, its_loss = model_and_loss()
    resumed = SOFIM(again.parameters(), direction=direction)
    saved = torch.load(tmp_path / "run.pt")
    again.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    descend(resumed, its_loss, 3)
    assert torch.equal(vector(again), vector(model))


@each_direction
@pytest.mark.parametrize("copier", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_continue_identically(direction, copier):
    p = nn.Parameter(torch.arange(6.0))
    optimizer = SOFIM([p], direction=direction)
    p.grad = torch.ones(6)
    optimizer.step()
    twin = copier(optimizer)
    q = twin.param_groups[0]["params"][0]
    p.grad, q.grad = torch.arange(6.0), torch.arange(6.0)
    optimizer.step()
    twin.step()
    assert torch.equal(p, q)
    assert q is not p


def test_the_closure_runs_with_gradients_and_its_loss_is_returned():
    p = nn.Parameter(torch.ones(3))
    optimizer = SOFIM([p])

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert optimizer.step(closure).item() == 3.0
    assert p.grad is not None
    assert (p < 1).all()
    assert SOFIM([p]).step() is None


def test_gradients_are_never_changed():
    p = nn.Parameter(torch.randn(100))
    for direction in ("momentum", "gradient"):
        optimizer = SOFIM([p], direction=direction, weight_decay=0.1, maximize=True)
        for _ in range(2):
            p.grad = torch.randn(100)
            before = p.grad.clone()
            optimizer.step()
            assert torch.equal(p.grad, before)


def test_one_word_of_state_a_parameter():
    p = nn.Parameter(torch.randn(7, 5))
    optimizer = SOFIM([p])
    p.grad = torch.randn(7, 5)
    optimizer.step()
    state = optimizer.state[p]
    assert state["step"] == 1
    assert [value.shape for value in state.values() if isinstance(value, torch.Tensor)] == [(7, 5)]


@pytest.mark.parametrize("option", ["lr", "rho"])
def test_group_values_may_be_scheduled(option):
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = SOFIM([p], beta=0.0, rho=3.0)
    p.grad = torch.ones(1, dtype=torch.float64)
    optimizer.step()
    assert p.item() == pytest.approx(-1 / 4)
    optimizer.param_groups[0][option] = 7.0
    optimizer.step()
    assert p.item() == pytest.approx(-1 / 4 - (7 / 4 if option == "lr" else 1 / 8))


def test_a_learning_rate_scheduler_is_followed():
    p = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = SOFIM([p], lr=1.0, beta=0.0, rho=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    for _ in range(3):
        p.grad = torch.ones(1, dtype=torch.float64)
        optimizer.step()
        scheduler.step()
    assert p.item() == pytest.approx(-(1 + 0.5 + 0.25) / 2)


def test_a_tensor_rate_equals_its_number():
    ends = []
    for lr in (0.25, torch.tensor(0.25)):
        p = nn.Parameter(torch.ones(3))
        optimizer = SOFIM([p], lr=lr, direction="gradient")
        for k in range(3):
            p.grad = torch.arange(3.0) + k
            optimizer.step()
        ends.append(p.detach())
    assert torch.equal(*ends)


def test_hooks_run_around_the_step():
    p = nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer, seen = SOFIM([p]), []
    optimizer.register_step_pre_hook(lambda *_: seen.append(p[0].item()))
    optimizer.register_step_post_hook(lambda *_: seen.append(p[0].item()))
    optimizer.step()
    assert seen[0] == 1.0 > seen[1]


@each_direction
def test_a_group_added_later_joins_the_norm(direction):
    p, q = (nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2))
    optimizer = SOFIM([p], beta=0.0, rho=1.0, direction=direction)
    optimizer.add_param_group({"params": [q], "lr": 2.0})
    p.grad, q.grad = torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    optimizer.step()
    assert p.tolist() == pytest.approx([-1 / 5] * 2)
    assert q.tolist() == pytest.approx([-2 / 5] * 2)


@each_direction
def test_no_step_waits_for_the_device(direction):
    """On the meta device there are no values: reading one raises."""
    ps = [nn.Parameter(torch.empty(n, device="meta")) for n in (3, 70_000, 5)]
    for foreach in (None, True, False):
        optimizer = SOFIM(ps, direction=direction, weight_decay=0.1, foreach=foreach)
        for _ in range(2):
            for p in ps:
                p.grad = torch.empty_like(p)
            optimizer.step()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("lr", -0.1), ("lr", float("nan")), ("lr", float("inf")), ("lr", "fast"), ("beta", 1.0), ("beta", -0.1),
        ("beta", float("nan")), ("rho", 0.0), ("rho", -1.0), ("rho", float("inf")), ("rho", float("nan")),
        ("weight_decay", -1e-4), ("weight_decay", float("nan")), ("direction", "newton"), ("direction", None),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(option, value):
    p = nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=rf"{option} must .*got {value!r}"):
        SOFIM([p], **{option: value})
    with pytest.raises(ValueError, match=rf"{option} must .*got {value!r}"):
        SOFIM([{"params": [p], option: value}])
    with pytest.raises(ValueError, match=rf"{option} must .*got {value!r}"):  # though no group falls back on it yet
        SOFIM([{"params": [p], option: SOFIM([p]).defaults[option]}], **{option: value})
    optimizer = SOFIM([p])
    with pytest.raises(ValueError, match=rf"{option} must .*got {value!r}"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))], option: value})
    assert len(optimizer.param_groups) == 1


def test_a_model_in_the_place_of_its_parameters_is_refused():
    with pytest.raises(TypeError, match=r"params is a Linear: pass its parameters, model\.parameters\(\)"):
        SOFIM(torch.nn.Linear(2, 1))


def test_one_direction_for_all_groups():
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=r"same in all groups.*'gradient'.*'momentum'"):
        SOFIM([{"params": [p]}, {"params": [q], "direction": "gradient"}])
    optimizer = SOFIM([p], direction="gradient")
    with pytest.raises(ValueError, match="same in all groups"):
        optimizer.add_param_group({"params": [q], "direction": "momentum"})
    optimizer.add_param_group({"params": [q]})
    assert optimizer.param_groups[1]["direction"] == "gradient"


@pytest.mark.parametrize("named", [True, False])
def test_a_sparse_gradient_is_refused_before_anything_changes(named):
    dense, sparse = nn.Linear(2, 2), nn.Embedding(5, 3, sparse=True)
    model = nn.ModuleDict({"dense": dense, "words": sparse})
    optimizer = SOFIM(model.named_parameters() if named else model.parameters())
    (dense(torch.ones(2)).sum() + sparse(torch.tensor([1, 2])).sum()).backward()
    before = vector(model)
    with pytest.raises(RuntimeError, match=r"words.weight.*sparse=False" if named else r"parameter 2 of group 0"):
        optimizer.step()
    assert torch.equal(vector(model), before)
    assert not optimizer.state


# Saved states, schedulers and copies of other kinds


def stepped(dtype=torch.float32, **options):
    torch.manual_seed(0)
    p = nn.Parameter(torch.randn(50).to(dtype))
    optimizer = SOFIM([p], lr=0.3, **options)
    for k in range(3):
        p.grad = torch.linspace(-1, 1, 50).to(dtype) + 0.1 * k
        optimizer.step()
    return p, optimizer


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("saved", [torch.float32, torch.float64, torch.bfloat16])
def test_a_state_loads_into_another_dtype(dtype, saved):
    _, source = stepped(saved)
    p, target = stepped(dtype)
    target.load_state_dict(source.state_dict())
    moment = target.state[p]["moment"]
    kept = source.state_dict()["state"][0]["moment"]
    assert moment.dtype == (torch.float32 if dtype.itemsize < 4 else dtype)
    torch.testing.assert_close(moment, kept.to(moment.dtype), rtol=0, atol=0)  # no detour over the low precision
    p.grad = torch.ones_like(p)
    target.step()


@pytest.mark.parametrize(("saved", "loaded"), [(True, False), (False, True)])
def test_a_state_loads_with_and_without_capturable(saved, loaded):
    p, source = stepped(capturable=saved)
    state = copy.deepcopy(source.state_dict())
    state["param_groups"][0]["capturable"] = loaded
    q, target = stepped()
    target.load_state_dict(state)
    with torch.no_grad():
        q.copy_(p)
    assert isinstance(target.state[q]["step"], torch.Tensor) == loaded
    p.grad, q.grad = torch.ones(50), torch.ones(50)
    source.step()
    target.step()
    torch.testing.assert_close(p, q)


def test_a_state_of_the_first_version_continues():
    """Version 0.1 had no more than these options in its groups, and no others in its state."""
    p, source = stepped()
    state = copy.deepcopy(source.state_dict())
    old = ("lr", "beta", "rho", "direction", "weight_decay", "maximize", "foreach", "params")
    state["param_groups"] = [{key: group[key] for key in old} for group in state["param_groups"]]
    q, target = stepped(capturable=True)
    target.load_state_dict(state)
    assert {**target.param_groups[0], "params": [p]} == source.param_groups[0]  # an option that it lacks is off
    with torch.no_grad():
        q.copy_(p)
    p.grad, q.grad = torch.ones(50), torch.ones(50)
    source.step()
    target.step()
    assert torch.equal(p, q)


def test_the_state_of_another_optimizer_is_refused_and_nothing_changes():
    q = nn.Parameter(torch.ones(50))
    adam = torch.optim.Adam([q])
    q.grad = torch.ones(50)
    adam.step()
    p, optimizer = stepped()
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=r"not one of SOFIM.*'exp_avg'.*load it into the optimizer that saved it"):
        optimizer.load_state_dict(adam.state_dict())
    assert torch.equal(optimizer.state[p]["moment"], before["state"][0]["moment"])
    assert optimizer.param_groups[0]["lr"] == 0.3


@pytest.mark.parametrize("schedule", [torch.optim.lr_scheduler.OneCycleLR, torch.optim.lr_scheduler.CyclicLR])
def test_schedulers_that_cycle_momentum_are_told_not_to(schedule):
    options = {"max_lr": 1.0} | ({"total_steps": 20} if schedule.__name__ == "OneCycleLR" else {"base_lr": 0.1})
    p, optimizer = stepped()
    with pytest.raises(ValueError, match="momentum"):
        schedule(optimizer, **options)
    scheduler = schedule(optimizer, cycle_momentum=False, **options)
    rates = []
    for _ in range(10):
        p.grad = torch.ones(50)
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert len(set(rates)) > 3


def test_groups_that_all_say_the_same_are_one_optimizer():
    options = {"direction": "gradient", "blocks": "tensor", "nonfinite": "skip", "diagnostics": True}
    groups = [{"params": [nn.Parameter(torch.ones(2))], **options} for _ in range(2)]
    assert SOFIM(groups).param_groups[1]["blocks"] == "tensor"
    with pytest.raises(ValueError, match="blocks must be the same in all groups"):
        SOFIM([groups[0], {"params": [nn.Parameter(torch.ones(2))], "blocks": "global"}])


def test_short_moments_share_a_buffer_also_after_a_round_trip():
    model = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3))
    optimizer = SOFIM(model.parameters(), direction="gradient")

    def step(optimizer, ps):
        generator = torch.Generator().manual_seed(3)
        for p in ps:
            p.grad = torch.randn(p.shape, generator=generator)
        optimizer.step()
        return side_by_side([optimizer.state[p]["moment"] for p in ps])

    assert step(optimizer, list(model.parameters())).numel() == sum(p.numel() for p in model.parameters())
    file = io.BytesIO()
    torch.save((model, optimizer), file)
    file.seek(0)
    copies = [copy.deepcopy((model, optimizer)), torch.load(file, weights_only=False)]
    moments = step(optimizer, list(model.parameters()))
    for _, its_optimizer in copies:
        its_moments = step(its_optimizer, its_optimizer.param_groups[0]["params"])
        assert torch.equal(its_moments, moments)
        for p, q in zip(model.parameters(), its_optimizer.param_groups[0]["params"], strict=True):
            assert torch.equal(p, q)
