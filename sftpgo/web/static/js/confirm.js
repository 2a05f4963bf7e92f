// A question that wants an answer before anything happens.

const dialog = document.getElementById("confirm");

/** Whether somebody said yes. */
export function confirmed(question, explanation) {
  dialog.querySelector("[data-question]").textContent = question;
  dialog.querySelector("[data-explanation]").textContent = explanation;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
