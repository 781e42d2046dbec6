"""An OCPP 1.6 central system by the library ocpp: it accepts charge points, and returns what they transfer.

Each charge point is asked, once it has been accepted, for a status; the answer is validated by the library.

Fault `tariff_missing`: one data transfer in ten ends with an error.
"""

import itertools
from datetime import UTC, datetime
from typing import Any

from ocpp.exceptions import InternalError
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action, DataTransferStatus, MessageTrigger, RegistrationStatus
from websockets.asyncio.server import ServerConnection

from tests.support.strangers.program import FAULT, run

transfers = itertools.count(1)


class Central(ChargePoint):  # type: ignore[misc]  # the library has no annotations
    """The connection of one charge point."""

    @on(Action.boot_notification)  # type: ignore[untyped-decorator]
    def on_boot(self, **_boot: Any) -> Any:
        """Accept the charge point."""
        now = datetime.now(UTC).isoformat()
        return call_result.BootNotification(now, interval=30, status=RegistrationStatus.accepted)

    @after(Action.boot_notification)  # type: ignore[untyped-decorator]
    async def after_boot(self, **_boot: Any) -> None:
        """Ask for a status."""
        await self.call(call.TriggerMessage(MessageTrigger.status_notification))

    @on(Action.heartbeat)  # type: ignore[untyped-decorator]
    def on_heartbeat(self) -> Any:
        """Tell the time."""
        return call_result.Heartbeat(datetime.now(UTC).isoformat())

    @on(Action.data_transfer)  # type: ignore[untyped-decorator]
    def on_transfer(self, vendor_id: str, data: str, **_rest: Any) -> Any:
        """Return the data."""
        if FAULT == "tariff_missing" and next(transfers) % 10 == 0:
            raise InternalError(f"no tariff for {vendor_id}")
        return call_result.DataTransfer(DataTransferStatus.accepted, data=data)


async def handle(connection: ServerConnection) -> None:
    """Serve one charge point."""
    assert connection.request is not None
    await Central(connection.request.path.rpartition("/")[2], connection, response_timeout=2).start()


if __name__ == "__main__":
    run(handle, subprotocols=["ocpp1.6"])
