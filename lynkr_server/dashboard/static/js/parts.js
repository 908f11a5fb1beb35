// What several pages are made of.

import { freshId, h } from "./dom.js";
import { percent } from "./format.js";
import { UNSET_WINDOW, WINDOWS } from "./windows.js";

/** A figure with its name, and a line of what it leaves out or stands on. */
export function stat(name, value, note = null, tone = null) {
  return h(
    "div",
    { class: tone ? `stat ${tone}` : "stat" },
    h("dt", {}, name),
    h("dd", {}, h("span", { class: value === "unknown" || value === "not measured" ? "value dim" : "value" }, value), note ? h("span", { class: "note" }, note) : null),
  );
}

export function stats(...items) {
  return h("dl", { class: "stats" }, items);
}

export function card(title, ...children) {
  const id = freshId("card");
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), children);
}

export function wideCard(title, ...children) {
  const made = card(title, ...children);
  made.classList.add("wide");
  return made;
}

/**
 * A table.  *columns* are {label, number, cell(row), sort}; a cell is text or an element.
 * *caption* is heard, not seen.  *row* may give a row's attributes.
 */
export function table(caption, columns, rows, { empty = "Nothing was recorded in this window.", row = () => ({}) } = {}) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  // Roles are spelled out: a browser forgets a table's own once its rows are laid out otherwise (app.css, phones).
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h(
      "table",
      { role: "table", class: columns.length > 4 ? "stacking" : null },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) => h("th", { scope: "col", role: "columnheader", class: column.number ? "number" : null }, column.label)))),
      h("tbody", { role: "rowgroup" }, rows.map((one) => h("tr", { role: "row", ...row(one) }, columns.map((column, at) => cell(column, at, one))))),
    ),
  );
}

function cell(column, at, one) {
  const attributes = { class: column.number ? "number" : null, "data-label": column.label };
  return at === 0 ? h("th", { scope: "row", role: "rowheader", ...attributes }, column.cell(one)) : h("td", { role: "cell", ...attributes }, column.cell(one));
}

/** A share in [0, 1] as a bar; its words stand beside it. */
function bar(share, tone = "accent") {
  return h("span", { class: `bar-track ${tone}`, "aria-hidden": "true" }, h("span", { class: "bar-fill", share: Math.max(0, Math.min(1, share ?? 0)) }));
}

/** A share as a bar with its figure. */
export function barred(share, tone = "accent", digits = 0) {
  return h("span", { class: "barred" }, bar(share, tone), h("span", { class: "bar-figure" }, percent(share, digits)));
}

export function badge(words, tone = "plain") {
  return h("span", { class: `badge ${tone}` }, words);
}

const TONES = { ok: "good", failed: "bad", cancelled: "plain" };
export const ending = (name) => badge(name, TONES[name] ?? "plain");

export function tierBadge(tier) {
  return tier ? h("span", { class: `badge tier tier-${tier.toLowerCase()}` }, tier) : badge("named by client", "plain");
}

/** The picker of windows; a choice changes the address, and so the page. */
export function windowPicker(chosen, choose) {
  const current = chosen ?? UNSET_WINDOW;
  return h(
    "div",
    { class: "segments", role: "group", "aria-label": "Window" },
    WINDOWS.map(([name, words]) => h("button", { type: "button", "aria-pressed": name === current ? "true" : "false", click: () => choose(name) }, words)),
  );
}

export function notice(tone, ...children) {
  return h("div", { class: `notice ${tone}` }, children);
}

export function heading(title, lead, ...tools) {
  return h("div", { class: "heading" }, h("div", {}, h("h1", { tabindex: "-1" }, title), lead ? h("p", { class: "lead" }, lead) : null), h("div", { class: "heading-tools" }, tools));
}

export function labelled(words, control) {
  const id = freshId("field");
  control.id = id;
  return h("div", { class: "field" }, h("label", { for: id }, words), control);
}
