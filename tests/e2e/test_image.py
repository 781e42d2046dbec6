"""The image: its Dockerfile keeps the usual rules, and what its steps make runs as a user without rights."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from tests.support.dockerfile import Builder, Image, ignored, stages
from tests.support.places import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
RULES = (ROOT / ".dockerignore").read_text()

installs = pytest.mark.external("setpriv", "install")
"""Of tests that need the image: its steps install the package with its dependencies, from the index."""

pytestmark = pytest.mark.timeout(400)


def test_the_usual_rules() -> None:
    """What hadolint asks for: a pinned base, absolute folders, no caches, no root, an exec entry point."""
    build, final = stages(TEXT)
    assert {build.base, final.base} == {"python:3.13-slim-bookworm"}  # DL3006, DL3007
    for stage in (build, final):
        assert all(folder.startswith("/") for folder in stage.all("WORKDIR"))  # DL3000
        for command in stage.all("RUN"):
            assert not re.search(r"\b(sudo|cd|apt-get|curl|wget)\b", command)  # DL3003, DL3004, DL3008
            pips = re.findall(r"pip (?:wheel|install) [^&]*", command)
            assert all("--no-cache-dir" in pip for pip in pips)  # DL3042
    assert final.all("USER") == ["10001:10001"]  # DL3002; a number, as Kubernetes cannot look up a name
    assert final.all("ENTRYPOINT") == ['["locust"]']  # DL3025
    assert not any("pip" in command for command in final.all("RUN"))  # nothing is built in what is kept


@pytest.mark.parametrize("wrong", ["ADD . /src", "SHELL bash", "run true", "HEALTHCHECK CMD true"])
def test_other_instructions_are_refused(wrong: str) -> None:
    """What cannot be tried here must not stand in the Dockerfile."""
    with pytest.raises(ValueError, match="unknown instruction"):
        stages(f"FROM python:3.13 AS build\n{wrong}\n")


@pytest.mark.parametrize(
    ("path", "left_out"),
    [
        ("results/v1/run.json", True),
        (".git/config", True),
        (".env", True),
        ("tests/conftest.py", True),
        ("loadtest/errors.py", False),
        ("loadtest/session/__pycache__/machine.cpython-313.pyc", True),
        ("pyproject.toml", False),
        ("locustfiles/ws.py", False),
    ],
)
def test_what_the_context_holds(path: str, left_out: bool) -> None:
    """No results, secrets or history reach the builder."""
    assert ignored(RULES, PurePosixPath(path)) is left_out


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, built in a folder that every user may read."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Builder(ROOT, Path(folder), owner=os.geteuid() or None).build()


@installs
def test_a_run_of_the_main_job(image: Image) -> None:
    """A container with neither locustfile nor host tests the reference server, and leaves the reports."""
    options = ("--headless", "-u", "1", "-r", "1", "-t", "3s", "--ws-revision", "image")
    finished = image.run(*image.entrypoint, *options)
    assert finished.returncode in (0, 4), finished.stdout + finished.stderr
    (run,) = (image.folder / "results" / "image").iterdir()
    assert (run / "verdict.json").stat().st_uid == (image.user if os.geteuid() == 0 else os.geteuid())
    assert (run / "report.html").stat().st_size > 10_000


@installs
def test_what_else_is_there(image: Image) -> None:
    """Help that explains the options for workers, the other program, and nothing that only tests need."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert "--expect-workers" in image.run(*image.entrypoint, "--help").stdout
    assert image.run("loadtest", "--version").stdout == f"loadtest {version}\n"
    assert "No module named 'hypothesis'" in image.run("python", "-c", "import hypothesis").stderr
