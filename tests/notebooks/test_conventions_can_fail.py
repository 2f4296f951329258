"""Each rule lets the sample pass, and fails a sample in which its convention is broken."""

import conventions
import pytest
from conventions import complaints
from sample_notebook import NAME, cell, sample

from sofim_lab import __version__


def at(notebook, cell_id):
    return next(c for c in notebook.cells if c.id == cell_id)


def rewrite(cell_id, before, after):
    """An edit: in one cell, replace one text by another."""

    def edit(notebook):
        assert before in at(notebook, cell_id).source
        at(notebook, cell_id).source = at(notebook, cell_id).source.replace(before, after)

    return edit


def add(source, *tags, kind="code", after="setup"):
    """An edit: a new cell after another."""

    def edit(notebook):
        new = type(notebook)(cell(kind, "new", source, *tags))
        new.metadata = type(notebook)(new.metadata)
        notebook.cells.insert(notebook.cells.index(at(notebook, after)) + 1, new)

    return edit


def remove(cell_id):
    """An edit: without that cell."""
    return lambda notebook: notebook.cells.remove(at(notebook, cell_id))


def untag(cell_id, tag):
    """An edit: take a tag off a cell."""
    return lambda notebook: at(notebook, cell_id).metadata.tags.remove(tag)


def put(value, *path):
    """An edit: set an entry of the notebook, or of the cell whose id the path begins with."""

    def edit(notebook):
        cells = {c.id: c for c in notebook.cells}
        target = cells.get(path[0], notebook)
        for key in path[1:-1] if path[0] in cells else path[:-1]:
            target = target.setdefault(key, type(notebook)())
        target[path[-1]] = value

    return edit


