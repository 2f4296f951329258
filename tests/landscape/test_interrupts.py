"""An error or Ctrl-C in the middle of any call: the model stays bit for bit what it was."""

import pytest
import torch
from slice_cases import CE, WIDE, Interrupted, assert_untouched, data, plane, snapshot

from sofim_lab.curvature import hessian_operator
from sofim_lab.curvature.spectrum import spectral_density, top_eigenpairs, trace
from sofim_lab.landscape import (
    Path,
    barrier,
    eigen_directions,
    gradient_direction,
    parameters,
    refine,
    sharpness,
    slice_1d,
)


def products(model, compute):
    """With graphs made again at each product, so that the model is called in the middle."""
    was = model.training
    try:
        return compute(hessian_operator(model.eval(), CE, *data(), chunk_bytes=2_000, keep_bytes=0))
    finally:
        model.train(was)


def ends(model):
    start = parameters(model)
    return start, {name: 1.5 * w for name, w in start.items()}


def way(model):
    size = sum(w.numel() for w in model.parameters())
    return Path(parameters(model), torch.stack([torch.zeros(size), torch.full((size,), 0.1)]).to(WIDE), (0, 1))


CALLS = {
    "refine": lambda m: list(refine(m, CE, data(), plane(m), points=21, method="loop")),
    "slice_1d": lambda m: slice_1d(m, CE, data(), plane(m)[0], points=5, method="loop", progress=False),
    "recomputed": lambda m: slice_1d(m, CE, data(), plane(m)[0], points=5, batch_norm="recompute", progress=False),
    "barrier": lambda m: barrier(m, CE, data(), *ends(m), points=5, progress=False),
    "gradient": lambda m: gradient_direction(m, CE, *data()),
    "hessian eigenvectors": lambda m: eigen_directions(m, CE, *data()),
    "fisher eigenvectors": lambda m: eigen_directions(m, CE, *data(), matrix="fisher"),
    "sharpness": lambda m: sharpness(way(m), m, CE, *data()),
    "eigenpairs": lambda m: products(m, lambda A: top_eigenpairs(A, 2)),
    "trace": lambda m: products(m, lambda A: trace(A, probes=2)),
    "density": lambda m: products(m, lambda A: spectral_density(A, steps=4, probes=1)),
}


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("name", CALLS)
def test_the_model_is_what_it_was(name, error, monkeypatch):
    model = Interrupted().to(WIDE).train()
    CE(model(data()[0]), data()[1]).backward()  # gradients and statistics of its own
    before, state = snapshot(model), torch.get_rng_state()
    monkeypatch.setattr(Interrupted, "error", error)
    monkeypatch.setattr(Interrupted, "calls", 0)
    CALLS[name](model)
    total = Interrupted.calls
    assert total > 0
    assert_untouched(model, before)
    for limit in sorted({0, total // 3, total // 2, total - 1}):
        monkeypatch.setattr(Interrupted, "calls", 0)
        monkeypatch.setattr(Interrupted, "limit", limit)
        with pytest.raises(error, match="stop"):
            CALLS[name](model)
        assert_untouched(model, before)
        assert torch.equal(torch.get_rng_state(), state)
