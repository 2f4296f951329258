"""Small problems for Newton and natural gradients, and what they are held against: plain autograd, dense solves."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector

WIDE = torch.float64
NETWORKS = [(sizes, seed) for sizes in ((2, 4, 1), (3, 5, 2), (2, 3, 3, 1), (4, 6, 3)) for seed in range(3)]


def tanh_network(sizes=(3, 5, 2), seed=0, n=20, loss_fn=None, dtype=WIDE):
    """A model with tanh between its layers, and random data for it: (model, x, y)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.Tanh())]
        model = nn.Sequential(*layers[:-1]).to(dtype)
        x = torch.randn(n, sizes[0], dtype=dtype)
        if isinstance(loss_fn, nn.CrossEntropyLoss):
            return model, x, torch.randint(0, sizes[-1], (n,))
        return model, x, torch.randn(n, sizes[-1], dtype=dtype)


def loss_closure(model, x, y, loss_fn=None, decay=0.0):
    """The loss, without backward."""
    loss_fn = loss_fn or nn.MSELoss()
    return lambda: loss_fn(model(x), y) + decay * sum(p.square().sum() for p in model.parameters())


def pair_closure(model, x, y, loss_fn):
    """The loss and the outputs."""

    def closure():
        outputs = model(x)
        return loss_fn(outputs, y), outputs

    return closure


def counted(closure):
    """The closure, with the number of its calls as `calls`, and how many of them had gradients enabled."""

    def counting():
        counting.calls += 1
        counting.with_graph += torch.is_grad_enabled()
        return closure()

    counting.calls = counting.with_graph = 0
    return counting


def quadratic(H, g, w=None):
    """L(w) = gᵀw + ½ wᵀHw from w = 0, or another start."""
    H, g = torch.as_tensor(H, dtype=WIDE), torch.as_tensor(g, dtype=WIDE)
    w = nn.Parameter(torch.zeros_like(g) if w is None else torch.as_tensor(w, dtype=WIDE))
    return w, lambda: g @ w + 0.5 * w @ H @ w


def vector(params):
    return parameters_to_vector(list(params)).detach().clone()


def derivatives(loss, params):
    """Gradient and Hessian by plain autograd, entry by entry."""
    params = list(params)
    slopes = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True, materialize_grads=True)
    gradient = torch.cat([s.reshape(-1) for s in slopes])
    rows = [
        torch.cat([r.reshape(-1) for r in torch.autograd.grad(g, params, retain_graph=True, materialize_grads=True)])
        if g.requires_grad
        else torch.zeros_like(gradient)
        for g in gradient
    ]
    return gradient.detach(), torch.stack(rows).detach()
