"""A trading desk with an assistant and a room, for scripts: JSON, one object a message.

    -> {"id": N, "ask": TEXT}          <- {"re": N, "text": TEXT}
    -> {"id": N, "chat": TEXT}         <- {"part": N, "word": …} five times, then {"re": N, "text": TEXT}
    -> {"say": TEXT, "at": MS}         <- {"said": TEXT, "at": MS} to everybody in the room, the sender too
    -> {"id": N, "symbol": S}          <- {"re": N}, then {"tick": COUNT, "symbol": S, "price": …} every 50 ms

Faults: `altered`, `lost` and `error` (of every tenth reply to `ask`), `broken_stream` (every fifth stream),
`deaf_room` (what is said reaches only the sender), `late_room` (it reaches the others late), `no_prices`
(ticks stop after ten), `hangs_up` (after every fifteenth message), `never_reads`.
"""

import asyncio
import itertools
import json
import sys
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

LATE_S = 0.6


class Desk:
    """The server.

    Args:
        fault: its one defect; empty for none.
    """

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.room: set[ServerConnection] = set()
        self.asked = itertools.count(1)
        self.chats = itertools.count(1)
        self.tasks: set[asyncio.Task[None]] = set()

    async def handle(self, connection: ServerConnection) -> None:
        """Serve a connection."""
        if self.fault == "never_reads":
            await asyncio.sleep(3600)
        self.room.add(connection)
        try:
            for number in itertools.count(1):
                data = await connection.recv()
                await self.answer(connection, json.loads(data), binary=isinstance(data, bytes))
                if self.fault == "hangs_up" and number % 15 == 0:
                    await connection.close(1011)
                    return
        except Exception:
            return
        finally:
            self.room.discard(connection)

    async def answer(self, connection: ServerConnection, said: dict[str, Any], *, binary: bool) -> None:
        """Answer a message."""
        if "ask" in said:
            await self.reply(connection, said, binary=binary)
        elif "chat" in said:
            self.begin(self.stream(connection, said))
        elif "say" in said:
            self.begin(self.spread(connection, json.dumps({"said": said["say"], "at": said["at"]})))
        else:
            await connection.send(json.dumps({"re": said["id"]}))
            self.begin(self.tick(connection, said["symbol"]))

    def begin(self, work: Any) -> None:
        """Do something beside the connection's messages."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def reply(self, connection: ServerConnection, said: dict[str, Any], *, binary: bool) -> None:
        """Reply to a question."""
        answer, tenth = {"re": said["id"], "text": said["ask"]}, next(self.asked) % 10 == 0
        if tenth and self.fault == "lost":
            return
        if tenth and self.fault == "altered":
            answer["text"] = said["ask"][:-2]
        if tenth and self.fault == "error":
            answer = {"re": said["id"], "error": "no desk"}
        text = json.dumps(answer)
        await connection.send(text.encode() if binary else text)

    async def stream(self, connection: ServerConnection, said: dict[str, Any]) -> None:
        """Reply to a chat word by word."""
        broken = self.fault == "broken_stream" and next(self.chats) % 5 == 0
        try:
            for word in ("I", "think", "you", "said", "it"):
                await connection.send(json.dumps({"part": said["id"], "word": word}))
                if broken:
                    return
                await asyncio.sleep(0.005)
            await connection.send(json.dumps({"re": said["id"], "text": said["chat"]}))
        except Exception:
            return

    async def spread(self, sender: ServerConnection, text: str) -> None:
        """Tell the room."""
        for connection in tuple(self.room):
            if connection is not sender and self.fault == "deaf_room":
                continue
            if connection is not sender and self.fault == "late_room":
                await asyncio.sleep(LATE_S)
            try:
                await connection.send(text)
            except Exception:
                self.room.discard(connection)

    async def tick(self, connection: ServerConnection, symbol: str) -> None:
        """Send prices."""
        try:
            for number in itertools.count():
                if self.fault == "no_prices" and number == 10:
                    return
                await connection.send(json.dumps({"tick": number, "symbol": symbol, "price": 100 + number}))
                await asyncio.sleep(0.05)
        except Exception:
            return


async def main(port: int, fault: str = "") -> None:
    """Serve until the process is killed."""
    async with serve(Desk(fault).handle, "127.0.0.1", port):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
