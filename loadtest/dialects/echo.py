"""`echo`: any server that returns what it receives.

It has no session identity, so `persistence` is not judged. A request is a JSON object with its sequence
number and padding, but the server need not parse JSON: the reply must equal the request, byte for byte.
"""

import msgspec

from loadtest.dialects.base import MALFORMED, Dialect, Incoming, Reply, unreadable
from loadtest.events import Data, Identity


class _Numbered(msgspec.Struct):
    sequence: int


_decode = msgspec.json.Decoder(_Numbered).decode


class Echo(Dialect):
    """A server that returns what it receives."""

    name = "echo"

    def __init__(self, *, path: str | None = None, message_bytes: int = 64) -> None:
        super().__init__(path=path, message_bytes=message_bytes)
        bare = len('{"sequence":00000,"text":""}')
        self._tail = ',"text":"' + "x" * max(0, message_bytes - bare) + '"}'

    def request(self, identity: Identity, sequence: int) -> str:
        return f'{{"sequence":{sequence}{self._tail}'

    def read(self, data: Data) -> tuple[Incoming]:
        try:
            return (Reply(_decode(data).sequence, data),)
        except MALFORMED:
            return (unreadable(data),)

    def intact(self, sent: Data, content: object) -> bool:
        return sent == content
