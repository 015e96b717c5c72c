// Says that what is shown may be old, as soon as the kernel or the way to it is gone. The server tells once a second how
// the kernel is; a server that is silent for longer than SILENT, or whose connection ends, is not there.
(() => {
  const SILENT = 2200; // ms
  const AGAIN = 1000; // ms between two attempts
  const PATIENT = 1500; // ms that a page may be without a connection to its kernel while it opens or comes back
  const SAID = {
    silent: "No connection to the server. What is shown may be old. Trying again…",
    alone: "The connection to the kernel is lost. What is shown may be old. Trying again…",
    stopped: "The kernel is stopped. What is shown may be old, and nothing moves until it goes on.",
    ended: "The kernel of this page has ended. What is shown is old.",
  };
  const config = JSON.parse(document.getElementById("jupyter-config-data").textContent);
  if (!config.lrpPulse) return; // another server than that of the apps
  const address = `${location.origin.replace(/^http/, "ws")}${config.lrpPulse}${config.kernelId}`;

  const banner = document.createElement("div");
  banner.className = "lrp-connection";
  banner.setAttribute("role", "alert");
  banner.hidden = true;
  const text = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Reload with these settings";
  button.addEventListener("click", reload);
  banner.append(text, button);
  document.body.append(banner);

  let socket = null;
  let heard = performance.now(); // when the server last said something
  let together = performance.now(); // when it last said that the page is connected to its kernel
  let told = "alive"; // what it said
  let ended = false;

  // The settings are in the page as a link, where the app has one.
  function reload() {
    const state = document.querySelector(".lrp-sharebar[data-state]")?.dataset.state;
    const next = new URL(location.href);
    if (state) next.searchParams.set("state", state);
    if (next.href === location.href) location.reload();
    else location.assign(next);
  }

  function connect() {
    const opened = new WebSocket(address);
    socket = opened;
    opened.addEventListener("message", ({ data }) => {
      heard = performance.now();
      told = data;
      if (told === "alive") together = heard;
      ended = told === "ended";
      show();
    });
    opened.addEventListener("close", () => {
      if (socket !== opened) return;
      socket = null;
      if (ended) return;
      told = "silent";
      show();
      setTimeout(connect, AGAIN);
    });
  }

  function show() {
    const now = performance.now();
    let state = told;
    if (state !== "ended" && now - heard > SILENT) state = "silent";
    if (state === "alone" && now - together < PATIENT) state = "alive";
    const stale = state !== "alive";
    document.body.classList.toggle("lrp-stale", stale);
    banner.hidden = !stale;
    banner.dataset.state = state;
    if (stale && text.textContent !== SAID[state]) text.textContent = SAID[state];
    button.hidden = state !== "ended" && state !== "alone"; // a server that is silent cannot be asked for a page
  }

  // Until the app is there, the page says itself that it waits.
  function begin() {
    if (!document.querySelector(".lrp-app, .widget-area, .jupyter-widgets")) return setTimeout(begin, 200);
    together = heard = performance.now();
    connect();
    setInterval(show, 250);
  }
  begin();
})();
