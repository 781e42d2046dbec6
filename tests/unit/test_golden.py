"""Golden files: compared, shown where they differ, and written when asked."""

from pathlib import Path

import pytest

from tests.support.golden import Golden


def test_a_text_is_compared_and_its_file_written_when_asked(tmp_path: Path) -> None:
    """A difference is shown line by line, with the way to accept it."""
    compare, update = Golden(update=False, folder=tmp_path), Golden(update=True, folder=tmp_path)
    with pytest.raises(pytest.fail.Exception, match=r"(?s)\+one.*--update-golden"):
        compare("a/b.txt", "one\n")
    update("a/b.txt", "one\n")
    compare("a/b.txt", "one\n")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)-one.*\+two"):
        compare("a/b.txt", "two\n")
    with pytest.raises(pytest.fail.Exception):
        compare("a/b.txt", "one")
    assert (tmp_path / "a" / "b.txt").read_text() == "one\n"
