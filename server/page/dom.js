// dom.js: elements, and numbers as people read them. All text goes in as text nodes: nothing is read as HTML.
'use strict';

const $ = id => document.getElementById(id);

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {}))
    if (name === 'data') Object.assign(element.dataset, value);
    else if (name === 'color') element.style.background = value;
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name, value);
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

const make = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);
const draw = (tag, properties, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), properties, children);

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// ---- numbers ----

function showNumber(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return '–';
  if (n >= 1e6) return (n / 1e6).toFixed(n < 1e7 ? 2 : 1) + ' M';
  if (n >= 1e4) return (n / 1e3).toFixed(1) + ' k';
  if (n >= 100 || Number.isInteger(n)) return n.toFixed(0);
  return n.toFixed(n < 10 ? 2 : 1);
}

// Seconds.
function showTime(s) {
  if (s === null || s === undefined || Number.isNaN(s)) return '–';
  if (s < 0.001) return (s * 1e6).toFixed(0) + ' µs';
  if (s < 1) return (s * 1e3).toFixed(s < 0.01 ? 2 : s < 0.1 ? 1 : 0) + ' ms';
  if (s < 100) return s.toFixed(s < 10 ? 2 : 1) + ' s';
  if (s < 6000) return (s / 60).toFixed(0) + ' min';
  if (s < 360000) return (s / 3600).toFixed(1) + ' h';
  return (s / 86400).toFixed(1) + ' d';
}

const showMicroseconds = us => showTime(us === undefined ? null : us / 1e6);

// ---- the server ----

// The page is at the mount itself; what it asks for is below.
const base = location.pathname.replace(/\/+$/, '');

async function ask(path, options) {
  const response = await fetch(`${base}/${path}`, {cache: 'no-store', signal: AbortSignal.timeout(6000), ...options});
  const type = response.headers.get('Content-Type') || '';
  if (!type.startsWith('application/json')) throw new Error(`the answer is ${response.status} ${response.statusText}`);
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error);
  return answer;
}
