/* What the console adds when scripts run: keys, quick filters, toasts, theme. Every page works without it. */
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js");

  /* --- Rows: j, k, Enter; a click anywhere on a row opens it -------------------------------- */
  function rows() {
    return Array.prototype.slice.call(document.querySelectorAll("tr[data-href]"));
  }

  function move(step) {
    var all = rows();
    if (!all.length) { return; }
    var at = all.findIndex(function (row) { return row.classList.contains("is-current"); });
    var next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1);
    if (at >= 0) { all[at].classList.remove("is-current"); }
    all[next].classList.add("is-current");
    all[next].scrollIntoView({ block: "nearest" });
    var link = all[next].querySelector("a[href]");
    if (link) { link.focus({ preventScroll: true }); }
  }

  document.addEventListener("click", function (event) {
    var row = event.target.closest("tr[data-href]");
    if (!row || event.target.closest("a, button, input, label, select, summary")) { return; }
    if (String(window.getSelection())) { return; }
    window.location.assign(row.dataset.href);
  });

  /* --- Help -------------------------------------------------------------------------------- */
  function help() { return document.getElementById("help"); }

  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-open-help]") && help()) { help().showModal(); }
    if (event.target.closest("[data-close-help]") && help()) { help().close(); }
    if (event.target === help()) { help().close(); }
    var toast = event.target.closest("[data-close-toast]");
    if (toast) { toast.closest(".toast").remove(); }
  });

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) { return; }
    var typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") { event.target.blur(); }
      return;
    }
    if (help() && help().open && event.key !== "?") { return; }
    var acts = {
      j: function () { move(1); },
      k: function () { move(-1); },
      "/": function () { var box = document.querySelector("[data-search]"); if (box) { box.focus(); box.select(); } },
      "?": function () { if (help()) { if (help().open) { help().close(); } else { help().showModal(); } } },
      n: function () { var link = document.querySelector("a[rel=next]"); if (link) { link.click(); } },
      p: function () { var link = document.querySelector("a[rel=prev]"); if (link) { link.click(); } },
      Enter: function () {
        var row = document.querySelector("tr.is-current[data-href]");
        if (row && !event.target.closest("a, button, summary")) { window.location.assign(row.dataset.href); }
        else { return false; }
      }
    };
    if (acts[event.key] && acts[event.key]() !== false) { event.preventDefault(); }
  });

  /* --- Theme: the form asks the server to remember; the page changes at once ----------------- */
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (!form.matches("[data-theme-form]")) { return; }
    event.preventDefault();
    var dark = root.dataset.theme === "dark" ||
      (!root.dataset.theme && window.matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = dark ? "light" : "dark";
    var body = new FormData(form);
    body.set("theme", root.dataset.theme);
    window.fetch(form.action, { method: "POST", body: body, headers: { "HX-Request": "true" } });
  });

  /* --- The tenant switcher needs no button when scripts run ---------------------------------- */
  document.addEventListener("change", function (event) {
    if (event.target.matches("[data-submit-on-change]")) { event.target.form.requestSubmit(); }
  });

  /* --- Toasts ------------------------------------------------------------------------------ */
  function toast(level, text) {
    var box = document.getElementById("toasts");
    if (!box) { return; }
    var line = document.createElement("div");
    line.className = "toast toast--" + level;
    line.textContent = text;
    box.appendChild(line);
    fade(line);
  }

  function fade(line) {
    if (line.classList.contains("toast--error")) { return; }
    window.setTimeout(function () { line.remove(); }, 8000);
  }

  Array.prototype.forEach.call(document.querySelectorAll(".toast"), fade);
  document.addEventListener("htmx:oobAfterSwap", function () {
    Array.prototype.forEach.call(document.querySelectorAll(".toast"), fade);
  });

  /* --- htmx: say what went wrong, with the number that finds it in the log ------------------- */
  document.addEventListener("htmx:responseError", function (event) {
    if (event.detail.requestConfig.verb === "get" && event.detail.target.id === "live") { return; }
    var id = event.detail.xhr.getResponseHeader("x-request-id");
    toast("error", "The server could not answer (" + event.detail.xhr.status + ")." + (id ? " Request " + id : ""));
  });
  document.addEventListener("htmx:sendError", function (event) {
    if (event.detail.requestConfig.verb === "get") { return; }
    toast("error", "No answer from the server. Sending the same form again is safe.");
  });

  /* --- Acts: when a form comes or goes, the keyboard goes on from there, not from the page's top --- */
  var acting = false;
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (event.detail.target && event.detail.target.id === "act") { acting = true; }
  });
  document.addEventListener("htmx:afterSettle", function () {
    var act = document.getElementById("act");
    if (!acting || !act) { return; }
    acting = false;
    var place = act.querySelector("[aria-invalid=true]") || act.querySelector("h2") || act;
    if (!place.matches("input, select, textarea")) { place.tabIndex = -1; }
    place.focus();
  });

  /* A page nobody looks at, or in which somebody marks text, does not update itself. */
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (event.detail.elt.id === "live" && (document.hidden || String(window.getSelection()))) { event.preventDefault(); }
  });

  /* Open details stay open and a step being read stays put while the page updates itself. */
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.detail.target.id !== "live") { return; }
    open = Array.prototype.map.call(document.querySelectorAll("#live details[open]"), function (item) { return item.id; });
  });
  document.addEventListener("htmx:afterSwap", function (event) {
    if (event.detail.target.id !== "live") { return; }
    open.forEach(function (id) { var item = id && document.getElementById(id); if (item) { item.open = true; } });
  });
  var open = [];
}());
