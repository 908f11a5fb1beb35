// Elements from values.  Text is always a text node: nothing recorded is ever read as markup.

/** An element; attributes that are null, undefined or false are left out, functions are listeners by event name. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "href") element.setAttribute("href", ownLink(value));
    else if (name === "share") element.style.setProperty("--share", `${value}`);
    else if (name === "start") element.style.setProperty("--start", `${value}`);
    else element.setAttribute(name, value === true ? "" : `${value}`);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map(nodeOf));
  return element;
}

function nodeOf(child) {
  return child instanceof Node ? child : document.createTextNode(`${child}`);
}

/** Links lead to places in this page, whatever they are made of. */
function ownLink(target) {
  return `${target}`.startsWith("#") ? `${target}` : "#";
}

let counter = 0;

/** An id that no other element of the page has. */
export function freshId(stem) {
  counter += 1;
  return `${stem}-${counter}`;
}

/** Say *words* to who hears the page instead of seeing it. */
export function announce(words) {
  const status = document.getElementById("status");
  if (status) status.textContent = words;
}
