"""Spells a text as servers, logs and pages do, and reads what a text says; by the library's means only.

Nothing here shares code with the scrubber: what it leaves is seen.
"""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus


def _json_slashes(text: str) -> str:
    return json.dumps(text)[1:-1].replace("/", "\\/")


def _json_numbers(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" if ord(one) < 0x10000 else json.dumps(one)[1:-1] for one in text)


def to_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _lower_percent(text: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), quote(text, safe=""))


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "percent, slashes kept": quote,
    "percent, lower case": _lower_percent,
    "percent, each character": lambda text: "".join(f"%{one:02x}" for one in text.encode()),
    "form": quote_plus,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, Unicode kept": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, slashes escaped": _json_slashes,
    "JSON, numbers": _json_numbers,
    "HTML": html.escape,
    "HTML, numbers": lambda text: "".join(f"&#x{ord(one):X};" for one in text),
    "HTML, decimal": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "shell": shlex.quote,
    "base64": to_base64,
    "base64, not padded": lambda text: to_base64(text).rstrip("="),
    "base64, URL-safe": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 of user:password": lambda text: to_base64(f"me:{text}"),
    "base64, second byte": lambda text: to_base64(f"x{text}yz"),
    "base64, third byte": lambda text: to_base64(f"xy{text}z"),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex().upper(),
}


def _escapes_read(text: str) -> Iterator[str]:
    """Yield what a text says if each backslash begins an escape of JSON, Python or a shell."""
    with_pairs = re.sub(
        r"\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)",
        lambda found: bytes.fromhex(found[1] + found[2]).decode("utf-16-be", "replace"),
        text,
    )
    known = r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|U000[0-9a-fA-F]{5}|[^uUx])"

    def meant(found: re.Match[str]) -> str:
        if found[0][1] not in "abfnrtuUvx":
            return found[0][1]
        return found[0].encode().decode("unicode_escape", "replace")

    yield re.sub(known, meant, with_pairs, flags=re.DOTALL)
    yield re.sub(known, meant, text, flags=re.DOTALL).encode("latin-1", "replace").decode(errors="replace")


def _runs_read(text: str) -> Iterator[str]:
    """Yield what runs of base64 and hex in a text stand for."""
    for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", text):
        for start in range(4):
            part = run[start:].replace("-", "+").replace("_", "/")
            part = part[: len(part) - 1] if len(part) % 4 == 1 else part
            yield base64.b64decode(part + "=" * (-len(part) % 4)).decode(errors="replace")
    for run in re.findall(r"[0-9a-fA-F]{8,}", text):
        for start in range(2):
            yield bytes.fromhex(run[start : start + (len(run) - start) // 2 * 2]).decode(errors="replace")


def _read(text: str) -> Iterator[str]:
    """Yield all that a text may say, read once."""
    yield from (unquote(text), unquote_plus(text), html.unescape(text), *_escapes_read(text))
    yield from _runs_read(text)
    yield text.replace("\\", "")
    yield text.replace("'\"'\"'", "'")  # as a shell reads it


def says(text: str, secret: str, depth: int = 2) -> bool:
    """Return whether a text says the secret, in any spelling that these decoders read."""
    found, latest = {text}, {text}
    for _ in range(depth):
        latest = {read for one in latest for read in _read(one)} - found
        found |= latest
    return any(secret in one for one in found)
