import pytest
import torch

from sofim_lab.optim import SOFIM, registry
from sofim_lab.optim.kin import RULES, AlongMoment

SHAPES = ((3, 4), (4,), (2, 2))


def after(make, steps=6, scale=1.0):
    """Parameters after some steps on gradients that do not depend on them."""
    random = torch.Generator().manual_seed(1)
    params = [torch.nn.Parameter(torch.randn(shape, generator=random, dtype=torch.float64)) for shape in SHAPES]
    optimizer = make(params)
    for _ in range(steps):
        for p in params:
            p.grad = scale * torch.randn(p.shape, generator=random, dtype=torch.float64)
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in params])


def test_the_rule_sofim_is_sofim():
    settings = {"lr": 0.7, "rho": 0.3, "beta": 0.8}
    plain, library = after(lambda p: AlongMoment(p, "SOFIM", **settings)), after(lambda p: SOFIM(p, **settings))
    torch.testing.assert_close(plain, library, rtol=1e-12, atol=1e-12)


def test_the_constant_rate_is_sofim_at_a_large_rho():
    plain = after(lambda p: AlongMoment(p, "constant rate", lr=0.4, rho=2.0))
    stiff = after(lambda p: SOFIM(p, lr=0.2e12, rho=1e12))
    torch.testing.assert_close(plain, stiff, rtol=1e-9, atol=1e-9)


def test_without_bias_correction_m_is_what_torch_accumulates():
    """torch's buffer starts at the first gradient instead of (1 − β) times it: from zero gradients on they agree."""

    def sgd(params):
        optimizer = torch.optim.SGD(params, lr=0.3, momentum=0.9, dampening=0.9)
        for p in params:
            p.grad = torch.zeros_like(p)
        optimizer.step()
        return optimizer

    raw = after(lambda p: AlongMoment(p, "constant rate", lr=0.3, rho=1.0, beta=0.9, bias_correction=False))
    torch.testing.assert_close(raw, after(sgd), rtol=1e-12, atol=1e-12)


def test_the_controls_are_matched_to_sofim():
    """At the same η and ρ the rules are those of lesson 06; one setting less where ρ is tied to η."""
    at = {"lr": 0.7, "beta": 0.8}
    for name, rule, rho in (("constant-rate mean", "constant rate", 1.0), ("normalised mean", "normalised", 0.25)):
        control = after(lambda p, name=name: registry.make(name, p, **at))
        by_hand = after(lambda p, rule=rule, rho=rho: AlongMoment(p, rule, rho=rho, **at))
        torch.testing.assert_close(control, by_hand, rtol=0, atol=0)
    scalar = after(lambda p: registry.make("SOFIM as one scalar", p, rho=0.3, **at))
    torch.testing.assert_close(scalar, after(lambda p: SOFIM(p, rho=0.3, **at)), rtol=1e-12, atol=1e-12)
    bare = after(lambda p: registry.make("SOFIM without moment", p, rho=0.3, lr=0.7))
    torch.testing.assert_close(bare, after(lambda p: SOFIM(p, 0.7, 0.0, 0.3)), rtol=0, atol=0)


@pytest.mark.parametrize("rule", ["clipped", "normalised"])
def test_large_gradients_give_the_longest_step(rule):
    start = after(lambda p: AlongMoment(p, rule, lr=1.0, rho=0.25), steps=0)
    end = after(lambda p: AlongMoment(p, rule, lr=1.0, rho=0.25), steps=1, scale=1e3)
    assert float((end - start).norm()) == pytest.approx(1.0)  # η/(2√ρ)


@pytest.mark.parametrize("rule", RULES)
def test_a_zero_gradient_moves_nothing(rule):
    w = torch.nn.Parameter(torch.ones(3))
    w.grad = torch.zeros(3)
    unused = torch.nn.Parameter(torch.ones(2))
    AlongMoment([w, unused], rule).step()
    assert w.tolist() == [1.0, 1.0, 1.0]
    assert unused.tolist() == [1.0, 1.0]


def test_a_closure_is_evaluated_with_gradients():
    w = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = AlongMoment([w], lr=0.25, rho=0.5)

    def closure():
        loss = w.square().sum() / 2
        optimizer.zero_grad()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert w.item() == pytest.approx(1.0)


def test_bad_options_are_named():
    w = [torch.nn.Parameter(torch.ones(1))]
    with pytest.raises(ValueError, match="rule='heavy' is unknown: choose one of constant rate"):
        AlongMoment(w, "heavy")
    with pytest.raises(ValueError, match=r"beta=1\.0"):
        AlongMoment(w, beta=1.0)
    with pytest.raises(ValueError, match="rho=0"):
        AlongMoment(w, rho=0.0)
