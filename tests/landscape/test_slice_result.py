"""The result: one file that brings everything back, a table, the minimum."""

import json
import zipfile

import numpy as np
import pytest
import torch
from slice_cases import CE, assert_untouched, build, data, plane, snapshot

from sofim_lab.landscape import Directions, Slice, slice_1d, slice_2d
from sofim_lab.landscape.tree import parameters


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("accuracy", [False, True])
@pytest.mark.parametrize("flat", [False, True])
def test_one_file_brings_everything_back(flat, accuracy, dtype, tmp_path):
    model = build("cnn", dtype=dtype)
    x, y = data(dtype=dtype)
    cut = slice_1d if flat else slice_2d
    directions = plane(model)[:1] if flat else plane(model)
    made = cut(model, CE, (x, y), directions, points=4, accuracy=accuracy, progress=False)
    path = made.save(tmp_path / "deep.slice")
    assert path.name == "deep.slice.npz"
    back = Slice.load(path)
    for name in ("a", "b", "loss", "accuracy"):
        left, right = getattr(made, name), getattr(back, name)
        assert (left is None) is (right is None)
        if left is not None:
            assert left.dtype == right.dtype == np.float64
            assert left.tobytes() == right.tobytes()
    assert (back.labels, back.seconds) == (made.labels, made.seconds)
    assert back.settings == json.loads(json.dumps(dict(made.settings)))
    for left, right in zip((made.origin, *made.directions), (back.origin, *back.directions), strict=True):
        assert list(left) == list(right)
        assert all(left[name].dtype == right[name].dtype == dtype for name in left)
        assert all(torch.equal(left[name], right[name]) for name in left)
    with zipfile.ZipFile(path) as file:
        assert not any(b"pickle" in file.read(name)[:200] for name in file.namelist())


def test_a_saved_slice_can_be_made_again(tmp_path):
    model = build("tanh")
    made = slice_2d(model, CE, data(), plane(model), points=5, progress=False)
    back = Slice.load(made.save(tmp_path / "plane.npz"))
    again = slice_2d(
        build("tanh", seed=7),
        CE,
        data(),
        Directions(back.directions, back.labels),
        origin=back.origin,
        points=tuple(back.settings["points"]),
        extent=back.settings["extent"],
        progress=False,
    )
    assert again.loss.tobytes() == made.loss.tobytes()
    assert back.settings["directions"] == {"kind": "random", "seed": 5, "normalise": "filter", "ignore": None}


@pytest.mark.parametrize("batch_norm", ["eval", "recompute"])
@pytest.mark.parametrize("name", ["cnn with batch norm", "half frozen"])
def test_a_model_with_buffers_and_frozen_parameters_can_be_made_again(name, batch_norm, tmp_path):
    model = build(name)
    made = slice_2d(model, CE, data(), plane(model), points=3, batch_norm=batch_norm, progress=False)
    back = Slice.load(made.save(tmp_path / "plane.npz"))
    assert back.constants.keys() == model.state_dict().keys() - back.origin.keys() != set()
    assert all(torch.equal(t, model.state_dict()[name]) for name, t in back.constants.items())
    other = build(name, seed=7)
    other.load_state_dict(back.origin | back.constants)
    options = {key: back.settings[key] for key in ("batch_norm", "extent")}
    directions = Directions(back.directions, back.labels)
    again = slice_2d(other, CE, data(), directions, points=tuple(back.settings["points"]), progress=False, **options)
    assert again.loss.tobytes() == made.loss.tobytes()


def test_the_slice_shares_no_memory_with_the_model():
    model = build("cnn")
    before = snapshot(model)
    made = slice_2d(model, CE, data(), plane(model), points=3, progress=False)
    for tree in (made.origin, *made.directions):
        for tensor in tree.values():
            tensor.zero_()
    assert_untouched(model, before)
    assert list(made.origin) == list(parameters(model))


def test_a_table_has_a_row_for_each_point():
    model = build("tanh")
    made = slice_2d(model, CE, data(), plane(model), points=(3, 4), accuracy=True, progress=False)
    frame = made.to_frame()
    assert list(frame) == ["a", "b", "loss", "accuracy"]
    assert len(frame) == 12
    for j, b in enumerate(made.b):
        for i, a in enumerate(made.a):
            row = frame[(frame.a == a) & (frame.b == b)]
            assert row.loss.item() == made.loss[j, i]
    line = slice_1d(model, CE, data(), plane(model)[0], points=3, progress=False).to_frame()
    assert list(line) == ["a", "loss"]


def test_the_minimum_and_the_gaps():
    loss = np.array([[3.0, np.nan, 1.0], [2.0, 0.5, np.nan]])
    made = Slice(np.array([-1.0, 0.0, 1.0]), np.array([0.0, 2.0]), loss)
    assert made.n_nonfinite == 2
    assert made.minimum == (0.5, 0.0, 2.0)
    assert Slice(np.zeros(2), None, np.full(2, np.nan)).minimum is None


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros(2))
    with pytest.raises(ValueError, match="holds no slice"):
        Slice.load(tmp_path / "x.npz")
