/* Keeps the time until each replay deadline going. Without it the text stays as the server wrote it. */
(function () {
  "use strict";
  function tell(item) {
    var left = Math.floor((Date.parse(item.getAttribute("datetime")) - Date.now()) / 1000);
    var prefix = item.dataset.prefix || "";
    var hours = Math.floor(left / 3600), minutes = Math.floor(left % 3600 / 60);
    var text = "Over";
    if (left > 0) { text = (hours ? hours + " h " + String(minutes).padStart(2, "0") + " min" : minutes + " min") + " left"; }
    item.textContent = prefix ? prefix + text.toLowerCase() : text;
    item.classList.toggle("badge--bad", left <= 0);
    item.classList.toggle("badge--warn", left > 0 && left < 4 * 3600);
    item.classList.toggle("badge--info", left >= 4 * 3600);
  }
  function tick() { Array.prototype.forEach.call(document.querySelectorAll("[data-countdown]"), tell); }
  window.setInterval(tick, 15000);
}());
