"""SOFIM against dense linear algebra, in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import dense_sofim, take_steps

from sofim_lab import SOFIM

DIRECTIONS = ("momentum", "gradient")
each_direction = pytest.mark.parametrize("direction", DIRECTIONS)
each_kernel = pytest.mark.parametrize("foreach", [None, True, False])


def problem(sizes, steps=6, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n) for n in sizes], [[rng.normal(size=n) for n in sizes] for _ in range(steps)]


def parameters_of(w):
    return [torch.nn.Parameter(torch.tensor(x, dtype=torch.float64)) for x in w]


@each_direction
@each_kernel
def test_groups_with_their_own_options_match_the_dense_solve(direction, foreach):
    sizes = [5, 3, 7]
    options = {
        "lr": [1.0, 0.3, 0.05], "beta": [0.9, 0.0, 0.5], "rho": [0.5, 1e-3, 20.0], "weight_decay": [0.0, 0.1, 0.01],
    }  # fmt: skip
    w, gradients = problem(sizes)
    ps = parameters_of(w)
    groups = [{"params": [p]} | {key: values[i] for key, values in options.items()} for i, p in enumerate(ps)]
    end = take_steps(SOFIM(groups, direction=direction, foreach=foreach), ps, gradients)
    np.testing.assert_allclose(end, dense_sofim(w, gradients, sizes=sizes, direction=direction, **options), rtol=1e-9)


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=4).filter(lambda sizes: sum(sizes) > 0),
    rho=st.sampled_from([1e-4, 0.1, 0.5, 10.0, 1e4]),
    beta=st.floats(0.0, 0.99),
    direction=st.sampled_from(DIRECTIONS),
    maximize=st.booleans(),
    weight_decay=st.sampled_from([0.0, 0.1]),
    foreach=st.sampled_from([None, True, False]),
    missing=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=6),
    seed=st.integers(0, 2**16),
)
def test_any_shapes_and_missing_gradients_match_the_dense_solve(
    sizes, rho, beta, direction, maximize, weight_decay, foreach, missing, seed
):
    w, gradients = problem(sizes, steps=5, seed=seed)
    for t, b in missing:
        if b < len(sizes):
            gradients[t][b] = None
    options = {"lr": 0.1 * min(rho, 1), "beta": beta, "rho": rho, "weight_decay": weight_decay, "maximize": maximize}
    ps = parameters_of(w)
    end = take_steps(SOFIM(ps, direction=direction, foreach=foreach, **options), ps, gradients)
    expected = dense_sofim(w, gradients, sizes=sizes, direction=direction, **options)
    np.testing.assert_allclose(end, expected, rtol=1e-7, atol=1e-8)


@each_direction
@pytest.mark.parametrize("cut", [[12000], [4, 5000, 6000, 996], [3000] * 4])
def test_how_a_vector_is_cut_changes_nothing(direction, cut):
    (w,), gradients = problem([12000], steps=4)
    whole = parameters_of([w])
    expected = take_steps(SOFIM(whole, direction=direction, foreach=False), whole, gradients)
    bounds = np.cumsum(cut)[:-1]
    ps = parameters_of(np.split(w, bounds))
    groups = [{"params": ps[:1]}] + ([{"params": ps[1:]}] if ps[1:] else [])
    end = take_steps(SOFIM(groups, direction=direction), ps, [np.split(row[0], bounds) for row in gradients])
    np.testing.assert_allclose(end, expected, rtol=1e-11, atol=1e-13)


@each_direction
def test_large_rho_is_momentum_with_an_exponential_average(direction):
    c, rho, beta = 0.1, 1e12, 0.9
    (w,), gradients = problem([20])
    ps = parameters_of([w])
    end = take_steps(SOFIM(ps, lr=c * rho, rho=rho, beta=beta, direction=direction), ps, gradients)
    average = np.zeros(20)
    for t, (g,) in enumerate(gradients, 1):
        average = beta * average + (1 - beta) * g
        w = w - c * (average / (1 - beta**t) if direction == "momentum" else g)
    np.testing.assert_allclose(end, w, rtol=1e-9)


def test_the_momentum_step_collapses_to_a_rescaled_average():
    rho = 1e-3
    (_,), gradients = problem([50], steps=3)
    p = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    optimizer = SOFIM([p], rho=rho)
    take_steps(optimizer, [p], gradients[:-1])
    p.data.zero_()
    take_steps(optimizer, [p], gradients[-1:])
    m = optimizer.state[p]["moment"]
    torch.testing.assert_close(p.detach(), -m / (rho + m @ m), rtol=1e-13, atol=0)


@pytest.mark.parametrize("rho", [1e-4, 0.5, 9.0])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_no_momentum_step_leaves_the_trust_radius(rho, size):
    (_,), gradients = problem([30], steps=8)
    p = torch.nn.Parameter(torch.zeros(30, dtype=torch.float64))
    optimizer = SOFIM([p], lr=2.0, rho=rho)
    for row in gradients:
        p.data.zero_()
        take_steps(optimizer, [p], [[size * row[0]]])
        assert p.norm() <= 2.0 / (2 * rho**0.5) * (1 + 1e-12)


def test_the_trust_radius_is_reached():
    p = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    take_steps(SOFIM([p], rho=0.25), [p], [[np.full(4, 0.25)]])  # ‖m‖ = 0.5 = √ρ
    assert p.norm().item() == pytest.approx(1.0, rel=1e-14)


@each_direction
def test_maximize_ascends_where_its_mirror_descends(direction):
    (w,), gradients = problem([9])
    up, down = parameters_of([w]), parameters_of([w])
    options = {"direction": direction, "weight_decay": 0.1}
    left = take_steps(SOFIM(up, maximize=True, **options), up, gradients)
    right = take_steps(SOFIM(down, **options), down, [[-row[0]] for row in gradients])
    np.testing.assert_array_equal(left, right)


@each_direction
@each_kernel
def test_a_parameter_without_gradient_is_left_out(direction, foreach):
    ps = [torch.nn.Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(3)]
    optimizer = SOFIM(ps, direction=direction, foreach=foreach)
    take_steps(optimizer, ps, [[np.ones(3), None, np.ones(3)]])
    take_steps(optimizer, ps, [[None, None, np.ones(3)]])
    assert ps[1] not in optimizer.state
    assert torch.equal(ps[1].detach(), torch.ones(3, dtype=torch.float64))
    assert [optimizer.state[p]["step"] for p in (ps[0], ps[2])] == [1, 2]
    assert optimizer.state[ps[0]]["moment"].tolist() == [1.0] * 3


@each_direction
@each_kernel
def test_zero_gradients_on_a_fresh_optimizer_change_nothing(direction, foreach):
    (w,), _ = problem([5])
    ps = parameters_of([w])
    end = take_steps(SOFIM(ps, rho=1e-8, direction=direction, foreach=foreach), ps, [[np.zeros(5)]] * 3)
    np.testing.assert_array_equal(end, w)


@each_direction
def test_layouts_do_not_matter(direction):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(80, 50, 10, 10, generator=generator).double()  # longer than one piece
    gradients = [torch.randn(80, 50, 10, 10, generator=generator).double() for _ in range(3)]

    def run(prepare, prepare_gradient):
        p = torch.nn.Parameter(prepare(start.clone()))
        optimizer = SOFIM([p], direction=direction)
        for g in gradients:
            p.grad = prepare_gradient(g.clone())
            optimizer.step()
        return p.detach()

    def last(x):
        return x.contiguous(memory_format=torch.channels_last)

    def turned(x):
        return x.permute(3, 0, 1, 2).contiguous().permute(1, 2, 3, 0)

    expected = run(torch.clone, torch.clone)
    for prepare, prepare_gradient in ((last, last), (last, torch.clone), (turned, turned), (torch.clone, last)):
        torch.testing.assert_close(run(prepare, prepare_gradient), expected, rtol=1e-12, atol=1e-12)


@each_direction
@pytest.mark.parametrize("form", [{}, {"capturable": True}], ids=str)
def test_complex_parameters_are_pairs_of_reals(direction, form):
    generator = torch.Generator().manual_seed(0)
    z = torch.nn.Parameter(torch.randn(6, generator=generator, dtype=torch.complex128))
    x = torch.nn.Parameter(torch.view_as_real(z.detach()).clone())
    a, b = SOFIM([z], direction=direction, **form), SOFIM([x], direction=direction)
    for _ in range(3):
        z.grad = torch.randn(6, generator=generator, dtype=torch.complex128)
        x.grad = torch.view_as_real(z.grad).clone()
        a.step()
        b.step()
    torch.testing.assert_close(torch.view_as_real(z.detach()), x.detach(), rtol=1e-14, atol=0)
