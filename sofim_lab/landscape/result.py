"""What a slice leaves behind: one typed object, saved to and loaded from one file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sofim_lab.files import put_in_place
from sofim_lab.landscape.tree import Tree

_TREES = "tree"  # prefix of the arrays that hold origin and directions


@dataclass(frozen=True)
class Slice:
    """The loss (and accuracy) along one direction, or over the plane of two, around a point of parameter space.

        loss[j, i] = L(w + a_i D_1 + b_j D_2),    loss[i] = L(w + a_i D_1) where there is one direction

    Attributes:
        a: Coordinates along the first direction, shape (nx,), evenly spaced, float64.
        b: Coordinates along the second, shape (ny,); None for a 1-D slice.
        loss: Shape (ny, nx), or (nx,) for a 1-D slice, float64; nan where it was not finite.
        accuracy: Fraction of right answers, shaped as loss; None where it was not asked for.
        labels: What the directions are called.
        settings: What it was made with: directions, loss, samples, device, dtype, method, versions.
        seconds: Wall time of the evaluation.
        origin: The point w, as a tree; None where it was not kept.
        directions: The trees D_1 (and D_2); empty where they were not kept.
        constants: What else the model held, by name: frozen parameters and buffers, e.g. batch-norm statistics.

    Example:
        >>> picture = Slice(np.array([-1.0, 0.0, 1.0]), None, np.array([1.0, 0.5, np.nan]), labels=("random 1",))
        >>> picture.n_nonfinite, picture.minimum
        (1, (0.5, 0.0, None))
    """

    a: np.ndarray
    b: np.ndarray | None
    loss: np.ndarray
    accuracy: np.ndarray | None = None
    labels: tuple[str, ...] = ("a", "b")
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    origin: Tree | None = field(default=None, repr=False)
    directions: tuple[Tree, ...] = field(default=(), repr=False)
    constants: Tree = field(default_factory=dict, repr=False)

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """The coordinates along each direction: (a,) or (a, b)."""
        return (self.a,) if self.b is None else (self.a, self.b)

    @property
    def n_nonfinite(self) -> int:
        """Points at which the loss was infinite or not a number: gaps in a picture."""
        return int(np.isnan(self.loss).sum())

    @property
    def minimum(self) -> tuple[float, float, float | None] | None:
        """The lowest loss on the grid and its coordinates (loss, a, b); None if no point is finite."""
        if self.n_nonfinite == self.loss.size:
            return None
        place = np.unravel_index(int(np.nanargmin(self.loss)), self.loss.shape)
        return float(self.loss[place]), float(self.a[place[-1]]), None if self.b is None else float(self.b[place[0]])

    def to_frame(self) -> pd.DataFrame:
        """The points as a table, one row each, with columns a, b (2-D only), loss and, if it is there, accuracy."""
        if self.b is None:
            columns = {"a": self.a}
        else:
            a, b = np.meshgrid(self.a, self.b)
            columns = {"a": a.ravel(), "b": b.ravel()}
        columns["loss"] = self.loss.ravel()
        if self.accuracy is not None:
            columns["accuracy"] = self.accuracy.ravel()
        frame = pd.DataFrame(columns)
        frame.attrs["settings"] = dict(self.settings)
        return frame

    def save(self, path: str | Path) -> Path:
        """Write everything into one .npz file, origin, directions and buffers included; no pickle.

        The file is written whole or not at all.

        Args:
            path: Where to; the ending .npz is added if it is missing, folders are made.

        Returns:
            The path of the file.
        """
        path = Path(path)
        path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
        arrays = {name: getattr(self, name) for name in ("a", "b", "loss", "accuracy")}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        trees = [("constants", self.constants), *((str(k), tree) for k, tree in enumerate(self.directions))]
        trees += [] if self.origin is None else [("origin", self.origin)]
        dtypes: dict[str, str] = {}
        for key, tree in trees:
            for name, tensor in tree.items():
                place = f"{_TREES}/{key}/{name}"
                dtypes[place] = str(tensor.dtype).removeprefix("torch.")
                # numpy has no bfloat16; float32 holds every one of its numbers.
                arrays[place] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()
        meta = {"labels": self.labels, "settings": dict(self.settings), "seconds": self.seconds, "dtypes": dtypes}
        with put_in_place(path) as temporary, temporary.open("xb") as file:
            np.savez(file, meta=np.array(json.dumps(meta)), **arrays)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Slice":
        """Read what `save` wrote; the trees come back on the CPU.

        Args:
            path: The file.

        Raises:
            ValueError: The file holds no slice.
        """
        with np.load(Path(path), allow_pickle=False) as file:
            if not {"meta", "a", "loss"} <= set(file.files):
                raise ValueError(f"{path} holds no slice: it was not written by Slice.save")
            meta = json.loads(str(file["meta"]))
            fields: dict[str, Any] = {
                name: file[name] if name in file.files else None for name in ("a", "b", "loss", "accuracy")
            }
            trees: dict[str, Tree] = {}
            for place, dtype in meta["dtypes"].items():
                _, key, name = place.split("/", 2)
                tensor = torch.from_numpy(file[place]).to(getattr(torch, dtype))
                trees.setdefault(key, {})[name] = tensor
        origin, constants, labels = trees.pop("origin", None), trees.pop("constants", {}), tuple(meta["labels"])
        directions = tuple(trees[key] for key in sorted(trees, key=int))
        return cls(
            **fields,
            labels=labels,
            settings=meta["settings"],
            seconds=meta["seconds"],
            origin=origin,
            directions=directions,
            constants=constants,
        )
