// Figures as people read them.  Unknown is a word of its own, never 0.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const UNKNOWN = "unknown";
const MINUS = "−\u2060"; // a minus sign that no line ends after

const isUnknown = (value) => value === null || value === undefined;

export function count(value) {
  return isUnknown(value) ? UNKNOWN : WHOLE.format(value);
}

/** 12,345,678 as 12.3M. */
export function short(value) {
  if (isUnknown(value)) return UNKNOWN;
  return Math.abs(value) < 10000 ? WHOLE.format(value) : SHORT.format(value);
}

/** Micro-USD as dollars, with as many digits as it takes to tell it from nothing. */
export function money(microusd) {
  if (isUnknown(microusd)) return UNKNOWN;
  const dollars = microusd / 1e6;
  const size = Math.abs(dollars);
  const digits = size === 0 || size >= 1 ? 2 : size >= 0.01 ? 3 : size >= 0.0001 ? 5 : 6;
  const text = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", minimumFractionDigits: digits > 3 ? digits : 2, maximumFractionDigits: digits });
  return text.format(dollars).replace("-", MINUS);
}

/** A share in [0, 1]. */
export function percent(share, digits = 1) {
  if (isUnknown(share) || Number.isNaN(share)) return UNKNOWN;
  return `${(share * 100).toFixed(digits).replace("-", MINUS)}\u00a0%`;
}

export function ratio(part, whole) {
  return isUnknown(part) || !whole ? null : part / whole;
}

/** Seconds as 850 ms, 2.4 s or 3 min 20 s. */
export function duration(seconds) {
  if (isUnknown(seconds)) return UNKNOWN;
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 99.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.round((seconds % 86400) / 3600)} h`;
}

/** A moment in Unix seconds, in the reader's time zone. */
export function moment(seconds) {
  if (isUnknown(seconds)) return UNKNOWN;
  return new Date(seconds * 1000).toLocaleString(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

export function clockTime(seconds) {
  return isUnknown(seconds) ? UNKNOWN : new Date(seconds * 1000).toLocaleTimeString(undefined, { hour12: false });
}

/** `2026-11-28` as Nov 28. */
export function day(iso) {
  const date = new Date(`${iso}T00:00:00Z`);
  return Number.isNaN(date.getTime()) ? iso : date.toLocaleDateString("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
}

/** `context_too_small` as words. */
export function words(code) {
  return isUnknown(code) || code === "" ? "none given" : `${code}`.replaceAll("_", " ");
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
