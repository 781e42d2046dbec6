"""Command lines that users give in options: split them into words, and show them without secrets.

No shell runs them. The program, options and plain words are shown. These are hidden:

    known secrets                     anywhere
    the value of a secret's name      --token X, API_KEY=X, 'Authorization: X', "password": "X", up to the
                                      end of its word; in a quoted text that is not a command, to its end
    -p X, -pX                         the password of mysql, sshpass, docker login; elsewhere -p is a port
    user:password                     -u me:X, --user=me:X, ssh://me:X@host, me:X@host
    text that looks like a secret     a JWT, a bearer token

When in doubt, a value is hidden: a report that lacks a word can still be read. A word like `--region` is
always shown, even after a flag such as `--no-auth`.
"""

import re
import shlex
import shutil
from typing import Final

from loadtest.errors import NOT_SHOWN, InvalidSetting
from loadtest.scrubber import NO_SECRETS, Secrets, without_secrets
from loadtest.text import HIDDEN, NAMES_OF_SECRETS, SHORT_NAMES_OF_SECRETS, one_line, without_likely_secrets

COMMAND_LENGTH: Final = 1000
"""Characters kept of a command: enough to recognize it, and to fit a report."""

COMMAND_HINT: Final = "For a pipe use sh -c '…'"


def command_words(command: str, option: str) -> list[str]:
    """Split a command into words and check that its program exists.

    Args:
        command: quoted as for a shell.
        option: the option that it was given with.

    Raises:
        InvalidSetting: the quoting is malformed, or the program is not found.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        problem = f"must be quoted as for a shell ({error})"
        raise InvalidSetting(option, NOT_SHOWN, problem, COMMAND_HINT) from error
    if not words or shutil.which(words[0]) is None:
        name = public_command(words[0]) if words else ""
        raise InvalidSetting(option, name, "program not found", COMMAND_HINT)
    return words


def public_command(command: str, secrets: Secrets = NO_SECRETS, limit: int = COMMAND_LENGTH) -> str:
    """Return a command as one line that is safe to store, with known and likely secrets hidden."""
    shown, _ = _shown(without_secrets(command, secrets), is_command=True)
    return one_line(shown, limit)


_SECRET_PART = re.compile(rf"{NAMES_OF_SECRETS}|^(?:{SHORT_NAMES_OF_SECRETS})$|^key|(?:key|pw)s?$")
"""What a part of a name contains if the name may be that of a secret."""

_ORDINARY = re.compile(
    r"(?:mon|don|tur|hoc|joc|whis)keys?|(?:by|com|tres)pass|pass(?:ive|ed|es|ing|through|enger)"
    r"|authors?|(?:un)?authenticated"
)
"""Parts of names that contain it by chance, or name no value."""

_WORD = re.compile(r"""(?:'[^']*(?:'|\Z)|"(?:\\.|[^"\\])*(?:"|\\?\Z)|\\(?:.|\Z)|[^\s'"\\])+""", re.DOTALL)
_PIECE = re.compile(r"""'([^']*)'?|"((?:\\.|[^"\\])*\\?)"?|\\(.?)|([^'"\\]+)""", re.DOTALL)
_VALUE_OF = re.compile(r"""(?<![\w.-])([\w.-]*\w)[\\'"\]})]*([=:])""")
_USERINFO = re.compile(r"(?:(?<=://)\S+|(?<![\w/.:-])[^\s/@:'\"=]+:(?!//)\S+)(?=@(?!sha256:))")
"""Up to the last @: a password may have one."""

_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
_NEVER_A_VALUE = re.compile(r"--[a-z][a-z-]*(?:=.*)?|-[A-Za-z]", re.DOTALL)
_ATTACHED = re.compile(r"-(?:[pP](?=.)|[uU](?=.*:))", re.DOTALL)
_BEFORE_COMMAND = re.compile(r"-[a-z]*c")
_BEFORE_PASSWORD = re.compile(r"-[A-Za-z]{0,2}[pP]")
_BEFORE_USER = re.compile(r"-[A-Za-z]{0,4}u|-U")
_SCHEMES = frozenset({"bearer", "jwt"})


def _parts(name: str) -> set[str]:
    """Return the words in a name: of `--dbPassword` these are dbpassword, db and password."""
    camels = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {part.lower() for part in (*re.findall(r"[A-Za-z]+", name), *camels)}


def _may_be_secret(name: str) -> bool:
    return any(_SECRET_PART.search(part) and not _ORDINARY.fullmatch(part) for part in _parts(name))


def _may_be_user(name: str) -> bool:
    return _BEFORE_USER.fullmatch(name) is not None or any(
        part.endswith(("user", "username", "login")) for part in _parts(name)
    )


def _bare(word: str) -> str:
    """Return a word as the program gets it."""
    pieces = _PIECE.findall(word)
    return "".join(
        single or re.sub(r'\\(["\\$`])', r"\1", double) or escaped or plain
        for single, double, escaped, plain in pieces
    )


def _shown(text: str, *, is_command: bool) -> tuple[str, bool]:
    """Return a text of several words without likely secrets, and whether its end was hidden.

    Args:
        text: with the quotes inside it.
        is_command: whether each word is a separate argument; otherwise a value may have spaces.
    """
    shown, before, at = "", "", 0
    for found in _WORD.finditer(text):
        shown += text[at : found.start()]
        bare, at = _bare(found.group()), found.end()
        public, cut = (HIDDEN, False) if _is_value(bare, before) else _public_word(bare, before)
        shown += found.group() if public == bare else public
        if cut and (not is_command or bare.endswith(":")):
            return shown + f" {HIDDEN}" * (at < len(text) and not shown.endswith(HIDDEN)), True
        before = f"{before}=" if bare == "=" else bare
    return shown + text[at:], False


def _is_value(word: str, before: str) -> bool:
    """Return whether a word is a value to be hidden because of the word before it."""
    if before.strip("[](),\"'").lower() in _SCHEMES:
        return True
    if _may_be_secret(before) and (before.endswith("=") or (word.startswith("=") and word != "=")):
        return True
    if not _OPTION.fullmatch(before) or _NEVER_A_VALUE.fullmatch(word):
        return False
    if _may_be_secret(before) or _BEFORE_PASSWORD.fullmatch(before):
        return True
    return ":" in word and _may_be_user(before)


def _public_word(word: str, before: str) -> tuple[str, bool]:
    """Return a word without likely secrets, and whether its end was hidden.

    Args:
        word: without its own quotes; with new ones if it is returned with spaces.
        before: the word before it, which may show that this one is a command.
    """
    if attached := _ATTACHED.match(word):
        return attached.group() + HIDDEN, False
    if re.search(r"\s", word):
        public, cut = _shown(word, is_command=_BEFORE_COMMAND.fullmatch(before) is not None)
        quoted = public != word and re.search(r"\s", public)
        return (shlex.quote(public) if quoted else public), cut
    for found in _VALUE_OF.finditer(word):
        value = word[found.end() :]
        if _may_be_secret(found[1]) or (found[2] == "=" and ":" in value and _may_be_user(found[1])):
            return _public_text(word[: found.end()]) + HIDDEN * bool(value), True
    return _public_text(word), False


def _public_text(text: str) -> str:
    """Return a text without the parts that look like secrets."""
    return without_likely_secrets(_USERINFO.sub(HIDDEN, text))
