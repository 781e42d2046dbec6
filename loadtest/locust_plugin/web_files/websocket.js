"use strict";
// Draws data from the server as text, never as markup.

const EVERY_MS = 1000;
const $ = (id) => document.getElementById(id);

function element(name, text, attributes = {}, ...children) {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const TONES = new Map([["PASS", "good"], ["FAIL", "bad"], ["INCONCLUSIVE", "doubtful"], ["failing so far", "doubtful"]]);

function table({ title, header, aligns, rows }) {
  if (!rows.length) return [];
  const row = (kind, cells) => element("tr", null, {}, ...cells.map((cell, at) =>
    element(kind || (at ? "td" : "th"), cell, {
      class: `${aligns[at]} ${TONES.get(cell) || ""}`, ...(kind ? { scope: "col" } : at ? {} : { scope: "row" }),
    })));
  const made = element("table", null, {}, element("thead", null, {}, row("th", header)),
    element("tbody", null, {}, ...rows.map((cells) => row("", cells))));
  const scroll = element("div", null, { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, made);
  return [element("h2", title), scroll];
}

function drawVerdict(run) {
  const shown = [];
  if (run.so_far) shown.push(element("p", run.so_far, { class: run.so_far_bad ? "bad" : "" }));
  if (run.ruling) shown.push(element("p", `Verdict: ${run.ruling}`, { class: TONES.get(run.ruling) }));
  if (run.failure) shown.push(element("p", run.failure, { class: "bad" }));
  if (run.has_report) {
    const href = `websocket/runs/${encodeURIComponent(run.run_id)}/report.html`;
    shown.push(element("p", null, {}, element("a", "report.html", { href, target: "_blank", rel: "noopener" })));
  }
  $("verdict").replaceChildren(...shown);
}

function draw(run) {
  const states = { running: "running", judging: "finished, making the verdict", over: "finished" };
  $("status").textContent =
    `Run ${run.run_id} against ${run.target}, revision ${run.revision}: ${states[run.state]}, ${run.clock}`;
  $("stop").hidden = run.state !== "running";
  drawVerdict(run);
  $("figures").replaceChildren(...run.figures.map(({ name, value }) =>
    element("div", null, {}, element("dt", name), element("dd", value))));
  for (const [place, found] of Object.entries(run.tables)) $(place).replaceChildren(...table(found));
}

async function read(where) {
  const answer = await fetch(where, { headers: { Accept: "application/json" } });
  if (answer.redirected) throw new Error("log in to Locust first");
  if (!answer.ok) throw new Error(`Locust answered ${answer.status}`);
  return answer.json();
}

let drawn = "";
let active = null; // whether a run is in progress

async function look() {
  document.documentElement.dataset.theme = localStorage.theme || "";
  try {
    const { run } = await read("websocket/state");
    const now = JSON.stringify(run);
    if (now !== drawn) {
      drawn = now;
      $("run").hidden = run === null;
      if (run === null) $("status").textContent = "No run yet.";
      else draw(run);
      const going = run !== null && run.state !== "over";
      if (going !== active) {
        $("form").hidden = going;
        if (!going && !document.body.classList.contains("framed")) await drawForm();
        active = going; // only now: a form that could not be read is requested again
      }
    }
  } catch (error) {
    $("status").textContent = `Cannot reach Locust: ${error.message}`;
    drawn = ""; // the next answer replaces this line, even if nothing has changed since
  }
  setTimeout(look, EVERY_MS);
}

function input(field) {
  const attributes = { id: field.name, name: field.name, "aria-describedby": `${field.name}-help` };
  if (field.kind === "flag") {
    const box = element("input", null, { ...attributes, type: "checkbox" });
    box.checked = field.value !== "";
    return box;
  }
  if (field.kind === "choice") {
    const options = ["", ...field.choices].map((one) => element("option", one || `default: ${field.default}`, { value: one }));
    const select = element("select", null, attributes, ...options);
    select.value = field.value;
    return select;
  }
  const type = field.kind === "secret" ? "password" : "text";
  const box = element("input", null, { ...attributes, type, placeholder: field.default, autocomplete: "off" });
  box.value = field.value;
  return box;
}

function fieldShown(field) {
  const told = [field.help, field.default && `Default: ${field.default}`].filter(Boolean).join(" ");
  return element("div", null, { class: "field" }, element("label", field.label, { for: field.name }),
    input(field), element("small", told, { id: `${field.name}-help` }));
}

const ALWAYS = new Set(["user_count", "spawn_rate", "host", "run_time"]);
const shown = new Map(); // values when the form was drawn: unchanged ones are not sent

async function drawForm() {
  const { groups, elsewhere } = await read("websocket/form");
  if (elsewhere) {
    $("form").replaceChildren(element("p", elsewhere));
    return;
  }
  $("groups").replaceChildren(...groups.map(({ title, fields }, at) => {
    const open = at === 0 || fields.some((field) => field.value) ? { open: "" } : {};
    return element("details", null, open, element("summary", title), ...fields.map(fieldShown));
  }));
  for (const field of groups.flatMap(({ fields }) => fields)) {
    shown.set(field.name, field.kind === "flag" ? String(field.value !== "") : field.value);
  }
}

async function send(where, form) {
  const answer = await fetch(where, { method: "POST", body: form });
  if (answer.redirected) throw new Error("log in to Locust first");
  if (!answer.ok) throw new Error((await answer.text()) || `Locust answered ${answer.status}`);
  return answer.json();
}

async function start(event) {
  event.preventDefault();
  const form = new URLSearchParams();
  for (const field of $("form").querySelectorAll("input, select")) {
    const value = field.type === "checkbox" ? String(field.checked) : field.value;
    if (ALWAYS.has(field.name) || value !== shown.get(field.name)) form.append(field.name, value);
  }
  $("start").disabled = true;
  try {
    const { success, message } = await send("swarm", form);
    $("refused").textContent = success ? "" : message;
  } catch (error) {
    $("refused").textContent = error.message;
  }
  $("start").disabled = false;
}

async function stop() {
  $("stop").disabled = true;
  try {
    await send("stop", new URLSearchParams());
  } catch (error) {
    $("status").textContent = error.message;
  }
  $("stop").disabled = false;
}

if (window.top !== window) document.body.classList.add("framed");
$("form").addEventListener("submit", start);
$("stop").addEventListener("click", stop);
look();
