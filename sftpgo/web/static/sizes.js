"use strict";

// Says beside a size what the server will make of it.
(function () {
  const factors = { "": null, b: 1 };
  ["k", "m", "g", "t", "p"].forEach((letter, index) => {
    const decimal = 1000 ** (index + 1);
    const binary = 1024 ** (index + 1);
    factors[letter] = factors[`${letter}b`] = decimal;
    factors[`${letter}i`] = factors[`${letter}ib`] = binary;
  });

  for (const field of document.querySelectorAll("input[data-size]")) {
    const bare = Number(field.dataset.size);
    const note = document.createElement("div");
    note.className = "form-text";
    note.setAttribute("role", "status");
    field.after(note);
    const show = () => {
      const found = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(field.value);
      const factor = found && (found[2] ? factors[found[2].toLowerCase()] : bare);
      if (!field.value.trim() || /^\s*-?\d+\s*$/.test(field.value) && Number(field.value) <= 0) {
        note.textContent = "no limit";
      } else {
        note.textContent = factor ? `${(Number(found[1]) * factor).toLocaleString()} bytes${bare > 1 ? " a second" : ""}` : "not a size";
      }
    };
    field.addEventListener("input", show);
    show();
  }
})();
