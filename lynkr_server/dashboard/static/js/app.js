// The shell: which page, for whom, in which colours.

import { NotAdmitted, get, logIn, logOut } from "./api.js";
import { forget, redraw } from "./chart.js";
import { announce, h } from "./dom.js";
import { heading, labelled, notice } from "./parts.js";
import { insights } from "./pages/insights.js";
import { overview } from "./pages/overview.js";
import { policy } from "./pages/policy.js";
import { request } from "./pages/request.js";
import { requests } from "./pages/requests.js";
import { routing } from "./pages/routing.js";
import { session } from "./pages/session.js";
import { sessions } from "./pages/sessions.js";
import { usage } from "./pages/usage.js";

const NAVIGATION = [
  ["overview", "Overview"],
  ["usage", "Usage"],
  ["routing", "Routing"],
  ["requests", "Requests"],
  ["sessions", "Sessions"],
  ["insights", "Insights"],
  ["policy", "Policy"],
];
const PAGES = { overview, usage, routing, requests, request, sessions, session, insights, policy };
const BELONGS = { request: "requests", session: "sessions" };

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const leave = document.getElementById("leave");
let admitted = false;
let under = null; // ends what the page of the moment still does

/** `#/usage?window=7d` as page, the id behind it, and parameters. */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  let id = null;
  try {
    id = rest.length > 0 ? decodeURIComponent(rest.join("/")) : null;
  } catch {
    id = null;
  }
  return { name: Object.hasOwn(PAGES, name) ? name : "overview", id, asked: Object.fromEntries(new URLSearchParams(query)) };
}

/** Where a page is, with parameters; those that are null or empty are left out. */
function link(name, parameters = {}, id = null) {
  const asked = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(asked).toString();
  return `#/${name}${id === null ? "" : `/${encodeURIComponent(id)}`}${query ? `?${query}` : ""}`;
}

function drawNavigation(current) {
  nav.replaceChildren(...NAVIGATION.map(([name, words]) => h("a", { href: link(name), "aria-current": name === (BELONGS[current] ?? current) ? "page" : null }, words)));
  nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

async function show({ focus }) {
  under?.abort();
  const mine = new AbortController();
  under = mine;
  const at = place();
  drawNavigation(at.name);
  document.title = `lynkr: ${NAVIGATION.find(([name]) => name === (BELONGS[at.name] ?? at.name))[1]}`;
  main.setAttribute("aria-busy", "true");
  const context = {
    id: at.id,
    asked: at.asked,
    get: (path, parameters) => get(path, parameters, mine.signal),
    go: (changes) => {
      location.hash = link(at.name, { ...at.asked, ...changes }, at.id);
    },
    link,
    signal: mine.signal,
  };
  try {
    if (!admitted) admitted = (await get("session", {}, mine.signal)).admitted;
    if (!admitted) throw new NotAdmitted("not logged in yet");
    const nodes = await PAGES[at.name](context);
    if (mine.signal.aborted) return;
    fill(nodes);
    nav.hidden = false;
    leave.hidden = false;
    if (focus) main.querySelector("h1")?.focus({ preventScroll: true });
    announce(`${main.querySelector("h1")?.textContent ?? "Page"} loaded`);
    context.mounted?.();
  } catch (error) {
    if (mine.signal.aborted) return;
    if (error instanceof NotAdmitted) askForKey();
    else showFailure(error);
  } finally {
    if (under === mine) main.removeAttribute("aria-busy");
  }
}

function fill(nodes) {
  main.replaceChildren(...[nodes].flat(Infinity).filter((node) => node));
  forget();
}

function showFailure(error) {
  fill([
    heading("This page could not be read", null),
    notice("bad", h("p", {}, error.message), h("p", {}, h("button", { type: "button", click: () => show({ focus: true }) }, "Try again"))),
  ]);
  announce(error.message);
}

function askForKey() {
  admitted = false;
  nav.hidden = true;
  leave.hidden = true;
  const field = h("input", { type: "password", name: "key", autocomplete: "current-password", required: true, spellcheck: "false" });
  const said = h("p", { class: "said", role: "alert" });
  const submit = h("button", { type: "submit", class: "primary" }, "Open the dashboard");
  const enter = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    said.textContent = "";
    try {
      await logIn(field.value);
      await show({ focus: true });
    } catch (error) {
      const wait = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
      said.textContent = error instanceof NotAdmitted ? "That is not this dashboard's key." : `${error.message}.${wait}`;
      field.select();
    } finally {
      submit.disabled = false;
    }
  };
  fill([
    h(
      "form",
      { class: "login", submit: enter },
      h("h1", { tabindex: "-1" }, "Log in"),
      h("input", { type: "text", name: "username", autocomplete: "username", value: "lynkr dashboard", hidden: true }),
      h("p", {}, "With the dashboard's own key: the one in ", h("code", {}, "server.admin_key"), ", or the one that ", h("code", {}, "lynkr serve --dashboard"), " printed. Clients' keys do not open it."),
      labelled("Key", field),
      said,
      submit,
    ),
  ]);
  document.title = "lynkr: log in";
  field.focus();
}

// ------------------------------------------------------------------ colours

const THEMES = ["system", "light", "dark"];
const themeButton = document.getElementById("theme");

function chosenTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

function nameTheme() {
  themeButton.textContent = `Theme: ${chosenTheme()}`;
}

themeButton.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(chosenTheme()) + 1) % THEMES.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem("lynkr-theme");
    else localStorage.setItem("lynkr-theme", next);
  } catch (error) {
    announce(`the choice lasts until this page is closed: ${error.message}`);
  }
  nameTheme();
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

leave.addEventListener("click", async () => {
  try {
    await logOut();
  } finally {
    askForKey();
  }
});
addEventListener("hashchange", () => show({ focus: true }));
nameTheme();
show({ focus: false });
