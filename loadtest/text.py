"""Make untrusted text safe, keep secrets out of it, and write numbers in one way.

Errors, close reasons, log records and revisions come from servers and from files that anyone may have
written. A control character can clear a terminal, a direction override can reverse a sentence, a pipe can
break a table, markup can become a link, an error can quote a token. So untrusted text is treated twice:

    where it enters a record or a file    one_line, or scrubber.public_line if it may hold a secret
    where it is shown                     one_line in a terminal, markdown_* in Markdown; in HTML and XML
                                          one_line, then the escaping of their libraries

    where it goes to the terminal or a log
                                          without_commands: a CI runner reads it, too

`one_line` removes nothing silently: line ends and tabs become spaces, other unprintable characters become
escapes, and a text that is too long ends in "...". It is idempotent. Secrets are removed before a text is
cut, because a cut could leave the beginning of one.

This module imports nothing from the package and contains no domain terms.
"""

import re
from urllib.parse import urlsplit, urlunsplit

LINE_LENGTH = 200
"""Characters kept of an untrusted text by default."""

HIDDEN = "***"
"""Replaces a secret."""

_ELLIPSIS = "..."


def one_line(text: str, limit: int = LINE_LENGTH) -> str:
    """Return the text as one line of printable characters, at most `limit` (3 or more) of them."""
    head = text[: limit + 1]
    if not head.isprintable():  # the hot path: called for every line of a server's log
        head = escaped(head)
    return head if len(head) <= limit else f"{head[: limit - len(_ELLIPSIS)]}{_ELLIPSIS}"


def escaped(text: str) -> str:
    """Return a text with spaces for line ends, and escapes for what cannot be printed."""
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return " " if character.isspace() else character.encode("unicode_escape").decode("ascii")


_WORKFLOW_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\[)", re.MULTILINE)


def without_commands(text: str) -> str:
    """Return output in which a CI runner finds no commands.

    GitHub's runner obeys `::add-mask::` at the beginning of a line, and `##[add-mask]` anywhere in it
    (actions/runner, ActionCommand). Text from a server can reach both places, the first where a long line is
    wrapped. The first character of a command is replaced by its escape.
    """
    return _WORKFLOW_COMMAND.sub(lambda found: rf"{found[1]}\x3a" if found[1] is not None else r"\x23", text)


# Likely secrets, by their form or their place; `loadtest.scrubber` finds known ones.

NAMES_OF_SECRETS = (
    r"token|secret|pass(?:word|wd|phrase)?|pwd|cookie|cred(?:ential)?s?|auth(?:orization)?|jwt|bearer"
    r"|signature|dsn|ticket"
)
"""What the name of a secret contains, in lower case; in prose, how it ends."""

SHORT_NAMES_OF_SECRETS = r"pw|pin|otp|psk|sig|sas|pat"
"""Names of secrets that would be found by chance within other words."""

_QUOTE = r"(?:\\*[\"'])"
_NAME = (
    rf"(?<![\w-])(?=[\w-]+{_QUOTE}?\s?(?:[=:]|%3))"  # first, as few words of a log are a name
    rf"[\w-]*(?i:{NAMES_OF_SECRETS}|(?<![a-z])(?:{SHORT_NAMES_OF_SECRETS})"
    r"|(?:api|access|private|secret)[_-]?key|(?<=[?&])key)"
)
_VALUE = r"(?:\\(?![\"'\\])|[^\s\"'&,;\\])"
"""One character of a value; a backslash does not belong to it before a quote."""

_SAYS_WHY = (
    r"(?!(?i:(?:none|null|nil|undefined|true|false|yes|no|ok|empty|missing|absent|unset|required|expired"
    r"|revoked|invalid|valid|failed|tokens?|auth\w*|[a-z]{1,40}(?:error|exception))(?![\w.+/=-])))"
)
"""What stands in a secret's place and is none: `token=expired`."""

_IS_RANDOM = rf"(?={_VALUE}{{8}})(?:(?=[^\s\"'&,;\d]*\d)|(?=[^\s\"'&,;a-z]*[a-z][^\s\"'&,;A-Z]*[A-Z]))"
"""8 or more characters with a digit, or with a capital within: no word of prose."""

_LIKELY_SECRET = re.compile(
    r"eyJ[\w.-]{8,}"  # a JWT
    r"|(?<=://)(?!\*\*\*@)[^\s/\"'<>]+(?=@)"  # user:password in a URL, which may have an @ itself
    rf"|(?i:\bbearer)\s+{_SAYS_WHY}{_VALUE}+"
    rf"|(?i:\bbasic)\s+{_IS_RANDOM}{_VALUE}+"
    rf"|(?i:\bjwt)(?:\\*[\"'],\s?{_QUOTE}|,\s?{_IS_RANDOM}){_VALUE}+"  # the subprotocols ["jwt", TOKEN]
    rf"|(?i:\b(?:set-)?cookie){_QUOTE}?\s?[:=]\s?{_QUOTE}?[\w.!$-]+=[^\r\n]+"  # the header, to its end
    rf"|{_NAME}(?:(?:{_QUOTE}\s?:\s?{_QUOTE}|{_QUOTE}?(?:[=:]|%3[ADad]){_QUOTE}?){_SAYS_WHY}{_VALUE}+"
    rf"|{_QUOTE}?\s?[=:]\s?{_QUOTE}?{_SAYS_WHY}(?:(?i:bearer|basic)\s+|{_IS_RANDOM}){_VALUE}+)"
)
"""A named secret is hidden whatever it is where a program wrote it: `name=X`, `"name": "X"`. In prose, as in
`unknown token: X`, it is hidden if it looks random."""


