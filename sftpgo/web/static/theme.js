"use strict";

// Runs before anything is painted: what was chosen, else what the system prefers.
(function () {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // Storage is switched off: then there is no choice to remember.
  }
  const apply = () => {
    document.documentElement.dataset.bsTheme = chosen || (system.matches ? "dark" : "light");
  };
  apply();
  system.addEventListener("change", apply);

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      chosen = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
      apply();
      try {
        localStorage.setItem("theme", chosen);
      } catch {
        // It lasts for this page.
      }
    });
  });
})();
