"""A setting: one row of the table in `loadtest.options`."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import Any

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.values import Choice, Flag, Kind, Number, OneOf, Weighted


class Group(StrEnum):
    """Headings in lists of settings, in order."""

    SERVER = "Server under test"
    LOAD = "Load"
    DROPS = "Drops and reconnecting"
    CONNECTION = "Connection"
    VERDICT = "Verdict"
    SERVER_LOG = "Server log"
    OUTPUT = "Output"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Args:
        name: option name without `--ws-`; empty for a setting that is only a class attribute.
        kind: kind of its value, with the bounds.
        default: default of the attribute.
        help: what it does, in sentences, without the default and the bounds, which are shown beside it.
        attribute: attribute of the user class; the option overrides it. Made from the name unless given:
            `_s` is added for seconds, `s` for a repeatable setting.
        in_plan: whether the run's plan holds it; comparable runs must not differ in it.
        plan_field: field of the plan, if it has another name than the attribute.
        default_text: how to show the default, if its value does not explain itself.
        secret: whether it is masked in the web form and kept out of every file and error.
        repeatable: whether it can be given more than once; its value is then a tuple.
        in_web_form: whether the web form shows it. Settings that read files or run programs on this machine
            are not shown: a web request must not change them.
        alias: another name of the option, with its dashes; empty if there is none.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    _: KW_ONLY
    attribute: str = ""
    in_plan: bool = False
    plan_field: str = ""
    default_text: str = ""
    secret: bool = False
    repeatable: bool = False
    in_web_form: bool = True
    alias: str = ""

    def __post_init__(self) -> None:
        in_seconds = isinstance(self.kind, Number) and self.kind.unit == "seconds"
        made = self.name.replace("-", "_") + "_s" * in_seconds + "s" * self.repeatable
        object.__setattr__(self, "attribute", self.attribute or made)
        object.__setattr__(self, "plan_field", self.plan_field or self.attribute * self.in_plan)

    @property
    def option(self) -> str:
        """The option as the user types it, or the attribute if there is none."""
        return f"--ws-{self.name}" if self.name else f"WebSocketUser.{self.attribute}"

    def option_with(self, value: str) -> str:
        """Return the option with a value, which is quoted for a shell; a flag has none."""
        return self.option if isinstance(self.kind, Flag) else f"{self.option} {shlex.quote(value)}"

    @property
    def variable(self) -> str:
        """The environment variable; empty if there is no option."""
        return f"LOCUST_WS_{self.name.replace('-', '_').upper()}" if self.name else ""

    @property
    def destination(self) -> str:
        """The name in Locust's parsed options; empty if there is no option."""
        return f"ws_{self.name.replace('-', '_')}" if self.name else ""

    @property
    def allowed(self) -> str:
        """The bounds or the choices; empty if there are none."""
        return allowed(self.kind)

    @property
    def shown_default(self) -> str:
        """The default as shown to users; `none` if there is none."""
        return self.default_text or written(self.default) or "none"

    def read(self, given: Any) -> Any:
        """Return the checked value.

        Args:
            given: text or a Python object; with `repeatable` also a list or a mapping of those.

        Raises:
            InvalidSetting: the setting does not accept the value.
        """
        if given is None and self.default is None:
            return None
        try:
            if self.repeatable:
                return tuple(self.kind.read(one, self.option) for one in _each(given))
            return self.kind.read(given, self.option)
        except InvalidSetting as error:
            if self.secret:
                raise InvalidSetting(error.option, NOT_SHOWN, error.problem, error.hint) from None
            raise


def allowed(kind: Kind) -> str:
    """Return the bounds or the choices of a kind; empty if there are none."""
    return str(kind) if isinstance(kind, Number | OneOf | Choice | Weighted) else ""


def _each(given: Any) -> Iterable[Any]:
    """Return the values of a repeatable setting, which may be given as a mapping, a list or one value."""
    if isinstance(given, Mapping):
        return given.items()
    if isinstance(given, Iterable) and not isinstance(given, str):
        return given
    return [given] if given != "" else ()


def written(value: Any) -> str:
    """Return a value as its option takes it; reading the text gives the same value."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return ",".join(f"{name}={written(one)}" for name, one in value.items())
    if isinstance(value, tuple | list):
        return ",".join(map(written, value))
    return str(value)
