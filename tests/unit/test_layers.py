"""The plan of the package by file path: who imports whom, where libraries live; no circle, no name twice.

Imports are read from the source, those under TYPE_CHECKING and inside functions too.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = next(folder for folder in Path(__file__).parents if (folder / "loadtest").is_dir()) / "loadtest"

ROWS = (
    "events",
    "errors",
    "text",
    "spellings",
    "scrubber",
    "histograms",
    "orphan_guard",
    "processes",
    "signals",
    "output_streams",
    "regular_files",
    "command_lines",
    "values",
    "setting",
    "connection_options",
    "output_options",
    "options",
    "login_options",
    "ruling",
    "dialects",
    "drops",
    "transport",
    "statistics",
    "serverlog",
    "server",
    "session",
    "engine",
    "results",
    "verdict",
    "metrics",
    "report",
    "runs",
    "locust_plugin",
    "duel",
    "capture",
    "cli",
)
"""Files and folders of the package. A module imports from rows above its own, or from its own folder."""

DOORS = {"__init__.py", "__main__.py"}
"""The package's own doors show what is behind them, whatever its row."""

HOMES = {
    "locust": {"locust_plugin"},
    "gevent": {"locust_plugin"},
    "flask": {"locust_plugin"},
    "websockets": {"transport"},
    "socket": {"server", "transport"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "aiosqlite": {"server"},
    "jwt": {"server"},
    "hdrh": {"histograms"},
    "ahocorasick": {"serverlog"},
    "click": {"cli"},
    "rich": {"report"},
    "jinja2": {"report"},
    "markupsafe": {"report"},
    "scipy": {"statistics"},
    "numpy": {"histograms", "statistics", "results", "verdict", "runs"},
    "prometheus_client": {"metrics", "transport"},
    "opentelemetry": {"metrics"},
    "psutil": {"engine", "locust_plugin", "results"},
    "uvloop": {"engine", "server"},
    "socketio": {"dialects"},
    "engineio": {"dialects"},
    "requests": {"dialects"},
}
"""The rows that may import a library; libraries that are not named here belong to no one."""

MAX_LINES = 450
"""Of a module: one concept, and nobody scrolls for long."""


def sources(package: Path) -> list[Path]:
    """Return the package's source files."""
    return sorted(package.rglob("*.py"))


def row_of(path: Path, package: Path) -> str:
    """Return the row a source file belongs to: its folder in the package, or itself."""
    return path.relative_to(package).parts[0].removesuffix(".py")


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
    """Return every import that breaks the plan, and every file that has no row, as lines to read."""
    found = []
    for path in sources(package):
        if path.parent == package and path.name in DOORS:
            continue
        row = row_of(path, package)
        if row not in ROWS:
            found.append(f"{path.relative_to(package)} has no row: add {row} to ROWS")
            continue
        found += [
            f"{path.relative_to(package)} imports {name}: {problem}"
            for name in imports_of(path, package)
            if (problem := breach(row, name, package.name))
        ]
    return found


def breach(row: str, name: str, package: str) -> str | None:
    """Return what is wrong with an import of this name in this row, None if nothing is."""
    top, _, rest = name.partition(".")
    if top != package:
        homes = HOMES.get(top)
        return f"the home of {top} is {', '.join(sorted(homes))}" if homes and row not in homes else None
    other = rest.partition(".")[0]
    if other not in ROWS:
        return "only the doors import the package itself"
    if ROWS.index(other) > ROWS.index(row):
        return f"{other} stands below {row}"
    return None


def imported_modules(package: Path) -> dict[str, set[str]]:
    """Return the modules of the package that each of its modules imports, by their names."""
    names = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): path for path in sources(package)
    }
    names = {name: path for name, path in names.items() if path.name not in DOORS}
    graph: dict[str, set[str]] = defaultdict(set)
    for name, path in names.items():
        for imported in imports_of(path, package):
            target = imported if imported in names else imported.rpartition(".")[0]
            if target in names:
                graph[name].add(target)
    return graph


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the modules that stand in circles of imports, or between two; empty if there is no circle."""
    left = {name: set(imported) for name, imported in graph.items()}
    while True:
        targets = set().union(*left.values())
        kept = {name: imported & left.keys() for name, imported in left.items() if name in targets}
        kept = {name: imported for name, imported in kept.items() if imported}
        if kept == left:
            return sorted(left)
        left = kept


def names_twice(package: Path) -> list[str]:
    """Return the file names that occur more than once."""
    counts = Counter(path.name for path in sources(package) if path.name not in DOORS)
    return [name for name, count in counts.items() if count > 1]


def test_the_package_keeps_the_plan() -> None:
    """No module imports a lower row, or a library that has its home elsewhere; each row has its files."""
    assert breaches(PACKAGE) == []
    assert {row_of(path, PACKAGE) for path in sources(PACKAGE)} >= set(ROWS)


def test_no_circle() -> None:
    """No modules import each other, in whatever number of steps."""
    assert circle(imported_modules(PACKAGE)) == []


def test_a_file_name_occurs_once() -> None:
    """A traceback and an editor's tab show only the name."""
    assert names_twice(PACKAGE) == []


