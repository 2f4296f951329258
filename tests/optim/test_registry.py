"""The registry: every entry can be built, is drawn in its own way, and says what its closure must do."""

import importlib.util
import sys

import pytest
import torch
from torch import nn

from sofim_lab.optim import registry
from sofim_lab.optim.entry import Entry, LogUniform
from sofim_lab.optim.palette import PALETTE
from sofim_lab.optim.sofim import SOFIM

needs_bench = pytest.mark.skipif(
    importlib.util.find_spec("pytorch_optimizer") is None, reason="pytorch_optimizer is in the extra `bench`"
)
ALL = [pytest.param(name, marks=[needs_bench] if registry.get(name).extra else []) for name in registry.names()]


@pytest.fixture
def linear():
    return nn.Linear(3, 2)


@pytest.fixture
def own_entry():
    added = []

    def add(*arguments, **options):
        added.append(registry.register(Entry(*arguments, **options)))
        return added[-1]

    yield add
    for name in {entry.name for entry in added} & set(registry.names()):
        registry.unregister(name)


@pytest.mark.parametrize("name", ALL)
def test_every_entry_builds_its_class_at_its_settings(name, linear):
    entry = registry.get(name)
    assert entry.name == name
    optimizer = registry.make(name, linear.parameters())
    assert isinstance(optimizer, torch.optim.Optimizer)
    assert entry.builds(type(optimizer))
    for option, value in {**entry.options, **entry.defaults}.items():
        if option in optimizer.param_groups[0]:
            assert optimizer.param_groups[0][option] == value
    assert registry.closure_kind(optimizer) == entry.closure


@pytest.mark.parametrize("name", ALL)
def test_every_corner_of_a_grid_is_in_range_and_around_the_defaults(name, linear):
    entry = registry.get(name)
    assert entry.grid
    for option, choices in entry.grid.items():
        values = [choices.low, choices.at(0.5), choices.high] if isinstance(choices, LogUniform) else choices
        for value in values:
            assert registry.make(name, linear.parameters(), **{option: value}).param_groups[0][option] == value
        start = entry.defaults.get(option)
        if isinstance(choices, LogUniform) and start is not None:
            assert choices.low <= start <= choices.high


def test_no_two_optimizers_look_alike():
    looks = [(registry.get(name).colour, registry.get(name).marker) for name in registry.names()]
    assert len(set(looks)) == len(looks) == 17
    assert len({colour for colour, _ in looks[:7]}) == 7
    assert {colour for colour, _ in looks} <= set(PALETTE)
    assert len({registry.get(name).label for name in registry.names()}) == 17


def test_relatives_share_a_colour():
    colour = {name: registry.get(name).colour for name in registry.names()}
    assert colour["SOFIM"] == colour["SOFIM gradient"]
    assert colour["SGD"] == colour["SGD momentum"]
    assert colour["Adam"] == colour["AdaHessian"]


def test_momentum_with_equal_dampening_is_an_average(linear):
    optimizer = registry.make("EMA momentum", linear.parameters(), lr=0.0)
    for _ in range(5):
        for p in linear.parameters():
            p.grad = torch.full_like(p, 3.0)
        optimizer.step()
    for p in linear.parameters():
        torch.testing.assert_close(optimizer.state[p]["momentum_buffer"], torch.full_like(p, 3.0))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("sofim", "SOFIM"), ("Adma", "Adam"), ("LBFGS", "L-BFGS"), ("natural gradient", "NaturalGradient")],
)
def test_an_unknown_name_is_answered_with_the_closest(wrong, right):
    with pytest.raises(
        ValueError, match=f"no optimizer is called '{wrong}': did you mean '{right}'.*There are SOFIM, SGD"
    ):
        registry.get(wrong)


def test_a_name_like_none_is_answered_with_all():
    with pytest.raises(
        ValueError, match=r"no optimizer is called 'xyzzy': There are SOFIM, SGD momentum, .*NystromSGD"
    ):
        registry.make("xyzzy", [])
    with pytest.raises(ValueError, match="no optimizer is called 3"):
        registry.get(3)


def test_what_is_not_installed_is_named_with_its_remedy(monkeypatch, linear):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)  # as if it were not there
    with pytest.raises(ImportError, match=r'AdaHessian comes from pytorch_optimizer.*pip install "sofim-lab\[bench\]"'):
        registry.make("AdaHessian", linear.parameters())
    assert registry.closure_kind(SOFIM(linear.parameters())) == "gradient"
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):  # which no extra of ours brings along
        _ = Entry("mine", "no_such_package:Mine").constructor


def test_the_registry_imports_nothing_foreign_before_it_is_needed():
    import subprocess

    code = (
        "import sys, sofim_lab.optim.registry as r; r.names(); "
        "print([m for m in ('pytorch_optimizer', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_own_optimizer_joins_with_a_look_of_its_own(own_entry, linear):
    class Mine(torch.optim.SGD):
        pass

    entry = own_entry("mine", Mine, closure="loss", defaults={"lr": 0.25}, grid={"lr": LogUniform(0.1, 1.0)})
    assert registry.names()[-1] == "mine"
    assert entry.label == "mine"
    looks = {(registry.get(name).colour, registry.get(name).marker) for name in registry.names()}
    assert len(looks) == 18
    optimizer = registry.make("mine", linear.parameters())
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert registry.closure_kind(optimizer) == "loss"  # not SGD's, though it inherits from it
    with pytest.raises(ValueError, match="the name 'mine' is taken: choose another, or pass replacing=True"):
        registry.register(Entry("mine", Mine))
    again = registry.register(Entry("mine", Mine, label="better"), replacing=True)
    assert (again.colour, again.label) == (entry.colour, "better")
    registry.unregister("mine")
    assert own_entry("mine", Mine).place == entry.place


def test_the_attribute_of_an_optimizer_counts_most(linear):
    optimizer = torch.optim.SGD(linear.parameters())
    assert registry.closure_kind(optimizer) == "gradient"
    optimizer.closure_kind = "losses"
    assert registry.closure_kind(optimizer) == "losses"
    assert registry.closure_kind(registry.make("LowRankFisher", linear.parameters(), rows="gradients")) == "gradient"


def test_entries_that_say_nothing_are_refused():
    with pytest.raises(ValueError, match="name must say what the optimizer is called, got ' '"):
        Entry(" ", "torch.optim:SGD")
    with pytest.raises(ValueError, match=r"closure must be one of 'gradient', .* got 'backward'"):
        Entry("mine", "torch.optim:SGD", closure="backward")
    with pytest.raises(AttributeError):
        _ = Entry("mine", "torch.optim:SDG").constructor


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 1.0)]
)
def test_ranges_out_of_order_are_refused(low, high):
    with pytest.raises(ValueError, match="LogUniform needs 0 < low < high"):
        LogUniform(low, high)


def test_a_range_is_uniform_in_the_logarithm():
    spread = LogUniform(0.01, 100.0)
    assert [spread.at(u) for u in (0, 0.25, 0.5, 1)] == pytest.approx([0.01, 0.1, 1.0, 100.0])
    assert spread.low <= LogUniform(0.3, 0.7).at(1.0) <= 0.7
