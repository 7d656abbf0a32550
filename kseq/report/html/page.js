"use strict";
// Tables: a head's button sorts by its column, numbers as numbers, what has none last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.value;
    const rows = [...body.rows];
    const numbers = rows.every((row) => key(row) === "" || !isNaN(key(row)));
    rows.sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = numbers ? x - y : x.localeCompare(y, undefined, { numeric: true });
      return descending ? -order : order;
    });
    body.append(...rows);
  }));
}
// Charts: each is drawn when it comes near the window, the others when there is nothing else to do.
const figures = new Map();
function figureOf(name) {
  for (const document_ of window.Bokeh ? window.Bokeh.documents : []) {
    const model = document_.get_model_by_name(name);
    if (model) return model;
  }
  return null;
}
function drawn(name) {
  if (!figures.has(name)) figures.set(name, draw(document.getElementById(name)));
  return figures.get(name);
}
async function draw(place) {
  const item = place.querySelector("script");
  await window.Bokeh.embed.embed_item(JSON.parse(item.textContent), place.id);
  item.remove();
  const figure = figureOf(place.id);
  dress(figure);
  document.querySelectorAll(`fieldset[data-chart="${place.id}"] input`).forEach((box) => show(figure, box));
  return figure;
}
function show(figure, box) {
  for (const renderer of figure.renderers) {
    if (renderer.name === box.value) renderer.visible = box.checked;
  }
}
const places = [...document.querySelectorAll(".chart")];
const near = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    near.unobserve(entry.target);
    drawn(entry.target.id);
  }
}, { rootMargin: "50%" });
// What prints or photographs a page waits until it is loaded: an open frame holds that back until all charts are drawn.
const hold = document.createElement("iframe");
function drawNext() {
  const next = places.find((place) => !figures.has(place.id));
  if (next) drawn(next.id).finally(() => whenIdle(drawNext));
  else Promise.allSettled(figures.values()).then(() => hold.remove());
}
function whenIdle(work) {
  if (window.requestIdleCallback) window.requestIdleCallback(work, { timeout: 200 });
  else setTimeout(work, 20);
}
if (places.length) {
  hold.hidden = true;
  document.body.append(hold);
  hold.contentDocument.open();
  places.forEach((place) => near.observe(place));
  // Text and tables come first.
  requestAnimationFrame(() => whenIdle(drawNext));
}
// A box shows or hides everything that is drawn of its row; buttons zoom for those who have no mouse.
for (const group of document.querySelectorAll("fieldset.switches")) {
  group.addEventListener("change", async (event) => show(await drawn(group.dataset.chart), event.target));
}
for (const group of document.querySelectorAll(".zoom")) {
  group.addEventListener("click", async (event) => {
    const way = event.target.value;
    if (!way) return;
    const figure = await drawn(group.dataset.chart);
    if (way === "reset") { figure.reset.emit(); return; }
    const range = figure.x_range, width = range.end - range.start, middle = (range.start + range.end) / 2;
    const wide = way === "in" ? width / 2 : way === "out" ? width * 2 : width;
    const at = middle + (way === "left" ? -width / 4 : way === "right" ? width / 4 : 0);
    range.setv({ start: at - wide / 2, end: at + wide / 2 });
  });
}
// Axes have the colour of the text, in the dark and on paper too.
const dark = window.matchMedia("(prefers-color-scheme: dark)"), paper = window.matchMedia("print");
// A finger that moves over a chart moves the page, as it does elsewhere.
const finger = window.matchMedia("(pointer: coarse)");
function dress(figure) {
  const color = getComputedStyle(document.documentElement).getPropertyValue("--faint").trim();
  for (const axis of [...figure.below, ...figure.left].filter((panel) => "axis_label" in panel)) {
    axis.setv({ major_label_text_color: color, axis_label_text_color: color, axis_line_color: color,
                major_tick_line_color: color });
  }
  figure.toolbar.visible = !paper.matches;
  if (finger.matches) figure.toolbar.tools.filter((tool) => /Pan|Zoom/.test(tool.type)).forEach((tool) => { tool.active = false; });
}
function dressAll() {
  places.map((place) => figureOf(place.id)).filter(Boolean).forEach(dress);
}
dark.addEventListener("change", dressAll);
paper.addEventListener("change", dressAll);
// Ctrl+P waits until all charts are drawn. What a menu prints before that says so on paper, and has them drawn next time.
const undrawn = () => places.some((place) => place.querySelector("script"));
function drawAll() {
  return Promise.allSettled(places.map((place) => drawn(place.id)));
}
window.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "p" || !undrawn()) return;
  event.preventDefault();
  drawAll().then(() => requestAnimationFrame(() => requestAnimationFrame(() => window.print())));
});
window.addEventListener("beforeprint", drawAll);
// A chart keeps its size in pixels, which may be more than a sheet has.
window.addEventListener("beforeprint", () => places.forEach((place) => { place.style.zoom = Math.min(1, 660 / place.clientWidth); }));
window.addEventListener("afterprint", () => places.forEach((place) => { place.style.zoom = ""; }));
// On paper everything is open.
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
// A notebook's frame is as high as what it holds.
if (window.frameElement) {
  new ResizeObserver(() => {
    window.frameElement.style.height = `${Math.ceil(document.documentElement.getBoundingClientRect().height)}px`;
  }).observe(document.documentElement);
}
