"""Login settings from several sources: a class, the environment, the command line; the stronger one wins."""

from collections.abc import Mapping
from typing import Any, Final

LOGIN: Final = ("token", "token_cmd", "token_ttl_s")
"""How sessions log in: with a token, or with one that a command prints, and its greatest age."""


def overridden(values: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of one source, overridden by those of a stronger one.

    A source that sets one way to log in also replaces the other: a token the command, the command a token.
    """
    merged = {**values, **by}
    if by.get("token_cmd") and not by.get("token"):
        merged["token"] = None
    elif by.get("token") and not by.get("token_cmd"):
        merged |= {"token_cmd": None, "token_ttl_s": by.get("token_ttl_s")}
    return merged
