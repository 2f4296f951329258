"""Models of many kinds, and the naive loop that every way to compute a slice is held against."""

import copy
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from sofim_lab.landscape import random_directions

WIDE = torch.float64
CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.norm, self.leave = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x):
        return self.leave(x + torch.tanh(self.norm(self.enter(x))))


class Tied(nn.Module):
    """One weight in two places, the first of them the first layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.last(torch.relu(self.second(torch.relu(self.first(x)))))


class Gated(nn.Module):
    """The data go into the first layer and around it."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv1d(1, 1, 3, padding=1), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(x * self.conv(x[:, None])[:, 0])


class Scaled(nn.Module):
    """A parameter before the first layer, which the layer's input therefore moves with."""

    def __init__(self):
        super().__init__()
        self.scale, self.conv, self.last = nn.Parameter(torch.ones(6)), nn.Conv1d(1, 2, 3), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(self.conv((x * self.scale)[:, None]).flatten(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.last = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.read(x.view(-1, 3, 2))[0][:, -1])


def mlp(activation, *sizes):
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def cnn(norm=False):
    norms = [nn.BatchNorm2d(3)] if norm else []
    start = [nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 3, 2, padding=1), *norms, nn.ReLU()]
    return nn.Sequential(*start, nn.Conv2d(3, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))


def nested():
    head = nn.Sequential(nn.Flatten(), nn.Linear(6, 5, bias=False), nn.Sigmoid(), nn.Dropout(0.5))
    return nn.Sequential(head, nn.Sequential(nn.Linear(5, 4), nn.ELU()), nn.Identity(), nn.Linear(4, 3))


def half_frozen():
    model = mlp(nn.Tanh, 6, 5, 3)
    model[0].weight.requires_grad_(False)
    model[2].bias.requires_grad_(False)
    return model


MODELS = {
    "tanh": lambda: mlp(nn.Tanh, 6, 5, 3),
    "deep relu": lambda: mlp(nn.ReLU, 6, 7, 5, 4, 3),
    "gelu": lambda: mlp(nn.GELU, 6, 5, 3),
    "linear": lambda: nn.Linear(6, 3),
    "ends in tanh": lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh()),
    "nested": nested,
    "half frozen": half_frozen,
    "cnn": cnn,
    "cnn with batch norm": lambda: cnn(norm=True),
    "residual": Residual,
    "tied": Tied,
    "gated": Gated,
    "scaled": Scaled,
    "recurrent": Recurrent,
}


class Interrupted(nn.Module):
    """Raises after so many passes."""

    calls, limit, error = 0, 10**9, KeyboardInterrupt

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x):
        Interrupted.calls += 1
        if Interrupted.calls > Interrupted.limit:
            raise Interrupted.error("stop")
        return self.last(torch.relu(self.norm(self.first(x))))


def build(name, seed=0, dtype=WIDE):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS[name]().to(dtype)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2.0)
        return model


def data(loss_fn=CE, n=23, seed=1, dtype=WIDE):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=generator, dtype=dtype)
    if loss_fn is MSE:
        return x, torch.randn(n, 3, generator=generator, dtype=dtype)
    return x, torch.randint(0, 3, (n,), generator=generator)


def plane(model, seed=5):
    return random_directions(model, seed=seed, ignore=None)


@torch.no_grad()
def naive(model, loss_fn, batch, directions, a, b=(None,)):
    """Loss and accuracy by moving a copy in evaluation mode to one point after the other."""
    x, y = batch
    model = copy.deepcopy(model).eval()
    start = {name: p.clone() for name, p in model.named_parameters()}
    loss, right = np.empty((len(b), len(a))), np.empty((len(b), len(a)))
    for j, b_j in enumerate(b):
        for i, a_i in enumerate(a):
            for name, p in model.named_parameters():
                if name in directions.trees[0]:
                    second = 0 if b_j is None else b_j * directions.trees[1][name]
                    p.copy_(start[name] + a_i * directions.trees[0][name] + second)
            outputs = model(x)
            loss[j, i] = loss_fn(outputs, y).item()
            right[j, i] = (outputs.argmax(1) == y).double().mean().item() if y.dim() == 1 else np.nan
    return (loss[0], right[0]) if b[0] is None else (loss, right)


def snapshot(model):
    """Everything a model holds, bit for bit."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grads = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    flags = [(p.requires_grad, p.data_ptr()) for p in model.parameters()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in vars(m)) for m in model.modules()]
    modes = hooks, [m.training for m in model.modules()]
    return state, grads, flags, modes


def assert_untouched(model, before):
    state, grads, flags, modes = snapshot(model)
    assert all(torch.equal(state[name], before[0][name]) for name in before[0])
    assert all(g is h or torch.equal(g, h) for g, h in zip(grads, before[1], strict=True))
    assert (flags, modes) == before[2:]
