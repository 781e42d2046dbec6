"""Settings of a duel, checked before anything is started.

Locust checks its own arguments at the first run. Two mistakes are found earlier: options that the duel itself
sets, and a duration that is too short to judge latency.
"""

import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from loadtest.drops.plan import DEFAULT_WEIGHTS, DropPlan, parse_storms, parse_weights
from loadtest.duel.expectation import PlannedLoad
from loadtest.duel.locust_options import WARMUP, known, names_log
from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.options import SETTINGS
from loadtest.session.schedule import parse_backoff
from loadtest.setting import Setting
from loadtest.statistics.comparison import MIN_SECONDS
from loadtest.statistics.margins import GATES, Gate
from loadtest.statistics.sequential import plan_looks
from loadtest.text import public_host, public_path, without_likely_secrets
from loadtest.transport.target import Target, Tls, path_in
from loadtest.values import Whole, seconds

LOCUSTFILE = Path(__file__).parent / "user" / "locustfile.py"
"""The locustfile of the default user; it is part of the installed package."""

MAX_PAIRS = 1_000

_PAIRS = Whole(1, MAX_PAIRS)
_RESTART_EVERY = Whole(0, MAX_PAIRS)
_USERS = Whole(1, 1_000_000)
_DURATION = seconds(1, 24 * 3600)
_START_TIMEOUT = seconds(1, 3600)

_WRITTEN_DURATION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s?)?")

_OWN_OPTIONS = {
    **dict.fromkeys(("-f", "--locustfile"), "use --locustfile before --"),
    **dict.fromkeys(("-H", "--host"), "use --a and --b before --"),
    **dict.fromkeys(("-t", "--run-time"), "use --duration before --"),
    **dict.fromkeys(("-u", "--users"), "use --users before --"),
    "--ws-results": "use --results before --",
    "--ws-revision": "use --a-revision and --b-revision before --",
    "--ws-baseline": "a duel compares b with a",
    "--ws-margin": "use --margin before --",
}
"""Options of Locust that the duel sets itself, and what to use instead."""

OF_LOAD: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("sessions", "rate", "arrivals", "warmup_s", "drop_every_s"), lambda value: value),
    "drops": parse_weights,
    "storms": parse_storms,
    "backoff": lambda text: str(parse_backoff(text)),
}
"""The settings that decide how much a run measures, and how their value becomes that of the plan. The seed
decides only when."""


