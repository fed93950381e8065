// Tells the server what is clicked in the cards, and keeps what was chosen in each until other photographs take its place.
let shown = "";
const chosen = new Map(); // position of a card: what is chosen there

// The page's new text is laid over the old one place by place: a class more would move what is chosen to its neighbour.
function restore() {
  const key = element.querySelector(".dd-results")?.dataset.key ?? "";
  if (key !== shown) chosen.clear();
  shown = key;
  for (const card of element.querySelectorAll("article")) {
    const [select, input] = ["select", "input"].map((name) => card.querySelector(name));
    const { choice, other } = chosen.get(card.dataset.position) ?? { choice: "", other: "" };
    select.value = choice;
    input.value = other;
    input.hidden = choice !== "other";
  }
}

watch("value", restore);
element.addEventListener("input", (event) => {
  const card = event.target.closest("article");
  const [select, input] = ["select", "input"].map((name) => card.querySelector(name));
  chosen.set(card.dataset.position, { choice: select.value, other: input.value });
});
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
