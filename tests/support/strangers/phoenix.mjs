/*
 * A channel as Phoenix serves it, by its sources (lib/phoenix/socket.ex, and the serializer in
 * lib/phoenix/socket/serializers/v2_json_serializer.ex), since Phoenix needs Erlang: an array holds the reference of
 * the join, the message's own, topic, event and payload. The channel room:lobby lets in who has the token, replies to
 * `say` with its text, and pushes `presence_state` after a join.
 *
 *     node tests/support/strangers/phoenix.mjs PORT [FAULT]
 *
 * Faults:
 *     crash: one `say` in ten crashes the channel, which the client would have to join again.
 */

import { WebSocketServer } from "ws";

const [port, fault] = process.argv.slice(2);
let said = 0;

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port), path: "/socket/websocket" });

server.on("connection", (socket) => {
  let joined = null;
  const reply = (joinRef, ref, topic, status, response) =>
    socket.send(JSON.stringify([joinRef, ref, topic, "phx_reply", { status, response }]));

  socket.on("error", () => {}); // a client that is gone
  socket.on("message", (data) => {
    const [joinRef, ref, topic, event, payload] = JSON.parse(data);
    if (topic === "phoenix" && event === "heartbeat") {
      reply(null, ref, topic, "ok", {});
    } else if (event === "phx_join") {
      if (topic !== "room:lobby") return reply(joinRef, ref, topic, "error", { reason: "unmatched topic" });
      if (payload.token !== "secret") return reply(joinRef, ref, topic, "error", { reason: "unauthorized" });
      joined = joinRef;
      reply(joinRef, ref, topic, "ok", {});
      socket.send(JSON.stringify([joinRef, null, topic, "presence_state", {}]));
    } else if (joined === null || joinRef !== joined) {
      reply(null, ref, topic, "error", { reason: "unmatched topic" });
    } else {
      said += 1;
      if (fault === "crash" && said % 10 === 0) {
        socket.send(JSON.stringify([joined, joined, topic, "phx_error", {}]));
        joined = null;
      } else reply(joinRef, ref, topic, "ok", { text: payload.text });
    }
  });
});
