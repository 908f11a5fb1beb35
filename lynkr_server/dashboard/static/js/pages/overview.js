import { figure, tierLabel } from "../chart.js";
import { h } from "../dom.js";
import { clockTime, count, day, duration, moment, money, percent, plural, ratio, short, words } from "../format.js";
import { badge, card, ending, heading, notice, stat, stats, table, tierBadge, wideCard, windowPicker } from "../parts.js";
import { UNSET_WINDOW } from "../windows.js";

const EVERY = 15000;

export async function overview(context) {
  const window = context.asked.window ?? UNSET_WINDOW;
  const shown = await context.get("overview", { window });
  keepFresh(context, window);
  return [
    heading("Overview", `lynkr ${shown.version}, running for ${duration(shown.uptime)}`, windowPicker(context.asked.window, (name) => context.go({ window: name }))),
    warnings(shown),
    h("div", { id: "headline" }, headline(shown)),
    h(
      "div",
      { class: "grid" },
      figure({
        title: "Spend per day",
        note: "UTC days, by the tier that was decided",
        kind: "stacked",
        unit: "Day",
        format: money,
        ...byTier(shown.daily, "costMicrousd"),
      }),
      savings(shown.savings),
      providers(shown),
      breakers(shown.breakers),
      recorder(shown),
      h("div", { class: "wide", id: "recent" }, recent(context, shown)),
    ),
  ];
}

/** Labels and one series a tier, from days that hold figures by tier. */
export function byTier(days, name) {
  const tiers = ["SIMPLE", "MEDIUM", "COMPLEX", "REASONING", "named"];
  return {
    labels: days.map((one) => day(one.day)),
    series: tiers
      .map((tier) => ({ label: tierLabel(tier), colour: `tier-${tier.toLowerCase()}`, values: days.map((one) => one.tiers[tier]?.[name] ?? null) }))
      .filter((series) => series.values.some((value) => value !== null && value !== 0)),
  };
}

function headline(shown) {
  const { totals, savings: saved } = shown;
  const share = ratio(saved.totalMicrousd, saved.baselineMicrousd);
  const answered = totals.requests - totals.failed - totals.cancelled;
  return stats(
    stat("Spend", totals.requests === 0 ? money(0) : money(totals.costMicrousd), totals.unpriced > 0 ? `without ${plural(totals.unpriced, "request")} of unknown cost` : "every request priced", null),
    stat(
      "Saved (estimate)",
      saved.totalMicrousd === null ? "not measured" : money(saved.totalMicrousd),
      saved.totalMicrousd === null ? "no request with both a cost and a baseline" : `${percent(share)} of what ${saved.baseline ?? "the flagship"} would have cost`,
      saved.totalMicrousd !== null && saved.totalMicrousd < 0 ? "bad" : null,
    ),
    stat("Requests", count(totals.requests), `${count(answered)} answered, ${count(totals.cancelled)} left by the client`),
    stat("Errors", count(totals.failed), totals.requests > 0 ? `${percent(totals.failed / totals.requests)} of requests` : null, totals.failed > 0 ? "bad" : null),
    stat("Live now", count(shown.live), `as of ${clockTime(shown.now)}`),
  );
}

function keepFresh(context, window) {
  const timer = setInterval(async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const shown = await context.get("overview", { window });
      document.getElementById("headline")?.replaceChildren(headline(shown));
      document.getElementById("recent")?.replaceChildren(recent(context, shown));
    } catch (error) {
      clearInterval(timer);
      if (!context.signal.aborted) document.getElementById("headline")?.prepend(notice("warn", `These figures are no longer fresh: ${error.message}`));
    }
  }, EVERY);
  context.signal.addEventListener("abort", () => clearInterval(timer));
}

function warnings(shown) {
  const found = shown.notices.filter((one) => one.severity !== "note");
  const open = shown.breakers.filter((one) => one.state === "open" || one.state === "forced_open");
  const lost = shown.recorder.dropped + shown.recorder.failed;
  return [
    found.length > 0
      ? notice(
          found.some((one) => one.severity === "problem") ? "bad" : "warn",
          h("p", {}, h("strong", {}, "The configuration lacks something")),
          h("ul", {}, found.map((one) => h("li", {}, h("code", {}, one.key), ` ${one.message}`))),
        )
      : null,
    open.length > 0 ? notice("bad", h("p", {}, h("strong", {}, `${plural(open.length, "target is", "targets are")} not being called: `), open.map((one) => one.name).join(", "))) : null,
    lost > 0
      ? notice("bad", h("p", {}, h("strong", {}, `${plural(lost, "record")} lost`), " since the start, so these figures are too low. ", shown.recorder.lastError ? h("code", {}, shown.recorder.lastError) : null))
      : null,
  ];
}

