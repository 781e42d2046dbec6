"""What a person asks of a duel, checked before anything is started.

What goes to Locust as it is, Locust refuses at the first run, but for what tells that the runs could never be
judged (`loadtest.duel.settings`). Options that the duel itself sets are refused: there would be two values.
"""

import argparse
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from loadtest.errors import InvalidSetting, UsageError
from loadtest.locust_plugin.options import OPTIONS, given_values
from loadtest.results.manifest import Plan
from loadtest.statistics.comparison import MIN_SECONDS
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.sequential import plan_looks
from loadtest.transport.target import Target, Tls
from loadtest.verdict.latency import OPTIONAL_TAGS

_CONFIG_FILES = ("~/.locust.conf", "locust.conf", "pyproject.toml")
"""What Locust reads of its own accord, if it is there."""

_OWN_KEY = re.compile(r"(?<!\w)ws-")
"""How a key of ours begins in all their formats. What only looks like one does no harm: a duel in vain is
then told after its first pair."""

_MAX_WARMUP_S = 3600.0
_MAX_SESSIONS = 100_000
_MAX_S = 24 * 3600
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
        return users * min(self.sessions, _MAX_SESSIONS) * self.rate


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
    warmup_s = min(foreseen.warmup_s or 0.0, _MAX_WARMUP_S)
    left_s = duration_s - warmup_s
    per_s, least = foreseen.messages_per_s(users), _NEEDIEST.least_samples
    if left_s < MIN_SECONDS:
        left = f"{max(left_s, 0):g} s after the warm-up of {warmup_s:g} s"
        problem = f"leaves {left}, {MIN_SECONDS} s are needed"
        shorter = ", or a shorter warm-up after --: --ws-warmup" if warmup_s else ""
        hint = f"Give at least {math.ceil(MIN_SECONDS + warmup_s)}s{shorter}"
    elif per_s is not None and 0 <= per_s * left_s < (1 - _CHANCE_RATIO) * least:
        left = f"{per_s * left_s:.0f} messages at {per_s:g} a second"
        problem = f"leaves time for {left}, {_NEEDIEST} needs {least}"
        enough_s = (1 + _CHANCE_RATIO) * least / per_s + warmup_s if per_s else math.inf
        longer = f"{math.ceil(enough_s)}s, or " if enough_s <= _MAX_S else ""
        hint = f"Give {longer}more --users, or more after --: --ws-sessions or --ws-rate"
    else:
        return
    raise InvalidSetting("--duration", f"{duration_s}s", problem, hint)


LOCUSTFILE = Path(__file__).parent / "user" / "locustfile.py"
"""The default user, from an installed package too."""

MAX_PAIRS = 1_000
MAX_SECONDS = 24 * 3600

_DURATION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s?)?")

_OWN_OPTIONS = {
    **dict.fromkeys(("-f", "--locustfile"), "--locustfile"),
    **dict.fromkeys(("-H", "--host"), "--a and --b"),
    **dict.fromkeys(("-t", "--run-time"), "--duration"),
    **dict.fromkeys(("-u", "--users"), "--users"),
    "--ws-results": "--results",
    "--ws-revision": "--a-revision and --b-revision",
    "--ws-baseline": "nothing: the duel compares",
    "--ws-margin": "--margin",
}
"""Options of Locust that a duel sets, and what sets them."""


