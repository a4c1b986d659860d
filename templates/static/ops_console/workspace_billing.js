/* What the billing page adds when scripts run: copying a link, and buttons that wait for their own form. */
(function () {
  "use strict";

  /* A form that was sent waits for its answer. One sent twice does its act once either way. */
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (!form.matches("[data-once]")) { return; }
    window.setTimeout(function () { enable(form, false); }, 0);
  });

  function enable(form, can) {
    Array.prototype.forEach.call(form.querySelectorAll("button[type=submit]"), function (button) {
      if (can && button.dataset.waits) { delete button.dataset.waits; button.disabled = false; }
      if (!can && !button.disabled) { button.dataset.waits = "yes"; button.disabled = true; }
    });
  }

  /* Coming back over the browser's history shows the page as it was left. */
  window.addEventListener("pageshow", function () {
    Array.prototype.forEach.call(document.querySelectorAll("form[data-once]"), function (form) { enable(form, true); });
  });

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (!button) { return; }
    var field = document.getElementById(button.dataset.copy);
    field.focus();
    field.select();
    var done = function () { say(button, "Copied"); };
    var failed = function () { say(button, document.execCommand("copy") ? "Copied" : "Press Ctrl+C"); };
    if (navigator.clipboard) { navigator.clipboard.writeText(field.value).then(done, failed); } else { failed(); }
  });

  function say(button, text) {
    var before = button.dataset.label || button.textContent;
    button.dataset.label = before;
    button.textContent = text;
    window.setTimeout(function () { button.textContent = before; }, 2500);
  }
}());
