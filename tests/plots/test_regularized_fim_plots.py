"""Figures of lesson 04 that no explorer draws: the errors of the dial, and the proxy along a run."""

import pytest
import torch

from sofim_lab.curvature.dial import DialError
from sofim_lab.curvature.proxy import ProxySpectrum
from sofim_lab.plots.regularized_fim import describe_dial_errors, describe_proxy, plot_dial_errors, plot_shares

ERRORS = (DialError(1.0, 1e-7, 2e-7), DialError(1e-4, 0.3, 1e-7))
LEVELS = torch.tensor([1.0, 2.0, 7.0], dtype=torch.float64)
RUN = {
    0: ProxySpectrum(LEVELS, torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)),
    40: ProxySpectrum(LEVELS, torch.tensor([0.0, 0.19, 0.81], dtype=torch.float64)),
}


def test_errors_of_both_forms_stand_over_rho():
    ax = plot_dial_errors(ERRORS)
    curves = {line.get_label(): line for line in ax.get_lines()}
    assert list(curves["Woodbury's difference"].get_ydata()) == [1e-7, 0.3]
    assert list(curves["push-through"].get_ydata()) == [2e-7, 1e-7]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    words = describe_dial_errors(ERRORS)
    assert "off by 3.0e-01 at ρ = 1e-04; the push-through form by 2.0e-07" in words


@pytest.mark.parametrize("step", [None, 40])
def test_shares_lie_between_chance_and_the_most_possible(step):
    ax = plot_shares(RUN, step)
    curves = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert curves["along m"] == pytest.approx([0.15, 0.605])
    assert curves["λ₁ / tr, the most possible"] == pytest.approx([0.7, 0.7])
    assert curves["random direction: 1/d"] == pytest.approx([1 / 3, 1 / 3])
    assert len(ax.get_lines()) == 3 + (step is not None)
    assert ax.get_yscale() == "log"


def test_words_name_the_range_of_share_and_cosine():
    words = describe_proxy(RUN, "Fisher")
    assert words.startswith("Fisher, 2 checkpoints.")
    assert "along m lies between 0.15 and 0.6, the largest possible between 0.7 and 0.7" in words
    assert words.endswith("eigenvector between 0.00 and 0.90.")
