"""A chat on Django Channels: /rooms/NAME sends each message to everyone in the room, its author included.

Fault `echoes`: the author's copy is sent directly, too, so that authors get two.
Fault `few_groups`: rooms share three groups, so that their members hear other rooms.
"""

import zlib
from typing import Any

from daphne.server import Server
from django.conf import settings

from tests.support.strangers.program import FAULT, PORT

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)

from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402, after the settings
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402


class Room(AsyncJsonWebsocketConsumer):  # type: ignore[misc] # Channels has no annotations
    """A client in a room."""

    group = ""

    async def connect(self) -> None:
        """Join the room."""
        name = self.scope["url_route"]["kwargs"]["name"]
        self.group = f"room-{zlib.crc32(name.encode()) % 3 if FAULT == 'few_groups' else name}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave the room."""
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive_json(self, content: dict[str, Any], **_: Any) -> None:
        """Send a message to everyone in the room."""
        if FAULT == "echoes":
            await self.send_json({"text": content["text"]})
        await self.channel_layer.group_send(self.group, {"type": "room.message", "text": content["text"]})

    async def room_message(self, event: dict[str, Any]) -> None:
        """Send the client a message of the room."""
        await self.send_json({"text": event["text"]})


if __name__ == "__main__":
    application = ProtocolTypeRouter({"websocket": URLRouter([path("rooms/<str:name>", Room.as_asgi())])})
    Server(application, endpoints=[f"tcp:port={PORT}:interface=127.0.0.1"]).run()
