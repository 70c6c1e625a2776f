// What every page does: the theme, copying, times that stay true, and words for screen readers.

const root = document.documentElement;

document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

// Says something in the polite live region of the frame.
function say(words) {
  document.getElementById("said").textContent = words;
}

// <button data-copy="#id"> copies the text of that element.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.querySelector(button.dataset.copy).textContent;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    say("Copied");
  } catch {
    // Without HTTPS a browser gives no clipboard but on this machine: mark the text, so that one key copies it.
    getSelection().selectAllChildren(document.querySelector(button.dataset.copy));
    button.textContent = "Selected";
    say("The browser does not let this page copy; the text is selected, copy it with the keyboard");
  }
  setTimeout(() => (button.textContent = label), 1500);
});

// <div class="seg" data-tabs> with buttons data-tab="#id": shows one of the panels.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tabs] [data-tab]");
  if (!button) return;
  for (const other of button.closest("[data-tabs]").querySelectorAll("[data-tab]")) {
    const on = other === button;
    other.setAttribute("aria-pressed", on);
    document.querySelector(other.dataset.tab).hidden = !on;
  }
});

// The same words as service/pages/frame.py.
function passed(seconds) {
  for (const [size, unit] of [[86400, "day"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) {
      const count = Math.floor(seconds / size);
      return `${count} ${unit}${unit === "day" && count > 1 ? "s" : ""} ago`;
    }
  }
  return seconds < 10 ? "just now" : `${Math.floor(seconds)} s ago`;
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const words = passed((Date.now() - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== words) time.textContent = words;
  }
}, 5000);
