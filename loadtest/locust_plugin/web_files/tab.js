"use strict";
// Shows the page `websocket` in Locust's tab of that name, and links to it from the start page. Locust's own
// elements are not changed: these are added after them.
(() => {
  const frame = document.createElement("iframe");
  frame.src = "./websocket";
  frame.title = "WebSocket";
  Object.assign(frame.style, { display: "block", width: "100%", height: "80vh", border: "0" });

  const hint = document.createElement("p");
  Object.assign(hint.style, { textAlign: "center", fontSize: "1.25rem", fontWeight: "bold" });
  const link = document.createElement("a");
  link.href = "./websocket";
  link.textContent = "Open the WebSocket start form: all options by group, with defaults";
  hint.append(link);

  const place = () => {
    const main = document.querySelector("main");
    if (!main) return;
    const tabs = main.querySelector("[role=tablist]");
    const chosen = new URLSearchParams(location.search).get("tab") === "websocket";
    const wanted = tabs ? (chosen ? frame : null) : hint;
    for (const one of [frame, hint]) {
      if (one === wanted ? one.parentNode !== main : one.parentNode) one === wanted ? main.append(one) : one.remove();
    }
  };
  setInterval(place, 200);
})();