BROKEN = [
    ("is_valid_and_current", put(4, "nbformat_minor"), "nbformat is 4.4"),
    ("is_valid_and_current", put("sum", "double", "id"), "'sum' is missing or not unique"),
    ("is_valid_and_current", put("two words", "double", "id"), "not a valid notebook"),
    ("is_valid_and_current", put("sofim", "metadata", "kernelspec", "name"), "kernelspec"),
    ("is_stripped", put(3, "sum-holds", "execution_count"), "execution count"),
    ("is_stripped", put([{"output_type": "stream"}], "sum-holds", "outputs"), "outputs"),
    ("is_stripped", put({}, "metadata", "widgets"), "widgets"),
    ("is_stripped", put({}, "sum-holds", "metadata", "execution"), "execution"),
    ("is_stripped", put("3.11.7", "metadata", "language_info", "version"), "one machine"),
    ("has_known_tags", add("1", "verfy"), "verfy"),
    ("has_one_parameters_cell", remove("parameters"), "0 parameters cells"),
    ("has_one_parameters_cell", add("LR = 1", "parameters"), "2 parameters cells"),
    ("has_one_parameters_cell", add("1", after="before"), "not the first code cell"),
    ("has_one_parameters_cell", rewrite("parameters", "SEED = 0", "SEED = 1 + 2"), "SEED is not a literal"),
    ("has_one_parameters_cell", rewrite("parameters", "SEED = 0", "print(0)"), "no assignment"),
    ("has_one_parameters_cell", rewrite("parameters", "SEED", "SEEDS"), "['SEED'] are missing"),
    ("has_title_and_badges", rewrite("title", "# 05", "## 05"), "title"),
    ("has_title_and_badges", rewrite("title", "tree/notebooks/05", "tree/notebooks/06"), "mybinder.org"),
    ("has_title_and_badges", rewrite("title", "main/notebooks/05", "main/notebooks/06"), "colab.research"),
    ("has_title_and_badges", rewrite("title", "github/somebody", "github/other"), "colab.research"),
    ("installs_only_what_is_missing", remove("install"), "not the one"),
    ("installs_only_what_is_missing", rewrite("install", "raise", "pass"), "not the one"),
    ("installs_only_what_is_missing", rewrite("install", __version__, "0.0.9"), __version__),
    ("installs_only_what_is_missing", rewrite("install", "sofim-lab=={RELEASE}", "sofim-lab"), "not the one"),
    ("has_its_sections_in_order", rewrite("question", "## ", "### "), "'## Question' stands there 0 times"),
    ("has_its_sections_in_order", add("## Quiz", kind="markdown"), "'## Quiz' stands there 2 times"),
    ("has_its_sections_in_order", lambda n: n.cells.append(n.cells.pop(1)), "out of order"),
    ("has_its_sections_in_order", rewrite("sum", "## ", "### "), "nothing between"),
    ("says_what_to_expect", rewrite("objectives", "2. add again\n", ""), "2 objectives"),
    ("says_what_to_expect", rewrite("before", "minutes", "pages"), "minutes"),
    ("says_what_to_expect", rewrite("before", "Prerequisites", "Hello"), "prerequisites"),
    ("says_what_to_expect", rewrite("quiz", "<details>", ""), "0 folded answers"),
    ("verifies_every_numbered_equation", remove("sum-holds"), "(1) is not verified before equation (2)"),
    ("verifies_every_numbered_equation", remove("double-holds"), "(2) is not verified"),
    ("verifies_every_numbered_equation", untag("sum-holds", "verify"), "(1) is not verified"),
    ("verifies_every_numbered_equation", rewrite("double", "{2}", "{1}"), "(1) is given 2 times"),
    ("tags_what_it_records", add("metric('three', 3)"), "tag 'metric'"),
    ("tags_what_it_records", add("3", "verify"), "tag 'verify'"),
    ("names_are_unique", rewrite("sum-holds", "05.", ""), "'sum'"),
    ("names_are_unique", rewrite("double-holds", '"05.double"', 'f"{2}"'), "''"),
    ("names_are_unique", rewrite("double-holds", "05.double", "05.sum"), "verify('05.sum') stands there 2 times"),
    ("names_are_unique", add("metric('two', 2)", "metric"), "metric('two') stands there 2 times"),
    ("names_are_unique", add("check('05.one', 2)", "exercise"), "check('05.one') stands there 2 times"),
    ("runs_solutions_only_on_demand", rewrite("solution", "if SOLUTIONS:", "if True:"), "one 'if SOLUTIONS:'"),
    ("runs_solutions_only_on_demand", add("if SOLUTIONS:\n    1\n2", "solution"), "nothing beside it"),
    ("runs_solutions_only_on_demand", put({}, "solution", "metadata", "jupyter"), "not folded"),
    ("helps_with_every_exercise", rewrite("answer", "check(", "print("), "calls no check()"),
    ("helps_with_every_exercise", remove("hint"), "no folded hint"),
    ("helps_with_every_exercise", rewrite("hint", "details", "p"), "no folded hint"),
    ("helps_with_every_exercise", remove("solution"), "no solution"),
    ("helps_with_every_exercise", rewrite("solution", "05.one", "05.two"), "does not pass through check(['05.one'])"),
    ("has_short_cells", add("1\n\n" * 16), "16 lines"),
    ("has_short_cells", add("x = 1\n" * 16, "setup"), "16 lines"),
    ("swallows_no_errors", add("import ipywidgets as w\nw.interact(print, x=1)"), "interact"),
    ("swallows_no_errors", add("from ipywidgets import Output"), "Output"),
    ("swallows_no_errors", add("@interact_manual(x=1)\ndef f(x): ..."), "interact_manual"),
    ("describes_its_figures", add("import matplotlib.pyplot as plt"), "pyplot"),
    ("describes_its_figures", add("from matplotlib import pyplot"), "pyplot"),
    ("needs_no_network", add("import urllib.request"), "urllib.request"),
    ("needs_no_network", add("from requests import get"), "requests.get"),
    ("needs_no_network", add("data = MNIST('data', download=True)"), "MNIST"),
    ("needs_no_network", add("sklearn.datasets.fetch_openml('mnist')"), "fetch_openml"),
    ("needs_no_network", add("pd.read_csv('https://example.org/a.csv')"), "https://example.org"),
    ("needs_no_network", add("!curl example.org"), "curl"),
    ("needs_no_network", add("%pip install torch"), "pip"),
    ("needs_no_network", add("%%bash\nls"), "bash"),
    ("needs_no_network", add("![](https://example.org/a.png)", kind="markdown"), "from the network"),
    ("needs_no_network", add('<img alt="" src="http://a.org/a.png">', kind="markdown"), "from the network"),
    ("has_no_absolute_paths", add("open('/data/digits.csv')"), "/data/digits.csv"),
    ("has_no_absolute_paths", add("name = 1; open(f'/content/{name}')"), "/content/"),
    ("has_no_absolute_paths", add(r"open('C:\\digits.csv')"), "C:"),
    ("has_no_absolute_paths", add("See /home/me/notes.", kind="markdown"), "/home/"),
]


def test_the_sample_keeps_every_convention():
    assert complaints(sample(), NAME) == []


@pytest.mark.parametrize(("rule", "edit", "words"), BROKEN)
def test_a_broken_convention_is_named(rule, edit, words):
    notebook = sample()
    edit(notebook)
    assert any(c.startswith(f"{rule}: ") and words in c for c in complaints(notebook, NAME)), complaints(notebook, NAME)


def test_a_repository_may_stand_in_the_place_of_the_release():
    notebook = sample()
    rewrite("install", "sofim-lab=={RELEASE}\n", "git+https://github.com/somebody/sofim_lab@v1.0\n")(notebook)
    assert complaints(notebook, NAME) == []


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _, _ in BROKEN} == {rule.__name__ for rule in conventions.RULES}


@pytest.mark.parametrize(
    "edit",
    [
        add("for r in (1, 2):\n    metric(f'loss_{r}', r)", "metric"),  # names made by the run: the runner checks them
        add("print(f'{1} m/s', '1/2', 'a/b/c', r'\\rho/2', '/s')"),
        add("from a import (\n" + "    b,\n" * 20 + ")", "setup"),
        add("Steps of length η/(2√ρ); see [the paper](https://arxiv.org/abs/2403.02833).", kind="markdown"),
        rewrite("title", "somebody", "someone-else"),
    ],
)
def test_what_is_allowed_stays_allowed(edit):
    notebook = sample()
    edit(notebook)
    assert complaints(notebook, NAME) == []
