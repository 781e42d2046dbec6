"""Clients of the recordings under tests/data/recordings, and the program that made these.

    python -m tests.support.recorded_clients FOLDER [NAME …]

Each client runs in Chromium against its server; tokens and addresses in them are made up for these tests.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.server.server_process import ServerProcess
from tests.support.browser_recordings import record
from tests.support.examples import stranger
from tests.support.places import ROOT

RECORDINGS = ROOT / "tests" / "data" / "recordings"

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlLW9mLWFubmE"
"""A JWT; as all secrets here, no written file may hold it."""

PASSWORD = "correct-horse-7"
EMAIL = "anna.kowalska@example.com"
SECRETS = (TOKEN, PASSWORD, EMAIL, "cookie-5f3a9be81c77")


@dataclass(frozen=True, slots=True)
class Client:
    """A client of a server.

    Args:
        server: name of the module in tests/support/strangers, or a command with the file of another language;
            `reference` for the server of `loadtest serve`.
        path: of the endpoint, with query.
        script: an async function of JavaScript that takes the URL.
        layouts: what to write: `embed`, `attach`, `zip` (Playwright), `devtools`, `mitmproxy`.
        mode: of the server, None if it has none.
    """

    server: str
    path: str
    script: str
    layouts: tuple[str, ...] = ("devtools",)
    mode: str | None = None


CLIENTS = {
    "jsonrpc": Client(
        "json_rpc",
        f"/?access_token={TOKEN}",
        """async (url) => {
          const c = await open_socket(url);
          for (let i = 1; i <= 8; i++) {
            c.say({ jsonrpc: "2.0", id: i, method: "echo", params: { text: `hello number ${i}` } });
            if (i % 2) await sleep(60); else { await c.next(); await c.next(); await sleep(40); }
          }
          c.say({ jsonrpc: "2.0", id: 9, method: "no_such_method", params: {} });
          await c.next();
          c.socket.close();
        }""",
        ("embed", "devtools", "mitmproxy"),
        mode="quiet",
    ),
    "desk": Client(
        "desk",
        "/",
        """async (url) => {
          const c = await open_socket(url);
          const re = (id) => c.next((data) => JSON.parse(data).re === id);
          let id = 0;
          for (const word of ["good morning", "what is the weather", "thank you"]) {
            c.say({ id: ++id, ask: word });
            await re(id); await sleep(80);
          }
          for (let i = 0; i < 3; i++) {
            c.say({ id: ++id, chat: `tell me about ${i} cats` });
            await re(id); await sleep(50);
          }
          for (const symbol of ["EURUSD", "GBPUSD"]) {
            c.say({ id: ++id, symbol });
            await re(id); await sleep(300);
          }
          c.socket.close();
        }""",
        ("attach", "zip"),
    ),
    "socketio": Client(
        "socket_io",
        "/socket.io/?EIO=4&transport=websocket",
        """async (url) => {
          const c = await open_socket(url);
          c.react = (data) => { if (data === "2") c.say("3"); };
          await c.next((data) => data[0] === "0");
          c.say('40{"token":"secret"}');
          await c.next((data) => data.startsWith("40"));
          for (let i = 0; i < 6; i++) {
            c.say(`42${i}["message",{"text":"hello there ${i}"}]`);
            await c.next((data) => data.startsWith(`43${i}`));
            await sleep(450);
          }
          await sleep(2200);
          c.socket.close();
        }""",
        ("embed", "devtools"),
    ),
    "graphql": Client(
        "graphql",
        "/graphql",
        """async (url) => {
          const c = await open_socket(url, ["graphql-transport-ws"]);
          c.react = (data) => { if (JSON.parse(data).type === "ping") c.say({ type: "pong" }); };
          c.say({ type: "connection_init", payload: { authorization: "Bearer %TOKEN%" } });
          await c.next((data) => JSON.parse(data).type === "connection_ack");
          for (let i = 0; i < 6; i++) {
            const id = crypto.randomUUID();
            const kind = i % 2 ? "subscription" : "query";
            const query = `${kind} ($text: String!) { answer(text: $text) }`;
            const variables = { text: `a question number ${i}` };
            c.say({ id, type: "subscribe", payload: { query, variables } });
            await c.next((data) => JSON.parse(data).type === "complete" && JSON.parse(data).id === id);
            await sleep(350);
          }
          c.socket.close();
        }""",
    ),
    "signalr": Client(
        "signalr_hub",
        "/hub?id=3Qv8Zk0c1yTz9sQbW5nXaA",
        """async (url) => {
          const end = "\\u001e";
          const c = await open_socket(url);
          c.say('{"protocol":"json","version":1}' + end);
          await c.next();
          for (let i = 0; i < 5; i++) {
            const call = { type: 1, invocationId: String(i), target: "Echo", arguments: [`hello hub ${i}`] };
            c.say(JSON.stringify(call) + end);
            await c.next((data) => data.includes('"type": 3'));
            await sleep(120);
          }
          for (let i = 5; i < 7; i++) {
            const call = { type: 4, invocationId: String(i), target: "Counter", arguments: [4] };
            c.say(JSON.stringify(call) + end);
            await c.next((data) => data.includes('"type": 3'));
            await sleep(80);
          }
          c.socket.close();
        }""",
    ),
    "llm": Client(
        "realtime_llm",
        "/v1/realtime?model=model-1",
        """async (url) => {
          const c = await open_socket(url, ["realtime", "api-key.%TOKEN%"]);
          const typed = (type) => c.next((data) => JSON.parse(data).type === type);
          await typed("session.created");
          c.say({ type: "session.update", session: { modalities: ["text"], instructions: "Be brief." } });
          await typed("session.updated");
          for (const text of ["Why is the sky blue?", "And the sea?", "Thank you very much"]) {
            const item = { type: "message", role: "user", content: [{ type: "input_text", text }] };
            c.say({ type: "conversation.item.create", item });
            await typed("conversation.item.created");
            c.say({ type: "response.create" });
            await typed("response.done");
            await sleep(150);
          }
          c.socket.close();
        }""",
    ),
    "reference": Client(
        "reference",
        "/ws/3f0c8e0c-7d1e-4c52-9a0b-27a1f4f4c0de?thread_id=5b1f64d2-57a3-44b0-8a0f-1d7f5b9a4e11",
        """async (url) => {
          const talk = async (texts, first) => {
            const c = await open_socket(url);
            await c.next((data) => data.includes("ws:session_established"));
            let sequence = first;
            for (const text of texts) {
              c.say({ type: "chat.message", payload: { agent_id: "assistant", sequence: sequence++, text } });
              await c.next((data) => data.includes("ws:chat_stream_end") || data.includes("ws:ack"));
              await sleep(120);
            }
            c.socket.close();
            await sleep(100);
          };
          await talk(["Good morning", "How are you today?", "What is a WebSocket?"], 0);
          await talk(["Where were we?"], 3);
        }""",
    ),
    "resume": Client(
        "node resume_token.mjs",
        "/",
        """async (url) => {
          let token = null;
          let id = 0;
          const talk = async (texts) => {
            const c = await open_socket(url);
            c.say({ type: "hello", token });
            token = JSON.parse(await c.next((data) => data.includes("welcome"))).token;
            for (const text of texts) {
              c.say({ type: "say", id: id++, text });
              await c.next((data) => data.includes("accepted"));
              await sleep(60);
            }
            c.socket.close();
            await sleep(100);
          };
          await talk(["one fine day", "two fine days", "three fine days"]);
          await talk(["four fine days"]);
        }""",
    ),
    "phoenix": Client(
        "phoenix_channels",
        "/socket/websocket?vsn=2.0.0",
        """async (url) => {
          const c = await open_socket(url);
          let ref = 0;
          const is_reply = (data, ref) => JSON.parse(data)[1] === ref && JSON.parse(data)[3] === "phx_reply";
          const answered = (ref) => c.next((data) => is_reply(data, ref));
          const say = async (join, topic, event, payload) => {
            const own = String(++ref);
            c.say([join === "own" ? own : join, own, topic, event, payload]);
            await answered(own);
          };
          await say("own", "room:lobby", "phx_join", {});
          for (let i = 0; i < 6; i++) {
            await say("1", "room:lobby", "shout", { body: `hello everybody ${i}` });
            await sleep(150);
            if (i % 2) await say(null, "phoenix", "heartbeat", {});
          }
          c.socket.close();
        }""",
    ),
    "ocpp": Client(
        "ocpp_central",
        "/ocpp/station-17",
        """async (url) => {
          const c = await open_socket(url, ["ocpp1.6"]);
          c.react = (data) => {
            const [kind, ref] = JSON.parse(data);
            if (kind === 2) c.say([3, ref, { status: "Accepted" }]);
          };
          const call = async (action, payload) => {
            const ref = crypto.randomUUID();
            c.say([2, ref, action, payload]);
            await c.next((data) => JSON.parse(data)[0] === 3 && JSON.parse(data)[1] === ref);
            await sleep(120);
          };
          await call("BootNotification", { chargePointModel: "Box 2", chargePointVendor: "Vendor" });
          await call("StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Available" });
          for (let i = 0; i < 6; i++) {
            await call("DataTransfer", { vendorId: "vendor", data: `a reading of ${i} kWh` });
          }
          c.socket.close();
        }""",
    ),
    "game": Client(
        "game_words",
        "/play",
        """async (url) => {
          const c = await open_socket(url);
          await c.next((data) => data.startsWith("WELCOME"));
          let number = 0;
          for (const way of ["north", "east", "south"]) {
            c.say(`MOVE ${++number} ${way}`);
            await c.next((data) => data.startsWith(`OK ${number}`));
            await sleep(90);
            c.say(`SAY ${++number} hello there you ${number}`);
            await c.next((data) => data.startsWith(`SAID ${number}`));
            await sleep(60);
            c.say("PING");
            await c.next((data) => data === "PONG");
            await sleep(120);
          }
          c.socket.close();
        }""",
    ),
    "stomp": Client(
        "node stomp.mjs",
        "/stomp",
        """async (url) => {
          const nul = String.fromCharCode(0);
          const c = await open_socket(url, ["v11.stomp"]);
          c.say("CONNECT\\naccept-version:1.1\\nhost:/\\nlogin:anna\\npasscode:%PASSWORD%\\n\\n" + nul);
          await c.next((data) => data.startsWith("CONNECTED"));
          c.say("SUBSCRIBE\\nid:0\\ndestination:/topic/chat.anna\\n\\n" + nul);
          for (let i = 0; i < 5; i++) {
            c.say(`SEND\\ndestination:/app/chat.anna\\nreceipt:r-${i}\\n\\nhello topic ${i}` + nul);
            await c.next((data) => data.startsWith("RECEIPT"));
            await sleep(90);
          }
          c.socket.close();
        }""",
    ),
    "msgpack": Client(
        "message_pack",
        "/",
        """async (url) => {
          const c = await open_socket(url);
          for (let i = 0; i < 5; i++) {
            const text = new TextEncoder().encode(`hello pack ${i}`);
            const head = [0x82, 0xa2, 0x69, 0x64, i, 0xa4, 0x74, 0x65, 0x78, 0x74, 0xa0 + text.length];
            c.say(new Uint8Array([...head, ...text]));
            await c.next();
            await sleep(50);
          }
          c.socket.close();
        }""",
    ),
    "login": Client(
        "rooms",
        f"/rooms/lobby?user={EMAIL}&password={PASSWORD}",
        """async (url) => {
          const c = await open_socket(url);
          for (let i = 0; i < 4; i++) {
            c.say({ text: `hello room ${i}` });
            await c.next();
            await sleep(70);
          }
          c.socket.close();
        }""",
    ),
}


@contextmanager
def serving(client: Client, fault: str | None = None) -> Iterator[str]:
    """Run a client's server; yield its URL for WebSocket."""
    if client.server == "reference":
        with ServerProcess() as process:
            yield process.url.replace("http:", "ws:")
        return
    program, _, file = client.server.partition(" ")
    command = (program, str(ROOT / "tests" / "support" / "strangers" / file)) if file else ()
    with stranger(program, fault or client.mode, command=command) as url:
        yield url.replace("http:", "ws:")


