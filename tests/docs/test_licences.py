"""Code and texts have a licence each, and every file that names one names these."""

import tomllib

import yaml
from doc_pages import ROOT


def test_every_file_names_the_same_two():
    code, texts = ((ROOT / name).read_text(encoding="utf-8") for name in ("LICENSE", "LICENSE-texts"))
    assert code.startswith("MIT License")
    assert "SPDX-License-Identifier: CC-BY-4.0" in texts
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "MIT AND CC-BY-4.0"
    assert project["license-files"] == ["LICENSE", "LICENSE-texts"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["license"] == "MIT"  # it is software
    for page in ("README.md", "docs/teaching.md"):
        words = (ROOT / page).read_text(encoding="utf-8")
        assert "LICENSE)" in words
        assert "[CC BY 4.0](" in words
