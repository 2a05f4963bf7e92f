"use strict";

(function () {
  // A menu closes when something else is clicked, and with Escape.
  addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) {
        menu.open = false;
      }
    }
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
  });

  for (const select of document.querySelectorAll(".filters select")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }

  // How far quota scans are.
  const rows = new Map();
  for (const row of document.querySelectorAll("tr[data-scan]")) {
    rows.set(row.dataset.username, row);
  }
  const size = (bytes) => {
    const units = ["B", "KB", "MB", "GB", "TB", "PB"];
    let unit = 0;
    while (bytes >= 1000 && unit < units.length - 1) {
      bytes /= 1000;
      unit += 1;
    }
    return `${unit ? bytes.toFixed(1).replace(/\.0$/, "") : bytes} ${units[unit]}`;
  };
  const look = async () => {
    let scans;
    try {
      const response = await fetch("/api/v1/quota_scan");
      if (!response.ok) {
        return;
      }
      scans = new Map((await response.json()).map((scan) => [scan.username, scan]));
    } catch {
      setTimeout(look, 5000);
      return;
    }
    for (const [name, row] of rows) {
      const scan = scans.get(name);
      const place = row.querySelector(".scan");
      if (scan) {
        place.textContent = `Scanning: ${scan.files.toLocaleString()} files, ${size(scan.size)}`;
      } else {
        location.replace(location.href);
        return;
      }
    }
    setTimeout(look, 1000);
  };
  if (rows.size) {
    setTimeout(look, 500);
  }
})();
