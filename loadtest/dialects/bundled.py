"""Bundled dialects: common protocols, imported on first use.

Some need a library, an extra of this distribution: `pip install 'loadtest-ws[socketio]'`. They import it when
the dialect is created, so that listing the options needs none. To add a dialect, write its module and a row
here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from loadtest.dialects.base import Dialect
from loadtest.dialects.dialect_options import Listed, listed
from loadtest.errors import InvalidSetting


@dataclass(frozen=True, slots=True)
class Bundled:
    """A bundled dialect.

    Args:
        module: module with its class, in this package.
        speaks: the protocol, for people.
        extra: extra of the distribution that installs its libraries, empty if it needs none.
    """

    module: str
    speaks: str
    extra: str = ""


BUNDLED: Final[Mapping[str, Bundled]] = {
    "graphql": Bundled("graphql", "GraphQL over WebSocket (graphql-transport-ws)"),
    "jsonrpc": Bundled("jsonrpc", "JSON-RPC 2.0"),
    "llm": Bundled("llm", "Realtime API of OpenAI and compatible servers"),
    "socketio": Bundled("socketio", "Socket.IO 3 and 4", extra="socketio"),
    "signalr": Bundled("signalr", "The JSON hub protocol of ASP.NET Core SignalR"),
    "template": Bundled("template_dialect", "Any protocol described by a TOML file"),
}


def dialect_named(name: str) -> type[Dialect]:
    """Return the dialect's class.

    Raises:
        InvalidSetting: the name is unknown.
    """
    if name not in Dialect.dialects and name in BUNDLED:
        import_module(f"loadtest.dialects.{BUNDLED[name].module}")  # which registers it
    try:
        return Dialect.dialects[name]
    except KeyError:
        known = ", ".join(sorted({*Dialect.dialects, *BUNDLED}))
        problem = f"must be {known}, or the name of a subclass of loadtest.Dialect in your locustfile"
        raise InvalidSetting("--ws-dialect", name, problem) from None


@dataclass(frozen=True, slots=True)
class Described:
    """A bundled dialect with its options, for lists.

    Args:
        name: name of the dialect.
        speaks: the protocol, for people.
        extra: extra of the distribution that installs its libraries, empty if it needs none.
        options: its options.
    """

    name: str
    speaks: str
    extra: str
    options: tuple[Listed, ...]


def described() -> Iterator[Described]:
    """Yield all bundled dialects."""
    for name, bundled in BUNDLED.items():
        yield Described(name, bundled.speaks, bundled.extra, listed(dialect_named(name)))
