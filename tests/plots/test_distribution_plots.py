import torch

from sofim_lab.plots.distributions import loss_levels, plot_fits, plot_kl_along, plot_orders, plot_two_coins
from sofim_lab.problems.distributions import gaussian

TARGET = torch.tensor([0.0, 1.0], dtype=torch.float64)
WINDOW = (-1.0, 1.0, 0.5, 2.0)


def test_level_curves_are_heights_of_the_loss_a_row_for_each_sigma():
    mean, std, height = loss_levels(TARGET, WINDOW, n=7)
    assert height.shape == (7, 7)
    torch.testing.assert_close(height[5, 2], gaussian.kl(TARGET, torch.stack([mean[2], std[5]])))


def test_a_path_that_ended_early_has_a_cross_at_its_end():
    long = torch.tensor([[0.5, 1.5], [0.2, 1.2], [0.0, 1.0]])
    ax = plot_fits({"long": long, "short": long[:2]}, TARGET, WINDOW)
    crosses = [line.get_xydata()[0].tolist() for line in ax.get_lines() if line.get_marker() == "x"]
    assert crosses == [long[1].tolist()]


def test_both_curves_of_kl_end_at_the_whole_step():
    ax = plot_kl_along(torch.tensor([0.0, 0.1, 0.5]), 0.4)
    ends = {line.get_label(): line.get_ydata()[-1] for line in ax.get_lines()}
    assert float(ends["KL"]) == 0.5
    assert abs(float(ends["½ t² δᵀFδ"]) - 0.4) < 1e-6
    assert ax.get_ylim()[1] > 0.5


def test_bars_show_both_probabilities():
    heights = [bar.get_height() for bar in plot_two_coins(0.25, 0.5).patches]
    assert heights == [0.75, 0.25, 0.5, 0.5]


def test_orders_stand_in_the_legend():
    ax = plot_orders([0.1, 0.01], {"cubic": ([1e-3, 1e-6], 3.0)}, "t")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["cubic: order 3.00"]
