"""Finds the name of the server's revision and where it came from.

It is the first of: `--ws-revision`; the response header that `--ws-revision-header` names; `version`,
`revision` or `commit` in the health endpoint's JSON; the commit that the CI job builds; else `unnamed`. A
reference server that the tool started itself has the tool's version, whatever CI job runs it. The process
that records a run queries the server once before the run. A revision given as an option always wins; if the
server names another one, the run is made and a warning shows the difference.

The name becomes a folder's name and the key by which runs are compared, so it is cut to the characters valid
in both. A name that contains one of the run's secrets, or that means "unknown", is skipped, and the next
source is used.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from itertools import chain

import msgspec

from loadtest.locust_plugin.load_settings import LoadSettings
from loadtest.results.environment import versions
from loadtest.results.manifest import UNNAMED
from loadtest.results.revision_name import revision_name
from loadtest.results.said_revision import GIVEN, REFERENCE_SERVER, SaidRevision, revision_doubt
from loadtest.scrubber import public_line, without_secrets
from loadtest.text import one_line, public_path
from loadtest.transport.http_health import Answer, Health, ask

logger = logging.getLogger("loadtest")

FIELDS = ("version", "revision", "commit")
"""Fields of the health endpoint's JSON that name a revision, in order of preference."""

VARIABLES = ("GITHUB_SHA", "CI_COMMIT_SHA")
"""Environment variables in which a CI service names the commit: GitHub's, GitLab's."""

_OF_PROBE = "--revision"
"""The option of `loadtest probe` that names the revision."""

_WANT_A_TOKEN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_MOST_READ = 4096
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")

_NOT_NAMES = frozenset({UNNAMED, "unknown"})
"""Values sent by servers that were built without a revision."""

_value = msgspec.json.Decoder(str | int | float).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class Revision:
    """A server's revision.

    Args:
        name: its name.
        source: the option, header, field or variable that named it; empty for `unnamed`.
        said: the revision that the server named, if `name` was given.
    """

    name: str
    source: str = ""
    said: SaidRevision | None = None


Ask = Callable[[str], Answer]
"""Sends a GET request for a path to the server under test, once for each path."""


def asking(settings: LoadSettings) -> Ask:
    """Return a function that queries the server of a run, with the headers that its sessions send."""
    return cache(
        partial(ask, settings.engine.target, headers=settings.engine.headers, proxy=settings.engine.proxy)
    )


def public_health(answer: Answer, settings: LoadSettings) -> Health:
    """Return the health response without secrets of the run that the server echoed."""
    problem = public_line(answer.health.problem, settings.secrets)
    return msgspec.structs.replace(answer.health, problem=problem)


