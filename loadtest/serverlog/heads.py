"""Reads the head of a line of text: its time, its level, its logger; the rest is the message.

A head is a time, a level, or both, in any order, with at most a few words before the level that a logger puts
there: numbers, brackets, `key=value`, the logger's name. So a level in the middle of a message does not count. Lines
whose head is neither, such as glog's, have a row in `SPECIAL`. logfmt's pairs are read as an object.
"""

import re
from typing import NamedTuple

from loadtest.serverlog.access_logs import level_of_status
from loadtest.serverlog.entries import CARRIER, Entry
from loadtest.serverlog.payloads import entry_of
from loadtest.serverlog.records import LEVELS, MAX_MESSAGE, MAX_NAME, SYSLOG_LEVELS, Level, level_of
from loadtest.serverlog.times import BEGIN_TIMES, FoundTime, time_at
from loadtest.serverlog.tracebacks import raises, starts_traceback

_WORDS = "|".join(sorted({word for word in LEVELS if word.islower()}, key=len, reverse=True))
_UPPER = _WORDS.upper()
_GAP = r"[ \t|:;,\u2013>\])-]{0,24}"
_BEFORE = (  # what may stand between the time and the level
    r"(?:\[[^\[\]]{0,120}\]|\([^()]{0,80}\)|\d[\w#.:*-]{0,40}|\w[\w.-]{0,40}=[^\s\]]{0,120}|DEFAULT)"
)
_NAMED = (  # and the logger's name, one plain word
    r"(?P<name>[A-Za-z_][\w.$/<>-]{0,120}(?::[\w<>.]{1,80}){0,2})"
)
_LEVEL = rf"""(?:[\[<(](?:[\w-]{{0,40}}:)?(?P<bracketed>(?i:{_WORDS})) {{0,9}}[\]>)]|level=(?P<pair>\w{{3,12}})|(?P<bare>{_UPPER})(?![\w.=-])
|(?P<colon>(?!error:)(?:{_WORDS})|(?!Error)[A-Z][a-z]{{2,10}}(?<!Exception)):(?=[\s:]|$)|(?P<lower>error):[ ]|[a-z]\w{{0,40}}\.(?P<channel>{_UPPER})(?=:))"""
_END = r"(?![\w.$/-])"  # a name ends where it ends: split into five parts, a long one took seconds
_AFTER_TIME = re.compile(
    rf"{_GAP}(?:{_BEFORE}{_END}{_GAP}){{0,4}}?(?:{_NAMED}{_END}{_GAP}(?:{_BEFORE}{_END}{_GAP}){{0,2}}?)?{_LEVEL}".replace(
        "\n", ""
    )
)
_AT_START = re.compile(
    (
        rf"[\[<( ]{{0,2}}(?:\[[\w.:/@ -]{{1,80}}\] {{0,3}}|(?P<name>[A-Za-z_][\w.]{{0,80}}) - ){{0,3}}?{_LEVEL}"
    ).replace("\n", "")
)
_CLOSED = re.compile(r"[\]>)]?[ \t|:-]{0,16}")
_LOGGER = re.compile(
    r"\d+ --- (?:\[[^\]]{0,80}\] ?){1,3}(?P<spring>\S{1,120}) *: "
    r"|\[(?P<bracket>[A-Za-z_][\w.$/-]{0,120})\](?: -)?[: ] {0,3}"
    r"|in (?P<module>[A-Za-z_][\w.]{0,80}): (?!$)"
    r"|(?P<dash>(?![A-Z][a-z]{0,60} )[A-Za-z_][\w.$/<>\[\]:-]{0,160}) {1,20}[-|] {1,3}"
    r"|(?P<dotted>[A-Za-z_][\w$/]{0,60}[.:][\w.$:/]{1,120}): (?!$)"
    r"|(?P<colon>(?!(?:websocket|ws|read|write|https?|tls|tcp|net|error|close|send|recv)\b)[a-z_]\w{0,60}): (?!$)"
    r"|(?:\[(?:pid|client) [^\]]{1,80}\] ){1,3}"
    r"|\d+#\d+: (?:\*\d+ )?"
    r"|(?P<tab>[\w./-]{1,80}(?::\d{1,6})?)\t"
    r"|-- (?P<ruby>[\w:]{0,80}): "
)
_TIGHT = re.compile(r"(?P<tight>[A-Za-z_][\w.$/]{0,120}):")
_NET = re.compile(r"(?P<name>[A-Z][\w.+`]{0,160})\[\d{1,9}\]$")
_PAIR = re.compile(
    r"""(?P<key>[A-Za-z_@][\w.@-]{0,60})=(?:"(?P<quoted>(?:[^"\\]|\\.){0,4000})"|(?P<value>[^\s"]{0,2000}))(?:\s+|$)"""
)
_ESCAPED = re.compile(r"\\(.)")
_KEYS = frozenset({"level", "lvl", "msg", "severity", "at"})
_MAX_HEAD = 4096
_MAX_TIMES = 2  # the carriers', then the server's own
_PLAIN = re.compile(r"(?!in )[A-Za-z][a-z]{1,30}[ ,](?![ -]*[-|])")
_CLIENT = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}:\d{1,5} - \"")
"""A client's address before its request: no time, no token of an access log, no logger."""

