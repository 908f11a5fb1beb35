// What the gateway answers.

export class NotAdmitted extends Error {}

export class Failed extends Error {
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const ROOT = "/dashboard/api/";

async function read(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  if (response.ok) return body;
  const detail = body?.detail ?? body?.error?.message ?? `the gateway answered ${response.status}`;
  if (response.status === 401) throw new NotAdmitted(detail);
  throw new Failed(response.status, detail, response.headers.get("retry-after"));
}

async function reach(path, options) {
  try {
    return await fetch(ROOT + path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failed(0, "the gateway does not answer; is it running?");
  }
}

/** JSON of one of the dashboard's routes; *parameters* that are null or empty are left out. */
export async function get(path, parameters = {}, signal = undefined) {
  const asked = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(asked).toString();
  return read(await reach(query ? `${path}?${query}` : path, { signal }));
}

async function post(path, body) {
  return read(await reach(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) }));
}

export const logIn = (key) => post("login", { key, secure: location.protocol === "https:" });
export const logOut = () => post("logout", {});
