"""The accurate scalar products and the paired rounding that SOFIM's float32 accuracy rests on."""

import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sofim_lab.optim._sofim.reduce import Sums, pair, pieces, remainder, side_by_side

SIZES = [[10], [5000], [40_000], [40_009], [300_000], [3_000_000], [2500] * 100, [7, 300_000, 9, 4096], [1] * 50]


def vectors(sizes, kind="random"):
    generator = torch.Generator().manual_seed(sum(sizes))
    if kind == "constant":  # every rounding in the same direction
        return [torch.full((n,), 0.7) for n in sizes], [torch.full((n,), -0.3) for n in sizes]
    xs = [torch.rand(n, generator=generator) + 0.5 for n in sizes]
    return xs, [0.3 * x + 1e-3 * torch.randn(x.shape, generator=generator) for x in xs]


def exact(xs, ys):
    return sum((x.double() @ y.double()).item() for x, y in zip(xs, ys, strict=True))


def both(xs, ys):
    sums = Sums()
    sums.add(xs, ys)
    return sums.squared_norm(), sums.product()


@pytest.mark.parametrize("kind", ["random", "constant"])
@pytest.mark.parametrize("sizes", SIZES)
def test_norms_do_not_drift(sizes, kind):
    xs, _ = vectors(sizes, kind)
    together, apart = Sums(), Sums()
    together.add(xs)
    for x in xs:
        apart.add([x])
    for sums in (together, apart):
        assert abs(sums.squared_norm() / exact(xs, xs) - 1) < 5e-7


@pytest.mark.parametrize("kind", ["random", "constant"])
@pytest.mark.parametrize("sizes", SIZES)
def test_products_do_not_drift(sizes, kind):
    xs, ys = vectors(sizes, kind)
    xx, xy = both(xs, ys)
    assert abs(xx / exact(xs, xs) - 1) < 5e-7
    assert abs(xy / exact(xs, ys) - 1) < 5e-7


@pytest.mark.parametrize("sizes", SIZES)
def test_the_remainder_of_nearly_parallel_vectors_keeps_its_digits(sizes):
    xs, ys = vectors(sizes)
    a = as_float32(0.3)
    rest = sum((x.double() @ (y.double() - a * x.double())).item() for x, y in zip(xs, ys, strict=True))
    size = (exact(xs, xs) * exact(ys, ys)) ** 0.5
    assert abs(remainder(xs, ys, a, sum(sizes)) - rest) < 3e-9 * size


@pytest.mark.parametrize("sizes", [sizes for sizes in SIZES if sum(sizes) > 5000])
def test_parallel_vectors_are_told_from_others_by_their_rows(sizes):
    xs, ys = vectors(sizes)
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(x.shape, generator=generator) for x in xs]
    noisy = [x + 2 * z for x, z in zip(xs, noise, strict=True)]
    for others, parallel in ((ys, True), (xs, True), (noise, False), (noisy, False)):
        sums = Sums()
        sums.add(xs, others)
        assert sums.look_parallel(sums.squared_norm(), sums.product()) is parallel


def test_a_single_row_may_always_be_parallel():
    sums = Sums()
    sums.add([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 1.0])])
    assert sums.look_parallel(sums.squared_norm(), sums.product())


def test_neighbours_in_one_buffer_are_found_without_a_copy():
    buffer = torch.arange(12.0)
    xs = [x.view(shape) for x, shape in zip(buffer[1:].split([4, 6, 1]), [(2, 2), (2, 3), (1,)], strict=True)]
    whole = side_by_side(xs)
    assert torch.equal(whole, buffer[1:])
    assert whole.data_ptr() == xs[0].data_ptr()
    assert side_by_side(xs[::-1]) is None
    assert side_by_side([xs[0], xs[2]]) is None
    assert side_by_side([buffer.view(3, 4).T]) is None  # its numbers lie in another order


def test_layouts_are_followed_in_both_columns():
    x, y = torch.randn(60, 50, 40), torch.randn(60, 50, 40)
    _, product = both([x.permute(2, 0, 1)], [y.permute(2, 0, 1).contiguous()])
    assert product == pytest.approx(exact([x.view(-1)], [y.view(-1)]), abs=1e-3)


@pytest.mark.parametrize("shape", [(900, 700), (1, 900, 700)])
def test_a_long_tensor_in_another_order_is_copied_piece_by_piece(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).mT
    assert not x.is_contiguous()
    found = [piece for (piece,) in pieces(([x],), join_to=10, cut_at=100_000)]
    assert torch.equal(torch.cat(found), x.reshape(-1))
    assert max(piece.numel() for piece in found) <= 100_000
    assert both([x], [x])[0] == pytest.approx(float(x.double().square().sum()), rel=4e-7)


def test_pieces_hold_every_number_once_and_stay_short():
    xs = [torch.arange(n, dtype=torch.float64) for n in (3, 5, 1000, 2, 40, 7, 0)]
    found = [x for (x,) in pieces((xs,), join_to=50, cut_at=100)]
    assert torch.equal(torch.cat(found), torch.cat(xs))
    assert max(x.numel() for x in found) == 100
    assert len(found) == 12  # 3+5, ten of 100, 2+40+7+0


def test_zeros_and_empty_tensors_sum_to_zero():
    xs = [torch.zeros(100_000), torch.zeros(0)]
    assert both(xs, xs) == (0.0, 0.0)


@pytest.mark.parametrize("n", [100, 30_000, 1_000_000])
def test_squares_beyond_float32_are_summed_all_the_same(n):
    x = torch.full((n,), 1e25)
    xx, xy = both([x], [x])
    assert xx == pytest.approx(1e50 * n, rel=1e-5)
    assert xy == pytest.approx(1e50 * n, rel=1e-5)


@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_what_is_not_finite_is_not_hidden(bad):
    x = torch.ones(100_000)
    x[77_777] = bad
    sums = Sums()
    sums.add([torch.ones(5), x])
    assert not sums.squared_norm() < float("inf")


def as_float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


@settings(max_examples=100)
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


def test_on_a_device_nothing_is_read():
    k = torch.empty((), dtype=torch.float64, device="meta")
    first, second = pair(-1.7, k, torch.float32)
    assert (first, second.device.type) == (-1.7, "meta")


def test_double_precision_needs_no_pairing():
    assert pair(0.1, 0.3, torch.float64) == (0.1, 0.1 * 0.3)
