"""Models, losses and the naive double loops that the curvature code is held against: plain autograd, nothing shared."""

from itertools import pairwise

import torch
from torch import nn

WIDE = torch.float64
CLASSES = 3


def seeded(build, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().to(WIDE)


def mlp(activation, sizes=(4, 5, CLASSES)):
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers[:-1])


def conv():
    return nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(8, CLASSES))


MODELS = {
    "tanh": (lambda: mlp(nn.Tanh), (4,)),
    "relu": (lambda: mlp(nn.ReLU, (4, 6, 5, CLASSES)), (4,)),
    "conv": (conv, (1, 6, 6)),
}
LOSSES = [kind(reduction=r) for kind in (nn.CrossEntropyLoss, nn.MSELoss) for r in ("mean", "sum")]


def loss_name(loss_fn):
    return f"{type(loss_fn).__name__}-{loss_fn.reduction}"


def data(loss_fn, shape=(4,), n=7, classes=CLASSES, seed=1, dtype=WIDE):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=generator, dtype=dtype)
    if isinstance(loss_fn, nn.CrossEntropyLoss):
        return x, torch.randint(0, classes, (n,), generator=generator)
    return x, torch.randn(n, classes, generator=generator, dtype=dtype)


def weights_of(model):
    return [p for p in model.parameters() if p.requires_grad]


def slope(scalar, weights, **options):
    parts = torch.autograd.grad(scalar, weights, allow_unused=True, retain_graph=True, **options)
    return torch.cat([(torch.zeros_like(w) if s is None else s).flatten() for s, w in zip(parts, weights, strict=True)])


def factor(loss_fn, n, outputs):
    if loss_fn.reduction == "sum":
        return 1.0
    return 1 / (n * outputs) if isinstance(loss_fn, nn.MSELoss) else 1 / n


def sample_loss(loss_fn, f, label):
    if isinstance(loss_fn, nn.MSELoss):
        return ((f - label) ** 2).sum()
    return -torch.log(torch.exp(f[label]) / torch.exp(f).sum())


def labels_of_the_model(loss_fn, f):
    """Labels and probabilities with the mean and covariance of the likelihood: classes, or points f ± √(C/2) e_c."""
    outputs = len(f)
    if isinstance(loss_fn, nn.CrossEntropyLoss):
        return [(c, float(torch.softmax(f.detach(), 0)[c])) for c in range(outputs)]
    spread = (outputs / 2) ** 0.5 * torch.eye(outputs, dtype=f.dtype)
    return [(f.detach() + sign * e, 1 / (2 * outputs)) for e in spread for sign in (1, -1)]


def naive_fisher(model, loss_fn, x, y=None):
    weights, total = weights_of(model), 0
    for sample in x:
        f = model(sample[None])[0]
        for label, probability in labels_of_the_model(loss_fn, f):
            g = slope(sample_loss(loss_fn, f, label), weights)
            total = total + probability * torch.outer(g, g)
    return total * factor(loss_fn, len(x), len(f))


def naive_empirical_fisher(model, loss_fn, x, y):
    weights, total = weights_of(model), 0
    for sample, label in zip(x, y, strict=True):
        f = model(sample[None])[0]
        g = slope(sample_loss(loss_fn, f, label), weights)
        total = total + torch.outer(g, g)
    return total * factor(loss_fn, len(x), len(f))


def naive_ggn(model, loss_fn, x, y):
    weights, total = weights_of(model), 0
    for sample, label in zip(x, y, strict=True):
        f = model(sample[None])[0]
        jacobian = torch.stack([slope(output, weights) for output in f])
        middle = torch.autograd.functional.hessian(lambda z, t=label: sample_loss(loss_fn, z, t), f.detach())
        total = total + jacobian.T @ middle @ jacobian
    return total * factor(loss_fn, len(x), len(f))


def naive_hessian(model, loss_fn, x, y):
    weights = weights_of(model)
    gradient = slope(loss_fn(model(x), y), weights, create_graph=True)
    return torch.stack([slope(entry, weights) for entry in gradient])


def error(left, right):
    """Largest difference, relative to the largest entry of the right side."""
    return float((left - right).abs().max() / right.abs().max())
