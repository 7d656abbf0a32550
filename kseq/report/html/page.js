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
// Charts: a box shows or hides everything that is drawn of its row; buttons zoom for those who have no mouse.
function figureOf(name) {
  for (const document_ of window.Bokeh ? window.Bokeh.documents : []) {
    const model = document_.get_model_by_name(name);
    if (model) return model;
  }
  return null;
}
for (const group of document.querySelectorAll("fieldset.switches")) {
  group.addEventListener("change", (event) => {
    const figure = figureOf(group.dataset.chart);
    if (!figure) return;
    for (const renderer of figure.renderers) {
      if (renderer.name === event.target.value) renderer.visible = event.target.checked;
    }
  });
}
for (const group of document.querySelectorAll(".zoom")) {
  group.addEventListener("click", (event) => {
    const figure = figureOf(group.dataset.chart), way = event.target.value;
    if (!figure || !way) return;
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
function dress() {
  const color = getComputedStyle(document.documentElement).getPropertyValue("--faint").trim();
  for (const group of document.querySelectorAll(".zoom")) {
    const figure = figureOf(group.dataset.chart);
    if (!figure) continue;
    for (const axis of [...figure.below, ...figure.left].filter((panel) => "axis_label" in panel)) {
      axis.setv({ major_label_text_color: color, axis_label_text_color: color, axis_line_color: color,
                  major_tick_line_color: color });
    }
    figure.toolbar.visible = !paper.matches;
    if (finger.matches) figure.toolbar.tools.filter((tool) => /Pan|Zoom/.test(tool.type)).forEach((tool) => { tool.active = false; });
  }
}
function whenDrawn() {
  const charts = [...document.querySelectorAll(".zoom")];
  if (charts.every((group) => figureOf(group.dataset.chart))) dress();
  else setTimeout(whenDrawn, 20);
}
if (document.querySelector(".zoom")) whenDrawn();
dark.addEventListener("change", dress);
paper.addEventListener("change", dress);
// On paper everything is open.
window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
// A notebook's frame is as high as what it holds.
if (window.frameElement) {
  new ResizeObserver(() => {
    window.frameElement.style.height = `${Math.ceil(document.documentElement.getBoundingClientRect().height)}px`;
  }).observe(document.documentElement);
}
