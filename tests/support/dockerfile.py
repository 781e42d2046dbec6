"""Takes the steps of a Dockerfile without Docker: each stage in a folder that stands for its root.

Known is what this project's Dockerfile needs; every other instruction is an error. Absolute paths in the
steps are put under the folder. A stage begins empty, so what it does not copy from another is not there. The
base image is the Python that runs the tests, without its packages but for two that take long to install.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOTS = ("src", "wheels", "opt", "work")
"""Folders of the image that the steps may name."""

PYTHON = Path(sys.base_prefix, "bin", "python3")
"""The base image's Python."""

INSTALLED = ("numpy", "scipy")
"""Packages that the base image has already: two thirds of the time that an installation takes."""

KNOWN = ("FROM", "WORKDIR", "COPY", "RUN", "LABEL", "ENV", "USER", "ENTRYPOINT")


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction with what follows it, on one line."""

    instruction: str
    value: str


@dataclass(slots=True)
class Stage:
    """A stage: from its FROM on."""

    base: str
    name: str | None
    steps: list[Step] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """What follows this instruction, in order."""
        return [step.value for step in self.steps if step.instruction == instruction]


@dataclass(frozen=True, slots=True)
class Image:
    """A built image.

    Attributes:
        root: the folder that stands for its root.
        environment: its whole environment.
        user: number of the user.
        folder: where a container starts.
        entrypoint: program and first arguments.
    """

    root: Path
    environment: dict[str, str]
    user: int
    folder: Path
    entrypoint: tuple[str, ...]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a container, as the image's user if this process may become another."""
        return subprocess.run(
            [*_becoming(self.user), "/usr/bin/env", *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )


def _becoming(user: int) -> tuple[str, ...]:
    """Return the command that runs another one as this user.

    In an image all users may read Python. Where it is in root's home, the right to read goes along.
    """
    if os.geteuid() != 0:
        return ()
    hidden = any(not folder.stat().st_mode & stat.S_IXOTH for folder in PYTHON.resolve().parents)
    rights = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search") if hidden else ()
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *rights)


def stages(text: str) -> list[Stage]:
    """Parse a Dockerfile.

    Raises:
        ValueError: it has an instruction that is not known here.
    """
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: list[Stage] = []
    for line in filter(None, (line.strip() for line in lines.replace("\\\n", " ").splitlines())):
        instruction, _, value = line.partition(" ")
        if instruction not in KNOWN:
            raise ValueError(f"unknown instruction: {line}")
        if instruction == "FROM":
            base, *name = value.split(" AS ")
            found.append(Stage(base, name[0] if name else None))
        else:
            found[-1].steps.append(Step(instruction, " ".join(value.split())))
    return found


def ignored(rules: str, path: PurePosixPath) -> bool:
    """Whether a .dockerignore leaves out this path: the last rule for it or a parent decides."""
    left_out = False
    for line in rules.splitlines():
        rule = line.strip()
        if rule and not rule.startswith("#"):
            pattern = rule.removeprefix("!")
            if any(_matches(pattern, parent) for parent in (path, *path.parents)):
                left_out = not rule.startswith("!")
    return left_out


def _matches(pattern: str, path: PurePosixPath) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(path.name, pattern.removeprefix("**/"))
    return len(path.parts) == pattern.count("/") + 1 and fnmatch.fnmatch(str(path), pattern)


class Builder:
    """Builds an image in a folder.

    Args:
        context: the folder that COPY takes files from, with its .dockerignore.
        folder: an empty one, which every user may read.
        owner: the number that stands for the image's user, should this process not be root.
    """

    def __init__(self, context: Path, folder: Path, owner: int | None = None) -> None:
        self._context, self._folder, self._owner = context, folder, owner
        self._rules = (context / ".dockerignore").read_text()
        self._root = folder / "root"
        self._base = folder / "base"
        self._compiled = folder / "compiled"
        self._compiled.mkdir()
        self._compiled.chmod(0o777)
        self._base.mkdir()
        python = self._base / "python"
        python.write_text(f'#!/bin/sh\nexec "{PYTHON}" "$@"\n')
        python.chmod(0o755)
        for distribution in map(importlib.metadata.distribution, INSTALLED):
            for name in {file.parts[0] for file in distribution.files or ()} - {".."}:
                (self._base / name).symlink_to(str(distribution.locate_file(name)))

    def build(self) -> Image:
        """Take all steps, and return the last stage."""
        image = None
        for stage in stages((self._context / "Dockerfile").read_text()):
            self._root.mkdir()
            image = self._stage(stage)
            if stage.name is not None:
                self._root.rename(self._folder / stage.name)
        assert image is not None
        return image

    def _stage(self, stage: Stage) -> Image:
        environment = {
            "PATH": f"{self._base}:{os.defpath}",
            "PYTHONPATH": str(self._base),
            "PIP_NO_COMPILE": "1",  # only what is imported, once
            "PYTHONPYCACHEPREFIX": str(self._compiled),
            "LANG": "C.UTF-8",
        }
        folder, user, entrypoint = self._root, 0, ()
        for step in stage.steps:
            match step.instruction:
                case "WORKDIR":
                    folder = self._inside(step.value)
                    folder.mkdir(parents=True, exist_ok=True)
                case "COPY":
                    self._copy(shlex.split(step.value), folder)
                case "RUN":
                    self._run(step.value, folder, environment)
                case "ENV":
                    for setting in shlex.split(self._rooted(step.value)):
                        name, _, value = setting.partition("=")
                        environment[name] = value.replace("$PATH", environment["PATH"])
                case "USER":
                    user = int(step.value.split(":")[0])
                case "ENTRYPOINT":
                    entrypoint = tuple(json.loads(step.value))
        return Image(self._root, environment, user, folder, entrypoint)

    def _rooted(self, text: str) -> str:
        """Put the image's absolute paths under the folder."""
        return re.sub(rf"(?<![\w./-])/(?=(?:{'|'.join(ROOTS)})\b)", f"{self._root}/", text)

    def _inside(self, path: str) -> Path:
        assert path.split("/")[1] in ROOTS, path
        return Path(self._rooted(path))

    def _run(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        if self._owner is not None:
            command = re.sub(r"--(owner|group)=\d+", rf"--\1={self._owner}", command)
        subprocess.run(
            ["/bin/sh", "-euc", self._rooted(command)], cwd=folder, env=environment, check=True, timeout=300
        )

    def _copy(self, words: list[str], folder: Path) -> None:
        stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
        *sources, target = words
        place = self._inside(target) if target.startswith("/") else folder / target
        for source in sources:
            if stage is not None:
                shutil.copytree(self._folder / stage / source.lstrip("/"), place, symlinks=True)
                continue
            found = self._context / source
            into = place / found.name if target.endswith("/") else place
            into.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, into, ignore=self._left_out)
            elif not self._is_left_out(found):
                shutil.copy(found, into)

    def _is_left_out(self, path: Path) -> bool:
        return ignored(self._rules, PurePosixPath(path.relative_to(self._context)))

    def _left_out(self, folder: str, names: list[str]) -> list[str]:
        return [name for name in names if self._is_left_out(Path(folder, name))]
