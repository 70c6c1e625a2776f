// The form of a new job: presets fill fields, and what the service says is put under the field that it is about.

const form = document.getElementById("new");
const filledBy = ["trials", "minutes", "studies", "epochs", "seeds"];

// Any number of minutes is still "by the clock".
const fits = (preset) =>
  filledBy.every((name) => {
    const now = form.elements[name].value.trim();
    const wanted = preset.dataset[name];
    return now === wanted || (name === "minutes" && wanted !== "" && now !== "");
  });

form.addEventListener("input", ({ target }) => {
  if (target.name === "preset") for (const name of filledBy) form.elements[name].value = target.dataset[name];
  if (filledBy.includes(target.name))
    for (const preset of form.querySelectorAll("[name=preset]")) preset.checked = fits(preset);
});

// A preset that was chosen before this script had arrived fills its fields now.
form.querySelector("[name=preset]:checked:not(:default)")?.dispatchEvent(new Event("input", { bubbles: true }));

// The form is checked as it changes, so that Enter has nothing to do; a race is started by its button alone.
form.addEventListener("submit", (event) => {
  if (event.submitter?.id === "enter") event.preventDefault();
});

// What was said stays until there is something else to say, so that nothing jumps while somebody types.
function distribute() {
  const found = [...document.querySelectorAll("#told > li")];
  const places = new Map([...document.querySelectorAll("[data-told]")].map((place) => [place.dataset.told, place]));
  for (const [name, place] of places) {
    const mine = found.filter((each) => (places.has(each.dataset.for) ? each.dataset.for : "") === name);
    const html = mine.map((each) => each.innerHTML).join("");
    if (place.innerHTML !== html) place.innerHTML = html;
    if (mine.length)
      for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    const field = form.elements[name] ?? document.querySelector(`[aria-describedby="${place.id}"]`);
    if (field instanceof HTMLElement)
      mine.some((each) => each.querySelector(".error"))
        ? field.setAttribute("aria-invalid", "true")
        : field.removeAttribute("aria-invalid");
  }
  const errors = found.filter((each) => each.querySelector(".error")).length;
  if (errors !== distribute.errors)
    say(errors ? `${errors} ${errors === 1 ? "thing has" : "things have"} to be mended` : "The job can be started");
  distribute.errors = errors;
}

new MutationObserver(distribute).observe(document.getElementById("told"), { childList: true });
const unanswered = document.getElementById("unanswered");
const answered = (is) => {
  if (!is && unanswered.hidden) say(unanswered.textContent);
  unanswered.hidden = is;
};
document.addEventListener("htmx:before:response", ({ detail }) => {
  const right = detail.ctx.response.status < 400;
  if (!right || detail.ctx.sourceElement.id === "checker") answered(right); // a late plan says nothing of the check
});
document.addEventListener("htmx:error", () => answered(false));

// A form that came back leads to what is wrong with it.
document.querySelector("#new [aria-invalid=true]")?.focus();
