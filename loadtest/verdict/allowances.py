"""How many connections a run may lose: the rules of `--ws-allow-losses`.

    5               5 losses in the run, over all sessions
    0.5/h           one in two session-hours
    any             any number
    1006=any        any number with this close code
    1001,1012=2/h   two per session-hour with either code

A rule with codes covers those together, the rule without codes all others; without that rule, none of the
others is allowed. Code 1006 stands for an end without a close frame: RST, FIN, a timeout (RFC 6455, section
7.1.5). A run stores its rules as text, so that it is judged the same way later.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.errors import InvalidSetting
from loadtest.statistics.distributions import poisson_tail
from loadtest.statistics.time_limits import MAX_CHANCE

_OPTION: Final = "--ws-allow-losses"

_CODES = range(1000, 5000)
"""Close codes (RFC 6455, section 7.4.2)."""

_LIKELY_CODES = frozenset({*range(1000, 1016), *range(4000, 5000)})
"""Numbers that are refused alone: the codes in RFC 6455's registry and those of applications (section 7.4.2).
Who types such a number means the code; as a number of losses it would allow almost everything."""

_RULE = re.compile(r"(?:(\d+(?:,\d+)*)=)?(?:(any)|(\d{1,9}(?:\.\d{1,9})?)/h|(\d{1,9}))", re.ASCII)
_FORM = "must be N, N/h or any, alone or after close codes, for example 5, 1006=any or 1001,1012=2/h"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One rule.

    Args:
        codes: close codes that it covers; empty for all that no other rule covers.
        most: losses allowed, `inf` for any number.
        per_hour: whether `most` is per session-hour and not for the run.
    """

    codes: tuple[int, ...] = ()
    most: float = 0
    per_hour: bool = False

    def __str__(self) -> str:
        codes = f"{','.join(map(str, self.codes))}=" if self.codes else ""
        return codes + self.amount

    @property
    def amount(self) -> str:
        """The rule without its codes: `5`, `2/h`, `any`."""
        return "any" if math.isinf(self.most) else f"{self.most:.12g}{'/h' if self.per_hour else ''}"

    def most_in(self, session_hours: float) -> float:
        """Return how many losses it allows in a run with so many session-hours."""
        return self.most * session_hours if self.per_hour else self.most

    def broken_beyond_chance(self, lost: int, session_hours: float) -> bool:
        """Whether so many losses break it, and a rate not just by chance.

        A server that keeps its rate exactly loses more than that in every other run. If it would lose so many
        in one run of a thousand or fewer (Poisson distribution), the rate is broken.
        """
        most = self.most_in(session_hours)
        return lost > most and (not self.per_hour or poisson_tail(lost, most) <= MAX_CHANCE)


NONE_ALLOWED: Final = Allowance()
"""The rule for losses that no other rule covers."""


def parse_allowances(texts: Iterable[str], *, option: str = _OPTION) -> tuple[Allowance, ...]:
    """Return the rules in these texts, as given.

    Args:
        texts: each has one rule, several separated by blanks, or none.
        option: the option named in errors.

    Raises:
        InvalidSetting: a rule is malformed, or two rules cover the same code.
    """
    rules: list[Allowance] = []
    for part in (part for text in texts for part in text.split()):
        rule = _parsed(part, option)
        for other in rules:
            if not rule.codes and not other.codes:
                raise InvalidSetting(option, part, "must be given only once without close codes")
            if twice := sorted(set(rule.codes) & set(other.codes)):
                raise InvalidSetting(option, part, f"must name each close code once, and {twice[0]} is twice")
        rules.append(rule)
    return tuple(rules)


def _parsed(part: str, option: str) -> Allowance:
    match = _RULE.fullmatch(part)
    if match is None and "=" in part.partition("=")[2]:
        raise InvalidSetting(option, part, "must have one rule", "Give the option once per rule")
    if match is None:
        raise InvalidSetting(option, part, _FORM)
    codes = [int(code) for code in (match[1] or "").split(",") if code]
    if any(code not in _CODES for code in codes):
        raise InvalidSetting(option, part, f"close codes must be {_CODES.start}–{_CODES.stop - 1}")
    per_hour = match[3] is not None
    if not codes and match[4] and int(match[4]) in _LIKELY_CODES:
        raise InvalidSetting(
            option, part, "is a close code, and needs a number: 1006=5, 1006=2/h or 1006=any"
        )
    most = math.inf if match[2] else float(match[3] or match[4])
    if per_hour and not most:
        raise InvalidSetting(option, part, "must be above 0 per session-hour, or just 0")
    return Allowance(tuple(sorted(set(codes))), most, per_hour)


def rule_for(code: int, rules: Sequence[Allowance]) -> Allowance:
    """Return the rule that covers a close code."""
    rest = next((rule for rule in rules if not rule.codes), NONE_ALLOWED)
    return next((rule for rule in rules if code in rule.codes), rest)
