import { figure } from "../chart.js";
import { announce, h } from "../dom.js";
import { count, money, moment, percent, plural, words } from "../format.js";
import { card, heading, labelled, notice, stat, stats, table, wideCard, windowPicker } from "../parts.js";

const TIERS = ["SIMPLE", "MEDIUM", "COMPLEX", "REASONING"];
const POSITIONS = [50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150];

const CAUSES = {
  not_recorded: "recorded without the facts of their decision, by an older lynkr",
  unreadable: "recorded by another version, in a shape this one does not read",
  text_not_recorded: "would need their words, which are not recorded",
};

export function policy(context) {
  const { window = "30d", dial = "100", floor = "", ceiling = "" } = context.asked;
  const asked = { window, floor, ceiling };
  const found = h("div", {});
  const curve = h("div", {});
  const whole = h("button", { type: "button", click: () => drawDial(context, asked, whole, curve) }, "Draw the whole dial");
  replayed(context, { ...asked, dial }, found);
  return [
    heading(
      "Policy",
      "What these requests would have cost, decided otherwise. Recorded decisions are made again; nothing is sent.",
      windowPicker(window, (name) => context.go({ window: name })),
    ),
    h("div", { class: "grid" }, knobs(context, asked, dial, found), card("The whole dial", h("p", {}, "The bill at each position of the dial, within the bounds chosen. Eleven replays, one after the other."), h("p", {}, whole), curve)),
    h("div", { class: "after-grid" }, found),
  ];
}

function knobs(context, asked, dial, found) {
  const said = h("output", {}, saidOf(Number(dial)));
  const slider = h("input", {
    type: "range",
    min: 50,
    max: 150,
    step: 10,
    value: dial,
    "aria-describedby": "dial-help",
    input: (event) => {
      said.textContent = saidOf(Number(event.target.value));
    },
    change: (event) => replayed(context, { ...asked, dial: event.target.value }, found),
  });
  const bound = (name, label) =>
    labelled(
      label,
      h(
        "select",
        { change: (event) => context.go({ [name]: event.target.value }) },
        h("option", { value: "" }, "none"),
        TIERS.map((tier) => h("option", { value: tier, selected: tier === asked[name] }, tier)),
      ),
    );
  return card(
    "The dial",
    h(
      "div",
      { class: "dial" },
      labelled("Difficulty counts for", slider),
      h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, "cheaper models"), said, h("span", {}, "stronger models")),
      h("p", { class: "note", id: "dial-help" }, "What the scorers found is multiplied by this before the tier is looked up. 100 % is the policy in force."),
      h("div", { class: "filters" }, bound("floor", "Never below"), bound("ceiling", "Never above")),
    ),
  );
}

const saidOf = (value) => (value === 100 ? "100 %, as now" : `${value} %`);

async function replayed(context, parameters, found) {
  found.setAttribute("aria-busy", "true");
  found.replaceChildren(h("p", { class: "note" }, "Replaying. A month of a busy gateway takes half a minute: serving comes first."));
  try {
    found.replaceChildren(...report(context, await context.get("policy", parameters)));
    announce("replayed");
  } catch (error) {
    if (!context.signal.aborted) found.replaceChildren(notice("bad", h("p", {}, error.message)));
  } finally {
    found.removeAttribute("aria-busy");
  }
}

async function drawDial(context, asked, button, place) {
  button.disabled = true;
  const bills = [];
  try {
    for (const dial of POSITIONS) {
      place.replaceChildren(h("p", { class: "note" }, `Replaying at ${dial} % ...`));
      bills.push(await context.get("policy", { ...asked, dial }));
    }
    const of = (name) => bills.map((one) => one.replayed_microusd?.[name] ?? null);
    place.replaceChildren(
      figure({
        title: "Cost by position of the dial",
        kind: "line",
        unit: "Dial",
        format: money,
        labels: POSITIONS.map((dial) => `${dial} %`),
        series: [
          { label: "expected", colour: "plot-1", values: of("expected") },
          { label: "at least", colour: "plot-2", values: of("low") },
          { label: "at most", colour: "plot-3", values: of("high") },
        ],
      }),
    );
    announce("the whole dial is drawn");
  } catch (error) {
    if (!context.signal.aborted) place.replaceChildren(notice("bad", h("p", {}, error.message)));
  } finally {
    button.disabled = false;
  }
}

