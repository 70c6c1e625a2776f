// Sends a table as it is chosen, for a look: the server reads it, and shows what becomes of each column. Each
// further choice has it read again, at once if the file is small. Only a button keeps it.

const form = document.getElementById("send");
const SMALL = 8e6; // bytes that are sent again without being asked

if (form) {
  const base = document.body.dataset.base;
  const byId = (id) => document.getElementById(id);
  const fields = ["file", "name", "target", "task", "split", "header", "size"];
  const inputs = { split: "rule", size: "side" }; // by field, if they are called otherwise
  const kinds = {}; // of columns, as they were chosen
  let file = null;
  let busy = false; // a look is on its way
  let changed = false; // something was chosen since it was sent

  const formats = Object.fromEntries(
    byId("file").dataset.formats.trim().split(" ").map((pair) => pair.split("=")),
  );
  const ends = Object.keys(formats);

  function formatOf(name) {
    if (byId("task").value === "language") return "text/plain";
    const stem = name.toLowerCase().replace(/\.gz$/, "");
    return formats[ends.find((end) => stem.endsWith(end))];
  }

  // As service/client/files.py makes a name of a file's.
  function nameOf(fileName) {
    let stem = fileName.replace(/\.gz$/i, "");
    for (const end of ends) if (stem.toLowerCase().endsWith(end)) stem = stem.slice(0, -end.length);
    return stem.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-._]+|[-._]+$/g, "").slice(0, 64) || "data";
  }

  function sizeOf(bytes) {
    for (const [unit, factor] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
      if (bytes >= factor) return `${(bytes / factor).toPrecision(3)} ${unit}`;
    }
    return `${bytes} bytes`;
  }

  function fail(field, words) {
    const known = fields.includes(field) ? field : "file";
    byId(`error-${known}`).textContent = words;
    const input = byId(inputs[known] ?? known);
    input.setAttribute("aria-invalid", "true");
    stage("", 0);
  }

  function clear() {
    for (const field of fields) {
      byId(`error-${field}`).textContent = "";
      byId(inputs[field] ?? field).removeAttribute("aria-invalid");
    }
  }

  function stage(words, share) {
    byId("stage").textContent = words;
    if (share === null) byId("sent").removeAttribute("value");
    else if (share !== undefined) byId("sent").value = share;
  }

  // The field that a problem is about: a code tells more than the column that it names.
  function told(problem) {
    const of = { ambiguous_target: "target", ambiguous_task: "task" }[problem.code];
    const path = problem.errors?.[0]?.field ?? problem.column ?? "";
    const columns = { [byId("by-column").value || " "]: "split", [byId("target").value || "  "]: "target" };
    fail(of ?? columns[path] ?? path.split(".").pop(), problem.detail);
  }

  function query() {
    const said = new URLSearchParams({ name: byId("name").value.trim(), dry_run: "true", file: file.name });
    for (const field of ["target", "task", "header"]) if (byId(field).value) said.set(field, byId(field).value);
    if (byId("side").value.trim()) said.set("size", byId("side").value.trim());
    const rule = byId("rule").value;
    if (rule !== "random") said.set("split", `${rule}:${byId("by-column").value}`);
    const chosen = Object.entries(kinds).filter(([, kind]) => kind);
    if (chosen.length) said.set("columns", JSON.stringify(Object.fromEntries(chosen)));
    return said;
  }

  function send() {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", `${base}/v1/datasets?${query()}`);
      request.setRequestHeader("Content-Type", formatOf(file.name));
      request.setRequestHeader("Accept", "application/json");
      request.upload.onprogress = ({ loaded, total }) => stage(`${sizeOf(loaded)} sent`, loaded / total);
      request.upload.onload = () => stage("being read", null);
      request.onload = () => {
        try {
          resolve({ status: request.status, body: JSON.parse(request.responseText) });
        } catch {
          reject(new Error(`the server answered with ${request.status} ${request.statusText}`));
        }
      };
      request.onerror = () => reject(new Error("the connection ended; is the service still running?"));
      request.send(file);
    });
  }

  async function read(view) {
    while (view.state === "reading") {
      const { rows, share } = view.progress;
      stage(rows ? `${rows.toLocaleString("en")} rows read` : "waits for its turn", share);
      await new Promise((resolve) => setTimeout(resolve, 700));
      const answer = await fetch(`${base}/v1/datasets/${view.name}`);
      if (!answer.ok) throw new Error((await answer.json()).detail);
      view = await answer.json();
    }
    return view;
  }

  // What is shown is not what the choices say any more: it is not kept by mistake.
  function stale(is) {
    for (const button of byId("found").querySelectorAll("[data-keep]")) button.disabled = is;
  }

  async function look() {
    if (!file) return;
    stale(true);
    if (busy) return (changed = true);
    const waits = byId("rule").value !== "random" && !byId("by-column").value;
    if (waits) return;
    busy = true;
    changed = false;
    clear();
    byId("again").hidden = true;
    byId("sending").hidden = false;
    byId("look").setAttribute("aria-busy", "true");
    try {
      const { status, body } = await send();
      if (status >= 400) told(body);
      else {
        const view = await read(body);
        if (view.state === "failed") told(view.problem);
        else await show(view);
      }
    } catch (error) {
      fail("file", `The file could not be sent: ${error.message}`);
    }
    byId("look").removeAttribute("aria-busy");
    busy = false;
    list();
    if (changed) look();
  }

  async function show(view) {
    const answer = await fetch(`${base}/datasets/${view.name}?part=look`);
    if (!answer.ok) throw new Error("what was found in it cannot be shown");
    byId("found").innerHTML = await answer.text();
    byId("look").hidden = false;
    const what = view.table.images ? "images" : "rows";
    stage(`${view.table.rows.toLocaleString("en")} ${what} read`, 1);
    byId("known").replaceChildren(...view.table.columns.map(({ name }) => new Option(name, name)));
    byId("target").placeholder = view.table.text ? "found for you" : `${view.table.target}, found for you`;
    document.getElementById("said").textContent = `Read: ${view.table.rows} ${what}, the target is ${view.table.target}`;
  }

  async function list() {
    const answer = await fetch(`${base}/datasets?part=rows`);
    if (!answer.ok) return;
    byId("rows").outerHTML = await answer.text();
    htmx.process(byId("rows"));
  }

  function choose(chosen) {
    if (!chosen) return;
    file = chosen;
    clear();
    for (const column of Object.keys(kinds)) delete kinds[column];
    byId("look").hidden = true;
    byId("chosen").textContent = file.name;
    byId("size").textContent = sizeOf(file.size);
    byId("sending").hidden = false;
    if (!byId("name").value || byId("name").dataset.made) {
      byId("name").value = nameOf(file.name);
      byId("name").dataset.made = "yes";
    }
    if (!formatOf(file.name)) {
      fail("file", `The name of ${file.name} does not tell its format; it must end with one of ${ends.join(", ")}.`);
      file = null;
      return;
    }
    look();
  }

  function choice() {
    byId("by").hidden = byId("rule").value === "random";
    if (!file) return;
    if (file.size <= SMALL) return look();
    stale(true);
    byId("again").hidden = false;
  }

  async function keep(button) {
    const { found: name } = button.closest("[data-found]").dataset;
    const answer = await fetch(`${base}/v1/datasets/${name}`, { method: "POST" });
    if (!answer.ok) {
      form.querySelector("[data-kept]").textContent = (await answer.json()).detail;
      return;
    }
    location.href = button.dataset.keep === "race" ? `${base}/new?dataset=${name}` : `${base}/datasets/${name}`;
  }

  const chosen = () => choose(byId("file").files[0]);
  byId("file").addEventListener("change", chosen);
  byId("name").addEventListener("input", () => delete byId("name").dataset.made);
  for (const id of ["name", "target", "task", "rule", "by-column", "header", "side"]) byId(id).addEventListener("change", choice);
  byId("again").addEventListener("click", look);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look();
  });
  byId("found").addEventListener("change", ({ target }) => {
    if (!target.dataset.column) return;
    kinds[target.dataset.column] = target.value;
    choice();
  });
  byId("found").addEventListener("click", ({ target }) => {
    const button = target.closest("[data-keep]");
    if (button) keep(button);
  });
  const drop = byId("drop");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") choose(event.dataTransfer.files[0]);
    });
  }
  chosen(); // what was chosen before this script had arrived
}
