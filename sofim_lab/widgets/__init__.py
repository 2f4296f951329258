"""Explorers for the lessons: pure state → compute → render chains behind ipywidgets."""

from sofim_lab.widgets.barrier import barrier_explorer
from sofim_lab.widgets.benchmark import target_explorer
from sofim_lab.widgets.explorer import Explorer, Goal
from sofim_lab.widgets.federated import clients_explorer
from sofim_lab.widgets.fisher_matrices import drawn_labels_explorer, four_matrices_explorer
from sofim_lab.widgets.loss_landscape import lens_explorer, plane_explorer
from sofim_lab.widgets.natural_gradient import (
    bernoulli_pair_explorer,
    gaussian_pair_explorer,
    reparametrisation_explorer,
)
from sofim_lab.widgets.newton import quadratic_explorer, surface_explorer
from sofim_lab.widgets.one_step import one_step_explorer
from sofim_lab.widgets.private import private_explorer
from sofim_lab.widgets.race import race_explorer
from sofim_lab.widgets.regularized_fim import dial_explorer, proxy_explorer
from sofim_lab.widgets.sharded import parts_explorer
from sofim_lab.widgets.sherman_morrison import derivation_explorer, spectrum_explorer
from sofim_lab.widgets.sofim import sofim_digits_explorer, sofim_path_explorer

__all__ = [
    "Explorer",
    "Goal",
    "barrier_explorer",
    "bernoulli_pair_explorer",
    "clients_explorer",
    "derivation_explorer",
    "dial_explorer",
    "drawn_labels_explorer",
    "four_matrices_explorer",
    "gaussian_pair_explorer",
    "lens_explorer",
    "one_step_explorer",
    "parts_explorer",
    "plane_explorer",
    "private_explorer",
    "proxy_explorer",
    "quadratic_explorer",
    "race_explorer",
    "reparametrisation_explorer",
    "sofim_digits_explorer",
    "sofim_path_explorer",
    "spectrum_explorer",
    "surface_explorer",
    "target_explorer",
]
