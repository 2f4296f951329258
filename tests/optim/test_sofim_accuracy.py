"""SOFIM's float32 direction against float64 of the whole trajectory: lr = 1, from zero parameters."""

import math

import pytest
import torch

from sofim_lab import SOFIM

RHOS = (1e-8, 1e-6, 1e-4, 1e-2, 0.5, 10.0)


def gradients_of(kind, d, steps):
    """Unit-size gradients: independent, or a constant vector (of changing length) with noise of a given size."""
    generator = torch.Generator().manual_seed(d)
    base = torch.randn(d, generator=generator) / math.sqrt(d)
    for t in range(steps):
        noise = torch.randn(d, generator=generator) / math.sqrt(d)
        if kind == "independent":
            yield noise
        else:
            yield base * (1 + 0.5 * math.sin(t) * (kind == "swelling")) + (1e-3 if kind == "swelling" else kind) * noise


def exact(gradients, beta, rho, direction):
    """The direction in float64, ‖m‖²/ρ and sin∠(g, m)."""
    average = torch.zeros_like(gradients[0], dtype=torch.float64)
    for g in gradients:
        average = beta * average + (1 - beta) * g.double()
    m = average / (1 - beta ** len(gradients))
    v = m if direction == "momentum" else gradients[-1].double()
    n = m @ m
    along = m * (m @ v / n)
    rest = v - along
    rest = rest - m * (m @ rest / n)
    return along / (rho + n) + rest / rho, float(n / rho), float(rest.norm() / v.norm())


def error(gradients, beta, rho, direction, foreach=None, pieces=1, capturable=False):
    """Norm-wise relative error, and the bound for it."""
    ps = [torch.nn.Parameter(torch.zeros_like(x)) for x in gradients[0].chunk(pieces)]
    optimizer = SOFIM(ps, lr=1.0, beta=beta, rho=rho, direction=direction, foreach=foreach, capturable=capturable)
    for g in gradients:
        for p, x in zip(ps, g.chunk(pieces), strict=True):
            p.data.zero_()
            p.grad = x
        optimizer.step()
    step = torch.cat([p.detach() for p in ps]).double()
    x, s, sine = exact(gradients, beta, rho, direction)
    bound = 1e-5 if direction == "momentum" else max(1e-5, 1e-7 * min(1 + s, 1 / max(sine, 1e-300)))
    return float((step + x).norm() / x.norm()), bound


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@pytest.mark.parametrize("kind", ["independent", "swelling", 0.0, 1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize(("d", "pieces"), [(10, 1), (16384, 1), (100_000, 1), (100_000, 50), (300_000, 2)])
def test_every_direction_keeps_its_digits(kind, d, pieces, direction, rho):
    for steps in (1, 2, 5):
        found, bound = error(list(gradients_of(kind, d, steps)), 0.9, rho, direction, pieces=pieces)
        assert found <= bound, f"after {steps} steps"


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@pytest.mark.parametrize("kind", ["independent", "swelling", 0.0, 1e-3, 1e-5])
def test_the_capturable_form_keeps_them_too(kind, direction):
    for rho in RHOS:
        for steps in (1, 2, 5):
            found, bound = error(list(gradients_of(kind, 16384, steps)), 0.9, rho, direction, pieces=3, capturable=True)
            assert found <= bound, f"rho = {rho}, after {steps} steps"


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@pytest.mark.parametrize("kind", ["independent", "swelling", 1e-3])
def test_a_million_in_one_tensor(kind, direction):
    for rho in RHOS[::2]:
        found, bound = error(list(gradients_of(kind, 10**6, 3)), 0.9, rho, direction)
        assert found <= bound


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@pytest.mark.parametrize("foreach", [True, False])
def test_ten_million_in_one_tensor(direction, foreach):
    found, bound = error(list(gradients_of(1e-2, 10**7, 2)), 0.9, 1e-6, direction, foreach=foreach)
    assert found <= bound


def test_without_memory_the_gradient_direction_collapses():
    for rho in RHOS:
        found, _ = error(list(gradients_of("independent", 10_000, 3)), 0.0, rho, "gradient")
        assert found <= 1e-5


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
def test_low_precision_parameters_take_finite_steps_the_right_way(direction):
    p = torch.nn.Parameter(torch.ones(5000, dtype=torch.bfloat16))
    optimizer = SOFIM([p], lr=10.0, direction=direction)
    for _ in range(5):
        p.grad = p.detach() / 70
        optimizer.step()
    assert torch.isfinite(p).all()
    assert 0 < p.float().mean() < 1
