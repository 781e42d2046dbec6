// A stand-in for k6, which no package registry has: k6's interface, as far as tests/benchmarks/k6_client.js uses it.
//
//   node k6.mjs VERSION version
//   node k6.mjs VERSION run [--OPTION …] --env NAME=VALUE … SCRIPT
//
// It runs the script for as many virtual users as it asks for, each with its own copy, and prints what its
// handleSummary returns for standard output. Like k6 it goes on while a connection or a timer is left.
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const [version, command, ...rest] = process.argv.slice(2);
const [major, minor] = version.split(".").map(Number);

async function run() {
  globalThis.__ENV = {};
  rest.forEach((part, at) => {
    if (part !== "--env") return;
    const [name, ...value] = rest[at + 1].split("=");
    globalThis.__ENV[name] = value.join("=");
  });
  const trends = {};
  globalThis.modulesOf = (user) => modules(trends, user);
  const text = readFileSync(rest.at(-1), "utf8");
  const { options, handleSummary } = await copy(text, 0);
  process.once("beforeExit", () => {
    const metrics = Object.fromEntries(Object.entries(trends).map(([name, values]) => [name, summary(values)]));
    process.stdout.write(handleSummary({ metrics }).stdout);
  });
  for (let user = 1; user <= options.scenarios.sessions.vus; user += 1) {
    (await copy(text, user)).default();
  }
}

function copy(text, user) {
  const code = text
    .replaceAll(/^import (\w+) from "(.+)";/gm, 'const $1 = named("$2").default;')
    .replaceAll(/^import (\{.+\}) from "(.+)";/gm, 'const $1 = named("$2");');
  const start = `const named = globalThis.modulesOf(${user});\n`;
  return import(`data:text/javascript,${encodeURIComponent(start + code)}`);
}

function modules(trends, user) {
  const stable = major > 1 || (major === 1 && minor >= 6);
  const all = {
    "k6/execution": { default: { vu: { idInTest: user }, test: { abort } } },
    "k6/metrics": { Trend: trend(trends) },
    "k6/timers": { setTimeout, setInterval, clearTimeout, clearInterval },
    [stable ? "k6/websockets" : "k6/experimental/websockets"]: { WebSocket: Trusting },
  };
  return (name) => {
    if (!(name in all)) throw new Error(`unknown module: ${name}`);
    return all[name];
  };
}

class Trusting extends WebSocket {
  constructor(url) {
    const trusted = process.env.SSL_CERT_FILE;
    super(url, { perMessageDeflate: false, ...(trusted ? { ca: readFileSync(trusted) } : {}) });
  }
}

function trend(trends) {
  return class {
    constructor(name) {
      this.values = trends[name] ??= [];
    }
    add(value) {
      this.values.push(value);
    }
  };
}

function summary(values) {
  const ordered = [...values].sort((one, other) => one - other);
  const at = (share) => ordered[Math.floor((ordered.length - 1) * share)];
  return { type: "trend", contains: "time", values: { count: ordered.length, med: at(0.5), "p(99)": at(0.99) } };
}

function abort(why) {
  console.error(`test aborted: ${why}`);
  process.exit(108);
}

if (command === "version") {
  console.log(`k6 v${version} (commit/0123456789, go1.24.3, linux/amd64)`);
} else if (command === "run") {
  await run();
} else {
  throw new Error(`no such command: ${command}`);
}
