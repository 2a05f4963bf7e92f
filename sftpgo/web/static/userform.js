"use strict";

(function () {
  const form = document.getElementById("userform");
  const summary = document.getElementById("summary");
  if (summary) {
    summary.focus();
  }

  // The expiration in the zone of the browser; what is sent is the time in UTC, untouched unless somebody changes it.
  const field = document.getElementById("expiration_date");
  if (field && field.type === "datetime-local") {
    const pad = (number, length = 2) => String(number).padStart(length, "0");
    const kept = document.createElement("input");
    kept.type = "hidden";
    kept.name = field.name;
    kept.value = field.value.replace("T", " ");
    field.removeAttribute("name");
    field.after(kept);
    const show = () => {
      const moment = kept.value ? new Date(`${kept.value.replace(" ", "T")}Z`) : null;
      if (moment && !Number.isNaN(moment.getTime()) && !field.validity.badInput) {
        field.value =
          `${pad(moment.getFullYear(), 4)}-${pad(moment.getMonth() + 1)}-${pad(moment.getDate())}` +
          `T${pad(moment.getHours())}:${pad(moment.getMinutes())}:${pad(moment.getSeconds())}`;
      }
    };
    show();
    // Where the clock is put forward an hour is left out: whoever leaves the field sees what such a time becomes.
    field.addEventListener("blur", show);
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    document.querySelector('label[for="expiration_date"]').textContent = `Expiration (${zone || "your time"})`;
    field.addEventListener("input", () => {
      const local = field.value ? new Date(field.value) : null;
      if (!local || Number.isNaN(local.getTime())) {
        kept.value = field.validity.badInput ? kept.value : "";
        return;
      }
      kept.value =
        `${pad(local.getUTCFullYear(), 4)}-${pad(local.getUTCMonth() + 1)}-${pad(local.getUTCDate())} ` +
        `${pad(local.getUTCHours())}:${pad(local.getUTCMinutes())}:${pad(local.getUTCSeconds())}`;
    });
  }

  // "Everything" makes the others pointless.
  for (const group of [document.querySelector("#permissions")]) {
    const all = document.getElementById("permissions-*");
    const others = [...group.querySelectorAll("input[name=permissions]")].filter((box) => box !== all);
    const show = () => others.forEach((box) => box.closest(".form-check").classList.toggle("pointless", all.checked));
    group.addEventListener("input", show);
    show();
  }

  // What the permissions mean: of what is typed here, and of what is stored.
  const explain = document.getElementById("explain");
  explain.hidden = false;
  const path = document.getElementById("explain-path");
  const operation = document.getElementById("explain-operation");
  const typed = document.getElementById("explain-typed");
  const stored = document.getElementById("explain-stored");
  const text = document.getElementById("sub_dirs_permissions");

  const canonical = (name) => {
    const parts = [];
    for (const part of name.split("/")) {
      if (part === "..") {
        parts.pop();
      } else if (part && part !== ".") {
        parts.push(part);
      }
    }
    return "/" + parts.join("/");
  };
  const parent = (name) => name.slice(0, name.lastIndexOf("/")) || "/";

  const judge = () => {
    if (!path.value.trim()) {
      typed.textContent = "";
      return;
    }
    const entries = new Map([["/", [...form.querySelectorAll("input[name=permissions]:checked")].map((box) => box.value)]]);
    for (const line of text.value.split("\n")) {
      const colon = line.lastIndexOf(":");
      if (colon > 0) {
        entries.set(canonical(line.slice(0, colon)), line.slice(colon + 1).split(",").map((name) => name.trim()));
      }
    }
    const needed = operation.value === "stat" ? "list" : operation.value;
    const itself = ["list", "chmod", "chown", "chtimes"].includes(operation.value);
    let directory = itself ? canonical(path.value) : parent(canonical(path.value));
    while (!entries.has(directory)) {
      directory = parent(directory);
    }
    const granted = entries.get(directory);
    const allowed = granted.includes("*") || granted.includes(needed);
    typed.textContent = `As it stands here: ${allowed ? "allowed" : "refused"}. The entry of ${directory} decides: ${granted.join(", ") || "nothing"}.`;
  };

  let timer = null;
  let asked = 0;
  const ask = async () => {
    const username = explain.dataset.username;
    if (!username || !path.value.trim()) {
      stored.textContent = "";
      return;
    }
    asked += 1;
    const mine = asked;
    const query = new URLSearchParams({ username, operation: operation.value, path: path.value.trim() });
    try {
      const response = await fetch(`/api/v1/explain?${query}`);
      const verdict = await response.json();
      if (mine === asked) {
        stored.textContent = response.ok
          ? `As it is saved: ${verdict.allowed ? "allowed" : "refused"}. ${verdict.reason}.`
          : `As it is saved: ${verdict.error || verdict.message}`;
      }
    } catch {
      if (mine === asked) {
        stored.textContent = "As it is saved: the server does not answer.";
      }
    }
  };
  const changed = () => {
    judge();
    clearTimeout(timer);
    timer = setTimeout(ask, 300);
  };
  path.addEventListener("input", changed);
  operation.addEventListener("input", changed);
  form.addEventListener("input", judge);
  form.addEventListener("permissions", judge);
})();
