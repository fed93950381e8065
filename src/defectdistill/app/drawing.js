// A photograph with a mask over it that is drawn by mouse, pen, finger or keys. The mask is the canvas: opaque or clear.
const UNDONE = 30;
const find = (selector) => element.querySelector(selector);
const [panel, photo, canvas, ring] = [".dd-drawing", ".dd-canvas img", "canvas", ".dd-brush"].map(find);
const [size, undo, label, other, kept] = [".dd-size", "[data-undo]", "select", ".dd-other", ".dd-kept"].map(find);
const brush = canvas.getContext("2d", { willReadFrequently: true });
const held = new Set();
let earlier = [];
let last = null; // where the stroke is, while there is one
let place = { x: 0, y: 0 }; // of the brush, in pixels of the canvas
let task = 0;
let photograph = 0; // the number under which the server knows what is shown
let unsaved = false;

function remember() {
  unsaved = true;
  earlier.push(brush.getImageData(0, 0, canvas.width, canvas.height));
  if (earlier.length > UNDONE) earlier.shift();
  undo.disabled = false;
}

function takeBack() {
  if (earlier.length) brush.putImageData(earlier.pop(), 0, 0);
  undo.disabled = !earlier.length;
}

function stroke(to) {
  const erases = find("[name=dd-mode]:checked").value === "erase";
  brush.globalCompositeOperation = erases ? "destination-out" : "source-over";
  brush.strokeStyle = brush.fillStyle = "#ff0078";
  brush.lineWidth = Number(size.value);
  brush.lineCap = brush.lineJoin = "round";
  brush.beginPath();
  if (last.x === to.x && last.y === to.y) {
    brush.arc(to.x, to.y, brush.lineWidth / 2, 0, 2 * Math.PI); // not every browser draws a line of no length
    brush.fill();
  } else {
    brush.moveTo(last.x, last.y);
    brush.lineTo(to.x, to.y);
    brush.stroke();
  }
  last = to;
}

function showBrush(visible) {
  const scale = canvas.clientWidth / canvas.width;
  const width = Math.max(2, Number(size.value) * scale);
  ring.style.display = visible ? "block" : "none";
  ring.style.width = ring.style.height = `${width}px`;
  ring.style.transform = `translate(${place.x * scale - width / 2}px, ${place.y * scale - width / 2}px)`;
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  remember();
  last = place = at(event);
  stroke(place);
});
canvas.addEventListener("pointermove", (event) => {
  place = at(event);
  showBrush(true);
  if (last && !held.has(" ")) stroke(place);
});
for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => (last = null));
canvas.addEventListener("pointerleave", () => showBrush(document.activeElement === canvas));
canvas.addEventListener("focus", () => showBrush(true));
canvas.addEventListener("blur", () => {
  held.clear();
  last = null;
  showBrush(false);
});

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key in WAYS) {
    const step = event.shiftKey ? 1 : Math.max(2, Number(size.value) / 2);
    const inside = (value, most) => Math.min(Math.max(value, 0), most);
    place = {
      x: inside(place.x + WAYS[key][0] * step, canvas.width),
      y: inside(place.y + WAYS[key][1] * step, canvas.height),
    };
    if (last) stroke(place);
    showBrush(true);
  } else if (key === " ") {
    if (!event.repeat) {
      held.add(" ");
      remember();
      last = place;
      stroke(place);
    }
  } else if (key === "e") {
    find("[name=dd-mode]:not(:checked)").checked = true;
  } else if (key === "u") {
    takeBack();
  } else {
    return;
  }
  event.preventDefault();
});
canvas.addEventListener("keyup", (event) => {
  if (event.key === " ") {
    held.delete(" ");
    last = null;
  }
});
size.addEventListener("input", () => showBrush(document.activeElement === canvas));
undo.addEventListener("click", takeBack);
label.addEventListener("change", () => {
  other.hidden = label.value !== "other";
  if (!other.hidden) other.focus();
});

async function picture(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

function offer(choices) {
  const chosen = label.value;
  const entries = [["", "Choose …"], ...choices.map(([name, words]) => [`class:${name}`, words]), ["other", "Another class …"]];
  label.replaceChildren(...entries.map(([value, words]) => new Option(words, value)));
  label.value = entries.some(([value]) => value === chosen) ? chosen : "";
}

function stays(value) {
  const open = find(".dd-title").textContent;
  return unsaved && !confirm(`The mask of ${open} is not saved. Open ${value.name} all the same, and lose the mask?`);
}

function show(value, image) {
  photograph = value.photograph;
  [photo.src, canvas.width, canvas.height] = [value.photo, image.width, image.height];
  find(".dd-canvas").style.maxWidth = `min(100%, calc(75vh * ${image.width / image.height}))`;
  place = { x: image.width / 2, y: image.height / 2 };
  last = null;
  size.value = Math.max(3, Math.round(Math.max(image.width, image.height) / 40));
  find(".dd-title").textContent = value.name;
  earlier = [];
  unsaved = false;
  undo.disabled = true;
  panel.hidden = false;
  panel.scrollIntoView();
  find("[data-propose]").focus({ preventScroll: true });
  label.value = "";
  other.hidden = true;
  other.value = "";
}

function cover(mask) {
  brush.globalCompositeOperation = "source-over";
  brush.clearRect(0, 0, canvas.width, canvas.height);
  brush.drawImage(mask, 0, 0);
  brush.globalCompositeOperation = "source-in"; // in the brush's colour, whatever the proposal's
  brush.fillStyle = "#ff0078";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.globalCompositeOperation = "source-over";
}

// What the server says: a photograph to draw on, a mask to begin with, words. It may come when another one is open.
async function take(value) {
  if (value.task === undefined || value.task === task) return;
  task = value.task;
  const [image, mask] = await Promise.all([value.photo, value.mask].map((address) => address && picture(address)));
  const late = !image && value.photograph !== undefined && value.photograph !== photograph;
  if (image && stays(value)) {
    element.dataset.task = task;
    return;
  }
  if (value.choices) offer(value.choices);
  if (!image && !mask && !late && !value.choices) unsaved = earlier.length > 0; // it was not kept
  if (image) show(value, image);
  if (mask && !late) {
    if (!image) remember();
    cover(mask);
  }
  if (!late) kept.textContent = value.words ?? "";
  else if (!mask) kept.textContent = `${value.name}: ${value.words}`;
  element.dataset.task = task;
}

let taken = Promise.resolve(); // one after the other: pictures take their time
function follow() {
  const value = props.value ?? {};
  taken = taken.catch(console.error).then(() => take(value));
}

watch("value", follow);
element.addEventListener("click", (event) => {
  const proposal = event.target.closest("[data-propose]");
  if (proposal) trigger("submit", { action: "propose", photograph, kind: proposal.dataset.propose });
  if (event.target.closest("[data-save]")) {
    kept.textContent = "";
    unsaved = false;
    const [mask, choice] = [canvas.toDataURL(), label.value];
    trigger("submit", { action: "save", photograph, mask, choice, other: other.value });
  }
});
follow();
