"""The accurate scalar products and the paired rounding that SOFIM's float32 accuracy rests on."""

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.optim._reduce import pair, products, squared_norm


def vectors(sizes, turn=1e-3):
    generator = torch.Generator().manual_seed(sum(sizes))
    xs = [torch.rand(n, generator=generator) + 0.5 for n in sizes]
    return xs, [0.3 * x + turn * torch.randn(x.shape, generator=generator) for x in xs]


@pytest.mark.parametrize("sizes", [[10], [5000], [40_000], [300_000], [3_000_000], [2500] * 100, [7, 300_000, 9, 4096]])
def test_sums_do_not_drift(sizes):
    xs, ys = vectors(sizes)
    xx = sum(x.double() @ x.double() for x in xs)
    xy = sum(x.double() @ y.double() for x, y in zip(xs, ys, strict=True))
    assert abs(squared_norm(xs) / xx - 1) < 2e-6
    found_xx, found_xy = products(xs, ys, sum(sizes))
    assert abs(found_xx / xx - 1) < 2e-6
    assert abs((found_xy / found_xx) / (xy / xx) - 1) < 5e-8


def test_sums_that_tie_by_chance_are_told_from_equal_vectors():
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        x = torch.randn(16384, generator=generator)
        y = x + 1e-4 * torch.randn(16384, generator=generator)
        xx, xy = products([x], [y], 16384)
        assert abs(xy / xx - (x.double() @ y.double()) / (x.double() @ x.double())) < 2e-8
    assert products([x], [x], 16384)[0] == products([x], [x], 16384)[1]


def test_zeros_and_empty_tensors_sum_to_zero():
    xs = [torch.zeros(100_000), torch.zeros(0)]
    assert products(xs, xs, 100_000) == (0.0, 0.0)
    assert squared_norm(xs) == 0.0


def test_a_vector_whose_square_underflows_is_no_division_by_zero():
    x, y = torch.full((100_000,), 1e-23), torch.ones(100_000)
    xx, xy = products([x], [y], 100_000)
    assert xx == 0.0
    assert xy == pytest.approx(1e-18, rel=1e-4)


def as_float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


@settings(max_examples=100, deadline=None)
@given(a=st.floats(-1e8, -1e-8), k=st.floats(1e-3, 1e3))
def test_paired_multipliers_are_float32_numbers_near_their_values(a, k):
    first, second = pair(a, k, torch.float32)
    assert (as_float32(first), as_float32(second)) == (first, second)
    assert first == pytest.approx(a, rel=4e-7)
    assert abs(second / (first * k) - 1) < 6e-8


def test_paired_rounding_keeps_the_ratio_better_than_rounding_each():
    generator = torch.Generator().manual_seed(0)
    together = apart = 0.0
    for a, k in (torch.rand(300, 2, generator=generator, dtype=torch.float64) + 0.5).tolist():
        first, second = pair(a, k, torch.float32)
        together += abs(second / first / k - 1)
        apart += abs(as_float32(a * k) / as_float32(a) / k - 1)
    assert together < apart / 3


def test_on_a_device_the_pair_is_chosen_alike():
    wide = torch.tensor(0.3, dtype=torch.float64)
    assert [x.item() for x in pair(-1.7, wide, torch.float32)] == list(pair(-1.7, 0.3, torch.float32))


def test_double_precision_needs_no_pairing():
    assert pair(0.1, 0.3, torch.float64) == (0.1, 0.1 * 0.3)