def without_likely_secrets(text: str) -> str:
    """Return the text with `[secret removed]` for a JWT, a bearer token, a URL's user, a named secret."""
    return _LIKELY_SECRET.sub("[secret removed]", text)


def public_url(url: str) -> str:
    """Return the URL without userinfo, query and fragment, which may hold tokens and passwords."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:  # not a URL: any part of it may be secret
        return HIDDEN


def public_locustfiles(given: str) -> str:
    """Return locustfiles, separated by commas as Locust takes them, with public URLs."""
    return ",".join(public_url(one) if "://" in one else one for one in given.split(","))


def public_path(path: str) -> str:
    """Return a path with `***` for each value in its query, except a dialect's `{placeholder}`."""
    bare, mark, query = path.partition("#")[0].partition("?")
    return bare + mark + "&".join(map(_public_parameter, query.split("&")))


def public_host(url: str) -> str:
    """Return a server's URL with `***` for each value in its query, and everything else unchanged."""
    bare, mark, _ = url.partition("?")
    return bare + public_path(url[len(bare) :]) if mark else url


def _public_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:  # the secret may be alone, as in "?TOKEN"
        return HIDDEN if parameter else ""
    return parameter if value.startswith("{") and value.endswith("}") else f"{name}={HIDDEN}"


# Markdown.

_MARKDOWN_PROSE = re.compile(r"([\\`*_{}\[\]<>|~#$!&])")
_BACKTICKS = re.compile(r"`+")


def markdown_code(text: str, limit: int = LINE_LENGTH) -> str:
    """Return untrusted text as a code span: no links, mentions or HTML.

    The fence is longer than any run of backticks in the text (CommonMark 0.31 section 6.1).
    """
    line = one_line(text, limit)
    if not line.strip():
        return ""
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def markdown_cell(text: str, limit: int = LINE_LENGTH) -> str:
    """Return untrusted text as a code span for a table cell.

    Pipes are escaped even in code: tables are split into cells before inline code is parsed (GitHub Flavored
    Markdown section 4.10).
    """
    return markdown_code(text, limit).replace("|", "\\|")


def markdown_prose(text: str, limit: int = 1000) -> str:
    """Return a sentence of the tool, which may quote untrusted text, with its punctuation escaped."""
    line = _MARKDOWN_PROSE.sub(r"\\\1", one_line(text, limit))
    return line.replace("://", ":\\//").replace("@", "`@`")


# Numbers: 100%, 1,234, 2.5 ms, 00:30.

UNKNOWN = "-"
"""Written for an unknown number."""


def count(number: int) -> str:
    """Write a whole number: `1,234`."""
    return f"{number:,}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: `1 run`, `1,234 runs`; a plural not in -s must be given."""
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def sentence(words: str) -> str:
    """Write words as a sentence: add a full stop, unless there is an end mark already."""
    return words if not words or words.endswith((".", "?", "!")) else f"{words}."


def only(number: int, noun: str, plural: str = "") -> str:
    """Write a count that is too small: `only 3 runs`, `no runs`; the arguments are those of `counted`."""
    return f"only {counted(number, noun, plural)}" if number else f"no {plural or noun + 's'}"


def span(us: float | None) -> str:
    """Write a time given in microseconds: `2.5 ms`; from one second on, `1.23 s`."""
    if us is None:
        return UNKNOWN
    return f"{figures(us / 1e6)} s" if us >= 1_000_000 else f"{figures(us / 1000)} ms"


def clock(seconds: float) -> str:
    """Write a duration in seconds as `00:30`; from one hour on, as `1:00:30`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


MAX_CHANGE_RATIO = 10
"""Relative changes from here on are written as factors."""


def change(ratio: float | None) -> str:
    """Write a relative change: `+1.2%`; from eleven times as much on, `x28`."""
    if ratio is None:
        return UNKNOWN
    # Adding zero turns a rounded -0.0 into 0.0.
    return times(1 + ratio) if ratio >= MAX_CHANGE_RATIO else f"{round(100 * ratio, 1) + 0.0:+,.1f}%"


def times(factor: float) -> str:
    """Write a factor: `x28`."""
    return f"x{figures(factor)}"


def share(ratio: float | None) -> str:
    """Write a ratio: `100%`, `0.05%`, `1,200%`."""
    return UNKNOWN if ratio is None else f"{figures(100 * ratio)}%"


def figures(value: float) -> str:
    """Write three significant figures, or the whole integer part: `1,234`, `95`, `2.5`, `0.064`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
