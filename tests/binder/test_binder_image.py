"""The Dockerfile that Binder would build, rendered by repo2docker; no container engine is needed for that."""

import os
import shutil
import subprocess
import sys

import pytest
from environments import ROOT, read_conda
from repo2docker.app import Repo2Docker

needs_bash = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="bash, in which Binder's scripts are written"
)


@pytest.fixture
def checkout(tmp_path):
    """A copy of the files that git tracks or would track: what Binder would clone."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listing.returncode != 0:
        pytest.skip("not in a git checkout, so it is not known what Binder would clone")
    for name in filter(None, listing.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)  # keeps the executable bit
    return tmp_path


def render(folder, monkeypatch):
    """The buildpack that repo2docker chooses in a folder, the Python it takes, and the Dockerfile."""
    monkeypatch.chdir(folder)
    app = Repo2Docker()
    for kind in app.buildpacks:
        pack = kind(base_image=app.base_image)
        pack.platform = "linux/amd64"
        if pack.detect():
            return type(pack).__name__, pack.python_version, pack.render({})
    raise LookupError("repo2docker found nothing to build an environment from")


def test_image_is_built_from_the_binder_folder(checkout, monkeypatch):
    buildpack, python, dockerfile = render(checkout, monkeypatch)
    assert buildpack == "CondaBuildPack"
    assert python == read_conda((checkout / "binder/environment.yml").read_text(encoding="utf-8"))[0]
    steps = [
        'env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"',  # the slow step, before the sources
        "COPY --chown=1000:1000 src/ ${REPO_DIR}/",  # so that a commit does not install torch again
        "RUN ./binder/postBuild",
        'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
    ]
    assert all(dockerfile.count(step) == 1 for step in steps)
    assert sorted(steps, key=dockerfile.index) == steps


def test_without_its_own_file_the_binder_folder_hides_the_top_level_one(checkout, monkeypatch):
    """Why binder/environment.yml exists at all."""
    (checkout / "binder/environment.yml").unlink()
    with pytest.raises(LookupError):
        render(checkout, monkeypatch)


def test_a_local_package_in_the_environment_file_would_lose_the_cached_step(checkout, monkeypatch):
    """Why postBuild installs the project, and the environment file does not."""
    with (checkout / "binder/environment.yml").open("a", encoding="utf-8") as file:
        file.write("  - pip:\n      - -e .\n")
    _, _, dockerfile = render(checkout, monkeypatch)
    assert dockerfile.index("COPY --chown=1000:1000 src/ ${REPO_DIR}/") < dockerfile.index("env update -p")


@needs_bash
@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_are_executable_bash_with_unix_line_ends(checkout, name):
    script = checkout / "binder" / name
    assert script.read_bytes().startswith(b"#!/bin/bash\n")
    assert b"\r" not in script.read_bytes()
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


@needs_bash
@pytest.mark.parametrize(
    ("limit", "threads"), [(None, "1"), ("", "1"), ("0.5", "1"), ("1.0", "1"), ("4", "4"), ("2.9", "2"), ("x", "1")]
)
def test_start_gives_as_many_threads_as_binder_grants(limit, threads):
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS") and k != "CPU_LIMIT"}
    if limit is not None:
        environment["CPU_LIMIT"] = limit
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'], *sys.argv[1:])"
    command = [str(ROOT / "binder/start"), sys.executable, "-c", code, "an argument"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{threads} {threads} an argument"


@needs_bash
def test_post_build_installs_the_project_alone_and_stops_at_the_first_failure(tmp_path):
    calls = tmp_path / "calls"
    for name, status in [("python", "$PIP_STATUS"), ("jupyter", "0")]:
        (tmp_path / name).write_text(f'#!/bin/bash\necho "{name} $*" >> "{calls}"\nexit {status}\n')
        (tmp_path / name).chmod(0o755)

    def run_with(pip_status):
        calls.write_text("")
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PIP_STATUS": str(pip_status)}
        status = subprocess.run([str(ROOT / "binder/postBuild")], env=environment).returncode
        return status, calls.read_text().splitlines()

    status, (pip, jupyter) = run_with(0)
    assert status == 0
    assert pip == "python -m pip install --no-cache-dir --no-deps ."
    assert "announcements" in jupyter
    assert run_with(3) == (3, [pip])
