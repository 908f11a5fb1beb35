// Plots by uPlot (vendor/uPlot.js, MIT), each with its figures as a table for who does not see it.
/* global uPlot */

import { freshId, h } from "./dom.js";

const HEIGHT = 240;

/** A colour of app.css, as it is in the theme of the moment. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const TIER_LABELS = { named: "named by the client" };

export const tierLabel = (tier) => TIER_LABELS[tier] ?? tier;

const drawn = new Set();

/** Draw every plot of the page anew, because the theme changed. */
export function redraw() {
  for (const plot of drawn) plot();
}

/** Forget the plots that are no longer in the page. */
export function forget() {
  for (const plot of drawn) {
    if (plot.box.isConnected) continue;
    plot.end();
    drawn.delete(plot);
  }
}

/**
 * A plot with title, summary and table.
 * *labels* are the ticks along x; *series* are {label, colour, values}; values may be null.
 * *kind* is "stacked", "bars" or "line"; *format* writes a value; *unit* names x.
 */
export function figure({ title, note = null, labels, series, kind, format, unit, wide = false }) {
  const box = h("div", { class: "plot" });
  const id = freshId("figure");
  const hover = h("p", { class: "hover", "aria-hidden": "true" });
  const known = series.filter((one) => one.values.some((value) => value !== null));
  const element = h(
    "figure",
    { class: wide ? "card wide" : "card", "aria-labelledby": id },
    h("figcaption", { id }, h("span", { class: "figure-title" }, title), note ? h("span", { class: "note" }, note) : null),
    h("ul", { class: "legend" }, known.map((one) => h("li", {}, swatch(one.colour), one.label))),
    known.length === 0 ? h("p", { class: "empty" }, "Nothing was recorded in this window.") : box,
    known.length === 0 ? null : hover,
    known.length === 0 ? null : tableOf(title, labels, known, format, unit),
  );
  if (known.length > 0) mount(box, hover, { labels, series: known, kind, format });
  return element;
}

function swatch(name) {
  const mark = h("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.setProperty("background", `var(--${name})`);
  return mark;
}

function tableOf(title, labels, series, format, unit) {
  const rows = labels.map((label, at) => [label, ...series.map((one) => (one.values[at] === null ? "unknown" : format(one.values[at])))]);
  return h(
    "details",
    { class: "as-table" },
    h("summary", {}, "The figures as a table"),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": `${title}: table` },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, unit), series.map((one) => h("th", { scope: "col", class: "number" }, one.label)))),
        h("tbody", {}, rows.map(([label, ...values]) => h("tr", {}, h("th", { scope: "row" }, label), values.map((value) => h("td", { class: "number" }, value))))),
      ),
    ),
  );
}

function mount(box, hover, chart) {
  let plot = null;
  let width = 0;
  const draw = () => {
    plot?.destroy();
    plot = null;
    if (width > 0) plot = new uPlot(options(chart, hover, width), stacked(chart), box);
  };
  const observer = new ResizeObserver(([entry]) => {
    const wanted = Math.floor(entry.contentRect.width);
    if (wanted === width || wanted < 1) return;
    const first = width === 0;
    width = wanted;
    if (first) draw();
    else plot?.setSize({ width, height: HEIGHT });
  });
  observer.observe(box);
  draw.box = box;
  draw.end = () => {
    observer.disconnect();
    plot?.destroy();
  };
  drawn.add(draw);
}

/** uPlot's columns: the sums up to each series where they are stacked, the tallest first. */
function stacked({ labels, series, kind }) {
  const x = labels.map((_, at) => at);
  if (kind !== "stacked") return [x, ...series.map((one) => one.values)];
  const sums = labels.map(() => 0);
  const columns = series.map((one) => one.values.map((value, at) => (sums[at] += value ?? 0)));
  return [x, ...columns.reverse()];
}

function options({ labels, series, kind, format }, hover, width) {
  const text = colour("muted");
  const grid = colour("line");
  const order = kind === "stacked" ? [...series].reverse() : series;
  const bars = uPlot.paths.bars({ size: [0.72, 48], radius: 0.06 });
  return {
    width,
    height: HEIGHT,
    padding: [12, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { show: kind === "line" } },
    scales: {
      x: { time: false, range: () => [-0.6, labels.length - 0.4] },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] },
    },
    axes: [
      {
        stroke: text,
        grid: { show: false },
        ticks: { show: false },
        font: "12px system-ui, sans-serif",
        splits: () => ticks(labels.length, width),
        values: (_, splits) => splits.map((at) => labels[at] ?? ""),
      },
      {
        stroke: text,
        grid: { stroke: grid, width: 1 },
        ticks: { show: false },
        size: 62,
        font: "12px system-ui, sans-serif",
        values: (_, splits) => splits.map((value) => format(value)),
      },
    ],
    series: [
      {},
      ...order.map((one) =>
        kind === "line"
          ? { label: one.label, stroke: colour(one.colour), width: 2, spanGaps: false, points: { show: labels.length < 40, size: 5, fill: colour(one.colour) } }
          : { label: one.label, stroke: colour(one.colour), fill: colour(one.colour), width: 0, paths: bars, points: { show: false } },
      ),
    ],
    hooks: { setCursor: [(plot) => tell(plot, hover, { labels, series, format })] },
  };
}

function tell(plot, hover, { labels, series, format }) {
  const at = plot.cursor.idx;
  if (at === null || at === undefined) {
    hover.textContent = "";
    return;
  }
  const values = series.filter((one) => one.values[at] !== null && one.values[at] !== 0).map((one) => `${one.label} ${format(one.values[at])}`);
  hover.textContent = `${labels[at]}: ${values.length > 0 ? values.join(", ") : "nothing"}`;
}

function ticks(length, width) {
  const step = Math.max(1, Math.ceil(length / Math.max(2, Math.floor(width / 72))));
  return Array.from({ length: Math.ceil(length / step) }, (_, at) => at * step);
}
