/*
 * Socket.IO's own server: a chat in the namespace /chat, with connection state recovery. It acknowledges each event
 * `message` with its text, and greets twice: with news, and with binary data that clients must acknowledge. It pings
 * every second.
 *
 *     node tests/support/strangers/socketio.mjs PORT [FAULT]
 *
 * Faults:
 *     state_forgotten: sessions are stored for recovery, and never found again.
 *     two_instances: two instances behind a load balancer that takes them in turn, without sticky sessions.
 * `sticky` is no fault: two instances behind a load balancer that remembers a client's instance in a cookie.
 */

import http from "node:http";
import net from "node:net";
import { Server } from "socket.io";

const [port, fault] = process.argv.slice(2);

function serve(listenPort) {
  const server = http.createServer();
  const io = new Server(server, {
    pingInterval: 1000,
    pingTimeout: 2000,
    connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares: true },
  });
  const chat = io.of("/chat");
  if (fault === "state_forgotten") chat.adapter.restoreSession = async () => null;
  chat.use((socket, next) => {
    if (socket.handshake.auth.token === "secret") next();
    else next(new Error("not authorized"));
  });
  chat.on("connection", (socket) => {
    socket.emit("news", "welcome");
    socket.emit("greeting", { picture: Buffer.from([1, 2, 3]) }, () => {});
    socket.on("message", (message, acknowledge) => {
      acknowledge({ text: message.text });
    });
  });
  return new Promise((resolve) => {
    server.listen(listenPort, "127.0.0.1", () => resolve(server.address().port));
  });
}

function balance(instances) {
  let turn = 0;
  const chosen = (request) => {
    const known = fault === "sticky" && /instance=(\d)/.exec(request.headers.cookie ?? "");
    return known ? Number(known[1]) : turn++ % instances.length;
  };
  const balancer = http.createServer((request, response) => {
    const instance = chosen(request);
    const { method, url, headers } = request;
    const onward = http.request({ port: instances[instance], method, path: url, headers }, (answer) => {
      const cookie = fault === "sticky" ? { "set-cookie": `instance=${instance}` } : {};
      response.writeHead(answer.statusCode, { ...answer.headers, ...cookie });
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  });
  balancer.on("upgrade", (request, socket, head) => {
    const onward = net.connect(instances[chosen(request)], "127.0.0.1", () => {
      const lines = request.rawHeaders.map((text, at) => (at % 2 ? `${text}\r\n` : `${text}: `));
      onward.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const end of [socket, onward]) {
      end.on("error", () => {});
      end.on("close", () => (end === socket ? onward : socket).destroy());
    }
  });
  balancer.listen(Number(port), "127.0.0.1");
}

if (fault === "two_instances" || fault === "sticky") balance([await serve(0), await serve(0)]);
else await serve(Number(port));
