"use strict";
/* The read-out of the charts: what stands in the table behind a chart, at the pointer or the arrow keys.
   Texts come from the tables' cells and are set as text; nothing is built from markup. */
(() => {
  const make = (name, className, parent) => {
    const made = document.createElement(name);
    made.className = className;
    parent.append(made);
    return made;
  };
  const nearest = (places, wanted) => {
    let best = 0;
    places.forEach((place, index) => {
      if (Math.abs(place - wanted) < Math.abs(places[best] - wanted)) best = index;
    });
    return best;
  };
  const bounded = (value, most) => Math.min(Math.max(value, 0), most);
  const groups = new Map();

  class Reader {
    constructor(script) {
      this.id = script.dataset.of;
      this.data = JSON.parse(script.textContent);
      this.figure = document.getElementById(this.id);
      this.area = document.querySelector(`[data-plot="${this.id}"]`);
      this.table = document.querySelector(`[data-behind="${this.id}"] table`);
      this.index = -1;
      this.column = 0;
      this.samples = new Map();
      for (const key of this.figure.querySelectorAll(".key")) {
        this.samples.set(key.textContent.trim(), key.querySelector("svg"));
      }
      this.layer = make("div", "reader", this.area);
      const drawing = this.area.querySelector("svg svg");
      this.layer.style.top = `${drawing.getAttribute("y")}px`;
      this.layer.style.height = `${drawing.getAttribute("height")}px`;
      this.layer.setAttribute("role", "slider");
      this.layer.setAttribute("aria-label", `Read-out of ${document.getElementById(this.id + "-title").textContent.replace("#", "").trim()}`);
      this.layer.setAttribute("aria-valuemin", "1");
      this.layer.setAttribute("aria-valuemax", String(this.data.at.length));
      this.say(0);
      const group = this.figure.dataset.group || this.id;
      if (!groups.has(group)) groups.set(group, []);
      this.group = groups.get(group);
      this.layer.tabIndex = this.group.length ? -1 : 0; /* one stop for charts that are read together */
      this.group.push(this);
      this.listen();
    }
    listen() {
      const moved = (event) => {
        const box = this.layer.getBoundingClientRect();
        const x = 1000 * (event.clientX - box.left) / box.width;
        const y = 1000 * (event.clientY - box.top) / box.height;
        const down = this.data.along === "y";
        if (this.data.across) this.column = nearest(this.data.across, y);
        this.show(nearest(this.data.at, down ? y : x));
      };
      this.layer.addEventListener("pointermove", moved);
      this.layer.addEventListener("pointerdown", moved);
      this.layer.addEventListener("pointerleave", () => this.hide());
      this.layer.addEventListener("focus", () => {
        if (this.index < 0 && this.layer.matches(":focus-visible")) this.show(0);
      });
      this.layer.addEventListener("blur", () => this.hide());
      this.layer.addEventListener("keydown", (event) => this.key(event));
    }
    key(event) {
      const most = this.data.at.length - 1;
      const at = Math.max(this.index, 0);
      const page = Math.max(1, Math.round(most / 10));
      const across = this.data.across ? 1 : 0;
      const back = this.data.along === "y" ? "ArrowUp" : "ArrowLeft";
      const on = this.data.along === "y" ? "ArrowDown" : "ArrowRight";
      const steps = { [back]: at - 1, [on]: at + 1, PageUp: at - page, PageDown: at + page, Home: 0, End: most };
      if (event.key === "Escape") return this.hide();
      if (across && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        this.column = bounded(this.column + (event.key === "ArrowUp" ? 1 : -1), this.data.across.length - 1);
        this.show(at);
      } else if (event.key in steps) {
        this.show(bounded(steps[event.key], most));
      } else return undefined;
      event.preventDefault();
      return undefined;
    }
    show(index) {
      for (const reader of this.group) reader.draw(index, reader === this);
    }
    hide() {
      for (const reader of this.group) reader.clear();
    }
    clear() {
      this.index = -1;
      this.parts?.remove();
      this.parts = undefined;
    }
    /* Name and value of each cell in the table's row. */
    cells(index) {
      const names = this.table.tHead.rows[0].cells;
      const values = this.table.tBodies[0].rows[index].cells;
      const all = [...values].map((cell, number) => [names[number].textContent, cell.textContent]);
      const [first, ...rest] = all;
      if (this.data.across) return [first, [rest[this.column][0], rest[this.column][1] || "0"]];
      const known = rest.filter(([, value]) => value !== "");
      const some = known.filter(([, value]) => value !== "0");
      return [first, ...(known.length > 2 && some.length ? some : known)];
    }
    say(index) {
      const [[, first]] = this.cells(index);
      const rest = (this.group || [this]).flatMap((reader) => (index < reader.data.at.length ? reader.cells(index).slice(1) : []));
      this.layer.setAttribute("aria-valuenow", String(index + 1));
      this.layer.setAttribute("aria-valuetext", [first, ...rest.map(([name, value]) => `${name} ${value}`)].join(", "));
    }
    draw(index, read) {
      if (index >= this.data.at.length) return this.clear();
      this.clear();
      this.index = index;
      this.say(index);
      this.parts = make("div", "parts", this.layer);
      const down = this.data.along === "y";
      const place = this.data.at[index] / 10;
      const other = this.data.across ? this.data.across[this.column] / 10 : 0;
      const cursor = make("div", "cursor", this.parts);
      Object.assign(cursor.style, down ? { left: "0", right: "0", top: `${place}%`, height: "1px" } : { top: "0", bottom: "0", left: `${place}%`, width: "1px" });
      if (down) cursor.hidden = true;
      for (const [tone, values] of this.data.dots) {
        if (values[index] === null) continue;
        const dot = make("i", `dot ${tone}`, this.parts);
        Object.assign(dot.style, { left: `${place}%`, top: `${values[index] / 10}%` });
      }
      if (this.data.across) {
        const dot = make("i", "dot two", this.parts);
        Object.assign(dot.style, { left: `${place}%`, top: `${other}%` });
      }
      this.tip(index, down ? 40 : place, down ? place : other, read);
      return undefined;
    }
    /* The moment stands once, where the pointer or the focus is. */
    tip(index, left, top, read) {
      const tip = make("div", "tip", this.parts);
      const [[, first], ...rest] = this.cells(index);
      if (read) make("b", "", tip).textContent = first;
      const list = make("dl", "", tip);
      for (const [name, value] of rest) {
        const term = make("dt", "", list);
        const sample = this.samples.get(name.trim());
        if (sample) term.append(sample.cloneNode(true));
        term.append(name);
        make("dd", "", list).textContent = value;
      }
      Object.assign(tip.style, left > 55 ? { right: `calc(${100 - left}% + 10px)` } : { left: `calc(${left}% + 10px)` });
      Object.assign(tip.style, top > 50 ? { bottom: `${100 - top}%` } : { top: `${top}%` });
    }
  }

  for (const script of document.querySelectorAll('script[type="application/json"][data-of]')) new Reader(script);

  /* A link to an item opens it. */
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", open);
  open();

  /* On paper, evidence is open. */
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.item:not([open]), .item.FAIL details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
})();
