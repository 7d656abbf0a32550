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
// Charts: a box shows or hides everything that is drawn of its row.
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