_ENDS = frozenset(" :]")


class _Recent:
    """What stood before messages lately, at the start of a line or after its time, with level and logger."""

    _MOST = 32

    def __init__(self) -> None:
        self._known: dict[str, tuple[Level, str]] = {}
        self._sizes: list[int] = []

    def entry(self, rest: str, *, timed: bool) -> Entry | None:
        """Return the entry in a text that begins as a recent one; None if later text may change its meaning.

        Args:
            rest: the text.
            timed: whether it stands after a time.
        """
        for size in self._sizes:
            known = self._known.get(rest[:size])
            if known is not None and _is_plain(rest, size, timed=timed):
                return Entry(message=rest[size : size + MAX_MESSAGE], level=known[0], logger=known[1])
        return None

    def note(self, entry: Entry, rest: str) -> None:
        """Remember the text before an entry's message."""
        if entry.level is None or not entry.message or not rest.endswith(entry.message):
            return
        prefix = rest[: -len(entry.message)]
        if prefix[-1:] not in _ENDS or "\t" in prefix or prefix in self._known:
            return
        if _PLAIN.match(entry.message) or _CLIENT.match(entry.message):
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[prefix] = entry.level, entry.logger
            self._sizes = sorted(set(map(len, self._known)))


def _is_plain(rest: str, size: int, *, timed: bool) -> bool:
    """Whether a text with a known beginning goes on so that no later text could change what that means."""
    if _CLIENT.match(rest, size):
        return True
    if _PLAIN.match(rest, size) is None:
        return False
    return '"' not in rest if timed else rest[size] not in BEGIN_TIMES


class _Special(NamedTuple):
    """A head that is neither a time nor a level at the start of the line."""

    name: str
    letter: str
    pattern: re.Pattern[str]


SPECIAL = tuple(
    _Special(name, letters, re.compile(pattern))
    for name, letters, pattern in (
        ("glog", "DIWEF", r"(?P<level>[DIWEF])\d{4} (?P<clock>\d\d:\d\d:\d\d\.\d+) +\d+ (?P<logger>[^\s\]]{1,80})\] "),
        ("ruby", "DIWEF", r"(?P<level>[DIWEF]), \[(?P<time>[^\s\]]{19,32})(?: #\d+)?\] +\w+ -- (?P<logger>[^:]{0,60}): "),
        ("tornado", "[", r"\[(?P<level>[DIWEF]) (?P<time>\d{6} [\d:]{8}) (?P<logger>[\w.]{1,60}):\d+\] "),
        ("log15", "DIWEC", r"(?P<level>DBUG|INFO|WARN|EROR|CRIT) ?\[[\d:|T-]{8,24}\] "),
        ("nest", "[", r"\[Nest\] \d+ +- +(?P<time>[\d/]{8,10},? [\d:]{7,8}(?: [AP]M)?) +(?P<level>[A-Z]+) (?:\[(?P<logger>[^\]]{1,80})\] )?"),
        ("access", "0123456789:-", r"(?=\S{1,80} \S{1,80} \S{1,80} \[(?P<time>[^\]]{20,32})\] \"[^\"]{0,2000}\" (?P<status>\d{3}) )"),
        ("haproxy", "0123456789abcdef:", r"(?=[\d.:a-f]{7,50}:\d{1,5} \[(?P<time>[^\]]{20,32})\] \S{1,80} \S{1,120} [\d/+-]{5,60} (?P<status>\d{3}) )"),
        ("envoy", ' "', r" ?(?=\"[A-Z]{3,10} [^\"]{1,2000}\" (?P<status>[1-5]\d\d) )"),
        ("alb", "hwg", r"(?=(?:https?|h2|grpcs|wss?) (?P<time>\d{4}-\S{15,30}) \S{1,200} \S{1,60} \S{1,60} (?:-?\d[\d.]{0,12} ){3}(?P<status>\d{3}) )"),
        ("gin", "[", r"(?=\[GIN\] (?P<time>\d{4}/\d\d/\d\d - [\d:]{8}) \| {0,3}(?P<status>\d{3}) \|)"),
        ("semantic_logger", "TDIWEF", r"(?P<level>[TDIWEF]) \[[^\]]{1,80}\] (?:\([^)]{1,40}\) )?(?P<logger>\S{1,80}) -- "),
        ("beego", "[", r"\[(?P<level>[DINWEC])\] (?:\[[^\]]{1,80}\] {1,3})?"),
        ("zap", "tdiwepf", r"(?P<level>trace|debug|info|warn|error|dpanic|panic|fatal)\t(?:(?P<logger>[\w./-]{1,80}(?::\d{1,6})?)\t)?"),
        ("zap exponent", "1", r"\d\.\d{1,20}e\+09\t(?P<level>[a-z]{4,6})\t(?:(?P<logger>[\w./-]{1,80}(?::\d{1,6})?)\t)?"),
        ("swift-log", "tdinwec", r"(?P<level>trace|debug|info|notice|warning|error|critical) (?P<logger>[\w.-]{1,80}) ?: (?:[\w.-]{1,40}=\S{1,80} ){0,8}\[[\w.-]{1,80}\] "),
        ("twisted", "[", r"\[(?P<logger>[\w.:-]{1,80})#(?P<level>[a-z]{4,8})\] "),
        ("tracing", " ", r" (?P<level>INFO|WARN) (?P<logger>\w{1,80}(?:::\w{1,80}){0,8}): "),
        ("tracing pretty", " ", r"  (?P<time>\d{4}-\d\d-\d\dT[\d:.]{8,18}Z) {1,2}(?P<level>TRACE|DEBUG|INFO|WARN|ERROR) (?P<logger>\w{1,80}(?:::\w{1,80}){0,8}): "),
        ("systemd", "<", r"<(?P<number>[0-7])>(?P<logger>[\w.+`]{1,160})\[\d{1,9}\] "),
        ("request", "GPDHOU", r"(?=(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) (?P<status>[1-5]\d\d) http)"),
    )
)  # fmt: skip
"""Rows for the rest; an access log's level is that which Cloud Logging gives to a status."""


