"""All benchmarks, in one table.

    python -m tests.benchmarks [--quick] [--rounds N] [--markdown] [--json FILE] [--who CLIENT] [NAME …]
    python -m tests.benchmarks --compare BEFORE.json AFTER.json

Every figure includes the machine's noise, so compare the ratios. Each round measures all clients in turn. The
table shows the median of the rounds, the minimum and maximum, and the ratio to this tool's median. Clients
that cannot be measured are named and skipped: libraries that are not installed (pip install -e '.[bench]'),
Go without a compiler, k6 without its binary on PATH. All benchmarks take about 50 minutes on two cores,
--quick about six. If you stop them, the finished measurements are in FILE.

The echo server needs less than half of a core in the open loops, also over TLS. In a closed loop, client and
server wait for each other, so CPU per round trip says more than round trips per second.
"""

import argparse
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks import scripts
from tests.benchmarks.certificates import Certificates, certificates
from tests.benchmarks.connects import connects
from tests.benchmarks.locust_process import echo_server
from tests.benchmarks.log_lines import log_lines
from tests.benchmarks.memory import memory
from tests.benchmarks.message_cost import message_cost
from tests.benchmarks.peers import CLIENTS, OURS, Client
from tests.benchmarks.publishing import HOUR_S, publishing
from tests.benchmarks.table import COMPARED, HEAD, Row, add, compared, printed, read, table, write
from tests.benchmarks.work import Work, figures

BARE = ("bare Go", "websockets, sans-I/O")
"""Clients that record nothing, for what needs no more comparison."""

PER_S = 10_000
"""Messages of all sessions a second in an open loop."""

LOGS = (
    "uvicorn text",
    "Python logging",
    "nginx access log",
    "docker json-file",
    "python-json-logger",
    "gcloud --format=json",
)
"""Kinds of logs that stand for the others: `python -m tests.benchmarks.log_lines` measures all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure, and the certificates for TLS."""

    quick: bool
    made: Certificates

    @property
    def seconds(self) -> int:
        """Of each measurement."""
        return 2 if self.quick else 5


@dataclass(frozen=True, slots=True)
class Step:
    """A measurement that every round repeats.

    Args:
        who: client to measure.
        what: work to measure it on.
        measure: takes the echo server's port and returns the figures by name with unit.
        tls: the echo server's private key and certificate chain; None for plain TCP.
    """

    who: str
    what: str
    measure: Callable[[int], Mapping[str, float]]
    tls: Path | None = None


def _steps(plan: Plan, works: Iterable[Work], who: Collection[str] = ()) -> Iterator[Step]:
    """Yield the measurements of the clients that can do the work and can be measured on this machine."""
    for work in works:
        for client in CLIENTS:
            if client.can(work) and not client.missing() and client.name in (who or {client.name}):
                measure = partial(_figures, client=client, work=work)
                yield Step(client.name, str(work), measure, plan.made.server if work.ca else None)


def _figures(port: int, client: Client, work: Work) -> Mapping[str, float]:
    return figures(work, client.measure(port, work))


def _closed_loop(plan: Plan) -> Iterator[Step]:
    yield from _steps(plan, [Work(sessions=100, seconds=plan.seconds)])


def _open_loop(plan: Plan) -> Iterator[Step]:
    yield from _steps(plan, [Work(sessions=100, seconds=plan.seconds, per_s=PER_S)])


def _wss_closed_loop(plan: Plan) -> Iterator[Step]:
    yield from _steps(plan, [Work(sessions=100, seconds=plan.seconds, ca=plan.made.ca)])


def _wss_open_loop(plan: Plan) -> Iterator[Step]:
    yield from _steps(plan, [Work(sessions=100, seconds=plan.seconds, per_s=PER_S, ca=plan.made.ca)])


def _growth(plan: Plan) -> Iterator[Step]:
    numbers = (100, 1000, 2000 if plan.quick else 10_000)
    works = [Work(sessions=sessions, seconds=plan.seconds, per_s=PER_S) for sessions in numbers]
    yield from _steps(plan, works, (OURS, *BARE))


def _quiet(plan: Plan) -> Iterator[Step]:
    yield from _steps(plan, [Work(sessions=1000, seconds=plan.seconds, per_s=1000)], (OURS, *BARE))


def _connects(plan: Plan) -> Iterator[Step]:
    for sessions in (1000, 2000 if plan.quick else 10_000):
        for made in (None, plan.made):
            measure = partial(connects, sessions=sessions, ca=made.ca if made else None)
            what = f"{sessions:,} connects{', wss' if made else ''}"
            yield Step(OURS, what, measure, made.server if made else None)


def _memory(plan: Plan) -> Iterator[Step]:
    numbers = (1000, 2000) if plan.quick else (1000, 2000, 10_000)
    yield Step(OURS, "memory", lambda port: memory(port, *numbers))


