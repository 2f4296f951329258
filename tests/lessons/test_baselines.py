"""Baseline files: read strictly, written so that a diff can be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import LESSON, baseline

from sofim_lab.files import write_atomically
from sofim_lab.lessons.judging.baselines import Baseline, BaselineError, Expected, baseline_path, load_baseline

GOOD = {
    "schema": 1,
    "lesson": LESSON,
    "devices": {"cpu": {"quick": {"loss": {"value": 0.5, "rtol": 1e-5, "atol": 0.1, "better": "lower"}}}},
}


def write(folder, text):
    path = baseline_path(folder, LESSON)
    write_atomically(path, text if isinstance(text, str) else json.dumps(text))
    return path


def changed(**metric):
    data = json.loads(json.dumps(GOOD))
    data["devices"]["cpu"]["quick"]["loss"] |= metric
    return data


def test_reads_what_is_there(tmp_path):
    found = load_baseline(write(tmp_path, GOOD))
    assert found == baseline(loss=Expected(0.5, 1e-5, 0.1, "lower"))
    assert found.section("cuda", "quick") is None


def test_no_file_is_no_baseline(tmp_path):
    assert load_baseline(baseline_path(tmp_path / "nowhere", LESSON)) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not readable as JSON"),
        ("{", "not readable as JSON"),
        ("[1]", "should be an object"),
        ('{"schema": 1, "schema": 1}', "occurs twice"),
        (json.dumps(GOOD).replace("0.5", "NaN"), "NaN is no JSON number"),
        (json.dumps(GOOD).replace("0.5", "1e999"), "value is not finite"),
        (GOOD | {"schema": 2}, "schema is 2"),
        (GOOD | {"schema": True}, "schema is True"),
        (GOOD | {"lesson": "another"}, "lesson is 'another'"),
        (GOOD | {"extra": 1}, "'extra'"),
        ({"schema": 1, "lesson": LESSON}, "lacks 'devices'"),
        (GOOD | {"devices": {"tpu": {}}}, "devices has 'tpu'"),
        (GOOD | {"devices": {"cpu": {"slow": {}}}}, "devices.cpu has 'slow'"),
        (GOOD | {"devices": {"cpu": {"quick": {"loss": 0.5}}}}, "devices.cpu.quick.loss should be an object"),
        (changed(atol=-0.1), "atol is -0.1, a tolerance cannot be negative"),
        (changed(rtol="0.1"), "rtol should be a number"),
        (changed(value=True), "value should be a number, it is True"),
        (changed(value=None), "value should be a number"),
        (changed(value=10**400), "value is not finite"),
        (changed(better="up"), "better is 'up'"),
        (changed(Value=1), "has 'Value'"),
    ],
)
def test_nonsense_names_file_place_and_remedy(tmp_path, content, words):
    path = write(tmp_path, content)
    with pytest.raises(BaselineError) as error:
        load_baseline(path)
    message = str(error.value)
    assert words in message
    assert str(path) in message
    assert f"sofim-lab run {LESSON} --update-baselines" in message


def test_bytes_that_are_no_text(tmp_path):
    path = baseline_path(tmp_path, LESSON)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(BaselineError, match="not readable"):
        load_baseline(path)


numbers = st.floats(allow_nan=False, allow_infinity=False)
tolerances = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
metrics = st.builds(Expected, numbers, tolerances, tolerances, st.sampled_from([None, "lower", "higher"]))
sections = st.dictionaries(
    st.tuples(st.sampled_from(["cpu", "cuda", "mps"]), st.sampled_from(["quick", "full"])),
    st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), metrics),
)


@given(sections)
def test_every_baseline_survives_its_file(tmp_path_factory, sections):
    held = Baseline(LESSON, sections)
    path = write(tmp_path_factory.mktemp("baselines"), held.to_text())
    assert load_baseline(path) == held
    assert load_baseline(path).to_text() == path.read_text(encoding="utf-8")


def test_the_file_is_made_for_diffs():
    one, two = Expected(1.0, 0.0, 0.0), Expected(2.0, 0.0, 0.0)
    forth, back = baseline(b=two, a=one).to_text(), baseline(a=one, b=two).to_text()
    assert forth == back
    assert forth.endswith("}\n")
    assert forth.index('"a"') < forth.index('"b"')
    assert '"better"' not in forth
