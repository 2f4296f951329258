"""Independent, naive SOFIM in float64: whole matrices, numpy, nothing shared with the library."""

import numpy as np
import torch


def dense_sofim(w, gradients, *, sizes, lr, beta, rho, direction, weight_decay=0.0, maximize=False):
    """The trajectory's end, F = m mᵀ + diag(ρ) built and solved; a gradient of None leaves its block out.

    `gradients[t][b]` is the gradient of block b in step t; lr, beta, rho, weight_decay are numbers or one per block.
    """
    blocks = len(sizes)
    lr, beta, rho, weight_decay = (np.broadcast_to(x, blocks).astype(float) for x in (lr, beta, rho, weight_decay))
    w = [np.array(x, dtype=float).ravel() for x in w]
    average, count = [np.zeros(n) for n in sizes], [0] * blocks
    for row in gradients:
        active = [b for b in range(blocks) if row[b] is not None]
        if not active:
            continue
        g, m = [], []
        for b in active:
            value = np.array(row[b], dtype=float).ravel() * (-1 if maximize else 1) + weight_decay[b] * w[b]
            average[b] = beta[b] * average[b] + (1 - beta[b]) * value
            count[b] += 1
            g.append(value)
            m.append(average[b] / (1 - beta[b] ** count[b]))
        mean = np.concatenate(m)
        fisher = np.outer(mean, mean) + np.diag(np.concatenate([np.full(sizes[b], rho[b]) for b in active]))
        x = np.linalg.solve(fisher, mean if direction == "momentum" else np.concatenate(g))
        for b in active:
            w[b] = w[b] - lr[b] * x[: sizes[b]]
            x = x[sizes[b] :]
    return np.concatenate(w)


def take_steps(optimizer, parameters, gradients):
    """Feed the optimizer given gradients, one row a step; returns all parameters as one numpy vector."""
    for row in gradients:
        for p, g in zip(parameters, row, strict=True):
            p.grad = None if g is None else torch.as_tensor(g, dtype=p.dtype).reshape(p.shape).clone()
        optimizer.step()
    return np.concatenate([p.detach().numpy().ravel() for p in parameters])
