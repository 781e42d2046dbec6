"""Finds the frames of the user's own files: not those of this package, Python or a library."""

import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_FOREIGN: Final = (
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    "<",  # frozen modules
)


def own_frames(frames: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Return the frames of the user's files, the innermost last."""
    return [frame for frame in frames if not frame.filename.startswith(_FOREIGN)]


def place_of(error: BaseException) -> str:
    """Return file and line of the innermost user frame in an exception's traceback; empty if none."""
    frames = own_frames(traceback.extract_tb(error.__traceback__))
    return place(frames[-1]) if frames else ""


def place(frame: traceback.FrameSummary) -> str:
    """Return a frame's file and line: `locustfile.py line 12`."""
    return f"{frame.filename.rpartition('/')[2]} line {frame.lineno}"
