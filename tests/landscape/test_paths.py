"""Recording a path in bounded memory, and showing it on a plane."""

import numpy as np
import pytest
import torch
from torch import nn

from sofim_lab import SOFIM
from sofim_lab.landscape.directions import Directions, random_directions
from sofim_lab.landscape.path import Path, common_plane, project
from sofim_lab.landscape.recorder import PathRecorder, RacePaths
from sofim_lab.landscape.tree import flatten, parameters, unflatten
from sofim_lab.problems import load_digits, mlp
from sofim_lab.training import race, train

WIDE = torch.float64


@pytest.fixture(scope="module")
def digits():
    return load_digits("cpu")


def model_of(dtype=torch.float32):
    return mlp((5, 4, 3), seed=3, device="cpu", dtype=dtype)


def walk(model, steps, recorder, seed=0, size=0.01):
    """Random steps; the points themselves, one a row."""
    generator = torch.Generator().manual_seed(seed)
    points = [flatten(parameters(model))]
    for _ in range(steps):
        with torch.no_grad():
            for p in model.parameters():
                p += size * torch.randn(p.shape, generator=generator, dtype=WIDE)
        recorder.record()
        points.append(flatten(parameters(model)))
    return torch.stack(points)


def path_in(plane, coordinates, origin, like, name=""):
    """A path with given coordinates on a plane."""
    D = torch.stack([flatten(tree) for tree in plane])
    points = flatten(origin) + torch.as_tensor(coordinates, dtype=WIDE) @ D
    return Path(unflatten(points[0], like), points - points[0], range(len(points)), name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_step_is_kept(dtype):
    model = model_of(dtype)
    recorder = PathRecorder(model, dtype=dtype, name="walk")
    points = walk(model, 20, recorder)
    path = recorder.path()
    assert path.steps == tuple(range(21))
    torch.testing.assert_close(path.points, points, rtol=0, atol=2 * torch.finfo(dtype).eps)
    assert repr(path) == "Path('walk', 21 points, d=39, steps 0 to 20)"
    assert all(torch.equal(a, b) for a, b in zip(path.tree(0).values(), path.start.values(), strict=True))
    torch.testing.assert_close(flatten(path.tree(-1)), points[-1], rtol=0, atol=2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize(("dtype", "digits_kept"), [(torch.bfloat16, 8), (torch.float32, 24)])
def test_rounding_is_relative_to_the_way_and_not_to_the_weights(dtype, digits_kept):
    model = model_of(WIDE)
    recorder = PathRecorder(model, dtype=dtype)
    points = walk(model, 10, recorder, size=1e-6)  # steps that bfloat16 weights of order one could not show at all
    way, kept = points - points[0], recorder.path().offsets
    assert kept.dtype == dtype
    assert ((kept.double() - way).abs() <= 2.0**-digits_kept * way.abs()).all()


def test_memory_is_bounded_and_both_ends_stay():
    model = model_of()
    recorder = PathRecorder(model, every=3, max_points=16)
    points = walk(model, 1001, recorder)
    path = recorder.path()
    assert 8 <= len(path) <= 16
    assert len(recorder._kept) <= 16
    assert path.steps[0] == 0
    assert path.steps[-1] == 1001  # no multiple of three
    assert set(np.diff(path.steps[:-1])) == {3 * 2**5}
    torch.testing.assert_close(path.points, points[list(path.steps)], rtol=0, atol=1e-6)


def test_the_path_may_be_read_in_mid_run():
    model = model_of()
    recorder = PathRecorder(model, every=4)
    walk(model, 6, recorder)
    assert recorder.path().steps == (0, 4, 6)
    walk(model, 2, recorder)
    assert recorder.path().steps == (0, 4, 8)


def test_frozen_parameters_take_no_part_and_the_model_is_left_alone():
    model = model_of()
    model[0].requires_grad_(False)
    recorder = PathRecorder(model)
    before = [p.clone() for p in model.parameters()]
    recorder.record()
    assert recorder.path().offsets.shape == (2, 15)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    with torch.no_grad():
        model[2].bias += 1
    assert float(recorder.path().start["2.bias"][0]) == before[3][0].item()  # a copy, no view


def test_points_that_are_not_finite_are_left_out_and_counted():
    model = model_of()
    recorder = PathRecorder(model)
    walk(model, 2, recorder)
    with torch.no_grad():
        model[0].weight[0, 0] = torch.inf
    recorder.record()
    path = recorder.path()
    assert path.steps == (0, 1, 2)
    assert recorder.left_out >= 1


def test_a_training_run_feeds_it(digits):
    model = mlp((64, 10), device="cpu")
    recorder = PathRecorder(model)
    result = train(model, digits, SOFIM(model.parameters()), epochs=1, callback=recorder.record, progress=False)
    path = recorder.path()
    assert path.steps[-1] == len(result.steps) == 19
    lengths = path.points.double().diff(dim=0).norm(dim=1)
    assert lengths.tolist() == pytest.approx([step.step_length for step in result.steps], rel=1e-3)
    torch.testing.assert_close(path.points[-1], flatten(parameters(model)), rtol=0, atol=1e-6)


def test_a_race_feeds_one_for_each_run(digits):
    watch = RacePaths(every=6)

    def make(seed):
        return mlp((64, 10), seed=seed, device="cpu")

    race(make, digits, {"SOFIM": SOFIM, "other": SOFIM}, epochs=1, seeds=(0, 5), watch=watch, progress=False)
    paths = watch.paths(seed=5)
    assert [path.name for path in paths] == ["SOFIM", "other"]
    assert paths[0].steps == (0, 6, 12, 18, 19)
    assert torch.equal(paths[0].offsets, paths[1].offsets)  # one optimizer, twice
    assert torch.equal(paths[0].start["0.weight"], make(5)[0].weight)
    with pytest.raises(ValueError, match=r"seed=1.*\[0, 5\]"):
        watch.paths(seed=1)


def test_a_path_inside_the_plane_is_reproduced():
    model = model_of(WIDE)
    plane = random_directions(model, seed=1)  # neither orthogonal nor of length one
    origin = parameters(model)
    coordinates = np.random.default_rng(0).normal(size=(30, 2))
    path = path_in(plane, coordinates, origin, origin)
    for place in (origin, model):
        shown = project(path, plane, place)
        assert np.abs(shown.coordinates - coordinates).max() < 1e-12
        assert shown.residuals.max() < 1e-12
        assert shown.share == pytest.approx(1, abs=1e-12)


def test_the_projection_is_the_nearest_point():
    model = model_of(WIDE)
    plane, origin = random_directions(model, seed=1), parameters(model)
    walker = model_of(WIDE)
    recorder = PathRecorder(walker, dtype=WIDE)
    points = walk(walker, 12, recorder, size=1.0)
    shown = project(recorder.path(), plane, origin)
    D = torch.stack([flatten(tree) for tree in plane], dim=1)
    moved = points - flatten(origin)
    exact = torch.linalg.lstsq(D, moved.mT).solution.mT
    np.testing.assert_allclose(shown.coordinates, exact.numpy(), atol=1e-12)
    rest = (moved - exact @ D.mT).norm(dim=1)
    np.testing.assert_allclose(shown.residuals, rest.numpy(), atol=1e-12)
    assert shown.share == pytest.approx(1 - float(rest.square().sum() / moved.square().sum()))
    assert shown.steps.tolist() == list(range(13))


def test_blocks_of_points_change_nothing(monkeypatch):
    model = model_of(WIDE)
    plane, recorder = random_directions(model, seed=1), PathRecorder(model, dtype=WIDE)
    walk(model, 12, recorder)
    path = recorder.path()
    whole = project(path, plane, path.start)
    monkeypatch.setattr("sofim_lab.landscape.path._BLOCK_NUMBERS", 100)
    parts = project(path, plane, path.start)
    np.testing.assert_allclose(parts.coordinates, whole.coordinates, rtol=1e-12)
    assert parts.share == pytest.approx(whole.share)


def test_a_line_has_one_coordinate_and_rest_is_fully_shown():
    model = model_of(WIDE)
    line, origin = random_directions(model, 1, seed=1), parameters(model)
    shown = project(path_in(line, [[0.0], [0.5]], origin, origin), line, origin)
    assert shown.coordinates[:, 0] == pytest.approx([0, 0.5])
    still = project(path_in(line, [[0.0], [0.0]], origin, origin), line, origin)
    assert still.share == 1


def test_a_common_plane_holds_the_start_and_shows_each_path():
    model = model_of(WIDE)
    axes, origin = random_directions(model, 3, seed=2, normalise="none", ignore=None), parameters(model)
    ways = [np.outer(np.linspace(0, 1, n), axis) for n, axis in ((9, [3, 0, 0]), (33, [0, 2, 0]), (5, [1, 1, 0]))]
    paths = [path_in(axes, way, origin, origin, name=str(k)) for k, way in enumerate(ways)]
    plane = common_plane(paths)
    assert [shown.name for shown in plane.paths] == ["0", "1", "2"]
    for path, shown in zip(paths, plane.paths, strict=True):
        assert shown.share == pytest.approx(1, abs=1e-12)
        assert np.abs(shown.coordinates[0]).max() < 1e-12
        lengths = path.offsets.norm(dim=1).numpy()
        np.testing.assert_allclose(np.linalg.norm(shown.coordinates, axis=1), lengths, atol=1e-12)
    assert sum(plane.directions.explained) == pytest.approx(1)
    assert all(torch.equal(a, b) for a, b in zip(plane.origin.values(), origin.values(), strict=True))


def test_each_path_counts_alike_in_a_common_plane():
    start = {"w": torch.zeros(3, dtype=WIDE)}

    def way(axis, points, reach):
        return Path(
            start,
            torch.outer(torch.linspace(0, reach, points, dtype=WIDE), torch.eye(3, dtype=WIDE)[axis]),
            range(points),
        )

    # Two long paths, and one of many points that is shorter: by points alone it would take a place on the plane.
    plane = common_plane([way(0, 5, 3.0), way(1, 5, 3.0), way(2, 500, 2.0)])
    assert [round(shown.share, 6) for shown in plane.paths] == [1, 1, 0]


def test_empty_paths():
    start = {"w": torch.zeros(3)}
    with pytest.raises(ValueError, match=r"call record\(\) after optimizer.step\(\)"):
        PathRecorder(model_of()).path()
    with pytest.raises(ValueError, match="the path is empty"):
        Path(start, torch.zeros(0, 3), ())
    with pytest.raises(ValueError, match="paths is empty"):
        common_plane([])
    with pytest.raises(ValueError, match="goes nowhere"):
        common_plane([Path(start, torch.zeros(2, 3), (0, 1))])


def test_bad_paths_and_planes():
    start = {"w": torch.zeros(3)}
    path = Path(start, torch.eye(3), (0, 1, 2))
    with pytest.raises(ValueError, match=r"\(T, 3\) with T steps"):
        Path(start, torch.zeros(2, 4), (0, 1))
    with pytest.raises(ValueError, match="3 steps"):
        Path(start, torch.zeros(2, 3), (0, 1, 2))
    with pytest.raises(ValueError, match="diverges"):
        Path(start, torch.full((1, 3), torch.nan), (0,))
    axis = {"w": torch.tensor([1.0, 0, 0])}
    for directions, words in (
        ((), "directions is empty"),
        ((axis, axis), "span"),
        (({"w": torch.zeros(3)},), "not zero"),
        (({"w": torch.ones(2)},), "direction 1"),
        (({"v": torch.ones(3)},), "direction 1"),
    ):
        with pytest.raises(ValueError, match=words):
            project(path, directions, start)
    with pytest.raises(ValueError, match="the origin"):
        project(path, (axis,), nn.Linear(2, 2))
    with pytest.raises(ValueError, match="path 2 starts elsewhere"):
        common_plane([path, Path({"w": torch.ones(3)}, torch.eye(3), (0, 1, 2))])
    with pytest.raises(ValueError, match="path 2"):
        common_plane([path, Path({"w": torch.zeros(2)}, torch.eye(2), (0, 1))])
    with pytest.raises(ValueError, match="span 1 dimensions"):
        common_plane([Path(start, torch.tensor([[0.0, 0, 0], [1, 1, 1], [2, 2, 2]]), (0, 1, 2))])


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"every": 0}, "every=0"), ({"max_points": 3}, "max_points=3"), ({"dtype": torch.int8}, "int8")],
)
def test_bad_recorders(settings, words):
    with pytest.raises(ValueError, match=words):
        PathRecorder(model_of(), **settings)


def test_directions_may_be_those_of_a_slice():
    model = model_of(WIDE)
    plane, origin = random_directions(model, seed=1), parameters(model)
    path = path_in(plane, [[0.0, 0], [1, 2]], origin, origin)
    assert isinstance(plane, Directions)
    assert project(path, plane.trees, origin).coordinates[1] == pytest.approx([1, 2])
