import { h } from "../dom.js";
import { count, money, moment, percent, short } from "../format.js";
import { heading, table, windowPicker } from "../parts.js";
import { UNSET_WINDOW } from "../windows.js";

export async function sessions(context) {
  const { window = UNSET_WINDOW, order = "recent" } = context.asked;
  const shown = await context.get("sessions", { window, order });
  const by = (name, words) => h("button", { type: "button", "aria-pressed": name === order ? "true" : "false", click: () => context.go({ order: name }) }, words);
  return [
    heading(
      "Sessions",
      "Conversations, by the id or the opening their client gave. Each opens its cost and context, call by call.",
      h("div", { class: "segments", role: "group", "aria-label": "Order" }, by("recent", "Newest"), by("cost", "Dearest")),
      windowPicker(context.asked.window, (name) => context.go({ window: name })),
    ),
    h(
      "section",
      { class: "card", "aria-label": "Sessions" },
      table(
        "Sessions",
        [
          { label: "Session", cell: (one) => h("a", { class: "wrap", href: context.link("session", {}, one.session) }, one.session) },
          { label: "Last call", cell: (one) => h("span", { class: "nowrap" }, moment(one.lastSeen)) },
          { label: "Calls", number: true, cell: (one) => count(one.requests) },
          { label: "Failed", number: true, cell: (one) => count(one.failed) },
          { label: "Input", number: true, cell: (one) => short(one.inputTokens) },
          { label: "From cache", number: true, cell: (one) => percent(one.cacheReadShare, 0) },
          { label: "Output", number: true, cell: (one) => short(one.outputTokens) },
          { label: "Cost", number: true, cell: (one) => money(one.costMicrousd) },
          { label: "Saved", number: true, cell: (one) => money(one.savedMicrousd) },
        ],
        shown.sessions,
        { empty: "No session in this window. Clients name theirs with x-session-id or what their dialect has for it." },
      ),
      shown.more ? h("p", { class: "note" }, `The first ${count(shown.sessions.length)} are shown.`) : null,
    ),
  ];
}
