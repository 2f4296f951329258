"""The data set of the explorers that train, loaded once."""

from functools import lru_cache

from sofim_lab.problems import Dataset, load_digits


@lru_cache(maxsize=1)
def digits_on_cpu() -> Dataset:
    """The images, on the CPU: a network this small is quickest there."""
    return load_digits("cpu")
