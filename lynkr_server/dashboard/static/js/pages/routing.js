import { h } from "../dom.js";
import { count, duration, moment, money, percent, plural, ratio, words } from "../format.js";
import { badge, barred, card, heading, notice, table, tierBadge, wideCard, windowPicker } from "../parts.js";
import { UNSET_WINDOW } from "../windows.js";

export async function routing(context) {
  const window = context.asked.window ?? UNSET_WINDOW;
  const shown = await context.get("routing", { window });
  return [
    heading("Routing", "Which tier requests were given, why, and how those who served them fared.", windowPicker(context.asked.window, (name) => context.go({ window: name }))),
    h("div", { class: "grid" }, mix(shown), accuracy(shown.accuracyDetail), reasons(context, shown, window), health(shown)),
  ];
}

function mix(shown) {
  const all = shown.tiers.reduce((sum, one) => sum + one.requests, 0);
  return card(
    "Tier mix",
    table(
      "Requests and spend by tier",
      [
        { label: "Tier", cell: (one) => tierBadge(one.tier === "named" ? null : one.tier) },
        { label: "Requests", number: true, cell: (one) => count(one.requests) },
        { label: "Share", cell: (one) => barred(ratio(one.requests, all), one.tier.toLowerCase(), 1) },
        { label: "Cost", number: true, cell: (one) => money(one.costMicrousd) },
      ],
      shown.tiers.filter((one) => one.requests > 0),
    ),
    h("h3", {}, "Targets"),
    table(
      "The targets of each tier",
      [
        { label: "Tier", cell: (one) => tierBadge(one.tier) },
        { label: "From", number: true, cell: (one) => one.from.toFixed(2) },
        { label: "Targets, in order", cell: (one) => h("span", { class: "wrap" }, one.targets.length > 0 ? one.targets.join(", ") : "none; other tiers serve it") },
      ],
      shown.tierTargets,
    ),
  );
}

const HEARD = {
  retried: "asked again by the user",
  escalated: "given to a higher tier",
  tool_failed: "tool calls kept failing",
  followed: "the session went on without complaint",
  accepted: "accepted by a verifier",
  rejected: "rejected by a verifier",
  too_weak: "feedback: too weak",
  right: "feedback: right",
  too_strong: "feedback: too strong",
};

function accuracy(found) {
  const how = h(
    "p",
    { class: "note" },
    "A request is judged by what was heard of it afterwards: asked again, escalated, failing tools, a verifier's word, or feedback sent to ",
    h("code", {}, "POST /v1/feedback"),
    ". Whether a lower tier would have done as well only feedback can say.",
  );
  if (!found.measured) {
    return card("Accuracy", notice("warn", h("p", {}, h("strong", {}, "Not measured."), ` Nothing was heard of any of ${plural(found.routed, "routed request")}.`)), how);
  }
  const signals = Object.entries(found.signals).filter(([, number]) => number > 0);
  return card(
    "Accuracy",
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, "Tier too low"),
      h("dd", {}, `${percent(found.underShare)} (${count(found.under)} of ${count(found.judged)} judged)`),
      h("dt", {}, "Tier too high"),
      h("dd", {}, found.overShare === null ? "not measured: no feedback" : `${percent(found.overShare)} (${count(found.over)} of ${count(found.lookedAt)} with feedback)`),
    ),
    h("h3", {}, "By tier"),
    table(
      "Accuracy by tier",
      [
        { label: "Tier", cell: (one) => tierBadge(one.tier) },
        { label: "Judged", number: true, cell: (one) => `${count(one.judged)} of ${count(one.routed)}` },
        { label: "Too low", number: true, cell: (one) => (one.underShare === null ? "not measured" : percent(one.underShare)) },
        { label: "Too high", number: true, cell: (one) => (one.overShare === null ? "not measured" : percent(one.overShare)) },
      ],
      found.tiers,
    ),
    h("h3", {}, "What was heard"),
    table(
      "Requests by what was heard of them",
      [
        { label: "Signal", cell: ([kind]) => HEARD[kind] ?? words(kind) },
        { label: "Requests", number: true, cell: ([, number]) => count(number) },
      ],
      signals,
    ),
    how,
  );
}

function reasons(context, shown, window) {
  const all = shown.reasons.reduce((sum, one) => sum + one.requests, 0);
  return wideCard(
    "Why",
    table(
      "Reason codes that settled the tier",
      [
        { label: "Tier", cell: (one) => tierBadge(one.tier) },
        { label: "Reason", cell: (one) => (one.reason === null ? "named by the client" : h("a", { class: "wrap", href: context.link("requests", { window, reason: one.reason }) }, words(one.reason))) },
        { label: "Requests", number: true, cell: (one) => count(one.requests) },
        { label: "Share", cell: (one) => barred(ratio(one.requests, all), "accent", 1) },
        { label: "Cost", number: true, cell: (one) => money(one.costMicrousd) },
      ],
      shown.reasons,
    ),
  );
}

function times(latency, names) {
  return latency.count === 0 ? "unknown" : names.map((name) => duration(latency[name])).join(" / ");
}

const TONES = { closed: "good", open: "bad", forced_open: "bad", half_open: "warn" };

function health(shown) {
  return wideCard(
    "Providers",
    table(
      "Health and latency of each provider that served",
      [
        { label: "Provider", cell: (one) => one.provider },
        { label: "Breakers", cell: (one) => (one.breakers.length === 0 ? "–" : one.breakers.map((state) => badge(words(state), TONES[state] ?? "plain"))) },
        { label: "Requests", number: true, cell: (one) => count(one.requests) },
        { label: "Attempts failed", number: true, cell: (one) => percent(one.failureShare) },
        { label: "Fallbacks", number: true, cell: (one) => percent(one.fallbackShare) },
        { label: "First token, p50 / p95", number: true, cell: (one) => times(one.firstEvent, ["p50", "p95"]) },
        { label: "Whole, p50 / p95 / p99", number: true, cell: (one) => times(one.total, ["p50", "p95", "p99"]) },
        { label: "Tokens/s", number: true, cell: (one) => (one.tokensPerSecond === null ? "unknown" : one.tokensPerSecond.toFixed(1)) },
        { label: "Last error", cell: (one) => (one.lastError === null ? "none" : h("span", {}, one.lastError, " ", h("span", { class: "note" }, moment(one.lastErrorAt)))) },
      ],
      shown.providers,
    ),
    h("p", { class: "note" }, "Times are of all requests in the window, to within 2 %: until the first token, and until the end. Failed attempts are those that showed a fault of the provider."),
  );
}
