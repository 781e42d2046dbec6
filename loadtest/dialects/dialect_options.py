"""Options of a dialect: attributes that `--ws-dialect-option NAME=VALUE` sets.

A dialect lists them in `options`. Each has the name of a class attribute, which holds its default. A subclass
in a locustfile sets the attributes instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtest.errors import InvalidSetting
from loadtest.setting import allowed, written
from loadtest.values import Kind

OPTION: Final = "--ws-dialect-option"

MAX_OPTIONS: Final = 50
"""Options that one command line may set: more than any dialect has."""


@dataclass(frozen=True, slots=True)
class DialectOption:
    """An option of a dialect.

    Args:
        name: as in `--ws-dialect-option NAME=VALUE`; the attribute has underscores for hyphens.
        kind: kind of its value, with the bounds.
        help: what it does, in sentences, without the default and the bounds.
    """

    name: str
    kind: Kind
    help: str

    @property
    def attribute(self) -> str:
        """The name of the class attribute."""
        return self.name.replace("-", "_")


def parsed(given: Sequence[str]) -> dict[str, str]:
    """Return the values of options as text, by name.

    Raises:
        InvalidSetting: a text has no equals sign, a name is given twice, or there are too many.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name):
            raise InvalidSetting(OPTION, text, "must be NAME=VALUE")
        if name in found:
            raise InvalidSetting(OPTION, text, f"must set {name} only once")
        found[name] = value
    if len(found) > MAX_OPTIONS:
        raise InvalidSetting(OPTION, len(found), f"must be given at most {MAX_OPTIONS} times")
    return found


def with_options(kind: type[Any], given: Mapping[str, str]) -> type[Any]:
    """Return a subclass of a dialect with these values as attributes, the class itself if there are none.

    Raises:
        InvalidSetting: the dialect has no such option, or the option does not accept the value.
    """
    if not given:
        return kind
    known: dict[str, DialectOption] = {option.name: option for option in kind.options}
    values = {}
    for name, text in given.items():
        if name not in known:
            raise InvalidSetting(OPTION, f"{name}={text}", _unknown(kind, known))
        values[known[name].attribute] = known[name].kind.read(text, f"{OPTION} {name}")
    return type(kind.__name__, (kind,), {"__module__": kind.__module__, **values})


def refuse_option(name: str, value: Any, problem: str, *, unless: Any) -> None:
    """Refuse a valid value of an option that cannot work, unless the condition holds.

    Raises:
        InvalidSetting: the condition `unless` does not hold.
    """
    if not unless:
        raise InvalidSetting(f"{OPTION} {name}", value, problem)


@dataclass(frozen=True, slots=True)
class Listed:
    """An option as shown in lists.

    Args:
        name: as in `--ws-dialect-option NAME=VALUE`.
        metavar: placeholder for its value.
        help: what it does.
        allowed: the bounds or the choices; empty if there are none.
        default: its default as the option takes it; empty if there is none.
    """

    name: str
    metavar: str
    help: str
    allowed: str
    default: str


def listed(kind: type[Any]) -> tuple[Listed, ...]:
    """Return the options of a dialect's class."""
    return tuple(
        Listed(
            option.name,
            option.kind.metavar or "on|off",
            option.help,
            allowed(option.kind),
            written(getattr(kind, option.attribute)),
        )
        for option in kind.options
    )


def _unknown(kind: type[Any], known: Mapping[str, DialectOption]) -> str:
    if not known:
        return f"is unknown: the dialect {kind.name} has no options"
    return f"is unknown: the dialect {kind.name} has {', '.join(sorted(known))}"
