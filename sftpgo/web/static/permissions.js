"use strict";

// The lines of directories as rows; what is sent is still the text, so that nothing depends on this.
(function () {
  const place = document.getElementById("directories");
  if (!place) {
    return;
  }
  const names = place.dataset.names.split(" ");
  const text = document.getElementById("sub_dirs_permissions");
  const whole = text.closest(".col-12");

  const parse = (line) => {
    const colon = line.lastIndexOf(":");
    const listed = line.slice(colon + 1).split(",").map((name) => name.trim()).filter(Boolean);
    const path = line.slice(0, colon).trim();
    return colon > 0 && path && listed.every((name) => names.includes(name)) ? { path, names: listed } : null;
  };
  const lines = text.value.split("\n").filter((line) => line.trim());
  const entries = lines.map(parse);
  if (entries.includes(null)) {
    // What is wrong is mended where it was typed.
    return;
  }

  const heading = document.createElement("p");
  heading.className = "form-label";
  heading.id = "directories-heading";
  heading.textContent = "Directories with their own permissions";
  const rows = document.createElement("div");
  rows.setAttribute("role", "group");
  rows.setAttribute("aria-labelledby", heading.id);
  const add = document.createElement("button");
  add.type = "button";
  add.className = "btn btn-sm btn-outline-secondary";
  add.textContent = "Add a directory";
  whole.before(heading, rows, add);
  whole.hidden = true;

  const canonical = (path) => {
    const parts = [];
    for (const part of path.split("/")) {
      if (part === "..") {
        parts.pop();
      } else if (part && part !== ".") {
        parts.push(part);
      }
    }
    return "/" + parts.join("/");
  };

  const read = () =>
    [...rows.children].map((row) => ({
      row,
      path: row.querySelector("input[type=text]").value.trim(),
      names: [...row.querySelectorAll("input:checked")].map((box) => box.value),
    }));

  const check = () => {
    const seen = new Set(["/"]);
    const filled = read().filter((entry) => entry.path || entry.names.length);
    for (const entry of read()) {
      const { row, path } = entry;
      let fault = "";
      if (path || entry.names.length) {
        if (!path.startsWith("/")) {
          fault = "The directory must begin with a slash.";
        } else if (seen.has(canonical(path))) {
          fault = canonical(path) === "/" ? "The whole home stands above." : "This directory stands above already.";
        } else if (!entry.names.length) {
          fault = "Choose at least one permission.";
        }
        seen.add(canonical(path));
      }
      const field = row.querySelector("input[type=text]");
      field.classList.toggle("is-invalid", Boolean(fault));
      field.setAttribute("aria-invalid", fault ? "true" : "false");
      row.querySelector(".fault").textContent = fault;
    }
    text.value = filled.map((entry) => `${entry.path}:${entry.names.join(",")}`).join("\n");
    text.dispatchEvent(new Event("permissions", { bubbles: true }));
  };

  let number = 0;
  const make = (entry) => {
    number += 1;
    const row = document.createElement("fieldset");
    row.className = "entry";
    const legend = document.createElement("legend");
    legend.className = "visually-hidden";
    legend.textContent = `Directory ${number}`;
    const line = document.createElement("div");
    line.className = "d-flex gap-2";
    const field = document.createElement("input");
    field.type = "text";
    field.className = "form-control";
    field.value = entry.path;
    field.placeholder = "/directory";
    field.spellcheck = false;
    field.setAttribute("aria-label", "Directory");
    field.setAttribute("aria-describedby", `entry-${number}-fault`);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "btn btn-outline-secondary";
    remove.textContent = "Remove";
    remove.addEventListener("click", () => {
      row.remove();
      check();
      add.focus();
    });
    line.append(field, remove);
    const fault = document.createElement("div");
    fault.className = "fault";
    fault.id = `entry-${number}-fault`;
    const choices = document.createElement("div");
    choices.className = "choices";
    for (const name of names) {
      const id = `entry-${number}-${name}`;
      const one = document.createElement("div");
      one.className = "form-check";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.className = "form-check-input";
      box.id = id;
      box.value = name;
      box.checked = entry.names.includes(name);
      const label = document.createElement("label");
      label.className = "form-check-label";
      label.htmlFor = id;
      label.textContent = name === "*" ? "everything (*)" : name;
      one.append(box, label);
      choices.append(one);
    }
    row.append(legend, line, fault, choices);
    row.addEventListener("input", check);
    rows.append(row);
    return field;
  };

  entries.forEach(make);
  add.addEventListener("click", () => {
    make({ path: "", names: [] }).focus();
  });

  // A fault that the server found stands at the text, which is hidden now.
  const told = document.getElementById("sub_dirs_permissions-fault");
  if (told) {
    rows.before(told);
    for (const link of document.querySelectorAll('a[href="#sub_dirs_permissions"]')) {
      link.href = "#directories-heading";
    }
  }
})();
