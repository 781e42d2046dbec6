"""A hash of a user class's code: runs of a script before and after an edit are not comparable.

The hash covers the files that define the class and its tasks, as Python parses them, without comments,
docstrings and line breaks. It leaves out class attributes that say where a run goes and how it is judged,
because these change from run to run. It does not cover code that these files import.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

_HASH_LENGTH = 16  # hex digits: enough to distinguish edits, too few to reveal the code

_PACKAGE = Path(__file__).parents[1]

_NOT_SENT = frozenset(
    {"allow_losses", "baseline", "host", "limits", "margins", "results", "revision", "token"}
)
"""Attributes of classes that do not change what a run sends; `run.json` and the verdict have them."""


def code_of(kind: type) -> str | None:
    """Return the hash of the code of a user class, in hex; None if its files cannot be read.

    Args:
        kind: a subclass of `WebSocketUser`, with its tasks.
    """
    found = {code for path in set(_files(kind)) if (code := _code_in(path)) is not None}
    return sha256("\n".join(sorted(found)).encode()).hexdigest()[:_HASH_LENGTH] if found else None


def _files(kind: Any) -> Iterator[Path]:
    """Yield the files that define a class, its bases and its tasks, except the tool's own."""
    for base in kind.__mro__:
        functions = [member for member in vars(base).values() if inspect.isfunction(member)]
        yield from map(_file_of, functions)
        if not functions and (path := getattr(sys.modules.get(base.__module__), "__file__", None)):
            yield Path(path)
    for task in getattr(kind, "tasks", ()):
        if isinstance(task, type):
            yield from _files(task)
        elif inspect.isfunction(task):
            yield _file_of(task)


def _file_of(function: Any) -> Path:
    return Path(inspect.unwrap(function).__code__.co_filename)


def _code_in(path: Path) -> str | None:
    """Return a file's code without irrelevant parts; None if it is not the user's or cannot be read."""
    if path.suffix != ".py" or _PACKAGE in path.parents or _is_installed(path):
        return None
    try:
        return ast.dump(_Bare().visit(ast.parse(path.read_bytes())))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _is_installed(path: Path) -> bool:
    """Whether a file belongs to a library: library versions are recorded elsewhere."""
    return "site-packages" in path.parts or Path(inspect.__file__).parent in path.parents


class _Bare(ast.NodeTransformer):
    """Removes docstrings, and class attributes that do not change what is sent."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [member for member in node.body if not _is_not_sent(member)]
        return self.generic_visit(node)


def _is_not_sent(member: ast.stmt) -> bool:
    match member:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name in _NOT_SENT
    return False
