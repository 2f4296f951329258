"""Every optimizer of the registry × everything that a user of torch.optim relies on."""

import copy
import pickle

import pytest
import torch
from torch import nn

from sofim_lab.optim import registry
from sofim_lab.training.closures import make_closure

SMALL = {"LowRankFisher": {"k": 4}, "NystromSGD": {"rank": 3}}


def case(name, *, groups=False, frozen=False, dtype=torch.float64, **options):
    """A small classifier, its optimizer, and a function that takes steps on one batch and returns the last loss."""
    if registry.get(name).extra:
        pytest.importorskip("pytorch_optimizer", reason=f"{name} comes with the extra {registry.get(name).extra}")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)
    x, y = torch.randn(12, 3, dtype=dtype), torch.arange(12) % 2
    params = list(model.parameters())
    if frozen:
        params = params[2:]
    if groups:
        params = [{"params": params[:1]}, {"params": params[1:]}]
    optimizer = registry.make(name, params, **SMALL.get(name, {}) | options)

    def go(steps, model=model, optimizer=optimizer):
        torch.manual_seed(1)  # for those that draw random vectors
        for _ in range(steps):
            loss = optimizer.step(make_closure(model, optimizer, nn.functional.cross_entropy, x, y))
        return loss

    return model, optimizer, go


def vector(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def but(*others):
    """All optimizers but some that come from elsewhere and do not have the property."""
    return pytest.mark.parametrize("name", [name for name in registry.names() if name not in others])


each = but()


@each
def test_the_loss_falls_and_is_returned(name):
    _, _, go = case(name)
    first, last = go(1), go(30)
    assert last.detach().double().mean() < first.detach().double().mean()


@each
def test_a_saved_run_continues_identically(name, tmp_path):
    model, optimizer, go = case(name)
    go(3)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "run.pt")
    go(3)
    again, resumed, go_on = case(name)
    saved = torch.load(tmp_path / "run.pt", weights_only=False)
    again.load_state_dict(saved["model"])
    resumed.load_state_dict(saved["optimizer"])
    go_on(3)
    torch.testing.assert_close(vector(again), vector(model), rtol=1e-12, atol=1e-13)


@but("L-BFGS", "AdaHessian")  # theirs lose attributes when they are copied
@pytest.mark.parametrize(
    "copier", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))], ids=["copy", "pickle"]
)
def test_copies_continue_identically(name, copier):
    model, optimizer, go = case(name)
    go(2)
    for p in model.parameters():
        p.grad = None
    twin, its_optimizer = copier((model, optimizer))
    go(2)
    go(2, twin, its_optimizer)
    torch.testing.assert_close(vector(twin), vector(model), rtol=1e-12, atol=1e-13)


@but("L-BFGS")  # its line search divides by the step
def test_a_rate_of_zero_moves_nothing(name):
    model, optimizer, go = case(name)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = vector(model)
    go(3)
    torch.testing.assert_close(vector(model), before, rtol=0, atol=1e-15)


@each
def test_what_it_does_not_hold_stays(name):
    model, _, go = case(name, frozen=True)
    before = copy.deepcopy(model[0].state_dict())
    go(3)
    for key, value in model[0].state_dict().items():
        assert torch.equal(value, before[key])


@but("L-BFGS")  # it has one group
def test_equal_groups_are_one_group(name):
    model, _, go = case(name)
    other, _, go_other = case(name, groups=True)
    go(4)
    go_other(4)
    if name != "AdaHessian":  # it draws random numbers tensor by tensor
        torch.testing.assert_close(vector(other), vector(model), rtol=1e-9, atol=1e-11)
    assert torch.isfinite(vector(other)).all()


@each
def test_hooks_run_around_each_step(name):
    _, optimizer, go = case(name)
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    go(2)
    assert seen == ["before", "after"] * 2


@each
def test_a_scheduler_is_followed(name):
    model, optimizer, go = case(name)
    lr = optimizer.param_groups[0]["lr"]
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    go(1)
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(lr / 2)
    go(1)
    assert torch.isfinite(vector(model)).all()


@each
def test_no_parameters_is_an_error(name):
    if registry.get(name).extra:
        pytest.importorskip("pytorch_optimizer")
    with pytest.raises(ValueError, match="empty"):
        registry.make(name, [])
