"""How the faults alter texts and histories. The stored data stays intact.

An altered text keeps its beginning, so that a client still recognises whose text it is and sees that it has
changed. A foreign text is the latest one from another session, so another session must have sent one first.
"""

import unicodedata

from loadtest.server import json_lines
from loadtest.server.faults import Faults


class Alterations:
    """Alters texts and histories for the faults; remembers the latest text of the last two sessions."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._said: dict[str, str] = {}

    def text(self, session: str, text: str) -> str:
        """Return a session's text, altered if a fault strikes."""
        if text:
            self._remember(session, text)
        if self._faults.strikes("corrupt_reply"):
            text = f"{text[:-1]} (corrupted)"
        if self._faults.strikes("decompose"):
            text = unicodedata.normalize("NFD", text)
        other = self._said_by_another(session)
        if other is not None and self._faults.strikes("foreign_reply"):
            text = other
        return self._cut(text)

    def message(self, session: str, message: json_lines.Message) -> json_lines.Message:
        """Return a session's message with its text altered."""
        text = self.text(session, message.text)
        return message if text == message.text else message.saying(text)

    def frame(self, session: str, frame: json_lines.Frame) -> json_lines.Frame:
        """Return a frame, altered: a JSON object in its text, other text itself, bytes in the last byte."""
        if isinstance(frame, bytes):
            if not self._faults.strikes("corrupt_reply"):
                return frame
            return frame[:-1] + bytes([frame[-1] ^ 1]) if frame else b"\0"
        try:
            return self.message(session, json_lines.parse(frame)).line
        except json_lines.BadMessage:
            return self.text(session, frame)

    def push(self, session: str) -> str:
        """Return the text of a push to a session: none, or another session's text."""
        other = self._said_by_another(session)
        return other if other is not None and self._faults.strikes("foreign_push") else ""

    def history(self, session: str, messages: list[str]) -> list[str]:
        """Return a session's restored messages, oldest first, altered if a fault strikes."""
        if self._faults.strikes("empty_history"):
            messages = []
        if self._faults.strikes("corrupt_history"):
            messages = [json_lines.corrupted(message) for message in messages]
        if self._faults.strikes("cut_history"):
            messages = messages[: len(messages) // 2]
        if self._faults.strikes("reverse_history"):
            messages = messages[::-1]
        other = self._said_by_another(session)
        if other is not None and self._faults.strikes("foreign_history"):
            messages = [*messages, json_lines.past_message("user", other, "assistant")]
        return messages

    def _cut(self, text: str) -> str:
        limit = int(self._faults.value("cut_reply"))
        data = text.encode() if limit else b""
        if len(data) <= limit or not self._faults.strikes("cut_reply"):
            return text
        return data[:limit].decode(errors="ignore")

    def _remember(self, session: str, text: str) -> None:
        self._said.pop(session, None)
        self._said[session] = text
        if len(self._said) > 2:
            del self._said[next(iter(self._said))]

    def _said_by_another(self, session: str) -> str | None:
        return next((text for name, text in self._said.items() if name != session), None)