class Order(StrEnum):
    """How the runs of the two follow each other."""

    ABBA = "abba"
    PARALLEL = "parallel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two deployments.

    Args:
        role: `a`, the baseline, or `b`, the candidate.
        revision: its name.
        url: where it is, empty where `command` starts it.
        command: starts it on a port, `{port}` in it and PORT in its environment; words, no shell.
    """

    role: str
    revision: str
    url: str = ""
    command: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.revision.strip():
            hint = "Name the version of the server"
            raise InvalidSetting(f"--{self.role}-revision", self.revision, "is empty", hint)
        if self.url:
            Target.parse(self.url, Tls())

    @classmethod
    def given(cls, role: str, *, url: str | None, command: str | None, revision: str | None) -> "Side":
        """Return a side as it was given on the command line: with a URL, or with a command.

        Raises:
            InvalidSetting: both or neither are given, or one of them cannot be.
        """
        options = f"--{role} and --{role}-cmd"
        if not (url or command):
            raise InvalidSetting(options, "", "are both missing", f"Say where {role} is, or how to start it")
        if url and command:
            raise InvalidSetting(options, url, "are both given", "Give one of them")
        words = _words(f"--{role}-cmd", command) if command else ()
        return cls(role=role, revision=revision or role, url=url or "", command=words)


def _words(option: str, command: str) -> Sequence[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InvalidSetting(
            option, command, f"cannot be read ({error})", "Quote it as for a shell"
        ) from None
    if not words or not words[0]:
        raise InvalidSetting(option, command, "is empty", "Give a command that starts the server")
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelSettings:
    """A duel, as it was asked for.

    Args:
        a, b: the baseline and the candidate.
        pairs: at most.
        duration_s: of each run.
        users: Locust users of each run.
        gates: with the margins that the pairs are judged by.
        arguments: for Locust, as they are.
        locustfile: with the user class.
        results: the folder of all runs.
        start_timeout_s: how long a server that a command starts may take to listen.
        environment: that Locust will have.

    Attributes:
        foreseen: what is known of the runs before Locust is started.
    """

    a: Side
    b: Side
    pairs: int = 12
    duration_s: int = 30
    users: int = 5
    order: Order = Order.ABBA
    gates: Sequence[Gate] = GATES
    arguments: Sequence[str] = ()
    locustfile: Path = LOCUSTFILE
    results: Path = Path("results")
    start_timeout_s: float = 60.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    foreseen: Foreseen = field(init=False)

    def __post_init__(self) -> None:
        if self.a.revision == self.b.revision:
            hint = "Runs are found by it: give --a-revision and --b-revision"
            raise InvalidSetting("--b-revision", self.b.revision, "is that of a, too", hint)
        _check("--pairs", self.pairs, least=1, most=MAX_PAIRS)
        _check("--users", self.users, least=1, most=1_000_000)
        _check("--duration", self.duration_s, least=1, most=MAX_SECONDS)
        _check("--start-timeout", self.start_timeout_s, least=1, most=3600)
        if not self.locustfile.is_file():
            hint = "Give a file with a WebSocketUser"
            raise InvalidSetting("--locustfile", str(self.locustfile), "is no file", hint)
        for argument in self.arguments:
            own = _OWN_OPTIONS.get(argument.partition("=")[0])
            if own:
                raise InvalidSetting("--", argument, "is what the duel sets itself", f"Use {own}")
        otherwise = USUAL if self.locustfile == LOCUSTFILE else Foreseen()
        foreseen = foresee(self.arguments, self.environment, otherwise=otherwise)
        check_judgeable(foreseen, users=self.users, duration_s=self.duration_s)
        object.__setattr__(self, "foreseen", foreseen)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Baseline and candidate."""
        return self.a, self.b

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of pairs at which the duel looks."""
        return plan_looks(self.pairs)


def _check(name: str, value: float, *, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidSetting(name, value, "is out of range", f"Give {least} to {most}")


def parse_duration(text: str) -> int:
    """Return the seconds of `30`, `30s`, `5m` or `1h30m`.

    Raises:
        InvalidSetting: it is none of these.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise InvalidSetting("--duration", text, "is no duration", "Write 30s, 5m or 1h30m")
    hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return 3600 * hours + 60 * minutes + seconds


_NEEDIEST = max(
    (gate for gate in GATES if gate.tag not in OPTIONAL_TAGS), key=lambda gate: gate.least_samples
)

_CHANCE_RATIO = 0.1
"""How far a run's messages may be from the plan: Poisson arrivals vary, and outages move or miss some."""