_BY_LETTER = {
    first: tuple(row for row in SPECIAL if first in row.letter) for row in SPECIAL for first in row.letter
}


class Heads:
    """Reads the heads of one log.

    A log repeats what stands between time and message line after line, so the last of these are remembered
    with their meaning. They are used only where a plain word follows: then no later text could change it.
    """

    def __init__(self) -> None:
        self._timed, self._untimed = _Recent(), _Recent()

    def of(self, text: str) -> Entry | None:
        """Return the entry that begins with this line; None if the line has no time, level or pairs."""
        if not text:
            return None
        stamp = time_at(text, 1 if text[0] in "[(<" else 0)
        if stamp is not None:
            return _after_time(text, stamp, self._timed)
        known = self._untimed.entry(text, timed=False)
        if known is not None:
            return known
        entry = _special(text)
        if entry is None:
            entry = _at_start(text)
            if entry is not None and not entry.stamp:
                self._untimed.note(entry, text)
        return entry or _pairs(text)


def _after_time(text: str, stamp: FoundTime, recent: _Recent, depth: int = 0) -> Entry:
    rest = text[stamp.end : stamp.end + _MAX_HEAD]
    written = CARRIER if stamp.zoned else stamp.form
    known = recent.entry(rest, timed=True)
    if known is not None:
        known.at_ns, known.stamp = stamp.at_ns, written
        return known
    entry = Entry(message="", at_ns=stamp.at_ns, stamp=written)
    bare = rest[1:] if rest[:1] in ("]", " ", "\t", ")") else rest
    at = 1 if bare[:1] in ("[", "(", "<") else 0
    second = time_at(bare, at) if depth < _MAX_TIMES and bare[at : at + 1].isdigit() else None
    inner = None
    if second is not None:
        inner = _after_time(bare, second, recent, depth + 1)
    elif (bare[:1] not in " \t" or bare[:2] == ' "') and stamp.form not in ("clock", "clock12"):
        inner = _special(bare) or _pairs(bare)
    if inner is not None:
        return _merged(inner, stamp)
    found = _AFTER_TIME.match(rest)
    if found is None or not _plausible(found):
        entry.message = bare[:MAX_MESSAGE]
        return entry
    inner = _levelled(entry, found, rest)
    own = time_at(inner.message) if inner.message[:4].isdigit() else None
    if own is not None and own.at_ns is not None:  # the carrier's time, the level, the server's time
        inner.at_ns, inner.message = own.at_ns, inner.message[own.end :].lstrip()
        return _merged(inner, stamp)
    recent.note(inner, rest)
    return inner


def _merged(inner: Entry, stamp: FoundTime) -> Entry:
    """Give an entry the time before it, if it has none or only one in an unknown zone that is far away."""
    apart = inner.at_ns is None or (stamp.at_ns is not None and abs(stamp.at_ns - inner.at_ns) > 60 * 10**9)
    if stamp.at_ns is not None and (inner.at_ns is None or (apart and stamp.zoned)):
        inner.at_ns = stamp.at_ns
    inner.stamp = stamp.form
    return inner


