"""Keeps secrets out of the locustfile and the terminal. Pure.

A token, password, cookie or e-mail address in a client message is replaced by a reference to the user's own:
`session.token` (--ws-token) for the first token, a column of `--ws-data` for all others. Secrets are
recognised by the name of their field, by their form, or because another part of the recording shows them. All
other text is written through `Redactor.public`, which hides any secrets left in it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from loadtest.capture.trees import Path, name_of
from loadtest.scrubber import SHORTEST_SECRET, Secrets, without_secrets
from loadtest.text import (
    HIDDEN,
    NAMES_OF_SECRETS,
    SHORT_NAMES_OF_SECRETS,
    one_line,
    without_likely_secrets,
)

TOKEN: Final = "token"  # noqa: S105  # a name
"""The placeholder that stands for `session.token`."""

_NAMED = re.compile(
    rf"{NAMES_OF_SECRETS}|^(?:{SHORT_NAMES_OF_SECRETS})$|(?:api|access|private|secret)[_-]?key|^key$"
    r"|^(?:card(?:_?(?:no|number))?|cvc|cvv|iban|pan|ssn|proof|hmac|digest)$"
)
_NOT_SECRET = re.compile(
    r"author(?:s|_?id|_?name)?$|tokens$|tokenizer|_count$|_type$|^password_?(?:policy|hint)"
)
_EMAIL_NAME = re.compile(r"e-?mail")
_EMAIL = r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_LOOKS = re.compile(
    r"(?P<token>eyJ[\w-]{8,}(?:\.[\w-]*)*"  # a JWT
    r"|(?<=[Bb]earer )\S+"
    r"|(?<![\w-])(?:sk|pk|rk|gh[pousr]|github_pat|glpat|xox[abeprs]|AKIA|AIza|ya29)[\w.-]{12,}"
    r"|(?<![\w+/=-])(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])(?=[\w+/=-]*[A-Z])[\w+/=-]{32,})"  # looks random
    r"|(?P<column>(?<![\w-])[0-9a-fA-F]{32,}(?![\w-])"  # a digest or key in hex
    r"|(?<![\w+/=-])[A-Za-z0-9+/]{20,}={1,2}(?![\w+/=-])"  # base64
    r"|(?<![\w-])(?=[A-Za-z]*\d)(?=\d*[A-Za-z])(?:[A-Za-z]*\d){4}[A-Za-z\d]{16,}(?![\w-]))"  # no words
    rf"|(?P<email>{_EMAIL})"
)
_LOGIN_WORD = re.compile(r"(?i)^/?(?:auth|pass|password|token|login|secret|key)$")

MAX_SCANNED: Final = 2**16
"""Characters of one text that are searched for what looks like a secret; more is hidden whole."""


def is_secret_name(name: str) -> bool:
    """Return whether a text in a field of this name is a secret."""
    lowered = name.lower().lstrip("$@_x-")
    return bool(_NAMED.search(lowered)) and not _NOT_SECRET.search(lowered)


def is_email_name(name: str) -> bool:
    """Return whether a field of this name has an e-mail address."""
    return bool(_EMAIL_NAME.search(name.lower()))


_NEUTRAL: Final = re.compile(r"^(?:value|values|data|raw|b64|base64|code|payload|blob|response|v|text|)$")
"""Names that say nothing: what holds the field says what it is."""


def name_in(path: Path) -> str:
    """Return the name of a field; that of its parent if the field's is generic and the parent's is secret."""
    name = name_of(path)
    own = name if path and path[-1] == name else ""  # an item of a list has none
    if is_secret_name(name) or not _NEUTRAL.match(own.lower()):
        return name
    return next((str(one) for one in reversed(path) if isinstance(one, str) and is_secret_name(one)), name)


_ASKS: Final = re.compile(
    r"(?i)\b(?P<what>password|passcode|passphrase|pin|otp|token|secret|api ?key|one-time code)\b\W*$"
)


def asked_secret(text: str) -> str:
    """Return the secret that a server text asks for: `password` in `PASSWORD?`; empty if none."""
    found = _ASKS.search(text[-200:])
    return found["what"].lower() if found else ""


@dataclass(frozen=True, slots=True)
class Place:
    """Replaces a secret: `token` for `session.token`, else a column of `--ws-data`."""

    name: str

    @property
    def is_token(self) -> bool:
        """Whether the value comes from `--ws-token`."""
        return self.name == TOKEN


@dataclass(slots=True)
class Redactor:
    """Finds the secrets of one recording.

    Args:
        known: secrets found on any of the recording's connections and requests.

    Attributes:
        places: the replacement of each secret that the client sent, by its value.
    """

    known: frozenset[str]
    places: dict[str, Place] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _index: Secrets | None = None

    def place(self, name: str, value: str, is_column: bool = False) -> Place:
        """Return the replacement of a secret in a field of this name; the same for the same value.

        Args:
            name: name of the field.
            value: the secret.
            is_column: whether it cannot be the token, because it only looks random.
        """
        place = self.places.get(value)
        if place is None:
            place = self.places[value] = Place(self._unused(name, value, is_column))
            self._learn(value)
        return place

    def _unused(self, name: str, value: str, is_column: bool) -> str:
        taken = {place.name for place in self.places.values()}
        lowered = name.lower()
        is_password = re.search(r"pass|pwd|secret|cred|^pw$|pin$|otp|passcode", lowered) or is_column
        if TOKEN not in taken and not is_password and not is_email_name(name) and "@" not in value:
            return TOKEN
        column = re.sub(r"\W+", "_", lowered, flags=re.ASCII).strip("_")
        if not column or column == TOKEN or column[0].isdigit() or not is_public_name(column):
            column = "email" if "@" in value else "secret"
        numbers = iter(range(2, 1000))
        wanted = column
        while column in taken:
            column = f"{wanted}_{next(numbers)}"
        return column

    def learn(self, name: str, value: str) -> None:
        """Store a value from the server if it is a secret."""
        if value and (is_secret_name(name) or is_email_name(name)):
            self._learn(_credential(value))
        else:
            for found in _LOOKS.finditer(value[:MAX_SCANNED]):
                self._learn(found[0])

    def _learn(self, value: str) -> None:
        if len(value) >= 4 and value not in self._seen:
            self._seen.add(value)
            self._index = None

    def parts(self, name: str, value: str) -> list[str | Place]:
        """Return a text that the client sent, with its secrets replaced.

        Args:
            name: name of its field; empty if it has none.
            value: the text.
        """
        if value and (is_secret_name(name) or is_email_name(name)):
            return self._of_scheme(name, value)
        if len(value) > MAX_SCANNED:
            return [self.place(name, value)]
        if value in self.places:
            return [self.places[value]]
        return list(self._split(name, value))

    def _of_scheme(self, name: str, value: str) -> list[str | Place]:
        credential = _credential(value)
        scheme = value.removesuffix(credential)
        return [*([scheme] if scheme else []), self.place(name, credential)]

    def _split(self, name: str, value: str) -> Iterator[str | Place]:
        end = 0
        for begin, until, kind in self._spans(value):
            if begin < end:
                continue
            if begin > end:
                yield value[end:begin]
            is_column = kind == "column"
            yield self.place(name if is_column and name else kind, value[begin:until], is_column)
            end = until
        if end < len(value) or not value:
            yield value[end:]

    def _spans(self, value: str) -> list[tuple[int, int, str]]:
        likely = (found for found in _LOOKS.finditer(value) if not _UUID.fullmatch(found[0]))
        spans = [(found.start(), found.end(), found.lastgroup or TOKEN) for found in likely]
        known = (secret for secret in (*self.known, *self.places) if len(secret) >= SHORTEST_SECRET)
        spans += [(at, at + len(secret), TOKEN) for secret in known if (at := value.find(secret)) >= 0]
        return sorted(spans, key=lambda span: (span[0], -span[1]))

    def public(self, text: str, limit: int | None = None) -> str:
        """Return a text of the recording without secrets; in one line if it is cut."""
        if self._index is None:
            self._index = Secrets(self._seen | self.known)
        if len(text) > MAX_SCANNED:
            text = text[:MAX_SCANNED] + "..."
        whole = without_secrets(f'{text}"', self._index).removesuffix('"')  # the quote: it was not cut off
        hidden = without_likely_secrets(whole)
        hidden = _LOOKS.sub(lambda found: found[0] if _UUID.fullmatch(found[0]) else HIDDEN, hidden)
        return hidden if limit is None else one_line(hidden, limit)

    def columns(self) -> list[str]:
        """Return the columns of `--ws-data` that replace secrets, in the order of their first use."""
        return list(dict.fromkeys(place.name for place in self.places.values() if not place.is_token))

    @property
    def has_token(self) -> bool:
        """Whether the recording had a token that the user must supply."""
        return any(place.is_token for place in self.places.values())


def _credential(value: str) -> str:
    """Return a credential without the scheme before it."""
    scheme, _, rest = value.partition(" ")
    return rest if rest and scheme.lower() in ("bearer", "token", "basic", "jwt") else value


def is_public_name(name: str) -> bool:
    """Return whether the name of a field may be written: it does not look like a secret itself."""
    return len(name) <= 64 and not any(not _UUID.fullmatch(found[0]) for found in _LOOKS.finditer(name))


def login_word(word: str) -> bool:
    """Return whether a secret follows this word in a line of words: `AUTH hunter2`."""
    return bool(_LOGIN_WORD.match(word))


_SEGMENT = re.compile(r"(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[\w-]{16,}", re.ASCII)


def is_random_segment(text: str) -> bool:
    """Return whether a part of a path, or a parameter's value, looks random: a ticket or a token."""
    found = _SEGMENT.fullmatch(text) or _LOOKS.fullmatch(text)
    return found is not None and found.lastgroup != "email" and not _UUID.fullmatch(text)


