"""A store does not mix the numbers of two codes unless it is told to."""

import functools
import json
import sys

import pytest
import torch
from sweep_cases import CONFIGURATIONS, assert_same, run

from sofim_lab.optim import registry
from sofim_lab.optim.entry import Entry
from sofim_lab.training import provenance
from sofim_lab.training.configurations import Configuration
from sofim_lab.training.provenance import CODE, SOFTWARE, own_source, source_digests
from sofim_lab.training.sweep_result import Sweep

GOOD = CONFIGURATIONS[:1]
SWEEP = sys.modules["sofim_lab.training.sweep"]


@pytest.fixture
def store(tmp_path):
    """Two finished runs."""
    path = tmp_path / "runs.jsonl"
    run(GOOD, store=path)
    return path


@pytest.fixture
def other_code(monkeypatch):
    """This process has another optim than the one that filled the store."""
    for module in (provenance, sys.modules["sofim_lab.training.task"]):
        monkeypatch.setattr(module, "CODE", CODE | {"optim": "0" * 12})


def rewrite(path, change):
    """Each line after a change."""
    runs = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(change(one)) + "\n" for one in runs))


def without_code(one):
    return {key: value for key, value in one.items() if key != "code"}


def test_each_line_says_what_made_it(store):
    for one in Sweep.read(store).runs:
        assert one["software"] == SOFTWARE
        assert one["code"] == CODE
        assert "optimizer_code" not in one
        assert (one["device"], one["dtype"]) == ("cpu", "float32")


def test_a_digest_changes_with_any_byte_and_only_its_own(tmp_path):
    (tmp_path / "optim" / "deep").mkdir(parents=True)
    file = tmp_path / "optim" / "deep" / "a.py"
    file.write_bytes(b"x = 1\ny = 2\n")
    first = source_digests(tmp_path)
    assert source_digests(tmp_path) == first
    assert list(first) == ["problems", "curvature", "optim", "training"]
    file.write_bytes(b"x = 1\r\ny = 2\r\n")
    assert source_digests(tmp_path) == first  # another system's ends of lines
    file.write_bytes(b"x = 1\ny = 3\n")
    second = source_digests(tmp_path)
    assert {name for name in first if first[name] != second[name]} == {"optim"}
    file.rename(file.with_name("b.py"))
    assert source_digests(tmp_path)["optim"] not in (first["optim"], second["optim"])


@pytest.mark.parametrize("seeds", [(0, 3), (0, 4)], ids=["complete", "to be continued"])
def test_a_store_of_other_source_code_is_refused_before_anything_is_computed(store, other_code, monkeypatch, seeds):
    before = store.read_bytes()
    monkeypatch.setattr("sofim_lab.training.task.train", lambda *_, **__: pytest.fail("a run was computed"))
    with pytest.raises(ValueError, match="other source code") as error:
        run(GOOD, seeds=seeds, store=store)
    assert str(error.value) == (
        f"{store} holds runs made by other source code (of sofim_lab.optim): delete it, use another store, or keep "
        "its runs beside new ones with keep_other_code=True, in `sofim-lab bench` with --keep-other-code"
    )
    assert store.read_bytes() == before


def test_it_is_kept_when_asked_for_and_says_so(store, other_code):
    result = run(GOOD, seeds=(0, 3, 4), store=store, keep_other_code=True)
    assert len(result) == 3
    assert [one["code"]["optim"] == CODE["optim"] for one in result.runs] == [True, True, False]
    with pytest.raises(ValueError, match="holds runs made by other source code"):
        run(GOOD, seeds=(0, 3, 4), store=store)


def test_a_store_that_does_not_name_its_code_is_refused(store):
    whole = run(GOOD, store=store)
    rewrite(store, without_code)
    with pytest.raises(ValueError, match=r"holds runs that do not say which source code made them: delete it, use"):
        run(GOOD, store=store)
    assert_same(run(GOOD, store=store, keep_other_code=True), whole)


def test_a_store_that_names_a_part_of_its_code_is_refused(store):
    rewrite(store, lambda one: one | {"code": {name: CODE[name] for name in ("problems", "curvature", "optim")}})
    with pytest.raises(ValueError, match=r"made by other source code \(of sofim_lab\.training\)"):
        run(GOOD, store=store)


def test_another_version_is_refused_even_so(store):
    rewrite(store, lambda one: one | {"software": SOFTWARE | {"sofim_lab": "0.0.1"}})
    with pytest.raises(ValueError, match=r"holds runs of sofim_lab 0\.0\.1, .* this is .*: use another store"):
        run(GOOD, store=store, keep_other_code=True)


def slow_sgd(params, lr):
    return torch.optim.SGD(params, lr / 2)


def fast_sgd(params, lr):
    return torch.optim.SGD(params, lr * 2)


class Mine(torch.optim.SGD):
    def step(self, closure=None):
        return super().step(closure)


class Heir(Mine):
    pass


