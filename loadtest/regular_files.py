"""Files in folders that someone else may have filled, such as a run downloaded from CI.

A name in such a folder may be a link to one of the user's files, a FIFO without a writer, or a device. So
reading opens regular files only, without blocking, and checks the opened file: its name may have changed.
Writing never opens an existing name: a new file with an unguessable name replaces it.

The content of the files does not matter here. Errors are OSErrors, for the callers to translate.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_MODE = 0o666  # less the umask

_KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegular(OSError):
    """The name is not that of a regular file."""

    def __init__(self, path: Path, mode: int) -> None:
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
        super().__init__(errno.EINVAL, f"is {kind}, not a regular file", str(path))


def open_regular(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a file for reading.

    Args:
        path: the file.
        follow: whether it may be a link: the user typed its name.

    Raises:
        NotRegular: it is a link, a FIFO, a device, or anything else that is not a regular file.
        OSError: it does not exist or cannot be opened.
    """
    _check(path, path.stat().st_mode if follow else path.lstat().st_mode)
    # What has the name now may be another file than the one checked, so the opened one is checked too.
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        _check(path, os.fstat(descriptor).st_mode)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegular(path, mode)


def read_regular(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """Return the content of a file; see `open_regular`.

    Args:
        limit: maximum size in bytes.

    Raises:
        OSError: it cannot be read, or is larger (EFBIG).
    """
    with open_regular(path, follow=follow) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"is over {limit} bytes", str(path))
    return data


def create(path: Path) -> BinaryIO:
    """Create a file for writing and reading, so that it can be read even after its folder is deleted.

    Raises:
        FileExistsError: the name exists, even as a broken link.
        OSError: it cannot be created.
    """
    return open(path, "x+b")  # O_EXCL follows no link (POSIX, open)


def create_unnamed(folder: Path, name: str) -> Path:
    """Create an empty, hidden file with an unguessable name that ends in `name`; return its path.

    Raises:
        OSError: it cannot be created.
    """
    path = folder / f".{secrets.token_hex(8)}.{name}"
    create(path).close()
    return path


def check_replaceable(path: Path) -> None:
    """Check that a name is free or a regular file's: `replace` would replace a device by a file.

    Raises:
        NotRegular: it is a link, a FIFO, a device, or anything else that is no regular file.
    """
    with suppress(FileNotFoundError):
        _check(path, path.lstat().st_mode)


def replace(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a file atomically: readers see the old one, the new one or none, and never a part.

    A link of that name is replaced; its target is unchanged.

    Args:
        path: the file. Its folder must not be a link.
        data: its content.
        sync: whether to wait until the data is on the disk.

    Raises:
        OSError: it cannot be written; no temporary file is left.
    """
    name = f".{path.name}.{secrets.token_hex(8)}.partial"
    with _folder(path.parent) as folder:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(name, flags, _MODE, dir_fd=folder)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            os.replace(name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
            raise


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    """Open a folder, so that all steps of a replacement happen in the same one."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "is in a folder that is a link", str(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
