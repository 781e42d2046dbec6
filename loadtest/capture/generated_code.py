"""Checks that a generated locustfile has only code that the tool writes.

A recording is untrusted, and the code made from it runs: in the replay at once, in a test later. Its texts
become literals and its names identifiers by construction (`python_source`). This check is the second barrier:
the file is parsed, and every kind of statement and expression, every name, attribute and import must be in an
allow list. It is checked before the replay and before anything is written, so a bug in the generator ends in
an error.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Final

from loadtest.errors import LoadtestError
from loadtest.text import one_line


class ForeignCode(LoadtestError):
    """A generated file has code that the tool never writes: a bug in the tool.

    Args:
        line: line number in the file.
        what: the unexpected code.
    """

    def __init__(self, line: int, what: str) -> None:
        super().__init__(line, what)
        self.line = line
        self.what = what

    def __str__(self) -> str:
        said = f"line {self.line} of the generated locustfile has {self.what}, which the tool never writes"
        return f"{said}. Nothing was run or written. Please report this"


_NODES: Final = (
    *(ast.Module, ast.Import, ast.ImportFrom, ast.alias, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr),
    *(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.arguments, ast.arg, ast.keyword, ast.Return),
    *(ast.If, ast.For, ast.AsyncFor, ast.Pass, ast.Raise, ast.Match, ast.match_case, ast.Await, ast.IfExp),
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Starred, ast.Call, ast.Compare),
    *(ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.JoinedStr, ast.FormattedValue, ast.Dict, ast.List, ast.Tuple),
    *(ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.comprehension, ast.operator, ast.unaryop, ast.boolop),
    *(ast.cmpop, ast.expr_context, ast.pattern),
)

_IMPORTS: Final = {
    *("import json", "import math", "import re", "import time", "import uuid", "import msgspec"),
    *("import loadtest as lt", "from collections.abc import Callable", "from typing import Any"),
    *("from locust import between", "from locust import task", "from locust import between, task"),
}

_BUILTINS: Final = {
    *(
        "bool",
        "bytes",
        "dict",
        "float",
        "int",
        "isinstance",
        "len",
        "list",
        "object",
        "range",
        "round",
        "str",
    ),
    *("super", "ValueError", "iter", "next"),
}

_ATTRIBUTES: Final = {
    *(
        "lt.Data",
        "lt.Dialect",
        "lt.DialectSession",
        "lt.Endpoint",
        "lt.Established",
        "lt.Failed",
        "lt.Incoming",
    ),
    *("lt.Push", "lt.Reply", "lt.Request", "lt.Restored", "lt.ScriptSession", "lt.Send", "lt.StreamPart"),
    *("lt.AuthRequired", "lt.WebSocketUser", "lt.unreadable"),
    *("json.dumps", "json.loads", "msgspec.msgpack", "msgspec.json", "re.compile", "re.DOTALL"),
    *("time.time", "uuid.uuid4", "uuid.uuid4().hex"),
    *("session.data", "session.memory", "session.request", "session.send", "session.sequence_of"),
    *("session.sleep", "session.stream", "session.text", "session.token"),
    *("self.read_record", "super().endpoint"),
}
"""Attributes of modules and of what the tool hands in, as they are written."""

_METHODS: Final = {
    *("decode", "encode", "endswith", "fullmatch", "get", "groups", "isdigit", "items", "join", "lower"),
    *("lstrip", "partition", "path", "pop", "removeprefix", "removesuffix", "rstrip", "setdefault", "split"),
    *("startswith", "strip", "append"),
}
"""Attributes of any other value: of texts, dicts and lists."""

_MODULES: Final = {"json", "math", "re", "time", "uuid", "msgspec", "lt", "self", "session", "super"}


def check_code(source: str, names: Iterable[str] = ()) -> None:
    """Check that generated code has only what the tool writes.

    Args:
        source: a file, or an expression.
        names: further names that an expression may use.

    Raises:
        ForeignCode: it has other code, which is a bug in the tool.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ForeignCode(line, f"a syntax error ({one_line(str(error), 80)})") from None
    known = _BUILTINS | set(_bound(tree)) | {name for name in names if not name.startswith("__")}
    for node in ast.walk(tree):
        what = _foreign(node, known)
        if what:
            raise ForeignCode(getattr(node, "lineno", 1), what)


def _bound(tree: ast.AST) -> Iterator[str]:
    """Yield the names that the file itself defines."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name
            case (
                ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name))
            ):
                yield name


def _foreign(node: ast.AST, known: set[str]) -> str:
    """Return the forbidden part of a node; empty if it is allowed."""
    if not isinstance(node, _NODES):
        return f"{type(node).__name__}"
    match node:
        case ast.Import() | ast.ImportFrom() if ast.unparse(node) not in _IMPORTS:
            return "an import"
        case ast.Name(id=name, ctx=ast.Load()) if name not in known:
            return f"the name {name}"
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) if name.startswith("__"):
            return f"the name {name}"
        case ast.Attribute():
            return _foreign_attribute(node)
        case ast.ClassDef(keywords=[_, *_]) | ast.Raise(cause=ast.AST()):
            return f"{type(node).__name__}"
        case ast.Raise(exc=error) if not _is_value_error(error):
            return "Raise"
        case ast.FunctionDef(decorator_list=found) | ast.AsyncFunctionDef(decorator_list=found):
            return "" if all(map(_is_task, found)) else "a decorator"
        case ast.MatchClass(cls=ast.Name(id=name)) if name not in _BUILTINS:
            return f"the pattern {name}"
    return ""


def _foreign_attribute(node: ast.Attribute) -> str:
    written = ast.unparse(node) if isinstance(node.value, ast.Name | ast.Attribute | ast.Call) else ""
    root: ast.AST = node
    while isinstance(root, ast.Attribute | ast.Call):
        root = root.value if isinstance(root, ast.Attribute) else root.func
    is_known = written in _ATTRIBUTES
    if isinstance(root, ast.Name) and isinstance(node.value, ast.Name) and root.id in _MODULES:
        return "" if is_known else f"the attribute {node.attr}"
    if is_known or node.attr in _METHODS:
        return ""
    return f"the attribute {node.attr}"


def _is_task(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "task"


def _is_value_error(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ValueError"
