"""CITATION.cff is well formed and names this version and the paper."""

import yaml
from environments import ROOT

import sofim_lab


def test_citation_file():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format requires
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["license"]) == ("sofim_lab", "MIT")
    assert citation["version"] == sofim_lab.__version__
    (paper,) = citation["references"]
    assert paper["title"].startswith("SOFIM: Stochastic Optimization Using Regularized Fisher Information")
    assert [a["family-names"] for a in paper["authors"]] == ["Sen", "Qin", "C", "N", "Chen", "Raman"]
    assert (paper["year"], paper["identifiers"][0]["value"]) == (2024, "10.48550/arXiv.2403.02833")