def test_modules_stay_readable() -> None:
    """No module has over 450 lines."""
    lengths = {path.relative_to(PACKAGE): len(path.read_text().splitlines()) for path in sources(PACKAGE)}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_the_package_is_seen() -> None:
    """The reader of imports finds the modules, and what they import."""
    assert {"session", "drops", "dialects"} <= {row_of(path, PACKAGE) for path in sources(PACKAGE)}
    assert {"loadtest.events.Drop", "random"} <= set(imports_of(PACKAGE / "drops" / "plan.py", PACKAGE))
    assert "loadtest.drops.kinds" in imported_modules(PACKAGE)["loadtest.drops.plan"]


@pytest.mark.parametrize(
    ("file", "source", "problem"),
    [
        ("session/machine.py", "import loadtest.engine", "engine stands below session"),
        ("session/machine.py", "from loadtest import engine", "engine stands below session"),
        ("session/machine.py", "from .. import engine", "engine stands below session"),
        ("session/machine.py", "from ..engine import link", "engine stands below session"),
        ("events.py", "from loadtest.errors import LoadtestError", "errors stands below events"),
        ("text.py", "from loadtest.session.ledger import Ledger", "session stands below text"),
        ("session/a.py", "if TYPE_CHECKING:\n    from loadtest.engine import link", "engine stands below"),
        ("session/a.py", "def later():\n    from loadtest import cli", "cli stands below session"),
        ("session/a.py", "from loadtest import Dialect", "only the doors"),
        ("session/a.py", "import socket", "the home of socket is server, transport"),
        ("server/app.py", "import websockets.sync.client", "the home of websockets is transport"),
        ("cli/runs.py", "from locust.env import Environment", "the home of locust is locust_plugin"),
        ("helpers.py", "", "has no row"),
        ("helpers/deep/inside.py", "", "has no row"),
    ],
)
def test_breaches_are_found(tmp_path: Path, file: str, source: str, problem: str) -> None:
    """Each way to break the plan is seen."""
    write(tmp_path / "loadtest" / file, source)
    (found,) = breaches(tmp_path / "loadtest")
    assert problem in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("session/machine.py", "from loadtest.session.ledger import Ledger\nfrom loadtest.events import Due"),
        ("engine/link.py", "from .timers import Timed\nimport uvloop\nimport msgspec"),
        ("errors.py", "from loadtest.events import Refused"),
        ("__init__.py", "from loadtest.cli import main\nimport locust"),
        ("__main__.py", "from loadtest.cli import main"),
    ],
)
def test_what_is_allowed(tmp_path: Path, file: str, source: str) -> None:
    """The own folder, rows above, free libraries and the doors are no breach."""
    write(tmp_path / "loadtest" / file, source)
    assert breaches(tmp_path / "loadtest") == []


def test_circles_and_names_are_found(tmp_path: Path) -> None:
    """A circle over three modules is seen, also inside one folder, and a name that two folders use."""
    package = tmp_path / "loadtest"
    write(package / "drops" / "plan.py", "from loadtest.drops.kinds import Kind")
    write(package / "drops" / "kinds.py", "from loadtest.drops import storms")
    write(package / "drops" / "storms.py", "if TYPE_CHECKING:\n    from loadtest.drops.plan import Plan")
    write(package / "session" / "plan.py", "from loadtest.drops.plan import Plan")
    assert circle(imported_modules(package))[:3] == [
        "loadtest.drops.kinds",
        "loadtest.drops.plan",
        "loadtest.drops.storms",
    ]
    assert names_twice(package) == ["plan.py"]


def write(path: Path, source: str) -> None:
    """Write a source file with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