_BEARING = re.compile(
    r"(?i)(?P<word>(?:[\w.]*\.)?(?:bearer|token|auth|authorization|jwt|access[_-]?token)[.:_-])(?P<secret>\S{6,})"
)


def of_subprotocol(offered: str) -> tuple[str, str]:
    """Return a subprotocol as its public part and the secret after it: `bearer.`, and the token."""
    found = _BEARING.fullmatch(offered)
    return (found["word"], found["secret"]) if found else (offered, "")


def secrets_of_url(url: str) -> Iterator[str]:
    """Yield the secrets in a URL: its password, and the values of parameters that are named like secrets."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return
    if password:
        yield unquote(password)
    for name, value in parse_qsl(parts.query, max_num_fields=None):
        if is_secret_name(name) or _LOOKS.fullmatch(value):
            yield value
    yield from (segment for segment in map(unquote, parts.path.split("/")) if is_random_segment(segment))


def secrets_of_headers(headers: Mapping[str, str] | list[tuple[str, str]]) -> Iterator[str]:
    """Yield the secrets in headers: credentials, and the values of cookies."""
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        lowered = name.lower()
        if lowered == "cookie":
            found = [pair.partition("=")[2].strip() for pair in value.split(";")]
            yield from (one for one in found if len(one) >= SHORTEST_SECRET)
        elif lowered == "set-cookie":
            one = value.split(";")[0].partition("=")[2].strip()
            yield from (one,) if len(one) >= SHORTEST_SECRET else ()
        elif lowered == "sec-websocket-protocol":
            for one in value.split(","):
                yield from (found[0] for found in _LOOKS.finditer(one))
                yield from filter(None, of_subprotocol(one.strip())[1:])
        elif is_secret_name(lowered) and not lowered.startswith(("www-", "access-control", "sec-")):
            yield value.partition(" ")[2] or value
