"""The parts of a cut vector: their squares add up, and a part's own norm stretches its step."""

import pytest
import torch

from sofim_lab.distributed import cut
from sofim_lab.distributed.parts import by_parameter
from sofim_lab.problems import mlp


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_squares_add_up_however_it_is_cut(workers):
    tensors = [torch.randn(7, 5, generator=torch.Generator().manual_seed(0)), torch.ones(3), torch.full((1,), 2.0)]
    parts = cut(tensors, workers, rho=0.5)
    assert parts.total == pytest.approx(sum(float(t.double().square().sum()) for t in tensors))
    assert len(parts.squares) == workers
    assert parts.stretch.min() >= 1


def test_a_single_worker_is_right_and_many_are_the_block_diagonal_solve():
    m = torch.tensor([3.0, 4.0, 1.0, 2.0], dtype=torch.float64)
    assert cut([m], 1, 0.7).stretch.tolist() == [1.0]
    right = torch.linalg.solve(torch.outer(m, m) + 0.7 * torch.eye(4, dtype=m.dtype), m)
    own = [torch.linalg.solve(torch.outer(p, p) + 0.7 * torch.eye(2, dtype=m.dtype), p) for p in m.chunk(2)]
    ratios = [float((a / b).mean()) for a, b in zip(own, right.chunk(2), strict=True)]
    assert cut([m], 2, 0.7).stretch.tolist() == pytest.approx(ratios)


def test_a_vector_is_given_back_in_the_shapes_of_the_parameters():
    model = mlp((4, 3, 2), device="cpu")
    vector = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    assert all(torch.equal(a, b) for a, b in zip(by_parameter(model, vector), model.parameters(), strict=True))


@pytest.mark.parametrize(("workers", "rho", "named"), [(0, 1.0, "workers=0"), (2, 0.0, r"rho=0\.0")])
def test_what_is_out_of_range_is_named(workers, rho, named):
    with pytest.raises(ValueError, match=named):
        cut([torch.ones(3)], workers, rho)
