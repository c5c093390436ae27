// The address line names the chat that is open, on a phone too, so that a reload opens it again.
window.addEventListener("message", (event) => {
  const path = event.origin === window.location.origin && event.data && event.data.chat;
  if (typeof path === "string" && path.startsWith("/") && window.location.pathname !== path) {
    window.history.replaceState(window.history.state, "", path);
  }
});
