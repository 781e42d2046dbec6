/*
 * A chat server on `ws`. Its welcome holds a token, with which the client resumes the session later: each welcome
 * holds a new one, and the token before it is void once the new one is used.
 *
 *     node tests/support/strangers/resume_token.mjs PORT [FAULT]
 *
 * Faults:
 *     rotation_forgotten: the tokens given out at a resume are not stored.
 */

import { randomUUID } from "node:crypto";
import { WebSocketServer } from "ws";

const [port, fault] = process.argv.slice(2);

const sessions = new Map(); // by each token that is valid now

function resume(token) {
  const session = sessions.get(token);
  if (session === undefined) return { id: randomUUID(), tokens: [], texts: [] };
  for (const other of session.tokens) {
    if (other !== token) sessions.delete(other);
  }
  session.tokens = [token];
  return session;
}

function newToken(session, resumed) {
  const token = randomUUID();
  if (fault === "rotation_forgotten" && resumed) return token;
  session.tokens.push(token);
  sessions.set(token, session);
  return token;
}

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port) });

server.on("connection", (socket) => {
  let session;
  const send = (message) => socket.send(JSON.stringify(message));

  socket.on("error", () => {}); // a client that is gone
  socket.on("message", (data) => {
    const message = JSON.parse(data);
    if (message.type === "hello") {
      session = resume(message.token);
      const token = newToken(session, session.tokens.length > 0);
      send({ type: "welcome", session: session.id, token, history: session.texts });
    } else {
      session.texts.push(message.text);
      send({ type: "accepted", id: message.id, text: message.text });
    }
  });
});
