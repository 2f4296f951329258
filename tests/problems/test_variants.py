import pytest
import torch

from sofim_lab.problems import load_digits
from sofim_lab.problems.variants import ill_conditioned_digits, noisy_digits


@pytest.mark.parametrize(("features", "condition"), [(40, 1e4), (10, 1e8), (3, 1.0)])
def test_the_covariance_has_the_spectrum_that_was_asked_for(features, condition):
    data = ill_conditioned_digits("cpu", torch.float64, features=features, condition=condition)
    found = torch.linalg.eigvalsh(torch.cov(data.train.x.T)).flip(0)
    wanted = condition ** -(torch.arange(features, dtype=torch.float64) / (features - 1))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-13)
    assert data.shape == (features,)


def test_the_map_is_the_same_affine_one_on_every_part():
    # The image can be had back up to the components that were left out: fit the inverse on train, try it on test.
    images = load_digits("cpu", torch.float64)
    data = ill_conditioned_digits("cpu", torch.float64, features=60)
    one = torch.ones(len(data.train), 1, dtype=torch.float64)
    back = torch.linalg.lstsq(torch.cat([data.train.x, one], 1), images.train.x, driver="gelsd").solution
    restored = torch.cat([data.test.x, one[:300]], 1) @ back
    varying = images.train.x.std(0) > 0
    torch.testing.assert_close(restored[:, varying], images.test.x[:, varying], rtol=0, atol=1e-8)


def test_float32_keeps_the_small_components():
    narrow, wide = (ill_conditioned_digits("cpu", dtype).train.x for dtype in (torch.float32, torch.float64))
    error = (narrow.double() - wide).norm(dim=0) / wide.norm(dim=0)
    assert error.max() < 1e-7
    assert wide.std(0).min() == pytest.approx(0.01)


def test_scales_do_not_follow_the_order_of_the_components():
    spread = ill_conditioned_digits("cpu", torch.float64).train.x.std(0)
    assert not torch.equal(spread.argsort(descending=True), torch.arange(40))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 1}, "features=1 must lie in 2"),
        ({"features": 61}, "features=61 must lie in 2 … 60"),
        ({"condition": 0.5}, "condition=0.5 must lie in"),
        ({"condition": float("nan")}, "condition=nan must lie in"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ill_conditioned_digits("cpu", **options)


def test_labels_are_wrong_in_train_alone():
    clean, noisy = load_digits("cpu"), noisy_digits("cpu", share=0.3)
    assert int((clean.train.y != noisy.train.y).sum()) == round(0.3 * 1197)
    assert torch.equal(clean.train.x, noisy.train.x)
    for part in ("val", "test"):
        assert torch.equal(getattr(clean, part).y, getattr(noisy, part).y)
    with pytest.raises(ValueError, match=r"share=1\.5"):
        noisy_digits("cpu", share=1.5)
