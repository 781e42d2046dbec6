/*
 * A SignalR hub on `ws`, by the published protocol (HubProtocol.md and TransportProtocols.md of ASP.NET Core), since no
 * server of it is to be had without .NET. Its messages are written by Microsoft's own JsonHubProtocol, and a test
 * lets Microsoft's client talk to it. Methods: Send(text) returns the text and a length; Spell(text) streams the text
 * in pieces; Say(text) calls Said(text) of the client. It greets each client, asks it for a result, pings each second,
 * and hangs up on a client that says nothing for two seconds.
 *
 *     node tests/support/strangers/signalr.mjs PORT [FAULT]
 *
 * Faults:
 *     exception: one Send in ten raises, and clients get the words of ASP.NET Core.
 *     stream_stops: one Spell in ten stops before its end.
 */

import { randomUUID } from "node:crypto";
import http from "node:http";
import { JsonHubProtocol, MessageType } from "@microsoft/signalr";
import { WebSocketServer } from "ws";

const [port, fault] = process.argv.slice(2);
const END = "\u001e";
const protocol = new JsonHubProtocol();
const negotiated = new Map(); // connection ids by token
let calls = 0;

const server = http.createServer((request, response) => {
  const url = new URL(request.url, "http://127.0.0.1");
  if (request.method !== "POST" || url.pathname !== "/hub/negotiate") {
    response.writeHead(404).end();
  } else if (request.headers.authorization !== "Bearer secret") {
    response.writeHead(401).end();
  } else {
    const [connectionToken, connectionId] = [randomUUID(), randomUUID()];
    negotiated.set(connectionToken, connectionId);
    const availableTransports = [{ transport: "WebSockets", transferFormats: ["Text"] }];
    const answer = { negotiateVersion: 1, connectionId, connectionToken, availableTransports };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }
});

const methods = {
  async *Send(text) {
    if (fault === "exception" && calls % 10 === 0) throw new Error("An unexpected error occurred invoking 'Send' on the server.");
    return { saved: text, length: text.length };
  },
  async *Spell(text) {
    const stopping = fault === "stream_stops" && calls % 10 === 0;
    for (let at = 0; at < text.length; at += 20) {
      yield text.slice(at, at + 20);
      if (stopping) await new Promise(() => {});
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  },
  async *Say(text, send) {
    send({ type: MessageType.Invocation, target: "Said", arguments: [text] });
  },
};

async function invoke(message, send) {
  calls += 1;
  const { invocationId, target } = message;
  const completion = { type: MessageType.Completion, invocationId };
  try {
    if (!(target in methods)) throw new Error(`Failed to invoke '${target}' due to an error on the server. HubException: Method does not exist.`);
    const running = methods[target](...message.arguments, send);
    for (let step = await running.next(); ; step = await running.next()) {
      if (step.done) {
        if (step.value !== undefined) completion.result = step.value;
        break;
      }
      send({ type: MessageType.StreamItem, invocationId, item: step.value });
    }
  } catch (error) {
    completion.error = error.message;
  }
  if (invocationId !== undefined) send(completion);
}

const sockets = new WebSocketServer({ noServer: true });

server.on("upgrade", (request, socket, head) => {
  socket.on("error", () => {});
  const url = new URL(request.url, "http://127.0.0.1");
  if (!negotiated.delete(url.searchParams.get("id"))) {
    socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 28\r\n\r\nNo Connection with that ID");
    return;
  }
  sockets.handleUpgrade(request, socket, head, serve);
});

function serve(socket) {
  let shaken = false;
  let heard = Date.now();
  const write = (text) => socket.readyState === socket.OPEN && socket.send(text);
  const send = (message) => write(protocol.writeMessage(message));
  const timer = setInterval(() => {
    if (Date.now() - heard > 2000) socket.terminate();
    else send({ type: MessageType.Ping });
  }, 1000);
  socket.on("error", () => {});
  socket.on("close", () => clearInterval(timer));
  socket.on("message", (data) => {
    heard = Date.now();
    for (const record of data.toString().split(END).slice(0, -1)) {
      const message = JSON.parse(record);
      if (!shaken) {
        shaken = message.protocol === "json" && message.version === 1;
        write((shaken ? "{}" : `{"error":"The protocol '${message.protocol}' is not supported."}`) + END);
        if (!shaken) socket.close();
        else send({ type: MessageType.Invocation, target: "Welcome", arguments: [], invocationId: "s1" });
      } else if (message.type === MessageType.Invocation || message.type === MessageType.StreamInvocation) {
        invoke(message, send);
      }
    }
  });
}

server.listen(Number(port), "127.0.0.1");
