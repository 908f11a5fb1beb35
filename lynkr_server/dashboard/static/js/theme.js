"use strict";
// Before the first paint, so that a page that was set to dark does not flash white.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("lynkr-theme");
  } catch {
    chosen = null; // a browser that keeps nothing: the system's choice stands
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
