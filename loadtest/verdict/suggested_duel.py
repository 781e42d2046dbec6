"""The command of a duel that settles what a single pair of runs only suggests, made from the runs' manifests.

A duel needs both servers at once. Two addresses on the network stand in the command; versions that ran one
after the other at one address, or on this machine, do not: you fill in the commands that start them. A
manifest holds no secrets, so tokens and headers must be given again. Every value is quoted for a shell: a
run.json may come from anywhere.
"""

import math
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from msgspec.structs import asdict

from loadtest.drops.plan import DEFAULT_WEIGHTS
from loadtest.options import LOCUST_OPTIONS, SETTINGS, command_options
from loadtest.results.manifest import Manifest, Plan
from loadtest.session.schedule import parse_backoff
from loadtest.setting import written
from loadtest.statistics.margins import margins_text
from loadtest.text import one_line

_MOST_CHARACTERS = 400
"""Of a value: a longer one is no name, address or option that a person typed."""

_USER_FILLS_IN = "COMMAND THAT STARTS {}"


def duel_command(before: Manifest, after: Manifest) -> str:
    """Return the command of a duel of these runs' servers, under the load of `after`, in one line.

    Args:
        before: manifest of the baseline's run.
        after: manifest of the candidate's run.
    """
    options = [*_sides(before, after), *_load(after.plan)]
    if after.locustfile and after.made_by == "locust":
        options.append(f"-f {_quoted(after.locustfile)}")
    if margins := margins_text(after.gates):
        options.append(f"--margin {_quoted(margins)}")
    return " ".join(["loadtest duel", *options, "--", *_for_locust(after.plan)])


def _sides(before: Manifest, after: Manifest) -> Iterator[str]:
    apart = before.target != after.target and _is_remote(before.target) and _is_remote(after.target)
    named = before.named and after.named and before.revision != after.revision
    for role, run in (("a", before), ("b", after)):
        if apart:
            yield f"--{role} {_quoted(run.target)}"
        else:
            yield f"--{role}-cmd {_quoted(_USER_FILLS_IN.format(run.revision if named else role))}"
        if named:
            yield f"--{role}-revision {_quoted(run.revision)}"


def _is_remote(target: str) -> bool:
    """Whether a target names a server on the network; one on this machine may have ended since."""
    try:
        host = urlsplit(target).hostname or ""
    except ValueError:  # only in a file that someone else has written
        return False
    return bool(host) and host not in ("localhost", "::1") and not host.startswith("127.")


def _load(plan: Plan) -> Iterator[str]:
    yield f"-u {plan.users}"
    if plan.duration_s is not None:
        yield f"--duration {math.ceil(plan.duration_s)}s"


def _for_locust(plan: Plan) -> Iterator[str]:
    """Yield the options that are passed to Locust: those of the plan that are not the defaults."""
    yield f"{LOCUST_OPTIONS['spawn_rate']} {plan.spawn_rate:g}"
    usual = {
        **{row.plan_field: written(row.default) for row in SETTINGS.values() if row.in_plan},
        "drops": written(DEFAULT_WEIGHTS),
        "backoff": str(parse_backoff(SETTINGS["backoff"].default)),
    }
    changed = {name: value for name, value in asdict(plan).items() if usual.get(name) != written(value)}
    unchanged = {name: None for name in asdict(plan) if name not in changed}
    yield from command_options({**changed, **unchanged})


def _quoted(value: str) -> str:
    return shlex.quote(one_line(value, _MOST_CHARACTERS))
