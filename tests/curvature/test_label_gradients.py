from itertools import product

import pytest
import torch
from curvature_cases import MODELS, WIDE, error, mlp, naive_fisher, seeded
from torch import nn

from sofim_lab.curvature import empirical_fisher
from sofim_lab.curvature.label_gradients import label_gradients

LOSS = nn.CrossEntropyLoss()


def small(n=2):
    """A network with three classes, and inputs."""
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(1), dtype=WIDE)
    return seeded(lambda: mlp(nn.Tanh)), x


def test_the_table_gives_the_exact_fisher_matrix():
    model, x = small(n=5)
    table = label_gradients(model, LOSS, x)
    assert error(table.fisher(), naive_fisher(model, LOSS, x)) < 1e-12
    assert torch.equal(table.fisher(), table.fisher().mT)


def test_the_reduction_of_the_loss_does_not_matter():
    model, x = small()
    summed = label_gradients(model, nn.CrossEntropyLoss(reduction="sum"), x)
    assert torch.equal(summed.rows, label_gradients(model, LOSS, x).rows)


def test_images_are_samples_too():
    build, shape = MODELS["conv"]
    x = torch.randn(3, *shape, dtype=WIDE, generator=torch.Generator().manual_seed(2))
    model = seeded(build)
    assert error(label_gradients(model, LOSS, x).fisher(), naive_fisher(model, LOSS, x)) < 1e-12


def test_mean_error_and_trace_of_one_draw_by_all_label_sets():
    model, x = small()
    table = label_gradients(model, LOSS, x)
    F, p = table.fisher(), table.probabilities
    mean, square, trace = 0.0, 0.0, 0.0
    for a, b in product(range(3), repeat=2):
        weight = p[0, a] * p[1, b]
        E = empirical_fisher(model, LOSS, x, torch.tensor([a, b]))
        mean, square = mean + weight * E, square + weight * (E - F).square().sum()
        trace = trace + weight * (E - F).trace() ** 2
    assert error(mean, F) < 1e-12
    assert table.expected_error(1) ** 2 == pytest.approx(float(square), rel=1e-10)
    assert table.trace_spread(1) ** 2 == pytest.approx(float(trace), rel=1e-10)


@pytest.mark.parametrize("draws", [1, 7])
def test_the_error_of_drawn_labels_is_the_expected_one(draws):
    model, x = small(n=6)
    table = label_gradients(model, LOSS, x)
    random = torch.Generator().manual_seed(3)
    drawn = torch.stack([table.monte_carlo(draws, random) for _ in range(2000)])
    F = table.fisher()
    measured = (drawn - F).square().sum((1, 2)).mean().sqrt()
    assert float(measured) == pytest.approx(table.expected_error(draws), rel=0.05)
    assert float(drawn.diagonal(dim1=1, dim2=2).sum(1).std()) == pytest.approx(table.trace_spread(draws), rel=0.05)


def test_a_path_keeps_the_labels_it_has_drawn():
    model, x = small(n=3)
    table = label_gradients(model, LOSS, x)
    one, four = table.monte_carlo_path((1, 4), torch.Generator().manual_seed(4))
    random = torch.Generator().manual_seed(4)
    first = table.counts(1, random)
    every = first + table.counts(3, random)
    assert every.sum(1).tolist() == [4, 4, 4]
    assert error(one, torch.einsum("nc,nci,ncj->ij", first, table.rows, table.rows) / 3) < 1e-12
    assert error(four, torch.einsum("nc,nci,ncj->ij", every, table.rows, table.rows) / 12) < 1e-12


def test_bad_input_is_named():
    model, x = small()
    table = label_gradients(model, LOSS, x)
    for ask in (table.counts, table.monte_carlo, table.expected_error, table.trace_spread):
        with pytest.raises(ValueError, match="draws=0 must be 1 or more"):
            ask(0)
    with pytest.raises(ValueError, match="draws=-1 must be 1 or more"):
        table.monte_carlo_path((2, 1))
    with pytest.raises(TypeError, match=r"loss_fn must be nn\.CrossEntropyLoss, got MSELoss"):
        label_gradients(model, nn.MSELoss(), x)


def test_luck_is_error_and_spread_in_units_of_f():
    model, x = small(n=4)
    table = label_gradients(model, LOSS, x)
    F = table.fisher()
    far, spread = table.luck(draws=3)
    assert far * float(torch.linalg.matrix_norm(F)) == pytest.approx(table.expected_error(3))
    assert spread * float(F.trace()) == pytest.approx(table.trace_spread(3))
