"""What GitHub Actions reads: annotations, outputs of a step, and how much of a summary it takes.

A step talks to its runner in lines on its output, `::error title=…::…`, and in files that variables name.
Both contain text from servers and files, so everything is escaped here: such a text must not become a
command, or another output. GitHub shows ten annotations of each kind for a step, and drops the rest silently.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtest import text
from loadtest.report import advice
from loadtest.report.judged_run import JudgedRun
from loadtest.report.tables import Sheet
from loadtest.ruling import Ruling
from loadtest.text import one_line, without_commands
from loadtest.verdict.items import AnyItem

SUMMARY_BYTES = 1 << 20
"""Bytes that the summary of a step may have; of a longer one GitHub shows nothing."""

MAX_ANNOTATIONS = 10
"""Annotations of each kind that GitHub shows for a step."""

_CLASSES_NAMED = 3
_TITLE_LENGTH = 200
_MESSAGE_LENGTH = 2000

_IN_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = _IN_MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})
"""How the runner unescapes a command's message and properties (actions/runner, ActionCommand)."""


class Level(StrEnum):
    """Kinds of annotations, by the commands' names."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


_LEVELS = {Ruling.FAIL: Level.ERROR, Ruling.INCONCLUSIVE: Level.WARNING}


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark that GitHub shows with the job, and with the pull request that started it.

    Args:
        level: its kind.
        title: one line.
        message: lines.
    """

    level: Level
    title: str
    message: str

    def __str__(self) -> str:
        """The workflow command, a line."""
        title = one_line(self.title, _TITLE_LENGTH).translate(_IN_PROPERTY)
        lines = "\n".join(one_line(line, _MESSAGE_LENGTH) for line in self.message.split("\n"))
        told = without_commands(f"title={title}::{lines.translate(_IN_MESSAGE)}")
        return f"::{self.level} {told}"


def run_annotations(judged: JudgedRun) -> list[Annotation]:
    """Return what failed, what could not be judged, or that all passed."""
    verdict = judged.verdict
    failures = [" ".join(advice.failure_lines(judged.run))] if judged.run.manifest.failure else []
    found = [Annotation(Level.ERROR, "loadtest", line) for line in failures]
    found += [_of_item(item, judged.next_step(item)) for item in judged.own_items if item.verdict in _LEVELS]
    found += _of_classes(judged)
    if not found:
        told = f"{text.counted(sum(item.verdict is Ruling.PASS for item in judged.items), 'item')} passed"
        found.append(Annotation(Level.NOTICE, f"loadtest {verdict.verdict}", f"{verdict.revision}: {told}"))
    return found


def _of_classes(judged: JudgedRun) -> Iterator[Annotation]:
    """Yield what is wrong with user classes, one for each item: many classes may share a defect."""
    alike: dict[tuple[str, Ruling], list[tuple[str, AnyItem, str]]] = {}
    for name, of_class in judged.classes.items():
        for item in of_class.items:
            if item.verdict in _LEVELS:
                key = (item.item, item.verdict)
                alike.setdefault(key, []).append((name, item, of_class.next_step(item)))
    for classes in alike.values():
        name, item, step = classes[0]
        yield _of_item(item, step, f" of {name}") if len(classes) == 1 else _of_several(classes)


def _of_several(classes: Sequence[tuple[str, AnyItem, str]]) -> Annotation:
    """Return what is wrong with an item of several classes, by name, with what to do about the first one."""
    _, item, step = classes[0]
    shown, left = classes[:_CLASSES_NAMED], len(classes) - _CLASSES_NAMED
    more = f"and {text.counted(left, 'more class', 'more classes')}" if left > 0 else ""
    names = " ".join([", ".join(name for name, *_ in shown), *filter(None, [more])])
    lines = [f"{name}: {of.summary}" for name, of, _ in shown]
    lines += filter(None, [more, f"Next: {step}" if step else ""])
    return Annotation(_LEVELS[item.verdict], _title(item, f" of {names}"), "\n".join(lines))


def _title(item: AnyItem, whose: str) -> str:
    return f"loadtest {item.verdict}: {item.item}{whose}"


def _of_item(item: AnyItem, step: str, whose: str = "") -> Annotation:
    message = item.summary + (f"\nNext: {step}" if step else "")
    return Annotation(_LEVELS[item.verdict], _title(item, whose), message)


def sheet_annotations(sheet: Sheet, command: str) -> list[Annotation]:
    """Return the verdict on a comparison or a duel, as its sheet says it.

    Args:
        sheet: the result as tables.
        command: the command that made it.
    """
    ruling = Ruling.NOT_JUDGED if sheet.ruling is None else sheet.ruling
    message = "\n".join([sheet.headline, *sheet.lines])
    return [Annotation(_LEVELS.get(ruling, Level.NOTICE), f"{command} {ruling}", message)]


def commands(annotations: Iterable[Annotation]) -> list[str]:
    """Return the workflow commands of the annotations that GitHub shows, worst first.

    Where there are more of a kind, the last one names the others.

    Args:
        annotations: what there is to say, in order.
    """
    given = list(annotations)
    lines: list[str] = []
    for level in Level:
        found = [one for one in given if one.level is level]
        if len(found) > MAX_ANNOTATIONS:
            left = found[MAX_ANNOTATIONS - 1 :]
            titles = ", ".join(one.title.removeprefix("loadtest ") for one in left)
            found[MAX_ANNOTATIONS - 1 :] = [Annotation(level, f"loadtest: {len(left)} more", titles)]
        lines += map(str, found)
    return lines


def output_lines(values: Mapping[str, str], delimiter: str) -> str:
    """Return outputs of a step as its file takes them.

    Args:
        values: the outputs by name.
        delimiter: a text that nobody can guess, and so no value holds: it ends each value.
    """
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())
