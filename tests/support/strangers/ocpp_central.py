"""A central system of charging stations, as OCPP 1.6J: JSON arrays with a UUID by position, calls both ways.

    -> [2, "UUID", "BootNotification", {…}]     <- [3, "UUID", {"status": "Accepted", "interval": 1, …}]
    -> [2, "UUID", "StatusNotification", {…}]   <- [3, "UUID", {}]
    -> [2, "UUID", "DataTransfer", {"data": …}] <- [3, "UUID", {"status": "Accepted", "data": …}]
    <- [2, "UUID", "TriggerMessage", {…}]       -> [3, "UUID", {"status": "Accepted"}]

    python -m tests.support.strangers.ocpp_central PORT [FAULT]

Fault `deaf`: every tenth call gets no answer.
"""

import itertools
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

CALL, RESULT = 2, 3
calls = itertools.count(1)


async def handle(connection: ServerConnection) -> None:
    """Serve one station; ask it for its status after every third call."""
    for number in itertools.count(1):
        kind, ref, *rest = json.loads(await connection.recv())
        if kind != CALL:
            continue
        if FAULT != "deaf" or next(calls) % 10:
            await connection.send(json.dumps([RESULT, ref, result(*rest)]))
        if number % 3 == 0:
            asked = [CALL, str(uuid.uuid4()), "TriggerMessage", {"requestedMessage": "StatusNotification"}]
            await connection.send(json.dumps(asked))


def result(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the payload of the answer to a call."""
    match action:
        case "BootNotification":
            return {"status": "Accepted", "currentTime": datetime.now(UTC).isoformat(), "interval": 1}
        case "DataTransfer":
            return {"status": "Accepted", "data": payload["data"]}
        case "Heartbeat":
            return {"currentTime": datetime.now(UTC).isoformat()}
    return {}


if __name__ == "__main__":
    run(handle, subprotocols=["ocpp1.6"])
