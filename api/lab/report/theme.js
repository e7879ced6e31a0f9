"use strict";
// Before the first paint: the choice made on this machine, else the system's.
(() => {
  let kept = null;
  try { kept = localStorage.getItem("tickledger-theme"); } catch { /* a file without storage */ }
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = () => { document.documentElement.dataset.theme = kept || (dark.matches ? "dark" : "light"); };
  show();
  dark.addEventListener("change", () => { show(); window.dispatchEvent(new Event("theme")); });
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      kept = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("tickledger-theme", kept); } catch { /* not kept */ }
      show();
      window.dispatchEvent(new Event("theme"));
    });
  });
})();
