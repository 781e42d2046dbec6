"""Golden files: output that people read, kept in tests/data/golden so that reviews show every change.

    def test_help(golden: Golden) -> None:
        golden("help.txt", CliRunner().invoke(main, ["--help"]).output)

A test fails with a diff if the text differs from its file. `pytest --update-golden` rewrites the files; `git
diff` then shows the changes.
"""

import difflib
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "data" / "golden"


@dataclass(frozen=True, slots=True)
class Golden:
    """Compares texts with golden files, or writes the files.

    Args:
        update: whether to write the files.
        folder: folder of the files.
    """

    update: bool
    folder: Path = FOLDER

    def __call__(self, name: str, text: str) -> None:
        """Compare a text with the file of this name.

        Args:
            name: path relative to the folder.
            text: text that must be the same on every machine and in every run.
        """
        file = self.folder / name
        if self.update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            return
        kept = file.read_text(encoding="utf-8") if file.exists() else ""
        if text != kept:
            lines = difflib.unified_diff(
                kept.splitlines(), text.splitlines(), f"{name} (golden)", f"{name} (now)", lineterm=""
            )
            pytest.fail("\n".join([*lines, "If this is meant: pytest --update-golden"]), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption("--update-golden", action="store_true", help="write golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return a function that compares a text with its golden file."""
    return Golden(update=bool(request.config.getoption("--update-golden")))
