import pytest
import torch

from sofim_lab.curvature.four_matrices import FourMatrices
from sofim_lab.plots.four_matrices import percent, plot_label_distances, plot_over_steps, plot_spectra, plot_tiles

F = torch.tensor([[2.0, -1.0], [-1.0, 3.0]], dtype=torch.float64)
FOUR = FourMatrices(F, F, F - 2 * torch.eye(2, dtype=torch.float64), 4 * F, torch.zeros(2), 0.0)


def test_tiles_hold_the_matrices_and_the_difference_on_one_scale():
    (image,) = plot_tiles(FOUR, "empirical").images
    sheet = torch.as_tensor(image.get_array().filled(float("nan")))
    step = 2 + 2  # a tile and the gap beside it
    for row, column, matrix in ((3, 0, FOUR.fisher), (3, 1, FOUR.ggn), (3, 2, FOUR.hessian), (8, 0, FOUR.empirical)):
        assert torch.equal(sheet[row : row + 2, column * step : column * step + 2], matrix)
    assert torch.equal(sheet[8:10, step : step + 2], 3 * F)
    assert (image.norm.vmin, image.norm.vmax) == (-12, 12)


@pytest.mark.parametrize(("other", "title"), [("ggn", "G − F"), ("hessian", "H − F"), ("empirical", "Ê − F")])
def test_tiles_are_named_and_numbers_stand_beside_them(other, title):
    texts = [text.get_text() for text in plot_tiles(FOUR, other).texts]
    assert {"F", "G", "H", "Ê", title} <= set(texts)
    assert any(f"cosine {FOUR.cosine(other):.2f}" in text for text in texts)


def test_a_spectrum_tells_signs_apart_and_leaves_rounding_out():
    ax = plot_spectra({"H": torch.tensor([4.0, -2.0, 1e-12, 1.0])})
    above, below = ax.lines
    assert above.get_label() == "H (2)"
    assert (list(above.get_xdata()), list(above.get_ydata())) == ([1, 3], [4, 1])
    assert below.get_label() == "H, below zero (1)"
    assert (list(below.get_xdata()), list(below.get_ydata())) == ([2], [2])
    assert below.get_markerfacecolor() == "white"


@pytest.mark.parametrize(("values", "scale"), [((1.0, 0.5), "linear"), ((1.0, 0.01), "log")])
def test_a_scale_is_logarithmic_where_values_span_decades(values, scale):
    ax = plot_over_steps({"run": dict(zip((0, 10), values, strict=True))}, "distance")
    assert ax.get_yscale() == scale
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "10"]


def test_distances_carry_the_choice_and_the_goal():
    ax = plot_label_distances([1, 10, 100], {"a": [1, 0.3, 0.1]}, xlabel="S", mark=10, goal=0.05)
    assert [line.get_xdata()[0] for line in ax.lines[-1:]] == [10]
    assert any(list(line.get_ydata()) == [0.05, 0.05] for line in ax.lines)
    assert "5 %" in [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(("share", "words"), [(1.4, "140 %"), (0.073, "7.3 %"), (2e-15, "2 × 10⁻¹³ %"), (0, "0 %")])
def test_a_share_in_words(share, words):
    assert percent(share) == words
