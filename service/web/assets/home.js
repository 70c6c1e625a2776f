// Comparing: says how many jobs are chosen, and lets no more be chosen than a page compares.

const MOST = 4;
const choice = document.getElementById("choice");

function told() {
  const boxes = [...choice.querySelectorAll('input[name="job"]')];
  const chosen = boxes.filter((box) => box.checked).length;
  for (const box of boxes) box.disabled = !box.checked && chosen >= MOST;
  const button = document.getElementById("compare");
  button.disabled = chosen < 2;
  button.textContent = ["Select two to compare", "Select one more"][chosen] ?? `Compare ${chosen} jobs`;
}

if (choice) {
  choice.addEventListener("change", told);
  document.addEventListener("htmx:after:swap", told);
  told();
}
