"""A server that echoes texts, and pushes ten times a second to each connection, without numbers.

    python -m tests.support.strangers.ticker PORT [FAULT]

Faults:
    stops: pushes end 3 s after the connection began.
    stalls: there are none for 3 s of each 6 s, and what is skipped is lost.
    hiccups: there are none for 2 s of each 6 s, and what is held up comes then.
    loses: every 20th push is lost.
    none: there are no pushes.
    wrong_session: each push has the latest text of any connection, in place of its own.
"""

import asyncio
import json
from itertools import count

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

PERIOD_S = 0.1

latest: list[str] = [""]


def is_sent(number: int) -> bool:
    """Return whether the push with this number, counted from 0 by connection, is sent."""
    match FAULT:
        case "stops":
            return number * PERIOD_S < 3
        case "stalls":
            return number * PERIOD_S % 6 < 3
        case "loses":
            return number % 20 != 19
        case "none":
            return False
    return True


async def hiccup(number: int) -> None:
    """Hold up a push, and so those after it, if it is the one at 4 s of each 6 s."""
    if FAULT == "hiccups" and number % 60 == 40:
        await asyncio.sleep(2)


async def push(connection: ServerConnection, own: list[str]) -> None:
    """Push the connection's latest text, at times that do not drift."""
    begin_s = asyncio.get_running_loop().time()
    for number in count():
        await asyncio.sleep(begin_s + number * PERIOD_S - asyncio.get_running_loop().time())
        if is_sent(number):
            await hiccup(number)
            await connection.send(json.dumps({"push": (latest if FAULT == "wrong_session" else own)[-1]}))


async def handle(connection: ServerConnection) -> None:
    """Echo what one client says, and push beside it."""
    own = [""]
    pushing = asyncio.create_task(push(connection, own))
    try:
        async for data in connection:
            own[-1] = latest[-1] = json.loads(data)["text"]
            await connection.send(data)
    finally:
        pushing.cancel()


run(handle)
