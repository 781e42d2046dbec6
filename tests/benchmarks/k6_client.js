// k6 on the work of the other clients: a WebSocket a virtual user, the echo of a text.
//
//   k6 run --env URL=… --env SESSIONS=… --env SECONDS=… --env RATE=… k6_client.js
//
// RATE is messages a second of a session, sent by an interval timer; 0 for a closed loop. Prints a line of
// JSON: messages answered, and send slip and service time as k6 sees them, in milliseconds: its clock, Date,
// has no finer steps.
import exec from "k6/execution";
import { Trend } from "k6/metrics";
import { clearInterval, setInterval, setTimeout } from "k6/timers";
import { WebSocket } from "k6/websockets"; // k6_client.py names its forerunner to an older k6

const MESSAGE = `{"sequence":12345,"text":"${"x".repeat(37)}"}`;
const SESSIONS = Number(__ENV.SESSIONS);
const SECONDS = Number(__ENV.SECONDS);
const RATE = Number(__ENV.RATE);

const service = new Trend("service", true);
const slip = new Trend("slip", true);

export const options = {
  scenarios: {
    sessions: {
      executor: "per-vu-iterations",
      vus: SESSIONS,
      iterations: 1,
      maxDuration: `${SECONDS + 60}s`,
    },
  },
  summaryTrendStats: ["count", "med", "p(99)"],
};

export default function () {
  const socket = new WebSocket(__ENV.URL);
  const sentAt = [];
  let closing = false;
  let timer = null;

  function send() {
    sentAt.push(Date.now());
    socket.send(MESSAGE);
  }

  function sendAsPlanned() {
    const gap = 1000 / RATE;
    let due = Date.now() + gap;
    timer = setInterval(() => {
      slip.add(Date.now() - due);
      due += gap;
      send();
    }, gap);
  }

  socket.onopen = () => {
    setTimeout(() => {
      closing = true;
      if (timer !== null) clearInterval(timer);
      socket.close();
    }, SECONDS * 1000);
    if (RATE) setTimeout(sendAsPlanned, ((exec.vu.idInTest - 1) / SESSIONS / RATE) * 1000);
    else send();
  };
  socket.onmessage = (event) => {
    if (event.data !== MESSAGE) exec.test.abort(`another text came back: ${event.data}`);
    service.add(Date.now() - sentAt.shift());
    if (!RATE && !closing) send();
  };
  socket.onerror = (event) => {
    if (!closing) exec.test.abort(event.error);
  };
  socket.onclose = () => {
    if (!closing) exec.test.abort("the server closed the connection");
  };
}

export function handleSummary(data) {
  const times = (name) => {
    const values = data.metrics[name].values;
    return [values.med, values["p(99)"]];
  };
  return {
    stdout: `${JSON.stringify({
      answered: data.metrics.service.values.count,
      slip_ms: RATE ? times("slip") : null,
      service_ms: times("service"),
    })}\n`,
  };
}
