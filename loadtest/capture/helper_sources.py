"""Source of the functions that a generated locustfile needs to read and write messages of one form.

They do the same as the forms in `loadtest.capture.message_forms`; the replay checks this.
"""

from typing import Final


def quoted(text: str) -> str:
    """Return a text as a Python literal of ASCII characters, in double quotes if these need no escape.

    Every text of a recording goes through here: none of its characters can end the literal or be invisible.
    Python itself writes the literal; a text without quotes may have either kind around it.
    """
    literal = ascii(text)
    return literal if "'" in text or '"' in text else f'"{literal[1:-1]}"'


PIECES: Final = '''
def keep(session: lt.DialectSession, number: Any, piece: Any) -> None:
    """Keep a piece of a streamed reply."""
    pieces = session.memory.setdefault("pieces", {}).setdefault(number, [])
    if len(pieces) < 10_000:
        pieces.append(str(piece))


def kept(session: lt.DialectSession, number: Any) -> str:
    """Return the whole text of a streamed reply after its last message."""
    return "".join(session.memory.setdefault("pieces", {}).pop(number, ()))
'''

HALVES: Final = '''
def acknowledged(session: lt.DialectSession, sequence: Any) -> lt.Incoming | None:
    """Interpret a reply without a text: it is only a part of the reply until the text has arrived, too."""
    if isinstance(sequence, str):
        return None
    texts = session.memory.setdefault("returned", {})
    if sequence in texts:
        return lt.Reply(sequence, texts.pop(sequence))
    session.memory.setdefault("acknowledged", {})[sequence] = True
    return lt.StreamPart(sequence)


def returned(session: lt.DialectSession, text: Any) -> lt.Incoming:
    """Interpret a text that arrives apart from the replies: this session's own, or another client's."""
    own = session.sequence_of(text)
    if own is None:
        return lt.Push()
    if session.memory.setdefault("acknowledged", {}).pop(own, False):
        return lt.Reply(own, text)
    texts = session.memory.setdefault("returned", {})
    texts[own] = text
    if len(texts) > 1000:
        texts.pop(next(iter(texts)))
    return lt.Push()
'''

RECORDS: Final = '''
def records(data: lt.Data) -> list[Any]:
    """Return the records of a message."""
    text = data if isinstance(data, str) else data.decode()
    return [json.loads(record) for record in text.split(SEPARATOR) if record.strip()]
'''

RECORD_OF: Final = '''

def record_of(message: object) -> str:
    """Return an object as a record."""
    return json.dumps(message) + SEPARATOR
'''

BATCHES: Final = '''
def records(data: lt.Data) -> list[Any]:
    """Return the records of a message: those of a batch, or a single one."""
    message = json.loads(data)
    return message if isinstance(message, list) else [message]
'''

WRAPPED: Final = '''
def records(data: lt.Data) -> list[Any]:
    """Return the records of a message."""
    return list(json.loads(data))
'''

MESSAGE_PACK: Final = '''
def unpacked(data: lt.Data) -> Any:
    """Return the content of a binary message."""
    if isinstance(data, str):
        raise ValueError("is text, not MessagePack")
    return msgspec.msgpack.decode(data)
'''

SOCKET_IO: Final = r'''
PACKET = re.compile(r"([0-3]|4[0-4]|[56])(?:(/[^,]*),)?(\d*)(.*)", re.DOTALL)  # kind, namespace, id, content


def unpacked(data: lt.Data) -> dict[str, Any]:
    """Return a packet as a dict."""
    found = PACKET.fullmatch(str(data))
    if found is None:
        raise ValueError("is not a Socket.IO packet")
    kind, namespace, number, content = found.groups()
    packet: dict[str, Any] = {"packet": kind}
    if namespace:
        packet["namespace"] = namespace
    if number:
        packet["id"] = int(number)
    if content:
        packet["data"] = json.loads(content) if content[0] in "[{" else content
    return packet


def packed(packet: dict[str, Any]) -> str:
    """Return a dict as a packet."""
    namespace = f"{packet['namespace']}," if "namespace" in packet else ""
    data = packet.get("data", "")
    content = data if isinstance(data, str) else json.dumps(data)
    return f"{packet['packet']}{namespace}{packet.get('id', '')}{content}"
'''

HEADED_FRAMES: Final = r'''
def unpacked(data: lt.Data) -> dict[str, Any]:
    """Return a frame as a dict: its command, headers and body."""
    head, _, body = str(data).rstrip("\0\n").partition("\n\n")
    command, *lines = head.split("\n")
    return {"command": command, "headers": dict(line.split(":", 1) for line in lines), "body": body}


def packed(frame: dict[str, Any]) -> str:
    """Return a dict as a frame."""
    headers = [f"{name}:{value}" for name, value in frame["headers"].items()]
    return "\n".join([frame["command"], *headers, "", f"{frame['body']}\0"])
'''

WORDS: Final = '''
# How often a line is split, by its first word; the last word is the rest of the line.
LINES = SPLITS


def words(data: lt.Data) -> list[str]:
    """Return the words of a line; the last one is the rest of it."""
    text = (data if isinstance(data, str) else data.decode()).removesuffix(END)
    return text.split(SEPARATOR, LINES.get(text.partition(SEPARATOR)[0], -1))


def line(said: list[str]) -> str:
    """Return these words as a line."""
    return SEPARATOR.join(said) + END
'''
