"""Checks what the user classes of a run share: valid names, and one value for each setting of the whole run.

Some settings belong to the run, not to its sessions. A class that does not set such a value takes it from the
class that does.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from loadtest.errors import InvalidSetting, UsageError
from loadtest.options import SETTINGS
from loadtest.text import one_line

OF_THE_RUN: Final = (
    *("revision", "revision_header", "baseline", "results", "keep_going", "proxy"),
    *("prometheus_port", "drills", "drill_window_s", "server_metrics"),
    *("github", "summary_file", "junit_file", "inconclusive_exit"),
    *("server_logs", "server_log_cmd", "server_log_format", "server_log_rules", "server_log_errors"),
)
"""Attributes of `WebSocketUser` that have one value for the whole run."""


_NAME_LENGTH = 100


def check_names(names: Iterable[str]) -> None:
    """Refuse invalid names of user classes: records, tables and histograms are keyed by name.

    Raises:
        UsageError: a name is not an identifier, or too long.
    """
    for name in names:
        if not name.isidentifier() or len(name) > _NAME_LENGTH:
            allowed = f"an identifier of at most {_NAME_LENGTH} characters"
            raise UsageError(f"user class name must be {allowed} (got {one_line(ascii(name), 80)})")


def misspelled(kind: type, base: type) -> Iterator[str]:
    """Yield a warning for each class attribute that looks like a misspelled setting.

    Args:
        kind: the user class.
        base: `WebSocketUser`, whose attributes are known.
    """
    for own in kind.__mro__[: kind.__mro__.index(base)]:
        for name, value in vars(own).items():
            if name.startswith("_") or hasattr(base, name) or callable(value):
                continue
            if close := get_close_matches(name, [*SETTINGS, *_OF_LOCUST], 1, _CLOSE):
                yield f"{own.__name__}.{name} is not a setting and has no effect. Did you mean {close[0]}?"


_OF_LOCUST: Final = ("host", "wait_time", "weight", "fixed_count", "tasks")
_CLOSE: Final = 0.8
"""Least similarity of two names, by difflib: one letter in five may be wrong or missing."""


def agree(values: Mapping[str, dict[str, Any]]) -> None:
    """Give all classes the same values of `OF_THE_RUN`.

    Args:
        values: by class name, the values by attribute; modified in place.

    Raises:
        UsageError: two classes set different values.
    """
    for attribute in OF_THE_RUN:
        default = SETTINGS[attribute].default
        setting = {name: own[attribute] for name, own in values.items() if own[attribute] != default}
        first = next(iter(setting), None)
        if first is None:
            continue
        for name, value in setting.items():
            if value != setting[first]:
                raise UsageError(
                    f"{first} and {name} must have the same {attribute}: it applies to the whole run. "
                    f"Set it with {SETTINGS[attribute].option}"
                )
        for own in values.values():
            own[attribute] = setting[first]


def check_pings(pings: Iterable[tuple[float, float]]) -> None:
    """Check that a run with a timeout for pongs sends pings.

    Args:
        pings: interval and timeout of each class, in seconds.

    Raises:
        InvalidSetting: no class sends pings.
    """
    given = list(pings)
    row = SETTINGS["ping_timeout_s"]
    timeout_s = next((own_s for _, own_s in given if own_s != row.default), None)
    if timeout_s is not None and not any(interval_s for interval_s, _ in given):
        raise InvalidSetting(row.option, timeout_s, "must be given together with --ws-ping")
