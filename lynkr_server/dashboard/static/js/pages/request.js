import { h } from "../dom.js";
import { count, duration, money, moment, plural, words } from "../format.js";
import { badge, card, heading, stat, stats, table, tierBadge, wideCard } from "../parts.js";

export async function request(context) {
  const shown = await context.get(`requests/${encodeURIComponent(context.id ?? "")}`);
  const { row } = shown;
  return [
    heading(
      `Request ${row.request_id}`,
      h("span", {}, moment(row.timestamp / 1000), row.session_id === null ? null : [", session ", h("a", { class: "wrap", href: context.link("session", {}, row.session_id) }, row.session_id)]),
    ),
    stats(
      stat("Tier", row.tier ?? "named by the client", row.served_tier !== null && row.served_tier !== row.tier ? `served from ${row.served_tier}` : words(row.routing_method ?? "named target")),
      stat("Ended", row.ending, row.error_type ?? `status ${row.status_code}`, row.ending === "failed" ? "bad" : null),
      stat("Took", duration(row.latency_ms === null ? null : row.latency_ms / 1000), `first token after ${duration(row.first_event_ms === null ? null : row.first_event_ms / 1000)}`),
      stat("Cost", money(row.cost_microusd), row.price_version ? `by the prices ${row.price_version}` : null),
      stat("Saved", money(row.saved_microusd), row.baseline ? `against ${row.baseline}, an estimate` : null, row.saved_microusd < 0 ? "bad" : null),
    ),
    h("div", { class: "grid" }, attempts(shown), tokens(row), alternatives(shown), trace(shown), heard(shown), losses(shown), text(shown)),
  ];
}

const TRACKS = { failure: "bad", ignored: "plain" };
const BADGES = { success: "good", failure: "bad" };

function attempts({ attempts: tried, row }) {
  const began = row.timestamp / 1000;
  const whole = Math.max(row.latency_ms / 1000, ...tried.map((one) => one.started - began + one.seconds), 0.001);
  return wideCard(
    "Attempts",
    tried.length === 0
      ? h("p", { class: "empty" }, "Nothing was sent.")
      : h(
          "ol",
          { class: "timeline" },
          tried.map((one, at) => {
            const tone = TRACKS[one.outcome] ?? null;
            return h(
              "li",
              {},
              h(
                "div",
                { class: "line" },
                h("span", { class: "target" }, `${at + 1}. ${one.target}`),
                one.kind && one.kind !== "first" ? badge(words(one.kind)) : null,
                badge(words(one.outcome), BADGES[one.outcome] ?? "plain"),
                h("span", { class: "note" }, `status ${one.status ?? "none"}, after ${duration(Math.max(0, one.started - began))}, took ${duration(one.seconds)}, cost ${money(one.costMicrousd)}`),
              ),
              h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: tone, start: Math.max(0, (one.started - began) / whole), share: one.seconds / whole })),
              one.error ? h("p", { class: "note wrap" }, one.error, one.detail ? `: ${one.detail}` : null) : null,
            );
          }),
        ),
  );
}

function tokens(row) {
  const facts = [
    ["Input", count(row.input_tokens)],
    ["of it read from a cache", count(row.cache_read_tokens)],
    ["of it written to a cache", count(row.cache_creation_tokens)],
    ["Output", count(row.output_tokens)],
    ["of it reasoning", count(row.reasoning_tokens)],
    ["Asked for", row.requested_model === "" ? "unknown" : row.requested_model],
    ["Served by", row.provider === null ? "nobody" : `${row.provider}:${row.model}`],
    ["Dialect", words(row.client_format ?? "in process")],
    ["Stream", row.stream ? "yes" : "no"],
    ["Baseline", row.baseline_microusd === null ? "unknown" : `${money(row.baseline_microusd)} on ${row.baseline}`],
  ];
  return card("Tokens", h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function trace({ trace: steps }) {
  return wideCard(
    "Decision, step by step",
    steps.length === 0
      ? h("p", { class: "empty" }, "No tier was decided: the client named the target, or the request failed before.")
      : h(
          "ol",
          { class: "steps" },
          steps.map((step) =>
            h(
              "li",
              {},
              h("span", { class: "who" }, words(step.name)),
              h("span", { class: "why" }, step.reason, " ", step.code ? h("code", {}, step.code) : null),
              h("span", { class: "figures" }, step.score === null ? "" : step.score.toFixed(3)),
              Object.keys(step.data).length > 0
                ? h("details", {}, h("summary", {}, plural(Object.keys(step.data).length, "fact")), h("pre", { tabindex: "0" }, JSON.stringify(step.data, null, 2)))
                : null,
            ),
          ),
        ),
  );
}

function alternatives({ explanation }) {
  const { candidates, excluded, flips } = explanation;
  return card(
    "What else could have been",
    table(
      "What would have given another tier",
      [
        { label: "Tier", cell: (one) => tierBadge(one.tier) },
        { label: "If", cell: (one) => h("span", { class: "wrap" }, one.reason) },
      ],
      flips,
      { empty: "No small change would have given another tier." },
    ),
    h("h3", {}, "Targets looked at"),
    table(
      "Targets that were looked at",
      [
        { label: "Target", cell: ([target]) => h("span", { class: "wrap" }, target) },
        { label: "From", cell: ([, tier]) => (tier === null ? "default" : tierBadge(tier)) },
        {
          label: "Left out",
          cell: ([target]) => {
            const why = excluded.find((one) => one.target === target);
            return why ? h("span", {}, words(why.code), " ", h("span", { class: "note" }, `by ${why.rule}`)) : "";
          },
        },
      ],
      Object.entries(candidates),
      { empty: "None: no tier was decided." },
    ),
  );
}

const HEARD = {
  retried: "asked again by the user",
  escalated: "given to a higher tier",
  tool_failed: "its tool calls kept failing",
  followed: "the session went on without complaint",
  accepted: "accepted",
  rejected: "rejected",
  too_weak: "too weak",
  right: "right",
  too_strong: "too strong",
};

function heard({ signals }) {
  return card(
    "What was heard of it",
    table(
      "What was heard of this request afterwards",
      [
        { label: "When", cell: (one) => moment(one.at) },
        { label: "Signal", cell: (one) => h("span", { class: "wrap" }, HEARD[one.kind] ?? words(one.kind), one.note ? h("span", { class: "note" }, one.note) : null) },
        { label: "From", cell: (one) => h("span", { class: "wrap" }, one.source) },
      ],
      signals,
      { empty: "Nothing yet, so whether its tier was right is not measured." },
    ),
  );
}

function losses({ losses: fell }) {
  return card(
    "Lost in translation",
    table(
      "What translation could not carry",
      [
        { label: "Field", cell: (one) => h("code", { class: "wrap" }, one.path) },
        { label: "Why", cell: (one) => h("span", { class: "wrap" }, one.reason) },
      ],
      fell,
      { empty: "Nothing." },
    ),
  );
}

function text({ prompt, answer, recordsText }) {
  if (prompt === null && answer === null) {
    return card("Prompt and answer", h("p", { class: "empty" }, recordsText ? "None was recorded for this request." : "Not recorded: telemetry.record_text is off."));
  }
  return wideCard(
    "Prompt and answer",
    h("h3", {}, "Prompt"),
    h("div", { class: "prose", tabindex: "0", role: "group", "aria-label": "Prompt" }, prompt ?? "not recorded"),
    h("h3", {}, "Answer"),
    h("div", { class: "prose", tabindex: "0", role: "group", "aria-label": "Answer" }, answer ?? "not recorded"),
  );
}
