// Sends what is dropped or chosen to the server, one file after the other, and says which files it will not take.
const input = element.querySelector("input");
const note = element.querySelector(".dd-note");
const area = element.querySelector(".dd-drop");
const waiting = []; // what comes while others are received goes with them
let busy = false;

async function send(files) {
  waiting.push(...files);
  if (busy || !waiting.length) return;
  busy = true;
  const entries = [];
  const most = props.most;
  while (waiting.length) {
    const position = entries.length;
    const file = waiting.shift();
    if (position >= most) {
      entries.push({ name: file.name, reason: `more than ${most} at once; drop it again with the next batch` });
    } else if (file.size > props.largest) {
      entries.push({ name: file.name, size: file.size });
    } else {
      note.textContent = `Receiving ${position + 1} of ${position + 1 + waiting.length} …`;
      try {
        const { path } = await upload(file);
        entries.push({ name: file.name, path });
      } catch (error) {
        entries.push({ name: file.name, reason: `did not arrive (${error.message ?? error}); drop it again` });
      }
    }
  }
  note.textContent = "";
  input.value = "";
  busy = false;
  trigger("submit", { entries });
}

input.addEventListener("change", () => send([...input.files]));
for (const kind of ["dragenter", "dragover"]) {
  area.addEventListener(kind, (event) => {
    event.preventDefault();
    area.classList.add("dd-over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  area.addEventListener(kind, (event) => {
    event.preventDefault();
    area.classList.remove("dd-over");
  });
}
area.addEventListener("drop", (event) => send([...event.dataTransfer.files]));
