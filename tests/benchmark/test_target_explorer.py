"""The explorer of lesson 08: a target that is moved after the race."""

import pytest
from made_up import TASK, bench, final

from sofim_lab.benchmark import Task, paired_ratio, time_to_target
from sofim_lab.widgets import target_explorer
from sofim_lab.widgets.values import positions


@pytest.fixture(scope="module")
def found():
    """SOFIM is quick at first and Adam in the end; on the second task both learn nothing."""
    epochs = range(TASK.epochs + 1)
    quick = [[1.5 * 0.6**e + 0.05 + 0.01 * s for e in epochs] for s in range(3)]
    slow = [[1.5 * 0.75**e + 0.004 * s for e in epochs] for s in range(3)]
    stuck = Task("digits", "cnn", epochs=10, targets=TASK.targets)
    return bench(
        final({"SOFIM": quick, "Adam": slow}), final({"SOFIM": [[1.0] * 11] * 3, "Adam": [[1.0] * 11] * 3}, stuck)
    )


def test_every_control_changes_the_words(found):
    explorer = target_explorer(found)
    for name in ("task", "factor"):
        said = {explorer.picture.alt}
        for value in (positions(explorer.controls[name])[0], positions(explorer.controls[name])[-1]):
            explorer.set(**{name: value})
            said.add(explorer.picture.alt)
        assert len(said) > 1, name
        explorer.reset()
    explorer.set(measure="test_loss")
    assert "test loss to reach 0.2" in explorer.picture.alt


def test_the_ratio_is_that_of_the_benchmark(found):
    explorer, task = target_explorer(found), found.finals[TASK.title]
    for factor in (0.5, 1.0, 4.0):
        explorer.set(factor=factor)
        frame, target = task.sweep.frame, factor * TASK.targets["train_loss"]
        times = time_to_target(frame, "train_loss", target)
        expected = paired_ratio(*(times[task.chosen[name].key].to_numpy() for name in ("SOFIM", "Adam")))
        assert str(explorer.result.ratio) == str(expected)


def test_the_goal_is_another_verdict_and_its_example_leads_there(found):
    explorer = target_explorer(found)
    assert not explorer.reached
    before = explorer.result.status
    explorer.set(**explorer._goal.example)
    assert explorer.reached
    assert explorer.result.status != before == explorer.result.before


def test_before_the_first_step_nobody_has_arrived(found):
    """As in the benchmark; a target that everybody meets at the start and nobody keeps."""
    back = bench(final({"SOFIM": [[0.01, *[1.0] * 4, *[0.01] * 6]] * 3, "Adam": [[0.01, 1.0, *[0.01] * 9]] * 3}))
    assert str(target_explorer(back).result.ratio) == "2.5 [2.5, 2.5]"


def test_where_nobody_arrives_nothing_is_decided(found):
    explorer = target_explorer(found)
    explorer.set(task="digits, cnn")
    assert explorer.result.status == "undecided"
    assert "? [0, ∞]" in explorer.picture.alt


def test_nothing_run_is_refused():
    with pytest.raises(ValueError, match="found holds no task"):
        target_explorer(bench(final({"SOFIM": [1], "Adam": [1]})).__class__(bench(final({"SOFIM": [1]})).protocol, {}))
