"""Loss landscapes: directions, slices, paths and barriers in the space of a model's parameters."""

from sofim_lab.landscape.barrier import Barrier, barrier
from sofim_lab.landscape.directions import (
    Directions,
    difference_directions,
    gradient_direction,
    moment_direction,
    orthogonalise,
    random_directions,
)
from sofim_lab.landscape.directions_from import eigen_directions, principal_directions
from sofim_lab.landscape.normalisation import normalise
from sofim_lab.landscape.path import CommonPlane, Path, ProjectedPath, common_plane, project
from sofim_lab.landscape.quadratic import plane_curvatures, quadratic_model
from sofim_lab.landscape.rank_correlation import RankCorrelation, rank_correlation
from sofim_lab.landscape.recorder import PathRecorder, RacePaths
from sofim_lab.landscape.result import Slice
from sofim_lab.landscape.sharpness import Sharpness, sharpness
from sofim_lab.landscape.slices import refine, slice_1d, slice_2d
from sofim_lab.landscape.stops import Stop, StopWatch, stand_at, survey, watch_all
from sofim_lab.landscape.symmetries import matched, permuted, rescaled
from sofim_lab.landscape.tree import Tree, parameters

__all__ = [
    "Barrier",
    "CommonPlane",
    "Directions",
    "Path",
    "PathRecorder",
    "ProjectedPath",
    "RacePaths",
    "RankCorrelation",
    "Sharpness",
    "Slice",
    "Stop",
    "StopWatch",
    "Tree",
    "barrier",
    "common_plane",
    "difference_directions",
    "eigen_directions",
    "gradient_direction",
    "matched",
    "moment_direction",
    "normalise",
    "orthogonalise",
    "parameters",
    "permuted",
    "plane_curvatures",
    "principal_directions",
    "project",
    "quadratic_model",
    "random_directions",
    "rank_correlation",
    "refine",
    "rescaled",
    "sharpness",
    "slice_1d",
    "slice_2d",
    "stand_at",
    "survey",
    "watch_all",
]
