"""Foreign folders: only regular files are read, and nothing is written through a name that exists."""

import os
from pathlib import Path

import pytest

from loadtest.regular_files import NotRegular, create, open_regular, read_regular, replace


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    file = tmp_path / "authorized_keys"
    file.write_text("mine")
    return file


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "device"])
def test_only_regular_files_are_opened(tmp_path: Path, victim: Path, kind: str) -> None:
    """Anything else is refused at once, and the error says what it is."""
    name = tmp_path / "run.json"
    match kind:
        case "fifo":
            os.mkfifo(name)
        case "link":
            name.symlink_to(victim)
        case "folder":
            name.mkdir()
        case "device":
            name = Path("/dev/zero")
    with pytest.raises(NotRegular, match=rf"is a {kind.replace('fifo', 'FIFO')}, not a regular file"):
        open_regular(name)


@pytest.mark.timeout(10)
def test_a_name_that_changes_after_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened is checked, not only what the name meant before."""
    name = tmp_path / "run.json"
    name.write_text("{}")
    regular = name.lstat()
    name.unlink()
    os.mkfifo(name)
    monkeypatch.setattr(Path, "lstat", lambda _path: regular)
    with pytest.raises(NotRegular, match="is a FIFO"):
        open_regular(name)


def test_a_link_that_the_user_typed_is_followed(tmp_path: Path, victim: Path) -> None:
    """The user's own files may be links, but still not FIFOs."""
    (tmp_path / "ca.pem").symlink_to(victim)
    assert read_regular(tmp_path / "ca.pem", 100, follow=True) == b"mine"


def test_size_is_bounded(tmp_path: Path) -> None:
    """A sparse file of 10 GB is refused after its first bytes."""
    file = tmp_path / "run.json"
    with file.open("wb") as sparse:
        sparse.truncate(10 << 30)
    with pytest.raises(OSError, match="is over 1000 bytes"):
        read_regular(file, 1000)


@pytest.mark.parametrize("linked", ["link", "hard link", "link to nowhere"])
def test_replaced_and_never_written_through(tmp_path: Path, victim: Path, linked: str) -> None:
    """What a planted link points to stays as it is; the report takes the link's place."""
    report = tmp_path / "run" / "summary.md"
    report.parent.mkdir()
    match linked:
        case "link":
            report.symlink_to(victim)
        case "hard link":
            report.hardlink_to(victim)
        case "link to nowhere":
            report.symlink_to(tmp_path / "new")
    replace(report, b"report")
    assert victim.read_text() == "mine"
    assert not report.is_symlink()
    assert report.read_text() == "report"
    assert not (tmp_path / "new").exists()
    assert os.listdir(report.parent) == ["summary.md"]


def test_the_folder_must_not_be_a_link(tmp_path: Path) -> None:
    """A planted folder link does not receive the reports."""
    (tmp_path / "home").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "home")
    with pytest.raises(OSError, match="is in a folder that is a link"):
        replace(tmp_path / "run" / "summary.md", b"report")
    assert not os.listdir(tmp_path / "home")


def test_mode_is_the_umask_s(tmp_path: Path) -> None:
    """A report is as readable as any file that the user makes."""
    before = os.umask(0o027)
    try:
        replace(tmp_path / "summary.md", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "summary.md").stat().st_mode & 0o777 == 0o640


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the rename fails, the old file and no temporary one is there."""
    (tmp_path / "summary.md").mkdir()
    with pytest.raises(IsADirectoryError):
        replace(tmp_path / "summary.md", b"report")
    assert os.listdir(tmp_path) == ["summary.md"]


def test_created_only_if_nothing_has_the_name(tmp_path: Path, victim: Path) -> None:
    """A link planted in a new run's folder is an error."""
    (tmp_path / "events.jsonl").symlink_to(victim)
    with pytest.raises(FileExistsError):
        create(tmp_path / "events.jsonl")


def test_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket is named, where opening it would only say that there is no such device."""
    monkeypatch.chdir(tmp_path)
    os.mknod("events.jsonl", 0o140644)
    with pytest.raises(NotRegular, match="is a socket"):
        open_regular(Path("events.jsonl"))
