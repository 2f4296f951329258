import math

import pytest
import torch

from sofim_lab.curvature import RegularizedFIM
from sofim_lab.curvature.step_lengths import step_lengths


def lengths(norm, lr=0.7, rho=0.3):
    return {name: float(x) for name, x in step_lengths(torch.tensor(norm, dtype=torch.float64), lr, rho).items()}


@pytest.mark.parametrize("norm", [1e-3, 0.5, 20.0])
def test_sofim_is_as_long_as_the_dense_solve(norm):
    m = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    m = norm * m / m.norm()
    dense = torch.linalg.solve(RegularizedFIM(m, 0.3).dense(), m)
    assert lengths(norm)["SOFIM"] == pytest.approx(0.7 * float(dense.norm()), rel=1e-12)


def test_the_kin_share_the_rate_for_small_m_and_the_longest_step():
    small, bound = lengths(1e-6), 0.7 / (2 * math.sqrt(0.3))
    assert small["SOFIM"] == pytest.approx(small["constant rate"], rel=1e-9)
    assert small["clipped"] == small["constant rate"] == pytest.approx(0.7 / 0.3 * 1e-6)
    at_root = lengths(math.sqrt(0.3))
    assert at_root["SOFIM"] == pytest.approx(bound)
    assert at_root["clipped"] == at_root["normalised"] == pytest.approx(bound)
    assert lengths(0.5 * math.sqrt(0.3) * 0.99)["clipped"] < bound * 0.9901


def test_far_out_sofim_falls_and_the_others_do_not():
    near, far = lengths(2.0), lengths(200.0)
    assert far["SOFIM"] == pytest.approx(0.7 / 200, rel=1e-4)
    assert far["clipped"] == near["clipped"] == far["normalised"]
    assert far["constant rate"] == pytest.approx(100 * near["constant rate"])


@pytest.mark.parametrize(("name", "value"), [("lr", -0.1), ("lr", math.inf), ("rho", -1.0), ("rho", math.inf)])
def test_bad_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}="):
        step_lengths(torch.ones(1), **{"lr": 1.0, "rho": 1.0, name: value})
