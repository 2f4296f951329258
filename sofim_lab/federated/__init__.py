"""Federated training on one machine: simulated clients, real server optimizers, and the private variant."""

from sofim_lab.federated.account import composed_mu, gaussian_delta, gaussian_epsilon, noise_for
from sofim_lab.federated.clients import LocalWork, client_gradients
from sofim_lab.federated.compare import Comparison, compare, rounds_to
from sofim_lab.federated.federate import federate
from sofim_lab.federated.private import Privacy, clip_rows, private_gradient
from sofim_lab.federated.servers import Server, fed_adam, fed_avg, fed_avg_m, fed_ema, fed_sofim
from sofim_lab.federated.split import class_counts, dirichlet_split, unevenness

__all__ = [
    "Comparison",
    "LocalWork",
    "Privacy",
    "Server",
    "class_counts",
    "client_gradients",
    "clip_rows",
    "compare",
    "composed_mu",
    "dirichlet_split",
    "fed_adam",
    "fed_avg",
    "fed_avg_m",
    "fed_ema",
    "fed_sofim",
    "federate",
    "gaussian_delta",
    "gaussian_epsilon",
    "noise_for",
    "private_gradient",
    "rounds_to",
    "unevenness",
]
