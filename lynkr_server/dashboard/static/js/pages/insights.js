import { h } from "../dom.js";
import { count, money, moment, percent, plural, short } from "../format.js";
import { badge, heading, stat, stats, table, windowPicker } from "../parts.js";

const STATES = {
  actionable: ["worth acting on", "warn"],
  clean: ["clean", "good"],
  not_measured: ["not measured", "plain"],
};
const WRITTEN = { count, money, percent, tokens: short, text: (value) => (value === null ? "unknown" : `${value}`) };

export async function insights(context) {
  const window = context.asked.window ?? "30d";
  const shown = await context.get("recommendations", { window });
  const actionable = shown.findings.filter((one) => one.state === "actionable");
  return [
    heading(
      "Insights",
      "What was overspent already, by evidence in the ledger. No forecasts: each figure says how it was found and what it leaves out.",
      windowPicker(context.asked.window ?? "30d", (name) => context.go({ window: name })),
    ),
    stats(
      stat("Spend", money(shown.spendMicrousd), `since ${shown.since === null ? "the first record" : moment(shown.since)}`),
      stat("Overspent at most", money(shown.totalRecoverableMicrousd), "findings can overlap; this is their sum, not a promise", actionable.length > 0 ? "warn" : null),
      stat("Findings", plural(actionable.length, "finding"), `${count(shown.findings.filter((one) => one.state === "clean").length)} clean, ${count(shown.findings.filter((one) => one.state === "not_measured").length)} not measured`),
    ),
    shown.findings.map(finding),
  ];
}

function finding(found) {
  const [label, tone] = STATES[found.state];
  const amount = found.state !== "actionable" ? null : found.framing === "tokens" ? `${short(found.pastOverspendTokens)} tokens` : money(found.pastOverspendMicrousd);
  return h(
    "article",
    { class: "finding", "aria-label": found.title },
    h("header", {}, h("h2", {}, found.title, " ", badge(label, tone)), amount === null ? null : h("span", { class: "amount" }, amount)),
    h("p", {}, found.says),
    found.evidence.rows.length > 0
      ? table(
          `${found.title}: evidence`,
          found.evidence.columns.map((column, at) => ({ label: column.label, number: column.kind !== "text", cell: (row) => h("span", { class: "wrap" }, row[at] === null ? "unknown" : WRITTEN[column.kind](row[at])) })),
          found.evidence.rows,
        )
      : null,
    found.fix ? [h("h3", {}, "What to do"), h("p", {}, found.fix)] : null,
    h("h3", {}, "How it was found"),
    h("p", {}, found.estimateBasis),
    h("p", { class: "note" }, found.caveat),
  );
}
