"""SOFIM's further options: each against the plain form, or against what it says it does."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from sofim_lab import SOFIM

SHAPES = [(3, 4), (5,), (20_000,), (7,)]
VARIANTS = {
    "momentum": {},
    "gradient": {"direction": "gradient"},
    "stiff": {"direction": "gradient", "rho": 1e-3},
    "L2": {"weight_decay": 0.1},
    "L2, gradient, ascent": {"weight_decay": 0.1, "direction": "gradient", "maximize": True},
    "decoupled": {"weight_decay": 0.1, "decoupled_weight_decay": True, "direction": "gradient"},
    "each tensor": {"blocks": "tensor", "direction": "gradient"},
    "no memory": {"beta": 0.0, "direction": "gradient"},
}
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def parameters(dtype=torch.float64, device="cpu"):
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape, dtype=torch.float64).to(device, dtype)) for shape in SHAPES]


def walk(ps, optimizer, steps=5, step=None):
    """Steps on fixed gradients; the second tensor has one only every other time."""
    generator = torch.Generator().manual_seed(1)
    for k in range(steps):
        for i, p in enumerate(ps):
            g = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.device, p.dtype)
            p.grad = None if i == 1 and k % 2 else g
        (step or optimizer.step)()
    return torch.cat([p.detach().double().reshape(-1) for p in ps])


def end(dtype=torch.float64, device="cpu", **options):
    ps = parameters(dtype, device)
    return walk(ps, SOFIM(ps, **{"lr": 0.1} | options))


# Forms of the step that must agree


@each_variant
@pytest.mark.parametrize(
    "form",
    [{"capturable": True}, {"nonfinite": "skip"}, {"nonfinite": "skip", "capturable": True}, {"diagnostics": True},
     {"foreach": True}, {"foreach": False}, {"lr": torch.tensor(0.1, dtype=torch.float64), "capturable": True}],
    ids=str,
)  # fmt: skip
def test_all_forms_of_the_step_agree(variant, form):
    options = VARIANTS[variant]
    torch.testing.assert_close(end(**options | form), end(**options), rtol=1e-12, atol=1e-11)


@each_variant
def test_the_step_can_be_differentiated(variant):
    options = {"lr": 0.1, "differentiable": True} | VARIANTS[variant]

    def two_steps(w, g, lr):
        p = w.clone()
        optimizer = SOFIM([p], **options | {"lr": lr})
        for scale in (1.0, 0.7):
            p.grad = scale * g + g.flip(0).square()
            optimizer.step()
        return p

    generator = torch.Generator().manual_seed(0)
    w, g = (torch.randn(5, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    lr = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    plain = nn.Parameter(w.detach().clone())
    optimizer = SOFIM([plain], **options | {"differentiable": False})
    for scale in (1.0, 0.7):
        plain.grad = (scale * g + g.flip(0).square()).detach()
        optimizer.step()
    torch.testing.assert_close(two_steps(w, g, lr).detach(), plain.detach(), rtol=1e-12, atol=1e-13)
    assert torch.autograd.gradcheck(two_steps, (w, g, lr))


@pytest.mark.parametrize("variant", ["momentum", "gradient", "decoupled"])
def test_a_compiled_step_is_one_graph_and_the_same_step(variant):
    options = {"lr": 0.1} | VARIANTS[variant]
    graphs = []

    def count(graph, _):
        graphs.append(graph)
        return graph

    torch._dynamo.reset()
    ps = parameters()
    optimizer = SOFIM(ps, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the profiler's scope, which is left out of the graph
        found = walk(ps, optimizer, step=torch.compile(lambda: optimizer.step(), backend=count, fullgraph=True))
    torch.testing.assert_close(found, end(**options), rtol=1e-12, atol=1e-12)
    assert len(graphs) <= 6  # at most two states of each set of gradients, not one a step
    assert torch.isfinite(walk(ps, optimizer)).all()  # and back to the step that is not compiled


def test_capturable_keeps_its_counts_on_the_device():
    ps = [nn.Parameter(torch.empty(n, device="meta")) for n in (3, 70_000)]
    for options in VARIANTS.values():
        optimizer = SOFIM(ps, capturable=True, nonfinite="skip", diagnostics=True, **options)
        for _ in range(2):
            for p in ps:
                p.grad = torch.empty_like(p)
            optimizer.step()  # reading a value on the meta device raises
        assert optimizer.state[ps[0]]["step"].device.type == "meta"


@pytest.mark.gpu
@each_variant
def test_a_cuda_graph_replays_the_step(variant):
    options = {"lr": 0.1, "capturable": True} | VARIANTS[variant]
    ps, qs = parameters(device="cuda"), parameters(device="cuda")
    captured, plain = SOFIM(ps, **options), SOFIM(qs, **options)
    for p, q in zip(ps, qs, strict=True):
        p.grad, q.grad = torch.ones_like(p), torch.ones_like(q)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        captured.step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured.step()
    plain.step()
    for k in range(3):
        for p, q in zip(ps, qs, strict=True):
            p.grad.fill_(k - 0.3)
            q.grad.fill_(k - 0.3)
        graph.replay()
        plain.step()
    for p, q in zip(ps, qs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)


# Blocks and decay


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
def test_tensor_blocks_are_optimizers_of_their_own(direction):
    alone = parameters()
    several = [SOFIM([p], lr=0.1, direction=direction) for p in alone]
    expected = walk(alone, None, step=lambda: [optimizer.step() for optimizer in several])
    torch.testing.assert_close(end(blocks="tensor", direction=direction), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("maximize", [False, True])
def test_decoupled_decay_shrinks_and_leaves_the_gradient_alone(maximize):
    p = nn.Parameter(torch.tensor([2.0, -4.0], dtype=torch.float64))
    optimizer = SOFIM([p], lr=0.5, rho=1.0, weight_decay=0.2, decoupled_weight_decay=True, maximize=maximize)
    p.grad = torch.tensor([3.0, 0.0], dtype=torch.float64)
    optimizer.step()
    step = 0.5 * 3 / (1 + 9) * (1 if maximize else -1)
    assert p.tolist() == pytest.approx([2 * 0.9 + step, -4 * 0.9])
    assert optimizer.state[p]["moment"].tolist() == [3, 0]


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
def test_equal_groups_are_one_group(direction):
    ps, qs = parameters(), parameters()
    together = walk(ps, SOFIM(ps, lr=0.1, direction=direction))
    apart = walk(qs, SOFIM([{"params": [q]} for q in qs], lr=0.1, direction=direction))
    torch.testing.assert_close(apart, together, rtol=1e-13, atol=1e-13)


def test_a_rate_of_zero_averages_and_stays():
    ps = parameters()
    before = torch.cat([p.detach().reshape(-1) for p in ps])
    assert torch.equal(walk(ps, SOFIM(ps, lr=0.0, direction="gradient")), before)


# Precision and dtypes


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("variant", ["momentum", "gradient", "L2", "decoupled"])
@pytest.mark.parametrize("form", [{}, {"capturable": True}], ids=str)
def test_low_precision_parameters_have_float32_moments(dtype, variant, form):
    ps = parameters(dtype)
    optimizer = SOFIM(ps, **{"lr": 0.1} | VARIANTS[variant] | form)
    one = walk(ps, optimizer, steps=1)
    qs = parameters(dtype)
    exact = [nn.Parameter(q.detach().double()) for q in qs]
    for q, e in zip(qs, exact, strict=True):
        e.grad = q.grad
    generator = torch.Generator().manual_seed(1)
    for e in exact:
        e.grad = torch.randn(e.shape, generator=generator, dtype=torch.float64).to(dtype).double()
    SOFIM(exact, **{"lr": 0.1} | VARIANTS[variant]).step()
    true = torch.cat([e.detach().reshape(-1) for e in exact])
    rounding = torch.finfo(dtype).eps * (1.5 if "decoupled" in variant else 0.5)  # half a place for each operation
    assert ((one - true).abs() <= rounding * true.abs().clamp_min(1e-2) * 1.01).all()
    walk(ps, optimizer)
    assert {optimizer.state[p]["moment"].dtype for p in ps} == {torch.float32}


def test_one_model_of_several_dtypes():
    ps = parameters()
    mixed = [nn.Parameter(p.detach().to(t)) for p, t in zip(ps, [torch.float64, torch.bfloat16, torch.float32, torch.float64], strict=True)]  # fmt: skip  # noqa: E501
    for p, q in zip(ps, mixed, strict=True):
        q.grad = torch.ones_like(q)
        p.grad = torch.ones_like(p)
    SOFIM(ps, lr=10.0).step()
    SOFIM(mixed, lr=10.0).step()
    for p, q in zip(ps, mixed, strict=True):
        torch.testing.assert_close(q.double(), p.detach(), rtol=1e-2 if q.dtype == torch.bfloat16 else 1e-6, atol=1e-6)


def test_a_grad_scaler_changes_nothing_but_leaves_bad_steps_out():
    ends = []
    for scaled in (False, True):
        p = nn.Parameter(torch.arange(4.0))
        optimizer = SOFIM([p], lr=0.3)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
        for scale in (1.0, float("inf"), 0.5):
            if not scaled and scale == float("inf"):
                continue
            optimizer.zero_grad()
            scaler.scale((p.sin() * scale).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        ends.append(p.detach())
    torch.testing.assert_close(*ends)


# Numbers that are not finite


def poisoned(options, bad=float("nan"), steps=2):
    ps = parameters()
    optimizer = SOFIM([("a", ps[0]), ("b", ps[1]), ("c", ps[2]), ("d", ps[3])], lr=0.1, **options)
    walk(ps, optimizer, steps)
    before = copy.deepcopy([(p.detach(), dict(optimizer.state[p])) for p in ps])
    for p in ps:
        p.grad = torch.ones_like(p)
    ps[2].grad[777] = bad
    return ps, optimizer, before


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "options", [{}, {"nonfinite": "raise", "blocks": "tensor"}, {"direction": "gradient"}], ids=str
)
def test_on_the_cpu_a_bad_gradient_raises_before_a_parameter_moves(options, bad):
    ps, optimizer, before = poisoned(options, bad)
    with pytest.raises(FloatingPointError, match=r"gradient of c is not finite \(1 of 20000 numbers.*nonfinite=.skip"):
        optimizer.step()
    for p, (value, _) in zip(ps, before, strict=True):
        assert torch.equal(p.detach(), value)
    assert ps[2] not in optimizer.state  # its average starts afresh
    ps[2].grad.fill_(1.0)
    optimizer.step()
    assert all(torch.isfinite(p).all() for p in ps)


def test_a_bad_moment_is_told_from_a_bad_gradient():
    ps, optimizer, _ = poisoned({}, bad=1.0)
    optimizer.state[ps[2]]["moment"][3] = float("inf")
    before = [p.detach().clone() for p in ps]
    with pytest.raises(FloatingPointError, match="gradients of this process are: look at the parameters and at"):
        optimizer.step()
    assert all(torch.equal(p, value) for p, value in zip(ps, before, strict=True))


@pytest.mark.parametrize(
    "options", [{}, {"capturable": True}, {"direction": "gradient"}, {"blocks": "tensor"}], ids=str
)
def test_skip_leaves_everything_as_it_was(options):
    ps, optimizer, before = poisoned({"nonfinite": "skip", "weight_decay": 0.1, **options})
    optimizer.step()
    for p, (value, state) in zip(ps, before, strict=True):
        assert torch.equal(p.detach(), value)
        assert torch.equal(optimizer.state[p]["moment"], state["moment"])
        assert optimizer.state[p]["step"] == state["step"]
    ps[2].grad.fill_(1.0)
    optimizer.step()
    assert not torch.equal(ps[0].detach(), before[0][0])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("options", [{}, {"direction": "gradient"}], ids=str)
def test_propagate_is_loud(options, bad):
    ps, optimizer, _ = poisoned({"nonfinite": "propagate", **options}, bad)
    optimizer.step()
    assert all(torch.isnan(p).all() for p in ps)  # not one of them stays as if nothing had happened


def test_a_captured_step_cannot_raise():
    with pytest.raises(ValueError, match="nonfinite must be 'skip' or 'propagate' where capturable=True"):
        SOFIM([nn.Parameter(torch.ones(2))], capturable=True, nonfinite="raise")


def test_gradients_whose_squares_overflow_are_no_error():
    for direction in ("momentum", "gradient"):
        p = nn.Parameter(torch.ones(50_000))
        optimizer = SOFIM([p], direction=direction)
        for k in range(3):
            p.grad = torch.full_like(p, 1e22) * (1 + 0.1 * k)
            optimizer.step()
        assert torch.isfinite(p).all()


# Diagnostics


@pytest.mark.parametrize("form", [{}, {"capturable": True}], ids=str)
@pytest.mark.parametrize("variant", ["momentum", "gradient", "L2", "L2, gradient, ascent"])
def test_records_say_what_the_step_was(variant, form):
    ps = parameters()
    optimizer = SOFIM(ps, lr=0.1, diagnostics=True, **VARIANTS[variant] | form)
    walk(ps, optimizer, steps=3)
    before = torch.cat([p.detach().reshape(-1) for p in ps])
    walk(ps, optimizer, steps=1)  # all have a gradient in a first step
    after = torch.cat([p.detach().reshape(-1) for p in ps])
    m = torch.cat([optimizer.state[p]["moment"].reshape(-1) for p in ps])
    g = torch.cat([p.grad.reshape(-1) for p in ps])
    record = optimizer.records[-1]
    assert len(optimizer.records) == 4
    assert all(x.shape == () and x.device == ps[0].device for x in record)
    assert record.moment_norm.item() == pytest.approx(m.norm().item())
    assert record.step_length.item() == pytest.approx((after - before).norm().item(), rel=1e-9)
    assert record.cosine.item() == pytest.approx((m @ g / m.norm() / g.norm()).item())
    assert len(copy.deepcopy(optimizer).records) == 4


def test_zero_gradients_have_no_angle():
    p = nn.Parameter(torch.ones(3))
    optimizer = SOFIM([p], diagnostics=True)
    p.grad = torch.zeros(3)
    optimizer.step()
    assert [x.item() for x in optimizer.records[0]] == [0, 0, 0]


# Memory


@pytest.mark.parametrize("direction", ["momentum", "gradient"])
@pytest.mark.parametrize("nearly_parallel", [False, True])
@pytest.mark.parametrize(
    "shapes", [[(784, 1024), (1024,), (1024, 180), (180, 100)], [(50, 50)] * 400], ids=["6", "400"]
)
def test_a_step_needs_next_to_no_memory(shapes, direction, nearly_parallel):
    """At most 0.05 words a parameter beside the state, also where the accurate form is taken."""
    ps = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    optimizer = SOFIM(ps, lr=1e-3, rho=1e-3, direction=direction)
    for k in range(3):
        for p in ps:
            p.grad = torch.randn_like(p) * (1e-3 if nearly_parallel and k else 1) + (1 if nearly_parallel else 0)
        if k < 2:
            optimizer.step()
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        optimizer.step()
    changes = [e for e in profile.kineto_results.events() if e.name() == "[memory]"]
    now = np.cumsum([e.nbytes() for e in sorted(changes, key=lambda e: e.start_ns())])
    assert now.max() > 0
    assert now.max() <= 0.05 * 4 * sum(p.numel() for p in ps)
