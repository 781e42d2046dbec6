/*
 * A chat application on the broker `stomp-broker-js`: what a client sends to /app/chat.NAME, the application
 * publishes to /topic/chat.NAME.
 *
 *     node tests/support/strangers/stomp.mjs PORT [FAULT]
 *
 * Faults:
 *     as_published: version 1.3.0 of the broker forgets the receipts of SEND frames; otherwise they are sent here.
 *     wrong_topic: every 19th message is published to the topic of the one before it, too. Twenty sessions
 *         at a constant rate send in turn: every 20th would always concern the same two, who may be away.
 */

import { createServer } from "node:http";
import StompServer from "stomp-broker-js";
import stomp from "stomp-broker-js/lib/stomp.js";

const [port, fault] = process.argv.slice(2);

const http = createServer();
const broker = new StompServer({ server: http, path: "/stomp" });
broker.on("error", () => {}); // a client that is gone
broker.socket.on("connection", (socket) => {
  // The broker as published ends with an exception when it sends to a client whose close frame has come.
  const send = socket.send.bind(socket);
  socket.send = (data) => send(data, () => {});
});

if (fault !== "as_published") {
  broker.addMiddleware("send", (socket, { frame }, next) => {
    const { receipt } = frame.headers;
    const sent = next();
    if (receipt !== undefined && sent) stomp.ServerFrame.RECEIPT(socket, receipt);
    return sent;
  });
}

let published = 0;
let before;

broker.subscribe("/app/chat.*", (body, headers) => {
  const topic = headers.destination.replace("/app/", "/topic/");
  const publish = (destination) => broker.send(destination, { destination }, body);
  publish(topic);
  published += 1;
  if (fault === "wrong_topic" && published % 19 === 0 && before !== topic) publish(before);
  before = topic;
});

http.listen(Number(port), "127.0.0.1");
