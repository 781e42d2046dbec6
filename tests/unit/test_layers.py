"""The import rule: a module imports its own row or lower rows, and each library has one home.

Imports are read from the source, those under TYPE_CHECKING and inside functions too. A module that has no
row fails the test, and so does a row that has no module: the table here is the package.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "loadtest"

LAYERS = {
    **dict.fromkeys(("events", "errors"), 0),
    **dict.fromkeys(
        ("session", "attempts", "traffic", "dialects", "schedule", "drops", "ledger", "latency", "recorder"),
        1,
    ),
    **dict.fromkeys(("evidence", "verdict", "statistics", "addresses"), 1),
    **dict.fromkeys(("run", "serverlog"), 2),
    **dict.fromkeys(("transport", "server"), 3),
    **dict.fromkeys(("engine",), 4),
    **dict.fromkeys(("locust_user", "report", "duel"), 5),
    **dict.fromkeys(("cli",), 6),
}
"""The row of each module of the package (design, section 3)."""

DOORS = {"__init__", "__main__"}
"""The package's own doors show what is behind them, whatever its row."""

HOMES = {
    "locust": {"locust_user"},
    "gevent": {"locust_user"},
    "flask": {"locust_user"},
    "websockets": {"transport"},
    "socket": {"transport"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "aiosqlite": {"server"},
    "hdrh": {"latency"},
    "click": {"cli"},
    "rich": {"report"},
    "jinja2": {"report"},
    "scipy": {"statistics"},
    "numpy": {"statistics", "latency", "evidence", "verdict"},
    "psutil": {"engine", "locust_user", "evidence", "run"},
    "uvloop": {"engine", "server"},
}
"""The modules that may import a library; libraries that are not named here belong to no one."""


def modules_of(package: Path) -> dict[str, list[Path]]:
    """Return the source files of each module: a file of the package, or a folder with source in it."""
    modules: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.py")):
        modules.setdefault(path.relative_to(package).parts[0].removesuffix(".py"), []).append(path)
    return modules


def imports_of(path: Path, package: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports."""
    here = (package.name, *path.relative_to(package).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level] if node.level else ()
            base = ".".join([*above, *(node.module.split(".") if node.module else ())])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def breaches(package: Path) -> list[str]:
    """Return every import that breaks the rule, and every module without a row, as lines to read."""
    modules = {name: paths for name, paths in modules_of(package).items() if name not in DOORS}
    return [
        *(
            f"{name} has no row: give it one in {Path(__file__).name}"
            for name in modules.keys() - LAYERS.keys()
        ),
        *(
            f"{path.relative_to(package)} imports {imported}: {problem}"
            for name, paths in modules.items()
            if name in LAYERS
            for path in paths
            for imported in imports_of(path, package)
            if (problem := breach(name, imported, package.name))
        ),
    ]


def breach(module: str, name: str, package: str) -> str | None:
    """Say what is wrong with this module's import of this name, if anything is."""
    top, _, rest = name.partition(".")
    if top != package:
        homes = HOMES.get(top)
        return f"the home of {top} is {', '.join(sorted(homes))}" if homes and module not in homes else None
    other = rest.partition(".")[0]
    if other not in LAYERS:
        return "only the doors import the package itself"
    if LAYERS[other] > LAYERS[module]:
        return f"{other} is in row {LAYERS[other]}, {module} in row {LAYERS[module]}"
    return None


def test_the_package_keeps_the_rule() -> None:
    """No module imports a higher row, or a library that has its home elsewhere; each row has its module."""
    assert breaches(PACKAGE) == []
    assert LAYERS.keys() <= modules_of(PACKAGE).keys()


def test_the_package_is_seen() -> None:
    """The reader of imports finds the modules, and what they import."""
    assert {"session", "drops", "dialects"} <= modules_of(PACKAGE).keys()
    assert {"loadtest.events.Drop", "random"} <= set(imports_of(PACKAGE / "drops" / "plan.py", PACKAGE))


@pytest.mark.parametrize(
    ("file", "source", "problem"),
    [
        ("session.py", "import loadtest.engine", "engine is in row 4, session in row 1"),
        ("session.py", "from loadtest import engine", "engine is in row 4"),
        ("session.py", "from . import engine", "engine is in row 4"),
        ("session.py", "from .engine import Engine", "engine is in row 4"),
        ("dialects/base.py", "from ..engine.link import Link", "engine is in row 4"),
        ("session.py", "if TYPE_CHECKING:\n    from loadtest.engine import Engine", "engine is in row 4"),
        ("session.py", "def later():\n    from loadtest import cli", "cli is in row 6"),
        ("session.py", "from loadtest import Dialect", "only the doors"),
        ("session.py", "import socket", "the home of socket is transport"),
        ("server/app.py", "import websockets.sync.client", "the home of websockets is transport"),
        ("cli.py", "from locust.env import Environment", "the home of locust is locust_user"),
        ("helpers.py", "", "helpers has no row"),
        ("helpers/deep/inside.py", "", "helpers has no row"),
    ],
)
def test_breaches_are_found(tmp_path: Path, file: str, source: str, problem: str) -> None:
    """Each way to break the rule is seen."""
    path = tmp_path / "loadtest" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (found,) = breaches(tmp_path / "loadtest")
    assert problem in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (
            "session.py",
            "from loadtest.session.traffic import Traffic\nfrom loadtest.events import Due\nimport msgspec",
        ),
        (
            "engine/link.py",
            "from loadtest.engine.timers import Timers\nfrom .timers import Timed\nimport uvloop",
        ),
        ("__init__.py", "from loadtest.cli import main\nimport locust"),
        ("__main__.py", "from loadtest.cli import main"),
    ],
)
def test_what_is_allowed(tmp_path: Path, file: str, source: str) -> None:
    """The own row, lower rows, free libraries and the doors are no breach."""
    path = tmp_path / "loadtest" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert breaches(tmp_path / "loadtest") == []