def find_revision(
    settings: LoadSettings,
    ask: Ask,
    *,
    health_path: str | None,
    probed: bool = False,
    own_server: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Revision:
    """Return the revision of the server under test, and log where it came from.

    Args:
        settings: settings of the run.
        ask: queries the server.
        health_path: path of the health endpoint, None if there is none.
        probed: whether this is a probe, whose option has another name and which needs no baseline.
        own_server: whether the server is one that the tool started itself.
        environment: the process's environment variables.
    """
    search = _Search(settings, ask, health_path)
    if settings.revision:
        return _given(settings.revision, search)
    named = chain(
        search.named_by_header(),
        _of_own_server() if own_server else (),
        search.named_by_health(),
        search.named_by(environment),
    )
    found = next(named, Revision(UNNAMED))  # a source is queried only if those before it named none
    if found.name == UNNAMED:
        asked = "".join(f"; {one}" for one in search.reasons())
        logger.warning(
            "the server's revision is unknown%s: set %s NAME%s",
            "" if probed else ", so this run will not be a baseline",
            _OF_PROBE if probed else GIVEN,
            asked,
        )
    else:
        logger.info("the revision is %s (%s)", found.name, found.source)
    return found


def _of_own_server() -> Iterator[Revision]:
    """Yield the revision of the reference server: the tool's version, if the tool is installed."""
    if version := versions().get("loadtest"):
        yield Revision(revision_name(f"loadtest-{version}"), REFERENCE_SERVER)


def _given(name: str, search: "_Search") -> Revision:
    """Return the revision given as an option, with the server's own, and warn if they differ."""
    heard = list(search.named_by_header()) or list(search.named_by_health())
    said = [SaidRevision(name=one.name, source=one.source) for one in heard]
    doubts = [revision_doubt(name, one) for one in said]
    if "" in doubts:  # the endpoint may name a release and a commit: one of them was given
        return Revision(name, GIVEN, said[doubts.index("")])
    if not said:
        return Revision(name, GIVEN)
    logger.warning("%s", doubts[0])
    return Revision(name, GIVEN, said[0])


class _Search:
    """Looks for a revision in each source.

    Attributes:
        answers: the server's answers to the requests, in readable form.
    """

    def __init__(self, settings: LoadSettings, ask: Ask, health_path: str | None) -> None:
        self.answers: list[str] = []
        self._nameless = ""  # the answer of a healthy endpoint that named no version
        self._settings = settings
        self._ask = ask
        self._health_path = health_path

    def reasons(self) -> Iterator[str]:
        """Yield why the server named no revision: its answers, or a missing health endpoint."""
        for answer in self.answers:
            yield f"{answer}, but no version in it" if answer == self._nameless else answer
        if self._health_path is None:
            dialect = self._settings.engine.config.dialect.name
            yield f"the dialect {dialect} has no health endpoint (health_path)"

    def named_by_header(self) -> Iterator[Revision]:
        """Yield the revision in the header of `--ws-revision-header`, if there is one."""
        header = self._settings.revision_header
        if header is None:
            return
        came: dict[str, None] = {}
        for path in self._paths():
            answer = self._answer(path)
            if name := next(filter(None, map(self._cleaned, answer.values(header))), ""):
                yield Revision(name, f"header {header} of {_get(path)}")
                return
            came |= dict.fromkeys(one.lower() for one, _ in answer.headers)
        shown = public_line(", ".join(came), self._settings.secrets) or "none"
        logger.warning(
            "--ws-revision-header %s was not found: %s. Headers received: %s",
            header,
            "; ".join(self.answers),
            shown,
        )

    def _paths(self) -> Iterator[str]:
        """Yield the paths of the health endpoint and of the WebSocket, with its placeholders filled in."""
        if self._health_path is not None:
            yield self._health_path
        yield _PLACEHOLDER.sub("revision", self._settings.engine.config.dialect.path.partition("?")[0])

    def named_by_health(self) -> Iterator[Revision]:
        """Yield the revisions in the health endpoint's JSON, if there are any."""
        if self._health_path is None:
            return
        answer = self._answer(self._health_path)
        fields = _fields_of(answer.body) if answer.health.ok else {}
        for field in FIELDS:
            if name := self._cleaned(fields.get(field, "")):
                yield Revision(name, f"{field} in {_get(self._health_path)}")
        if answer.health.ok:
            self._nameless = self._told(answer)

    def named_by(self, environment: Mapping[str, str]) -> Iterator[Revision]:
        """Yield the commit that the CI job builds, if this is a CI job."""
        for variable in VARIABLES:
            if name := self._cleaned(environment.get(variable, "")):
                yield Revision(name, variable)

    def _answer(self, path: str) -> Answer:
        answer = self._ask(path)
        told = self._told(answer)
        sent = {name.lower() for name, _ in self._settings.engine.headers}
        if answer.health.status in _WANT_A_TOKEN and "authorization" not in sent:
            told += ", without a token: only --ws-header headers are sent"
        if told not in self.answers:
            self.answers.append(told)
        return answer

    def _told(self, answer: Answer) -> str:
        return str(public_health(answer, self._settings))

    def _cleaned(self, text: str) -> str:
        """Return a text as a revision's name; empty if it names none, or contains a secret."""
        text = text[:_MOST_READ]
        if without_secrets(text, self._settings.secrets) != text:
            return ""
        name = revision_name(text)
        return "" if name.lower() in _NOT_NAMES else name


def _get(path: str) -> str:
    return one_line(f"GET {public_path(path)}")


def _fields_of(body: bytes) -> dict[str, str]:
    """Return the texts and numbers among `FIELDS`; numbers as written, because version 1.10 is not 1.1."""
    try:
        found = _fields(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    values: dict[str, str] = {}
    for field in FIELDS:
        try:
            value = _value(found[field])
            values[field] = value if isinstance(value, str) else bytes(found[field]).decode().strip()
        except (KeyError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return values
