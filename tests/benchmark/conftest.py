import pytest

from sofim_lab.benchmark import TINY, run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The tiny protocol, run once, and its store."""
    store = tmp_path_factory.mktemp("bench") / "tiny.jsonl"
    return run(TINY, store, progress=False), store