def _plausible(found: re.Match[str]) -> bool:
    """Whether a word may be the level: only one plain word stands before it, in capitals or brackets."""
    if found["name"] and not (found["bare"] or found["bracketed"] or found["pair"] or found["colon"]):
        return False
    if found["name"] == "Stack":  # "Stack trace:" of PHP and others
        return False
    return not found["colon"] or level_of(found["colon"]) is not None


def _at_start(text: str, *, within: bool = False) -> Entry | None:
    """Return the entry that begins with a level; `within` another, whose level is a carrier's."""
    if text[0] in " \t":
        return None
    found = _AT_START.match(text, 0, _MAX_HEAD)
    if found is None or not _plausible(found):
        return None
    entry = Entry(message="")
    closed = _CLOSED.match(text, found.end())
    stamp = None
    if closed is not None:
        at = closed.end() + (text[closed.end() : closed.end() + 1] in ("[", "("))
        stamp = time_at(text, at)
    entry = _levelled(entry, found, text, within=within)
    if stamp is not None:
        entry.at_ns, entry.stamp = stamp.at_ns, stamp.form
        entry.message = text[stamp.end :].lstrip(" ])-|:")[:MAX_MESSAGE]
    return entry


def _levelled(entry: Entry, found: re.Match[str], rest: str, *, within: bool = False) -> Entry:
    word = found[found.lastgroup or 0]
    entry.level = LEVELS.get(word) or level_of(word)
    entry.logger = (found["name"] or "")[:MAX_NAME]
    separator = rest[found.end() : found.end() + 2]
    closed = _CLOSED.match(rest, found.end())
    message = rest[closed.end() if closed is not None else found.end() :]
    if separator[:1] == "\t" and not within:
        inner = _after_tab(entry, message)
        if inner is not None:
            return inner
    if found.lastgroup in ("colon", "lower") or separator in (": ", ":"):  # "ERROR:   text" names no logger
        named = _NET.match(message)
    elif separator[:1] == ":":  # "ERROR:name:text"
        named = _TIGHT.match(message)
    else:
        named = _LOGGER.match(message)
    if named is not None and (not entry.logger or named.lastgroup in (None, "spring")):
        entry.logger = (named[named.lastgroup] if named.lastgroup else entry.logger)[:MAX_NAME]
        message = message[named.end() :]
    entry.message = message[:MAX_MESSAGE]
    return entry


def _after_tab(entry: Entry, message: str) -> Entry | None:
    """Return what the text itself says, if the level is a carrier's severity (`gcloud --format='value(…)'`)."""
    inner = _at_start(message, within=True) if message[:1].isupper() else None
    if inner is not None and inner.level is not None:
        inner.at_ns, inner.stamp = inner.at_ns or entry.at_ns, entry.stamp
        return inner
    if message[:1] not in (" ", "\t") and not starts_traceback(message) and not raises(message):
        return None
    return Entry(message=message[:MAX_MESSAGE], at_ns=entry.at_ns, stamp=entry.stamp)


def _special(text: str) -> Entry | None:
    for row in _BY_LETTER.get(text[:1], ()):
        found = row.pattern.match(text, 0, _MAX_HEAD)
        if found is None:
            continue
        fields = found.groupdict()
        status = fields.get("status")
        level = level_of_status(int(status)) if status else level_of(fields.get("level") or "")
        if fields.get("number"):
            level = SYSLOG_LEVELS[int(fields["number"] or 0)]
        stamp = time_at(fields.get("time") or "")
        entry = Entry(message=text[found.end() :][:MAX_MESSAGE], level=level, stamp=row.name)
        entry.logger = fields.get("logger") or ""
        entry.at_ns = stamp.at_ns if stamp else None
        return entry
    return None


def _pairs(text: str) -> Entry | None:
    """Return the entry in a line of logfmt; None for any other line."""
    if "=" not in text[:80]:
        return None
    position = 0
    pairs: dict[str, str] = {}
    while len(pairs) < 64 and (pair := _PAIR.match(text, position)) is not None:
        quoted = pair["quoted"]
        pairs.setdefault(pair["key"], pair["value"] if quoted is None else _ESCAPED.sub(_unescaped, quoted))
        position = pair.end()
    if len(pairs) < 2 or _KEYS.isdisjoint(pairs):
        return None
    entry = entry_of(pairs)
    if entry is not None and not entry.message:
        entry.message = text[:MAX_MESSAGE]
    return entry


def _unescaped(found: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "r": ""}.get(found[1], found[1])
