"""A chat server with sessions and their histories, for the dialect of `tests.support.small_chat`.

    python -m tests.support.strangers.mixed_up PORT [FAULT]

Faults:
    cached: the cache of answers forgets to look at the session: all get the first one's answer to a number.
    wrong_charset: a history is read from the database in another encoding than it was written in.
    wrong_owner: a history is that of the session that connected before.
    oldest_lost: a history begins with its third text.
    empty: a history has no texts.
    revolving: a reconnect is welcomed, and ended at once with FIN.
    revolving_for_all: so is each connection.
    deaf: a reconnect is welcomed, and nothing is answered.
"""

import json
from collections import defaultdict
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

histories: defaultdict[str, list[str]] = defaultdict(list)
"""Texts by session, in the order in which the sessions connected first."""

answers: dict[Any, str] = {}
"""The cache."""


async def send(connection: ServerConnection, **message: Any) -> None:
    """Send a message."""
    await connection.send(json.dumps(message))


def restored(session: str) -> list[str]:
    """Return the texts of a session's history."""
    texts, sessions = histories[session], list(histories)
    match FAULT:
        case "wrong_charset":
            return [text.encode().decode("latin-1") for text in texts]
        case "wrong_owner":
            return histories[sessions[sessions.index(session) - 1]]
        case "oldest_lost":
            return texts[2:]
        case "empty":
            return []
    return texts


def answer(number: Any, text: str) -> str:
    """Return the answer to a text."""
    return answers.setdefault(number, text) if FAULT == "cached" else text


async def handle(connection: ServerConnection) -> None:
    """Serve one connection."""
    assert connection.request is not None
    session = connection.request.path.rpartition("/")[2]
    is_back = session in histories
    await send(connection, type="welcome", session=session)
    if histories[session]:
        await send(connection, type="history", texts=restored(session))
    if FAULT == "revolving_for_all" or (FAULT == "revolving" and is_back):
        connection.transport.close()
        return
    async for data in connection:
        message = json.loads(data)
        if "id" in message and not (FAULT == "deaf" and is_back):
            histories[session].append(message["text"])
            await send(connection, re=message["id"], text=answer(message["id"], message["text"]))


if __name__ == "__main__":
    run(handle)
