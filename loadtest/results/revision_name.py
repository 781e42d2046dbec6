"""The name of a revision, made from text of a server or CI so that it can be a folder name."""

import re
from hashlib import sha256

LONGEST = 80
"""Characters of a name: those of a folder's."""

_DIGEST = 8
"""Hexadecimal characters that tell revisions apart whose names do not show them whole."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_ENDS = re.compile(r"\A[^A-Za-z0-9_]+|[^A-Za-z0-9_]+\Z")


def revision_name(text: str) -> str:
    """Return a text as a revision's name, empty if no character of it is usable.

    A name that lost characters in the middle gets a digest: 1.4+7 and 1.4-7 are two revisions.
    """
    core = _ENDS.sub("", text)
    name = _UNSAFE.sub("-", core)
    if name == core and len(name) <= LONGEST:
        return name
    digest = sha256(core.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{name[: LONGEST - _DIGEST - 1]}-{digest}"