def make(name: str, folder: Path) -> None:
    """Record a client in each of its layouts."""
    client = CLIENTS[name]
    script = client.script.replace("%TOKEN%", TOKEN).replace("%PASSWORD%", PASSWORD)
    files = {"embed": f"{name}.har", "attach": f"{name}.attached.har", "zip": f"{name}.zip"}
    with serving(client) as url, tempfile.TemporaryDirectory() as unused:
        tools = Path(unused) / "devtools.har"
        for layout in [one for one in client.layouts if one in files] or [""]:
            path = folder / files[layout] if layout else Path(unused) / "playwright.har"
            content = layout if layout in ("embed", "attach") else None
            record(script, url + client.path, path, devtools=tools, content=content)
        har = json.loads(tools.read_text())
    if "devtools" in client.layouts:
        (folder / f"{name}.devtools.har").write_text(json.dumps(har))
    if "mitmproxy" in client.layouts:
        (folder / f"{name}.mitmproxy.har").write_text(json.dumps(as_mitmproxy(har)))


def as_mitmproxy(har: dict[str, Any]) -> dict[str, Any]:
    """Return a recording as mitmproxy's addon `savehar` writes it: an http: URL, seconds."""
    log = {**har["log"], "creator": {"name": "mitmproxy", "version": "11.0.0", "comment": ""}}
    log["entries"] = [
        {**entry, "request": {**entry["request"], "url": entry["request"]["url"].replace("ws", "http", 1)}}
        for entry in har["log"]["entries"]
    ]
    return {"log": log}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for one in sys.argv[2:] or CLIENTS:
        make(one, target)
        print(one, "recorded")
