import { figure } from "../chart.js";
import { h } from "../dom.js";
import { count, money, percent, plural, ratio, short } from "../format.js";
import { barred, heading, labelled, stat, stats, table, tierBadge, wideCard, windowPicker } from "../parts.js";
import { UNSET_WINDOW } from "../windows.js";
import { byTier } from "./overview.js";

export async function usage(context) {
  const { window = UNSET_WINDOW, provider = "", model = "" } = context.asked;
  const shown = await context.get("usage", { window, provider, model });
  const { totals } = shown;
  return [
    heading("Usage", "What was used and what it cost. Days are UTC days.", windowPicker(context.asked.window, (name) => context.go({ window: name }))),
    h(
      "div",
      { class: "filters" },
      labelled("Provider", choice(shown.choices.providers, provider, (value) => context.go({ provider: value, model: "" }))),
      labelled("Model", choice(shown.choices.models, model, (value) => context.go({ model: value }))),
    ),
    stats(
      stat("Spend", money(totals.costMicrousd), totals.unpriced > 0 ? `without ${plural(totals.unpriced, "request")} of unknown cost` : "every request priced"),
      stat(`On ${shown.flagship}`, money(totals.baselineMicrousd), "the same tokens, an estimate"),
      stat("Saved", money(totals.savedMicrousd), percent(ratio(totals.savedMicrousd, totals.baselineMicrousd)), totals.savedMicrousd < 0 ? "bad" : null),
      stat("Requests", count(totals.requests), `${plural(totals.errors, "error")}, ${count(totals.fallbacks)} by fallback`),
      stat("Input tokens", short(totals.inputTokens), `${short(totals.cacheReadTokens)} read from a cache, ${short(totals.cacheWriteTokens)} written to one`),
      stat("Output tokens", short(totals.outputTokens), `${short(totals.reasoningTokens)} of them reasoning${totals.unmeasured > 0 ? `; ${plural(totals.unmeasured, "request")} not counted` : ""}`),
    ),
    h(
      "div",
      { class: "grid" },
      figure({ title: "Spend per day", note: "by tier", kind: "stacked", unit: "Day", format: money, ...byTier(shown.days, "costMicrousd") }),
      figure({ title: "Requests per day", note: "by tier", kind: "stacked", unit: "Day", format: count, ...byTier(shown.days, "requests") }),
      groups("By tier", "Tier", shown.byTier, (key) => tierBadge(key === "UNKNOWN" ? null : key), totals),
      groups("By provider", "Provider", shown.byProvider, served, totals),
      groups("By model", "Model", shown.byModel, served, totals),
    ),
  ];
}

function choice(values, chosen, choose) {
  const known = chosen === "" || values.includes(chosen) ? values : [chosen, ...values];
  return h(
    "select",
    { change: (event) => choose(event.target.value) },
    h("option", { value: "" }, "all"),
    known.map((value) => h("option", { value, selected: value === chosen }, value)),
  );
}

const served = (key) => (key === "unknown" ? "nobody: nothing was served" : key);

function groups(title, label, found, name, totals) {
  const rows = Object.entries(found).sort(([, one], [, other]) => (other.costMicrousd ?? 0) - (one.costMicrousd ?? 0) || other.requests - one.requests);
  return wideCard(
    title,
    table(
      title,
      [
        { label, cell: ([key]) => h("span", { class: "wrap" }, name(key)) },
        { label: "Requests", number: true, cell: ([, one]) => count(one.requests) },
        { label: "Input", number: true, cell: ([, one]) => short(one.inputTokens) },
        { label: "Cached", number: true, cell: ([, one]) => short(one.cacheReadTokens) },
        { label: "Output", number: true, cell: ([, one]) => short(one.outputTokens) },
        { label: "Errors", number: true, cell: ([, one]) => count(one.errors) },
        { label: "Cost", number: true, cell: ([, one]) => money(one.costMicrousd) },
        { label: "Share of the spend", cell: ([, one]) => barred(ratio(one.costMicrousd, totals.costMicrousd)) },
        { label: "Saved", number: true, cell: ([, one]) => money(one.savedMicrousd) },
      ],
      rows,
    ),
  );
}
