// Tells the server what is clicked in the cards, and clears what was chosen when other photographs take their place.
let shown = "";

function reset() {
  const key = element.querySelector(".dd-results")?.dataset.key ?? "";
  if (key === shown) return;
  shown = key;
  for (const select of element.querySelectorAll("select")) select.value = "";
  for (const input of element.querySelectorAll("input")) {
    input.value = "";
    input.hidden = true;
  }
}

watch("value", reset);
element.addEventListener("change", (event) => {
  if (event.target.matches("select")) {
    const other = event.target.closest("article").querySelector("input");
    other.hidden = event.target.value !== "other";
    if (!other.hidden) other.focus();
  }
});
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const card = button.closest("article");
  // Marking opens the other tab, which must not be told that it stays as it is: it breaks where it was not yet shown.
  trigger(button.dataset.action === "mark" ? "select" : "submit", {
    action: button.dataset.action,
    batch: Number(button.closest(".dd-results").dataset.batch),
    page: Number(button.dataset.page ?? 0),
    position: Number(card?.dataset.position ?? -1),
    choice: card?.querySelector("select").value ?? "",
    other: card?.querySelector("input").value ?? "",
  });
});
