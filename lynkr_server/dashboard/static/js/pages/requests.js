import { h } from "../dom.js";
import { plural } from "../format.js";
import { heading, labelled, windowPicker } from "../parts.js";
import { UNSET_WINDOW } from "../windows.js";
import { requestTable } from "./overview.js";

const PAGE = 50;
const TIERS = ["SIMPLE", "MEDIUM", "COMPLEX", "REASONING"];

export async function requests(context) {
  const { window = UNSET_WINDOW, tier = "", provider = "", model = "", session = "", reason = "", error = "", before = "" } = context.asked;
  const rows = await context.get("logs", { window, tier, provider, model, session, reason, error, before, limit: PAGE });
  const filter = (changes) => context.go({ ...changes, before: "" });
  const text = (name, words, value) => labelled(words, h("input", { type: "search", value, spellcheck: "false", autocomplete: "off", change: (event) => filter({ [name]: event.target.value.trim() }) }));
  const last = rows.at(-1);
  return [
    heading("Requests", "Every request that reached a decision, newest first. Each opens its full trace.", windowPicker(context.asked.window, (name) => filter({ window: name }))),
    h(
      "form",
      { class: "filters", "aria-label": "Filters", submit: (event) => event.preventDefault() },
      labelled(
        "Tier",
        h(
          "select",
          { change: (event) => filter({ tier: event.target.value }) },
          h("option", { value: "" }, "all"),
          TIERS.map((value) => h("option", { value, selected: value === tier }, value)),
        ),
      ),
      text("provider", "Provider", provider),
      text("model", "Model", model),
      text("session", "Session", session),
      text("reason", "Reason code", reason),
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", checked: error === "true", change: (event) => filter({ error: event.target.checked ? "true" : "" }) }),
        "Errors only",
      ),
    ),
    h("section", { class: "card", "aria-label": "Requests" }, requestTable(context, rows)),
    h(
      "nav",
      { class: "pager", "aria-label": "Older and newer requests" },
      h("span", { class: "note" }, `${plural(rows.length, "request")} shown`),
      before === "" ? null : h("a", { href: context.link("requests", { ...context.asked, before: "" }) }, "Newest"),
      rows.length < PAGE ? null : h("a", { href: context.link("requests", { ...context.asked, before: last.request_id }) }, "Older"),
    ),
  ];
}