def scaled(attribute=1.0, static=1.0):
    """Classes of one name, which differ in an attribute or in a method without self."""

    class Scaled(torch.optim.Adam):
        factor = attribute

        @staticmethod
        def scale(lr, by=static):
            return by * lr

        def __init__(self, params, lr):
            super().__init__(params, self.factor * self.scale(lr))

    return Scaled


def bound(momentum, other=None):
    """Three ways in which a function carries a value about."""

    def by_closure(params, lr):
        return torch.optim.SGD(params, lr, momentum=momentum)

    def by_default(params, lr, momentum=momentum):
        return torch.optim.SGD(params, lr, momentum=momentum)

    def by_keyword(params, lr, *, momentum=momentum):
        return torch.optim.SGD(params, lr, momentum=momentum)

    return by_closure, by_default, by_keyword


def test_an_optimizer_of_ones_own_is_told_from_what_it_was(tmp_path):
    store, mine = tmp_path / "runs.jsonl", "of my own"
    registry.register(Entry(mine, slow_sgd))
    try:
        one = [Configuration(mine, {"lr": 0.1})]
        first = run(one, store=store)
        assert_same(run(one, store=store), first)
        registry.register(Entry(mine, fast_sgd), replacing=True)
        with pytest.raises(ValueError, match=r"made by other source code \(of the optimizer 'of my own'\): delete it"):
            run(one, store=store)
        assert len(run(GOOD, store=store)) == 2  # what does not need it goes on
    finally:
        registry.unregister(mine)


SGD = torch.optim.SGD


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (slow_sgd, fast_sgd),
        (Mine, Heir),
        (scaled(attribute=2.0), scaled(attribute=3.0)),
        (scaled(static=2.0), scaled(static=3.0)),
        (SGD, torch.optim.Adagrad),
        (functools.partial(SGD, momentum=0.1), functools.partial(SGD, momentum=0.9)),
        (bound(0.1)[0], bound(0.9)[0]),
        (bound(0.1)[1], bound(0.9)[1]),
        (bound(0.1)[2], bound(0.9)[2]),
        ({"options": {"momentum": 0.1}}, {"options": {"momentum": 0.9}}),
        ({"defaults": {"lr": 0.1}}, {"defaults": {"lr": 0.2}}),
        ({"closure": "gradient"}, {"closure": "loss"}),
    ],
    ids=[
        "function",
        "heir",
        "attribute",
        "static",
        "class",
        "partial",
        "closure",
        "argument",
        "keyword",
        "options",
        "defaults",
        "kind",
    ],
)
def test_whatever_makes_an_optimizer_another_counts(one, other):
    def entry(some):
        return Entry("x", SGD, **some) if isinstance(some, dict) else Entry("x", some)

    digests = own_source(entry(one)), own_source(entry(other))
    assert None not in digests
    assert digests[0] != digests[1]
    assert own_source(entry(one)) == digests[0]


def test_whose_source_says_nothing():
    typed = eval("lambda params, lr: None", {"__name__": "__main__"})
    assert own_source(Entry("x", typed)) is None
    names = [name for name in registry.names() if name != "AdaHessian"]
    assert {own_source(registry.get(name)) for name in names} == {None}
    assert own_source(Entry("SGD", "torch.optim:SGD", defaults={"lr": 0.4})) is not None
    missing = Entry("missing", "no_such_package:Optimizer")
    assert list(provenance.own_sources([missing, registry.get("SGD")])) == ["SGD"]


def test_what_pytorch_adds_to_a_class_is_not_its_own(tmp_path):
    class Fresh(torch.optim.Adam):  # never built before: PyTorch puts a `step` into it when it is
        def __init__(self, params, lr):
            super().__init__(params, lr)

    registry.register(Entry("fresh", Fresh))
    try:
        first = run([Configuration("fresh", {"lr": 0.1})], store=tmp_path / "runs.jsonl")
        assert_same(run([Configuration("fresh", {"lr": 0.1})], store=tmp_path / "runs.jsonl"), first)
        registry.register(Entry("fresh", functools.partial(Fresh, betas=(0.5, 0.9))), replacing=True)
        with pytest.raises(ValueError, match=r"made by other source code \(of the optimizer 'fresh'\)"):
            run([Configuration("fresh", {"lr": 0.1})], store=tmp_path / "runs.jsonl")
    finally:
        registry.unregister("fresh")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda one: one | {"code": CODE | {"training": "0" * 12}},
            r"a worker sent runs made by .*sofim_lab\.training",
        ),
        (lambda one: one | {"software": SOFTWARE | {"torch": "2.0"}}, r"a worker has .*torch 2\.0, this is"),
    ],
)
def test_a_worker_with_another_code_is_refused(tmp_path, monkeypatch, change, message):
    def elsewhere(tasks, entries):
        return [change(task.describe()) for task in tasks]

    monkeypatch.setattr(SWEEP, "run_portion", elsewhere)
    store = tmp_path / "runs.jsonl"
    with pytest.raises(RuntimeError, match=message):
        run(GOOD, store=store)
    assert store.read_bytes() == b""
