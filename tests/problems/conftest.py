import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty cache for downloads."""
    monkeypatch.setenv("SOFIM_LAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"