def _scripts(plan: Plan) -> Iterator[Step]:
    for kind in scripts.KINDS:
        who = OURS if kind.startswith("planned") else kind
        yield Step(who, kind, partial(scripts.cost, kind=kind, sessions=100, seconds=plan.seconds))


def _compression(plan: Plan) -> Iterator[Step]:
    for who, mode in ((OURS, "off"), ("the same, compressed", "on"), ("each by itself", "no-takeover")):
        measure = partial(message_cost, mode=mode, repeats=20 if plan.quick else 100)
        yield Step(who, "the transport alone", measure)


def _log_lines(plan: Plan) -> Iterator[Step]:
    for kind in LOGS:
        measure = partial(log_lines, kind=kind, lines=20_000 if plan.quick else 50_000)
        yield Step(OURS, f"log lines, {kind}", measure)


def _publishing(plan: Plan) -> Iterator[Step]:
    seconds = HOUR_S // 6 if plan.quick else HOUR_S
    for sessions in (100,) if plan.quick else (100, 2000):
        measure = partial(publishing, sessions=sessions, seconds=seconds)
        yield Step(OURS, f"publishing, {sessions:,} sessions", measure)


BENCHMARKS: Mapping[str, Callable[[Plan], Iterable[Step]]] = {
    "closed_loop": _closed_loop,
    "open_loop": _open_loop,
    "wss_closed_loop": _wss_closed_loop,
    "wss_open_loop": _wss_open_loop,
    "growth": _growth,
    "quiet": _quiet,
    "connects": _connects,
    "memory": _memory,
    "scripts": _scripts,
    "compression": _compression,
    "log_lines": _log_lines,
    "publishing": _publishing,
}


def steps(names: Iterable[str], plan: Plan) -> list[Step]:
    """Return the measurements without duplicates: the smallest of `growth` is `open_loop`."""
    wanted = (step for name in names for step in BENCHMARKS[name](plan))
    return list({(step.who, step.what): step for step in wanted}.values())


def run(wanted: Sequence[Step], rounds: int, rows: list[Row], file: Path | None) -> None:
    """Measure all clients in turn, once per round; add each measurement to the rows and their file."""
    for number in range(1, rounds + 1):
        for step in wanted:
            print(f"round {number} of {rounds}: {step.who}: {step.what}", file=sys.stderr)
            with echo_server(tls=step.tls) as port:
                add(rows, step.who, step.measure(port))
            if file is not None:
                write(file, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="one short round with at most 2,000 sessions")
    parser.add_argument("--rounds", type=int, help="number of rounds (default: 5; 0: only print FILE)")
    parser.add_argument(
        "--who",
        action="append",
        default=[],
        metavar="CLIENT",
        help="measure this client only; may be repeated",
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the rounds to this file")
    parser.add_argument(
        "--compare", type=Path, nargs=2, metavar="FILE", help="compare two files of --json without measuring"
    )
    return parser


def _wanted(arguments: argparse.Namespace, plan: Plan) -> list[Step]:
    """Return the requested measurements.

    Raises:
        ValueError: a benchmark is unknown, or none of the benchmarks measures a client.
    """
    _check(arguments.names, BENCHMARKS)
    every = steps(arguments.names or BENCHMARKS, plan)
    _check(arguments.who, {step.who: None for step in every})
    return [step for step in every if not arguments.who or step.who in arguments.who]


def _check(given: Iterable[str], known: Iterable[str]) -> None:
    known = list(known)
    if unknown := [name for name in given if name not in known]:
        raise ValueError(f"unknown name {', '.join(unknown)}: choose from {', '.join(known)}")


def _measured(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> list[Row]:
    """Run the requested measurements, and return the rows."""
    for client in CLIENTS:
        if why := client.missing():
            print(f"skipping {client.name}: {why}", file=sys.stderr)
    if len(os.sched_getaffinity(0)) < 2:
        print("only one core: client and server share it, so times mean little", file=sys.stderr)
    rows = read(arguments.json) if arguments.json and arguments.json.exists() else []
    with certificates() as made:
        try:
            wanted = _wanted(arguments, Plan(arguments.quick, made))
        except ValueError as error:
            parser.error(str(error))
        rounds = (1 if arguments.quick else 5) if arguments.rounds is None else arguments.rounds
        run(wanted, rounds, rows, arguments.json)
    return rows


def main() -> None:
    """Run the requested benchmarks and print the table."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.compare:
        before, after = map(read, arguments.compare)
        print(printed(COMPARED, compared(before, after), markdown=arguments.markdown))
    else:
        print(printed(HEAD, table(_measured(parser, arguments), OURS), markdown=arguments.markdown))


if __name__ == "__main__":
    main()
