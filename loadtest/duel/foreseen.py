"""How much each run of a duel will measure, as far as that is known before anything is started.

Locust reads its own arguments, but the few that say how much there is to judge are read here, too: a duel
whose runs no number of pairs could judge is refused at once, not after the first of them. Given are the
options after `--` and the environment; the rest is as the default user has it. Where a person's own
locustfile is used instead, its class may have set it otherwise, and it stays unknown; so it does where one of
Locust's configuration files may have set it, which are Locust's to read.
"""

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NoReturn

from loadtest.errors import InvalidSetting, UsageError
from loadtest.evidence import Plan
from loadtest.locust_user.options import OPTIONS, given_values
from loadtest.statistics import GATES
from loadtest.statistics.comparison import LEAST_SECONDS
from loadtest.verdict.timing import OPTIONAL_TAGS

_NEEDIEST = max(
    (gate for gate in GATES if gate.tag not in OPTIONAL_TAGS), key=lambda gate: gate.least_samples
)

_CHANCE_RATIO = 0.1
"""How far a run's messages may be from the plan: Poisson arrivals vary, and outages move or miss some."""

_CONFIG_FILES = ("~/.locust.conf", "locust.conf", "pyproject.toml")
"""What Locust reads of its own accord, if it is there."""

_OWN_KEY = re.compile(r"(?<!\w)ws-")
"""How a key of ours begins in all their formats. What only looks like one does no harm: a duel in vain is
then told after its first pair."""

_LONGEST_WARMUP_S = 3600.0
_MOST_SESSIONS = 100_000
_LONGEST_S = 24 * 3600
"""Beyond these, Locust refuses a plan, or a duel its duration: nothing needs to be computed with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What is known of the runs' plan, named as the attributes of a user class; None for what is not."""

    warmup_s: float | None = None
    sessions: int | None = None
    rate: float | None = None
    arrivals: str | None = None

    def agrees(self, plan: Plan) -> bool:
        """Tell whether a run's plan is as foreseen."""
        planned = (plan.warmup_s, plan.sessions_per_user, plan.rate, plan.arrivals)
        known = (self.warmup_s, self.sessions, self.rate, self.arrivals)
        return all(mine in (None, theirs) for mine, theirs in zip(known, planned, strict=True))

    def messages_per_s(self, users: int) -> float | None:
        """Return how many messages all sessions send in a second, None if that is not known."""
        if self.sessions is None or self.rate is None or self.arrivals in (None, "closed"):
            return None
        return users * min(self.sessions, _MOST_SESSIONS) * self.rate


USUAL = Foreseen(warmup_s=3.0, sessions=20, rate=1.0, arrivals="constant")
"""What the default user has. A test sees that it is so: to import the user is to import Locust."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def foresee(arguments: Sequence[str], environment: Mapping[str, str], *, otherwise: Foreseen) -> Foreseen:
    """Return what is known of the runs' plan.

    Args:
        arguments: for Locust; they win over the environment.
        environment: that Locust will have.
        otherwise: for what is given in neither, unless a configuration file may say it.

    Raises:
        UsageError: a value is missing, or is not what its option takes.
    """
    parser = _Parser(add_help=False)
    parser.add_argument("--config")
    for option in OPTIONS:
        if option.attribute in {field.name for field in fields(Foreseen)}:
            preset = environment.get(option.variable)
            parser.add_argument(f"--ws-{option.name}", dest=option.destination, default=preset)
    given, _ = parser.parse_known_args(arguments)
    configured = given.config is not None or any(map(_has_own_key, _CONFIG_FILES))
    return replace(Foreseen() if configured else otherwise, **given_values(given))


def _has_own_key(config_file: str) -> bool:
    try:
        text = Path(config_file).expanduser().read_text(encoding="utf-8", errors="replace")
    except (OSError, RuntimeError):  # most often there is no such file; there may be no home either
        return False
    return bool(_OWN_KEY.search(text))


def check_judgeable(foreseen: Foreseen, *, users: int, duration_s: int) -> None:
    """Make sure that the runs are not known to hold too little for their latency to be judged.

    Raises:
        InvalidSetting: they are too short, or have too few messages.
    """
    warmup_s = min(foreseen.warmup_s or 0.0, _LONGEST_WARMUP_S)
    left_s = duration_s - warmup_s
    per_s, least = foreseen.messages_per_s(users), _NEEDIEST.least_samples
    if left_s < LEAST_SECONDS:
        left = f"{max(left_s, 0):g} s after the warm-up of {warmup_s:g} s"
        problem = f"leaves {left}, {LEAST_SECONDS} s are needed"
        shorter = ", or a shorter warm-up after --: --ws-warmup" if warmup_s else ""
        hint = f"Give at least {math.ceil(LEAST_SECONDS + warmup_s)}s{shorter}"
    elif per_s is not None and 0 <= per_s * left_s < (1 - _CHANCE_RATIO) * least:
        left = f"{per_s * left_s:.0f} messages at {per_s:g} a second"
        problem = f"leaves time for {left}, {_NEEDIEST} needs {least}"
        enough_s = (1 + _CHANCE_RATIO) * least / per_s + warmup_s if per_s else math.inf
        longer = f"{math.ceil(enough_s)}s, or " if enough_s <= _LONGEST_S else ""
        hint = f"Give {longer}more --users, or more after --: --ws-sessions or --ws-rate"
    else:
        return
    raise InvalidSetting("--duration", f"{duration_s}s", problem, hint)
