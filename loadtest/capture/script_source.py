"""The script of the generated locustfile: the client's messages, with their pauses. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Final

from loadtest.capture.helper_sources import quoted
from loadtest.capture.inferred import Inferred, Meaning, Speech
from loadtest.capture.message_ids import answers_of
from loadtest.capture.message_kinds import Record
from loadtest.capture.message_source import Body, MessageWriter
from loadtest.capture.python_source import INDENT, comment
from loadtest.text import count, counted, figures

MAX_STEPS: Final = 80
"""Steps that are written; whoever reads the file should see its end."""

LONGEST_PAUSE_S: Final = 60.0
_SHORTEST_PAUSE_S: Final = 0.005

_ANSWERING = (Meaning.REPLY, Meaning.ROOM, Meaning.PART, Meaning.FAILED)


@dataclass(frozen=True, slots=True)
class Step:
    """A message of the client.

    Args:
        record: the recorded message.
        body: the code that writes it.
        speech: its purpose.
        pause_s: seconds from its reply to the next message.
    """

    record: Record
    body: Body
    speech: Speech
    pause_s: float

    @property
    def call(self) -> str:
        """The expression of its body."""
        return self.body.called(self.record)


def scripted(inferred: Inferred) -> list[Record]:
    """Return the client messages that the script sends; the dialect sends the others."""
    free = (Speech.REQUEST, Speech.STREAM, Speech.SEND)
    opening = {id(record) for record in inferred.greeting}
    return [
        record
        for record in inferred.records
        if record.sent and id(record) not in opening and inferred.said[record.kind].speech in free
    ]


def refused(inferred: Inferred) -> set[Record]:
    """Return the requests that the server answered with an error in the recording."""
    return {
        record
        for record, answers in answers_of(inferred.records, inferred.ids)
        if any(inferred.heard[answer.kind].meaning is Meaning.FAILED for answer in answers)
    }


def steps(inferred: Inferred, writer: MessageWriter) -> list[Step]:
    """Return the steps of the script."""
    wrong = refused(inferred)
    records = [record for record in scripted(inferred) if record not in wrong]
    found = []
    for place, record in enumerate(records):
        after = records[place + 1] if place + 1 < len(records) else None
        speech = inferred.said[record.kind].speech
        body = writer.body(record)
        body.called(record)  # which may need a name
        found.append(Step(record, body, speech, _pause_s(inferred, record, after)))
    return found


def _pause_s(inferred: Inferred, record: Record, after: Record | None) -> float:
    if after is None or after.at_s is None or record.at_s is None:
        return 0.0
    between = inferred.records[record.order + 1 : after.order]
    answered = [
        one.at_s
        for one in between
        if not one.sent and one.at_s is not None and inferred.heard[one.kind].meaning in _ANSWERING
    ]
    waits = inferred.said[record.kind].speech is not Speech.SEND
    begin_s = max(answered) if answered and waits else record.at_s
    pause_s = max(0.0, after.at_s - begin_s)
    return round(pause_s, 2 if pause_s < 10 else 1)


def script_source(steps: Sequence[Step], wrong: int) -> str:
    """Return the task of the user class.

    Args:
        steps: steps of the script.
        wrong: number of requests left out, because the server answered them with an error.
    """
    lines = [
        f"{INDENT}@task  # type: ignore[type-var]  # Locust's annotations know no sessions",
        f"{INDENT}async def recorded(self, session: lt.ScriptSession) -> None:",
        f'{INDENT * 2}"""The client\'s messages in the recording, with their pauses."""',
    ]
    if wrong:
        text = f"{counted(wrong, 'request')} left out: the recorded server answered with an error"
        lines.append(comment(text, 2).rstrip("\n"))
    groups = list(_groups(steps))
    for place, (first, times, pause_s) in enumerate(groups):
        if place == MAX_STEPS:
            left = sum(number for _, number, _ in groups[place:])
            lines.append(comment(f"The recording continues: {count(left)} more messages.", 2).rstrip("\n"))
            break
        lines += _step(first, times, pause_s, is_last=place + 1 == len(groups))
    return "\n".join(lines) + "\n"


def _groups(steps: Sequence[Step]) -> Iterator[tuple[Step, int, float]]:
    """Yield runs of equal steps: the first, how many, and the pause after each."""
    for _, run in groupby(steps, key=lambda step: (step.call, step.speech)):
        equal = list(run)
        inner = [step.pause_s for step in equal[:-1]] or [equal[-1].pause_s]
        yield equal[0], len(equal), round(median(inner), 2)


def _step(step: Step, times: int, pause_s: float, *, is_last: bool) -> list[str]:
    indent = 3 if times > 1 else 2
    lines = [f"{INDENT * 2}for _ in range({times}):"] if times > 1 else []
    name = f", name={quoted(step.body.name.lower())}"
    start = INDENT * indent
    if step.speech is Speech.STREAM:
        lines += [f"{start}async for _part in session.stream({step.call}{name}):", f"{start}{INDENT}pass"]
    elif step.speech is Speech.REQUEST:
        lines.append(f"{start}await session.request({step.call}{name})")
    else:
        lines.append(f"{start}await session.send({step.call}{name})")
    if pause_s >= _SHORTEST_PAUSE_S and not (is_last and times == 1):
        capped = f"  # {figures(pause_s)} s in the recording" if pause_s > LONGEST_PAUSE_S else ""
        lines.append(f"{start}await session.sleep({min(pause_s, LONGEST_PAUSE_S):g}){capped}")
    return lines
