/* The mismatch queue with a keyboard: walk, select, open, assign, note. Everything is also a link or a form. */
(function () {
  "use strict";
  var anchor = null; // where a range of selected rows begins
  var wanted = null; // what to focus once the panel has come
  var kept = null; // which row was current and which were selected before the list was drawn anew

  function rows() { return Array.prototype.slice.call(document.querySelectorAll("tr[data-case]")); }
  function current() { return document.querySelector("tr[data-case].is-current"); }
  function box(row) { return row && row.querySelector("input[name=key]"); }
  function panel() { return document.querySelector("section.case"); }
  function boxes() { return rows().map(box).filter(Boolean); }

  /* --- Walking ----------------------------------------------------------------------------- */
  function goTo(row) {
    if (current()) { current().classList.remove("is-current"); }
    if (!row) { return; }
    row.classList.add("is-current");
    row.scrollIntoView({ block: "nearest" });
    row.querySelector("[data-open]").focus({ preventScroll: true });
  }

  function move(step) {
    var all = rows();
    var at = all.indexOf(current());
    if (at < 0) { at = all.findIndex(function (row) { return row.classList.contains("is-opened"); }); }
    goTo(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)]);
  }

  /* --- Selecting --------------------------------------------------------------------------- */
  function select(row, isRange) {
    var target = box(row);
    if (!target) { return; }
    var all = boxes();
    var from = anchor ? all.indexOf(anchor) : -1;
    var to = all.indexOf(target);
    if (isRange && from >= 0) {
      all.slice(Math.min(from, to), Math.max(from, to) + 1).forEach(function (one) { one.checked = anchor.checked; });
    } else {
      target.checked = !target.checked;
      anchor = target;
    }
    tell();
  }

  function tell() {
    var all = boxes();
    var count = all.filter(function (one) { return one.checked; }).length;
    var text = document.querySelector("[data-selected-count]");
    if (text) { text.textContent = count ? count + " selected" : "None selected"; }
    var whole = document.querySelector("[data-select-page]");
    if (whole) { whole.checked = count > 0 && count === all.length; whole.indeterminate = count > 0 && count < all.length; }
    var button = document.querySelector("#bulk button[value=selection]");
    if (button) { button.disabled = count === 0; }
  }

  document.addEventListener("click", function (event) {
    if (event.target.matches("tr[data-case] input[name=key]")) {
      if (event.shiftKey && anchor && anchor !== event.target) {
        event.target.checked = anchor.checked;
        select(event.target.closest("tr"), true);
      } else { anchor = event.target; }
      tell();
      return;
    }
    if (event.target.matches("[data-select-page]")) {
      boxes().forEach(function (one) { one.checked = event.target.checked; });
      tell();
      return;
    }
    var row = event.target.closest("tr[data-case]");
    if (!row || event.target.closest("a, button, input, label, select, summary")) { return; }
    if (String(window.getSelection())) { return; }
    goTo(row);
    row.querySelector("[data-open]").click();
  });

  /* --- The panel --------------------------------------------------------------------------- */
  function open(row, focus) {
    if (!row) { show(focus); return; }
    if (panel() && panel().dataset.case === row.dataset.case) { show(focus); return; }
    wanted = focus;
    row.querySelector("[data-open]").click();
  }

  function show(selector) {
    var found = panel() && (document.querySelector(selector) || panel());
    if (found) { found.focus(); found.scrollIntoView({ block: "nearest" }); }
  }

  function opened() {
    var shown = panel();
    var queue = document.querySelector(".queue");
    if (queue) { queue.classList.toggle("queue--open", Boolean(shown)); }
    rows().forEach(function (row) {
      var is = Boolean(shown) && shown.dataset.case === row.dataset.case;
      row.classList.toggle("is-opened", is);
      if (is) { row.setAttribute("aria-current", "true"); } else { row.removeAttribute("aria-current"); }
    });
    other();
  }

  /* The second field of an owner is only there for somebody who is not in the list. */
  function other() {
    [["case-owner", "case-other"], ["triageOwner", "triageOtherOwner"], ["batch-owner", "batch-other"]].forEach(function (ids) {
      var choice = document.getElementById(ids[0]);
      var field = document.getElementById(ids[1]);
      if (choice && field) { field.closest(".field").hidden = choice.value !== "other"; }
    });
  }

  document.addEventListener("change", function (event) {
    if (event.target.matches("#case-owner, #triageOwner, #batch-owner")) { other(); }
  });

  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.detail.target.id !== "list") { return; }
    kept = {
      current: current() ? current().dataset.case : "",
      at: rows().indexOf(current()),
      keys: boxes().filter(function (one) { return one.checked; }).map(function (one) { return one.value; })
    };
  });

  document.addEventListener("htmx:afterSettle", function (event) {
    var isFilter = event.detail.requestConfig && event.detail.requestConfig.elt.id === "filters";
    if (isFilter && panel()) {
      var empty = document.createElement("div");
      empty.id = "case";
      panel().replaceWith(empty);
    }
    if (kept && document.getElementById("list")) {
      boxes().forEach(function (one) { one.checked = kept.keys.indexOf(one.value) >= 0; });
      var all = rows();
      var same = all.find(function (row) { return row.dataset.case === kept.current; });
      var row = same || (kept.at >= 0 ? all[Math.min(kept.at, all.length - 1)] : null);
      if (row) { row.classList.add("is-current"); }
      kept = null;
    }
    opened();
    tell();
    if (wanted && panel()) { show(wanted); wanted = null; }
  });

  /* --- Keys: before the console's own, which mean other things on a list that only leads elsewhere --- */
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) { return; }
    if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog[open]")) { return; }
    if (document.querySelector("dialog[open]")) { return; }
    var acts = {
      j: function () { move(1); },
      k: function () { move(-1); },
      x: function () { select(current(), false); },
      X: function () { select(current(), true); },
      e: function () { open(current(), "section.case"); },
      a: function () { open(current(), "#case-owner, #triageOwner"); },
      n: function () { open(current(), "#case-reason, #triageNotes"); },
      "]": function () { follow("a[rel=next]"); },
      "[": function () { follow("a[rel=prev]"); },
      Escape: function () { follow("[data-close-case]"); }
    };
    if (!Object.prototype.hasOwnProperty.call(acts, event.key)) { return; }
    event.preventDefault();
    event.stopImmediatePropagation();
    acts[event.key]();
  }, true);

  function follow(selector) {
    var link = document.querySelector(selector);
    if (link) { link.click(); }
  }

  opened();
  tell();
}());