function report(context, shown) {
  const { difference_microusd: difference, replayed_microusd: cost } = shown;
  const left = Object.entries(shown.undecidable).filter(([, number]) => number > 0);
  return [
    shown.isShortened ? notice("warn", h("p", {}, `The window has ${count(shown.requestsInWindow)} requests; the newest of them, since ${moment(shown.since)}, are replayed.`)) : null,
    shown.compared === 0
      ? notice("warn", h("p", {}, h("strong", {}, "Not measured."), ` None of ${plural(shown.requests, "request")} in this window could be decided again and priced.`))
      : null,
    stats(
      stat("They cost", shown.recorded_microusd === null ? "not measured" : money(shown.recorded_microusd), `${plural(shown.compared, "request")} that can be compared, at today's prices`),
      stat("They would have cost", cost === null ? "not measured" : money(cost.expected), cost === null ? null : `between ${money(cost.low)} and ${money(cost.high)}`),
      stat(
        "Difference",
        difference === null ? "not measured" : signed(difference.expected),
        difference === null ? null : `${shown.cost_increase === null ? "" : `${percent(shown.cost_increase)}; `}between ${signed(difference.low)} and ${signed(difference.high)}`,
        difference === null || difference.expected === 0 ? null : difference.expected < 0 ? "good" : "warn",
      ),
      stat("Decided otherwise", count(shown.changed), `of ${plural(shown.decided, "decision")} made again`),
    ),
    changes(context, shown),
    h(
      "div",
      { class: "grid after" },
      card(
        "Left out",
        h(
          "dl",
          { class: "facts" },
          h("dt", {}, "Named by their client"),
          h("dd", {}, `${count(shown.named)}; no policy decides those`),
          left.map(([cause, number]) => [h("dt", {}, count(number)), h("dd", {}, CAUSES[cause] ?? words(cause))]),
          h("dt", {}, "Without a price"),
          h("dd", {}, `${count(shown.unpriced)} decided again, but failed, not counted or of unknown price`),
          shown.refused > 0 ? [h("dt", {}, "Refused"), h("dd", {}, `${count(shown.refused)} for which this policy has no target`)] : null,
        ),
      ),
      card(
        "How sure this is",
        h("p", {}, "Another model would have written answers of another length: half to twice as long is allowed for. Cache hits are simulated; the share of them that came true on what was recorded is taken to hold here as well."),
        shown.cache_hits.sessions > 0
          ? h("p", { class: "note" }, `Of simulated hits ${percent(shown.cache_hits.expected)} came true (${percent(shown.cache_hits.low)} to ${percent(shown.cache_hits.high)}), measured on ${plural(shown.cache_hits.sessions, "session")}.`)
          : h("p", { class: "note" }, "No session was recorded with cache figures, so every share of hits is allowed for."),
        h("p", { class: "note" }, `Prices ${shown.price_version}.`),
      ),
      quality(shown.quality),
    ),
  ].filter((node) => node !== null);
}

/** Whether the answers would have been as good: known only of sessions that were begun at random. */
function quality(found) {
  if (found.refusal !== null) {
    return wideCard("Whether the answers would have been as good", notice("warn", h("p", {}, h("strong", {}, "Not measured: "), found.reason, ".")));
  }
  const shown = (one) => (one === null ? "not measured" : `${one.value.toFixed(3)} (${one.low.toFixed(3)} to ${one.high.toFixed(3)})`);
  return wideCard(
    "Whether the answers would have been as good",
    h(
      "dl",
      { class: "facts" },
      h("dt", {}, "As recorded"),
      h("dd", {}, shown(found.logged)),
      h("dt", {}, "Under this policy"),
      h("dd", {}, shown(found.dr ?? found.snips)),
    ),
    h("p", { class: "note" }, "From 0 to 1, estimated from the sessions that exploration sent elsewhere, with a 90 % interval."),
  );
}

const signed = (microusd) => (microusd > 0 ? `+${money(microusd)}` : money(microusd));

function changes(context, shown) {
  return wideCard(
    "What would have come out otherwise, and why",
    table(
      "Changed decisions by reason",
      [
        { label: "Reason", cell: (one) => words(one.code) },
        { label: "Requests", number: true, cell: (one) => count(one.requests) },
        { label: "Difference", number: true, cell: (one) => (one.difference_microusd === null ? "unknown" : signed(one.difference_microusd.expected)) },
        {
          label: "From and to",
          cell: (one) => h("span", { class: "wrap" }, Object.entries(one.moves).slice(0, 3).map(([move, number]) => `${move} (${count(number)})`).join("; ")),
        },
        { label: "For example", cell: (one) => h("span", {}, one.examples.map((id, at) => [at > 0 ? ", " : null, h("a", { href: context.link("request", {}, id) }, `${at + 1}`)])) },
      ],
      shown.changes,
      { empty: "Nothing: every decision would have been the same." },
    ),
  );
}