function savings(saved) {
  const rows = saved.parts.filter((part) => part.microusd !== null || part.name !== "notItemised");
  return card(
    "Saved, and how",
    table(
      "What was saved, by how it was",
      [
        { label: "By", cell: (part) => part.label },
        { label: "Saved", number: true, cell: (part) => (part.microusd === null ? part.absent : money(part.microusd)) },
      ],
      rows,
    ),
    saved.totalMicrousd === null
      ? null
      : h("p", {}, h("strong", {}, `${money(saved.totalMicrousd)} in all`), saved.lowMicrousd === saved.highMicrousd ? "." : `, between ${money(saved.lowMicrousd)} and ${money(saved.highMicrousd)} by what ${saved.baseline} would have had in its cache.`),
    h("p", { class: "note" }, `An estimate over ${count(saved.compared)} of ${plural(saved.requests, "request")}: the same tokens at the prices of ${saved.baseline}. Another model would have written other tokens.`),
  );
}

function third(title, ...children) {
  const made = card(title, ...children);
  made.classList.add("third");
  return made;
}

function providers(shown) {
  const rows = [...shown.providerWarnings.map((one) => ({ ...one, lacking: true })), ...shown.providers.map((one) => ({ ...one, lacking: false }))];
  return third(
    "Providers",
    table(
      "Providers that the configuration names",
      [
        { label: "Provider", cell: (one) => h("span", {}, one.name, h("span", { class: "note" }, one.type)) },
        { label: "Used by", cell: (one) => (one.tiers.length > 0 ? one.tiers.join(", ") : "nothing") },
        { label: "State", cell: (one) => (one.lacking ? badge("no credentials", "bad") : badge("configured", "good")) },
      ],
      rows,
      { empty: "No provider is configured." },
    ),
  );
}

const STATES = { closed: "good", half_open: "warn", open: "bad", forced_open: "bad", disabled: "warn", metrics_only: "plain" };

function breakers(rows) {
  return third(
    "Circuit breakers",
    table(
      "Circuit breakers of the targets called so far",
      [
        { label: "Target", cell: (one) => h("span", { class: "wrap" }, one.name) },
        { label: "State", cell: (one) => badge(words(one.state), STATES[one.state] ?? "plain") },
        { label: "Failed", number: true, cell: (one) => `${count(one.failures)} of ${count(one.failures + one.successes)}` },
        { label: "Next try", number: true, cell: (one) => (one.nextAttempt === null ? "–" : clockTime(one.nextAttempt)) },
      ],
      rows,
      { empty: "No target was called yet since the start." },
    ),
  );
}

function recorder(shown) {
  const { recorder: state, ledger } = shown;
  const healthy = state.dropped + state.failed === 0;
  const facts = [
    ["State", healthy ? badge("records everything", "good") : badge("lost records", "bad")],
    ["Written", plural(state.written, "record")],
    ["Waiting", count(state.queued)],
    ["Dropped, refused", `${count(state.dropped)}, ${count(state.failed)}`],
    ["Kept in", ledger.path ?? "memory, until the gateway stops"],
    ["Kept for", ledger.retentionDays === null ? "ever" : plural(ledger.retentionDays, "day")],
    ["Prompts and answers", ledger.recordsText ? "recorded (telemetry.record_text)" : "not recorded"],
    ["Last complaint", state.lastError === null ? "none" : `${moment(state.lastErrorAt)}: ${state.lastError}`],
  ];
  return third("Ledger", h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function recent(context, shown) {
  return wideCard("Newest requests", requestTable(context, shown.recentRequests), h("p", { class: "note" }, h("a", { href: context.link("requests", {}) }, "All requests")));
}

/** The table of requests that several pages show. */
export function requestTable(context, rows) {
  return table(
    "Requests, newest first",
    [
      { label: "When", cell: (one) => h("a", { class: "nowrap", href: context.link("request", {}, one.request_id) }, moment(one.timestamp / 1000)) },
      { label: "Tier", cell: (one) => tierBadge(one.tier) },
      { label: "Served by", cell: (one) => h("span", { class: "wrap" }, one.provider === null ? "nobody" : `${one.provider}:${one.model}`) },
      { label: "Reason", cell: (one) => h("span", { class: "wrap" }, words(one.routing_method ?? "named target")) },
      { label: "Ended", cell: (one) => (one.ending === "failed" ? h("span", {}, ending(one.ending), " ", h("span", { class: "note wrap" }, one.error_type ?? `${one.status_code}`)) : ending(one.ending)) },
      { label: "In", number: true, cell: (one) => short(one.input_tokens) },
      { label: "Out", number: true, cell: (one) => short(one.output_tokens) },
      { label: "Took", number: true, cell: (one) => duration(one.latency_ms === null ? null : one.latency_ms / 1000) },
      { label: "Cost", number: true, cell: (one) => money(one.cost_microusd) },
    ],
    rows,
    { row: (one) => ({ class: one.ending === "failed" ? "failed" : null }), empty: "No request yet. Point a client at this gateway." },
  );
}
