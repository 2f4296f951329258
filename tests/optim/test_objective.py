"""A closure's loss, gradient and Hessian products, against plain autograd; and what a closure may get wrong."""

import pytest
import torch
from second_order_cases import WIDE, derivatives, loss_closure, tanh_network, vector
from torch import nn

from sofim_lab.optim._exact.objective import Objective, assign, evaluate, flatten


def objective(closure, *params):
    return Objective(closure, params, owner="Newton")


@pytest.mark.parametrize("sizes", [(3, 5, 2), (2, 3, 3, 1), (1, 1), (4, 9, 2)])
def test_value_gradient_and_hessian_are_those_of_plain_autograd(sizes):
    model, x, y = tanh_network(sizes)
    closure = loss_closure(model, x, y, decay=0.01)
    here = objective(closure, *model.parameters())
    g, H = derivatives(closure(), model.parameters())
    assert here.loss.item() == closure().item()
    assert here.loss.shape == ()
    assert not here.loss.requires_grad
    assert not here.gradient.requires_grad
    torch.testing.assert_close(here.gradient, g, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(here.hessian(), H, rtol=1e-11, atol=1e-13)
    assert torch.equal(here.hessian(), here.hessian().mT)


@pytest.mark.parametrize("columns", [None, 1, 2, 40])
def test_products_with_vectors_and_matrices(columns):
    """40 columns go through the graph in two portions."""
    model, x, y = tanh_network()
    closure = loss_closure(model, x, y)
    here = objective(closure, *model.parameters())
    _, H = derivatives(closure(), model.parameters())
    v = torch.randn(len(H), *([] if columns is None else [columns]), dtype=WIDE)
    assert here.hvp(v).shape == v.shape
    torch.testing.assert_close(here.hvp(v), H @ v, rtol=1e-11, atol=1e-13)


def test_float32_parameters_give_a_float64_matrix_and_products_on_request():
    model, x, y = tanh_network(dtype=torch.float32)
    here = objective(loss_closure(model, x, y), *model.parameters())
    assert here.hessian().dtype == torch.float32
    assert here.hessian(torch.float64).dtype == torch.float64
    assert here.hvp(torch.ones(len(here.gradient), dtype=torch.float64)).dtype == torch.float64


def test_parameters_that_the_loss_does_not_reach_have_zeros():
    u, v = (nn.Parameter(torch.tensor([1.0, 2.0], dtype=WIDE)) for _ in range(2))
    here = objective(lambda: (v**3).sum(), u, v)
    assert here.gradient.tolist() == [0, 0, 3, 12]
    assert torch.equal(here.hessian(), torch.diag(torch.tensor([0, 0, 6, 12], dtype=WIDE)))


def test_a_loss_that_is_linear_has_no_curvature():
    p = nn.Parameter(torch.ones(3))
    assert not objective(lambda: p.sum(), p).hessian().any()


def test_what_else_the_closure_returns_is_kept():
    p = nn.Parameter(torch.ones(3))
    assert objective(lambda: (p.sum(), "outputs"), p).output == "outputs"
    assert objective(lambda: p.sum(), p).output is None


def test_it_works_where_gradients_are_switched_off_and_leaves_grad_alone():
    p = nn.Parameter(torch.ones(3))
    p.grad = torch.full((3,), 7.0)
    with torch.no_grad():
        assert objective(lambda: p.square().sum(), p).gradient.tolist() == [2, 2, 2]
    assert p.grad.tolist() == [7, 7, 7]


class Guarded(torch.autograd.Function):
    """x², with a backward pass that looks at values, which `vmap` cannot."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, slope):
        assert slope.isfinite().all().item()
        (x,) = ctx.saved_tensors
        return 2 * x * slope


def test_models_without_batching_rule_are_differentiated_one_vector_at_a_time():
    p = nn.Parameter(torch.tensor([1.0, 2.0, 3.0], dtype=WIDE))

    def closure():
        return Guarded.apply(Guarded.apply(p)).sum()

    here = objective(closure, p)
    with pytest.raises(RuntimeError):
        here._hessian_rows(torch.eye(3, dtype=WIDE))
    assert torch.equal(here.hessian(), torch.diag(12 * p.detach().square()))
    assert torch.equal(here.hvp(torch.eye(3, dtype=WIDE)), here.hessian())


def test_attention_has_second_derivatives_here():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = nn.TransformerEncoderLayer(4, 2, 4, dropout=0.0, batch_first=True), torch.randn(2, 3, 4)
    here = objective(lambda: model(x).square().sum(), *model.parameters())
    assert here.hessian().isfinite().all()


def test_flat_vectors_and_parameters():
    model, _, _ = tanh_network()
    flat = flatten(list(model.parameters()))
    assert torch.equal(flat, vector(model.parameters()))
    assign(list(model.parameters()), flat + 1)
    assert torch.equal(vector(model.parameters()), flat + 1)
    assert all(p.requires_grad for p in model.parameters())


def detached(p):
    return p.detach().sum().requires_grad_()


def called_backward(p):
    loss = p.square().sum()
    loss.backward()
    return loss


WRONG = {
    "no closure": (None, TypeError, "Newton.step needs a closure, got NoneType"),
    "nothing": (lambda p: lambda: None, TypeError, "returned None: return the loss, without calling backward"),
    "a number": (
        lambda p: lambda: p.sum().item(),
        TypeError,
        "returned float as the loss: return a tensor",
    ),
    "a triple": (lambda p: lambda: (p.sum(), 1, 2), TypeError, "returned tuple as the loss"),
    "a pair the wrong way": (lambda p: lambda: ("outputs", p.sum()), TypeError, "returned str as the loss"),
    "a vector": (lambda p: lambda: p * 1, ValueError, r"loss of shape \(2,\).*losses.mean\(\)"),
    "an integer": (lambda p: lambda: torch.tensor(3), ValueError, "torch.int64: return one real number"),
    "a constant": (lambda p: lambda: torch.tensor(3.0), ValueError, "does not depend on the optimizer's parameters"),
    "another's loss": (lambda p: lambda: detached(p), ValueError, "does not depend on the optimizer's parameters"),
    "backward inside": (lambda p: lambda: called_backward(p), RuntimeError, "called backward: return the loss without"),
    "nan": (lambda p: lambda: (p * torch.nan).sum(), ValueError, "the loss is nan at the present parameters"),
    "an infinite slope": (lambda p: lambda: (p - 1).sqrt().sum(), ValueError, "the gradient is not finite"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_closure_that_returns_something_else_is_told_so(wrong):
    make, error, message = WRONG[wrong]
    p = nn.Parameter(torch.ones(2))
    with pytest.raises(error, match=message):
        objective(make and make(p), p)
    assert torch.equal(p, torch.ones(2))


def test_a_loss_of_shape_one_counts():
    p = nn.Parameter(torch.ones(2))
    assert objective(lambda: p.sum().reshape(1), p).loss.shape == ()


def test_errors_of_the_closure_itself_come_through():
    p = nn.Parameter(torch.ones(2))
    with pytest.raises(ZeroDivisionError):
        objective(lambda: p.sum() * (1 // 0), p)

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, grad):
            raise RuntimeError("a mistake of its own")

    with pytest.raises(RuntimeError, match=r"^a mistake of its own$"):
        objective(lambda: Broken.apply(p), p)
    assert evaluate(lambda: p.sum(), "Newton")[0].item() == 2
