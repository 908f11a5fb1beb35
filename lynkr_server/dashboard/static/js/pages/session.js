import { figure } from "../chart.js";
import { h } from "../dom.js";
import { count, duration, money, moment, percent, ratio, short } from "../format.js";
import { ending, heading, notice, stat, stats, table, tierBadge, wideCard } from "../parts.js";

export async function session(context) {
  const shown = await context.get(`sessions/${encodeURIComponent(context.id ?? "")}`);
  const { calls, totals } = shown;
  const labels = calls.map((_, at) => `${at + 1}`);
  return [
    heading(h("span", { class: "wrap" }, `Session ${shown.sessionId}`), `${moment(shown.firstSeen)} to ${moment(shown.lastSeen)}`),
    shown.more ? notice("warn", `Only the last ${count(calls.length)} of ${count(totals.requests)} calls are listed and plotted; the sums are of all.`) : null,
    stats(
      stat("Cost", money(totals.costMicrousd), totals.unpriced > 0 ? `without ${count(totals.unpriced)} of unknown cost` : "every call priced"),
      stat("Saved", money(totals.savedMicrousd), "an estimate", totals.savedMicrousd < 0 ? "bad" : null),
      stat("Calls", count(totals.requests), `${count(totals.failed)} failed`, totals.failed > 0 ? "bad" : null),
      stat("Largest context", short(shown.largestContext), "tokens in one call"),
      stat("Read from cache", percent(ratio(totals.cacheReadTokens, totals.inputTokens)), "of all input tokens"),
      stat("Targets", count(shown.models.length), shown.models.join(", ")),
    ),
    h(
      "div",
      { class: "grid" },
      figure({
        title: "Context per call",
        note: "input tokens, and how many of them came from a cache",
        kind: "line",
        unit: "Call",
        format: short,
        labels,
        series: [
          { label: "input", colour: "plot-1", values: calls.map((one) => one.inputTokens) },
          { label: "read from a cache", colour: "plot-3", values: calls.map((one) => one.cacheReadTokens) },
        ],
      }),
      figure({
        title: "Cost per call",
        note: "a gap is a call of unknown cost",
        kind: "bars",
        unit: "Call",
        format: money,
        labels,
        series: [{ label: "cost", colour: "plot-1", values: calls.map((one) => one.costMicrousd) }],
      }),
      wideCard(
        "Calls",
        table(
          "Calls of this session, oldest first",
          [
            { label: "Call", cell: (one) => h("a", { href: context.link("request", {}, one.id) }, `${one.number}`) },
            { label: "When", cell: (one) => h("span", { class: "nowrap" }, moment(one.at)) },
            { label: "Tier", cell: (one) => tierBadge(one.tier) },
            { label: "Served by", cell: (one) => h("span", { class: "wrap" }, one.target ?? "nobody") },
            { label: "Ended", cell: (one) => ending(one.ending) },
            { label: "Input", number: true, cell: (one) => short(one.inputTokens) },
            { label: "Cached", number: true, cell: (one) => short(one.cacheReadTokens) },
            { label: "Output", number: true, cell: (one) => short(one.outputTokens) },
            { label: "Took", number: true, cell: (one) => duration(one.seconds) },
            { label: "Cost", number: true, cell: (one) => money(one.costMicrousd) },
          ],
          calls.map((one, at) => ({ ...one, number: at + 1 })),
        ),
      ),
    ),
  ];
}
