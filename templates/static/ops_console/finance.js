/* A token that came in the address has become a session: it does not stay in the address bar or the history. */
(function () {
  "use strict";
  var address = new URL(window.location.href);
  if (!address.searchParams.has("opsToken")) { return; }
  address.searchParams.delete("opsToken");
  window.history.replaceState(window.history.state, "", address.pathname + address.search + address.hash);
}());
