import pytest

from sofim_lab.optim import registry
from sofim_lab.optim.entry import Entry
from sofim_lab.training.configurations import Configuration


@pytest.fixture
def optimizer():
    """Registers constructors for the length of a test."""
    names = []

    def add(name, target):
        names.append(registry.register(Entry(name, target)).name)
        return Configuration(name, {"lr": 0.1})

    yield add
    for name in names:
        registry.unregister(name)
