"use strict";
// Elements of the page. Texts of runs only ever enter as text, never as markup.

const one = (selector, root = document) => root.querySelector(selector);
const every = (selector, root = document) => [...root.querySelectorAll(selector)];

/** element("td.number", {title: "PSNR", onclick: f}, "32.1", child): null and false are left out. */
function element(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  return filled(node, attributes, children);
}

/** The same for SVG: shape("rect", {x: 0, width: 3}). */
function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

/** Put options [{value, text, group}] into a select and choose one; the choice falls back to the first. */
function setOptions(select, options, chosen) {
  const groups = new Map();
  for (const {value, text, group = ""} of options) {
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(element("option", {value}, text));
  }
  select.replaceChildren(...[...groups].flatMap(([label, nodes]) => label ? [element("optgroup", {label}, nodes)] : nodes));
  const known = options.some(option => String(option.value) === String(chosen));
  select.value = known ? chosen : options[0]?.value ?? "";
  return select.value;
}

/** The value of a property of the style sheet, such as a colour that follows light and dark. */
const styleValue = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
