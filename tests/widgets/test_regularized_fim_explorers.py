import pytest
import torch
from every_control import silent_controls

from sofim_lab.curvature.proxy import proxy_spectrum
from sofim_lab.widgets import dial_explorer, proxy_explorer


def samples():
    random = torch.Generator().manual_seed(0)
    return torch.randn(16, 40, generator=random, dtype=torch.float64) * torch.linspace(0.1, 3, 40).double()


def run():
    """Three checkpoints of two matrices in R^30; m is closest to the top eigenvector of B at step 10."""
    random = torch.Generator().manual_seed(1)
    spectra = {}
    for step, (at_a, at_b) in {1: (0.1, 0.2), 10: (0.5, 3.0), 100: (0.7, 0.3)}.items():
        values = torch.logspace(-3, 0, 30, dtype=torch.float64)
        vectors = torch.linalg.qr(torch.randn(30, 30, generator=random, dtype=torch.float64)).Q
        noise = torch.randn(30, generator=random, dtype=torch.float64) / 30**0.5
        matrix = vectors @ torch.diag(values) @ vectors.mT
        spectra[step] = {
            "A": proxy_spectrum(matrix, noise + at_a * vectors[:, -1]),
            "B": proxy_spectrum(matrix, noise + at_b * vectors[:, -1]),
        }
    return spectra


EXPLORERS = {"dial": lambda: dial_explorer(samples()), "proxy": lambda: proxy_explorer(run())}


@pytest.mark.parametrize("make", EXPLORERS.values(), ids=EXPLORERS)
def test_both_ends_of_every_control(make):
    assert silent_controls(make()) == []


def test_the_dial_is_won_by_the_smallest_k_at_a_small_rho_alone():
    explorer = dial_explorer(samples())
    assert not explorer.reached
    explorer.set(rho=0.1)
    smallest = explorer.result.smallest
    assert 1 < smallest <= 16
    assert not explorer.reached
    explorer.set(rho=100.0)
    assert explorer.result.smallest == 1
    assert not explorer.reached  # k = 1 is enough there, but the goal asks for a small ρ
    explorer.set(rho=0.1, k=smallest)
    assert explorer.reached
    assert explorer.result.chosen.cosine >= 0.99


def test_the_dial_is_not_won_by_all_samples_where_fewer_are_enough():
    twice = samples().repeat_interleave(2, dim=0)  # halves of each pair are equal: 16 groups are all there is
    explorer = dial_explorer(twice)
    explorer.set(rho=0.01, k=32)
    assert explorer.result.smallest <= 16
    assert not explorer.reached


def test_the_captions_of_the_dial_name_what_is_shown():
    explorer = dial_explorer(samples())
    explorer.set(k=16)
    assert "With k = 16 rows and ρ = 1 " in explorer.picture.alt
    assert "has the cosine 1.000 with that of all 16 samples and 1.00 times its length" in explorer.picture.alt


def test_the_proxy_is_won_at_the_best_place_with_a_large_enough_rho():
    explorer = proxy_explorer(run())
    assert explorer.result.best == ("B", 10)
    assert not explorer.reached
    explorer.set(rho=1e3)
    assert not explorer.reached  # ρ alone does it anywhere
    explorer.set(matrix="B", step=10, rho=1e-4)
    enough = explorer.result.spectrum.rho_for(0.99)
    assert explorer.result.spectrum.direction_cosine(1e-4) < 0.99
    assert not explorer.reached
    explorer.set(rho=1.01 * enough)
    assert explorer.reached


def test_the_proxy_says_what_it_shows():
    explorer = proxy_explorer(run())
    explorer.set(matrix="B", step=100)
    seen = run()[100]["B"]
    assert explorer.picture.alt.startswith(f"B after step 100: {100 * seen.share:.1f} % of the trace lies along m")
    assert f"|cos(m, v₁)| = {seen.cosine:.3f}" in explorer.picture.alt


def test_a_run_without_checkpoints_is_refused():
    with pytest.raises(ValueError, match="give at least one checkpoint"):
        proxy_explorer({})