class Order(StrEnum):
    """How the runs of a pair are made: in turn, the order drawn from the seed, or at the same time."""

    TURNS = "turns"
    PARALLEL = "parallel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two deployments.

    Args:
        role: `a`, the baseline, or `b`, the candidate.
        revision: version of the deployment.
        url: URL of the deployment, empty if `command` starts it.
        command: program and arguments that start it on the port `{port}` (also in the environment as PORT);
            run without a shell.

    Raises:
        InvalidSetting: the revision is empty, or the URL is malformed.
    """

    role: str
    revision: str
    url: str = ""
    command: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.revision.strip():
            raise InvalidSetting(f"--{self.role}-revision", self.revision, "must not be empty")
        if self.url:
            Target.parse(self.url, Tls(), option=f"--{self.role}")

    @classmethod
    def given(cls, role: str, *, url: str | None, command: str | None, revision: str | None) -> "Side":
        """Create a side from the command line, where either a URL or a command is given.

        Raises:
            InvalidSetting: both or neither are given, or one of them is malformed.
        """
        if bool(url) == bool(command):
            problem = f"or --{role}-cmd must be given, but not both: a URL, or the command that starts {role}"
            raise InvalidSetting(f"--{role}", NOT_SHOWN, problem)
        words = _words(f"--{role}-cmd", command) if command else ()
        return cls(role=role, revision=revision or role, url=url or "", command=words)


def _words(option: str, command: str) -> Sequence[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        problem = f"must be quoted as for a shell ({error})"
        raise InvalidSetting(option, NOT_SHOWN, problem) from None
    if not words or not words[0]:
        raise InvalidSetting(option, command, "must be a command that starts the server")
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelSettings:
    """Settings of a duel.

    Args:
        a, b: the baseline and the candidate.
        pairs: maximum number of pairs.
        duration_s: duration of each run, in seconds.
        users: Locust users of each run.
        order: whether runs are made in turn or at the same time.
        restart_every: pairs between two restarts of the servers given as commands; 0 to start them once.
        gates: gates with the margins that the pairs are judged by.
        arguments: further arguments for Locust, passed on unchanged.
        locustfile: file with the user class.
        results: the folder of all runs.
        start_timeout_s: seconds that a server started by a command may take to listen.

    Raises:
        InvalidSetting: a setting is out of range or set by the duel itself, the runs are too short, or the
            sides' paths differ.
    """

    a: Side
    b: Side
    pairs: int = 12
    duration_s: int = 30
    users: int = 5
    order: Order = Order.TURNS
    restart_every: int = 1
    gates: Sequence[Gate] = GATES
    arguments: Sequence[str] = ()
    locustfile: Path = LOCUSTFILE
    results: Path = Path("results")
    start_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.a.revision == self.b.revision:
            raise InvalidSetting("--b-revision", self.b.revision, "must differ from --a-revision")
        _PAIRS.read(self.pairs, "--pairs")
        _RESTART_EVERY.read(self.restart_every, "--restart-every")
        _USERS.read(self.users, "--users")
        _DURATION.read(self.duration_s, "--duration")
        _START_TIMEOUT.read(self.start_timeout_s, "--start-timeout")
        if not self.locustfile.is_file():
            problem = "must be a file with a WebSocketUser"
            raise InvalidSetting("--locustfile", str(self.locustfile), problem)
        for argument in self.arguments:
            option = argument.partition("=")[0]
            if option in _OWN_OPTIONS:
                given = without_likely_secrets(public_host(argument))
                raise InvalidSetting(option, given, f"is set by the duel: {_OWN_OPTIONS[option]}")
        self._check_paths()
        self._check_warmup()

    def _check_paths(self) -> None:
        """Refuse URLs with different paths: the path is part of a run's plan, and plans must be the same."""
        if self.a.url and self.b.url:
            a, b = (public_path(path_in(side.url) or "/") for side in self.sides)
            if a != b:
                raise InvalidSetting("--b", NOT_SHOWN, f"must have the same path as --a ({a}, not {b})")

    def _check_warmup(self) -> None:
        """Refuse runs that are too short after their warm-up to judge latency."""
        without_s = self.warmup_s
        least_s = math.ceil(MIN_SECONDS + without_s)
        if self.duration_s < least_s:
            problem = f"must be at least {least_s}s: {MIN_SECONDS} s after a warm-up of {without_s:g} s"
            hint = f"For a shorter warm-up, add -- {WARMUP.option} SECONDS" if without_s else ""
            raise InvalidSetting("--duration", f"{self.duration_s}s", problem, hint)

    @property
    def warmup_s(self) -> float:
        """The warm-up of each run in seconds; 0 if it is unknown (`loadtest.duel.locust_options`)."""
        warmup_s = self.known(WARMUP)
        return 0.0 if warmup_s is None else float(warmup_s)

    def known(self, setting: Setting) -> Any:
        """Return the value of a setting in the runs, None if it is unknown."""
        return known(setting, self.arguments, self._own_locustfile)

    @property
    def load(self) -> PlannedLoad | None:
        """The load of each run; None if a part of it is unknown, or depends on the server's speed."""
        values = {name: self.known(SETTINGS[name]) for name in (*OF_LOAD, "seed")}
        # These are None by default too, and then the default user's.
        optional = {"drops"} if self.locustfile == LOCUSTFILE else set()
        if any(value is None for name, value in values.items() if name not in optional):
            return None
        if values["arrivals"] == "closed" or not values["rate"]:
            return None
        weights = DEFAULT_WEIGHTS if values["drops"] is None else parse_weights(values["drops"])
        seed = values["seed"]
        return PlannedLoad(
            sessions=self.users * values["sessions"],
            rate=values["rate"],
            duration_s=self.duration_s,
            warmup_s=values["warmup_s"],
            drops=DropPlan(values["drop_every_s"], weights, seed, parse_storms(values["storms"])),
            backoff=parse_backoff(values["backoff"], seed=seed),
        )

    @property
    def followed(self) -> tuple[str, ...]:
        """The roles whose server's output is followed as its log: both or none.

        The log of only one side would show faults that the other side may have, too.
        """
        if not all(side.command for side in self.sides) or names_log(self.arguments, self._own_locustfile):
            return ()
        return tuple(side.role for side in self.sides)

    @property
    def _own_locustfile(self) -> Path | None:
        return None if self.locustfile == LOCUSTFILE else self.locustfile

    @property
    def sides(self) -> tuple[Side, Side]:
        """Baseline and candidate."""
        return self.a, self.b

    @property
    def restarted(self) -> tuple[str, ...]:
        """The roles whose server restarts during the duel."""
        return tuple(side.role for side in self.sides if side.command and self.restart_every)

    @property
    def pairs_per_unit(self) -> int:
        """Pairs that share instances of the servers; 1 if no server restarts."""
        return self.restart_every if self.restarted else 1

    @property
    def units(self) -> int:
        """Units that the planned pairs make."""
        return math.ceil(self.pairs / self.pairs_per_unit)

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of units at which the duel looks."""
        return plan_looks(self.units)

    @property
    def order_seed(self) -> int:
        """The seed of the order: that of the runs, or the default if a locustfile may set another."""
        seed = self.known(SETTINGS["seed"])
        return int(SETTINGS["seed"].default if seed is None else seed)


def parse_duration(text: str) -> int:
    """Parse a duration such as `30`, `30s`, `5m` or `1h30m` into seconds.

    Raises:
        InvalidSetting: the text has another form.
    """
    match = _WRITTEN_DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise InvalidSetting("--duration", text, "must be a duration such as 30s, 5m or 1h30m")
    hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return 3600 * hours + 60 * minutes + seconds
