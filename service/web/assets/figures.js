// Draws figures: <div class="fig" data-figure="ADDRESS" data-revision="N"> is filled with the Vega-Lite spec at
// that address, as wide as it is. It is drawn again when the address or the revision changes. Expressions are
// interpreted (`ast`), as the page's policy allows no code that is made from text. A figure in a panel that is
// hidden or folded is asked for when it is shown.

const drawn = new WeakMap();

async function draw(place) {
  const wanted = `${place.dataset.figure} ${place.dataset.revision ?? ""}`;
  const before = drawn.get(place);
  if (before?.wanted === wanted || !place.dataset.figure || !place.checkVisibility()) return;
  drawn.set(place, { wanted, view: before?.view });
  try {
    const answer = await fetch(place.dataset.figure, { headers: { Accept: "application/json" } });
    if (drawn.get(place).wanted !== wanted) return;
    if (answer.status === 204) return place.replaceChildren();
    if (!answer.ok) throw new Error((await answer.json()).detail ?? answer.statusText);
    const target = document.createElement("div");
    const spec = await answer.json();
    const room = spec.padding.left + spec.padding.right; // around the plot, whose width Vega wants
    const { view } = await vegaEmbed(target, spec, {
      ast: true,
      actions: false,
      renderer: "svg",
      defaultStyle: false,
      width: Math.max(40, place.clientWidth - room),
      tooltip: false, // it would write styles of its own
    });
    before?.view?.finalize();
    drawn.set(place, { wanted, view, room });
    widths.observe(place);
    place.replaceChildren(target);
    place.removeAttribute("data-problem");
  } catch (error) {
    drawn.delete(place);
    place.dataset.problem = `This figure cannot be shown: ${error.message}`;
  }
}

// Each figure follows the width of its place.
const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const { view, room } = drawn.get(target) ?? {};
    const width = Math.max(40, target.clientWidth - room);
    if (view && target.clientWidth && view.width() !== width) view.width(width).runAsync();
  }
});

const drawAll = () => document.querySelectorAll("[data-figure]").forEach(draw);
drawAll();
document.addEventListener("htmx:after:swap", drawAll);
new MutationObserver(drawAll).observe(document.getElementById("main"), {
  attributes: true,
  attributeFilter: ["data-figure", "data-revision", "hidden", "open"],
  childList: true,
  subtree: true,
});
