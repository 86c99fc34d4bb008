"use strict";

// Elements, words and numbers. Text from hosts and users only ever becomes a text node or the value of an attribute.

const SVG = "http://www.w3.org/2000/svg";
// Units by the endings of series' names, and the numbers that scales are made of: written by static_page.py from units.py and scales.py.
const NUMBERS = JSON.parse(document.getElementById("otto-numbers").textContent);
const NO_VALUE = "–";

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svgElement(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function byId(id) {
  return document.getElementById(id);
}

// Writing the same text again would still cost a layout.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// --- names of series

function metricOf(series) {
  return series.split("[", 1)[0];
}

function labelOf(series) {
  const begin = series.indexOf("[");
  return begin < 0 ? "" : series.slice(begin + 1).replace(/\]$/, "");
}

function unitOf(series) {
  const metric = metricOf(series);
  return NUMBERS.endings.find(([ending]) => metric.endsWith(ending))?.[1] ?? "";
}

function titleOf(series) {
  const metric = metricOf(series);
  const ending = NUMBERS.endings.find(([known]) => metric.endsWith(known) && metric.length > known.length)?.[0] ?? "";
  const title = metric.slice(0, metric.length - ending.length).replaceAll("_", " ");
  const label = labelOf(series);
  return label ? `${title} · ${label}` : title;
}

function unitText(unit) {
  return unit === "celsius" ? "°C" : unit;
}

// --- numbers

function numberText(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(3))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size >= 100) return value.toFixed(0);
  if (size >= 1 || size === 0) return String(Number(value.toFixed(1)));
  return String(Number(value.toPrecision(2)));
}

function isBytes(unit) {
  return unit === "B" || unit === "B/s";
}

function valueText(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return NO_VALUE;
  if (isBytes(unit)) return bytesText(value, unit);
  const text = unit === "%" ? value.toFixed(1) : numberText(value);
  return unit ? `${text} ${unitText(unit)}` : text;
}

// Where there is little room and the unit stands nearby.
function shortText(value, unit) {
  if (Number.isNaN(value)) return NO_VALUE;
  if (isBytes(unit)) return bytesText(value, "").trim();
  return unit === "%" ? value.toFixed(1) : numberText(value);
}

function bytesText(value, unit) {
  const power = powerOf1024(Math.abs(value));
  const number = value / 1024 ** power;
  const digits = power === 0 || Math.abs(number) >= 100 ? 0 : 1;
  return `${number.toFixed(digits)} ${NUMBERS.prefixes[power]}${unit}`;
}

function powerOf1024(size) {
  return Math.max(0, NUMBERS.prefixes.findLastIndex((_, power) => size >= 1024 ** power));
}

// An axis from its lowest to its highest tick: zero, or what is below it, to at least `high`. By the rules of scales.py.
function valueScale(low, high, unit) {
  low = Math.min(0, low);
  high = Math.max(0, high);
  if (unit === "%" && low === 0) {
    if (high > NUMBERS.near_all_percent && high <= 100) return { low: 0, high: 100, step: 50, unit };
    high = Math.max(high, NUMBERS.least_percent);
  }
  const factor = isBytes(unit) ? 1024 ** powerOf1024(Math.max(high, -low)) : 1;
  const step = high > low ? niceStep((high - low) / factor / 3) * factor : 1;
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  return { low: first * step, high: last * step, step, unit };
}

function scaleTicks(scale) {
  const count = Math.round((scale.high - scale.low) / scale.step);
  return Array.from({ length: count + 1 }, (_, index) => scale.low + index * scale.step);
}

function tickText(value, scale) {
  if (!isBytes(scale.unit)) return scale.unit === "%" ? `${numberText(value)} %` : numberText(value);
  const power = powerOf1024(Math.max(scale.high, -scale.low));
  return value === 0 ? "0" : `${numberText(value / 1024 ** power)} ${NUMBERS.prefixes[power]}${scale.unit}`;
}

// The first of 1, 2, 5, 10, 20 and so on that is not less.
function niceStep(least) {
  if (!(least >= NUMBERS.least_step)) return NUMBERS.least_step;
  const power = 10 ** Math.floor(Math.log10(least));
  return NUMBERS.nice.map((factor) => factor * power).find((step) => step >= least);
}

// --- times

function two(number) {
  return String(number).padStart(2, "0");
}

function clockText(time_s, step_s = 1) {
  const date = new Date(time_s * 1000);
  const minutes = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (step_s >= 60) return minutes;
  const seconds = `${minutes}:${two(date.getSeconds())}`;
  return step_s >= 1 ? seconds : `${seconds}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function dayText(time_s) {
  const date = new Date(time_s * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function rangeText(from, to) {
  const same = dayText(from) === dayText(to);
  const step = to - from < 2 ? 0.1 : 1;
  return `${dayText(from)} ${clockText(from, step)} – ${same ? "" : `${dayText(to)} `}${clockText(to, step)}`;
}

function lengthText(length_s) {
  if (length_s < 1) return `${Math.round(length_s * 1000)} ms`;
  if (length_s < 60) return `${Number(length_s.toPrecision(3))} s`;
  const hours = length_s >= 3600;
  const total = Math.round(length_s / (hours ? 60 : 1));
  const rest = total % 60;
  return `${Math.floor(total / 60)} ${hours ? "h" : "min"}${rest ? ` ${rest} ${hours ? "min" : "s"}` : ""}`;
}

// What a field of the kind datetime-local takes: the local time, with milliseconds.
function fieldTime(time_s) {
  return `${dayText(time_s)}T${clockText(time_s, 0.001)}`;
}

// Times that people like, in their own time zone, as many as there is room for.
function timeTicks(from, to, width) {
  const most = Math.max(2, Math.floor(width / 90));
  const days = (to - from) / NUMBERS.day_s;
  const step = NUMBERS.time_steps_s.find((size) => (to - from) / size <= most) ?? niceStep(Math.max(1, days / most)) * NUMBERS.day_s;
  const zone_s = new Date(from * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  for (let at = Math.ceil((from - zone_s) / step) * step + zone_s; at <= to; at += step) ticks.push(at);
  return { ticks, step };
}

function tickClock(time_s, step) {
  const date = new Date(time_s * 1000);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  return step >= 60 && midnight ? `${two(date.getMonth() + 1)}-${two(date.getDate())}` : clockText(time_s, step);
}

// --- search

// Words that name hosts or tags choose hosts; words that fit no host choose metrics.
function parseSearch(text, hosts) {
  const wanted = { hostWords: [], tagWords: [], metricWords: [], text: text.trim().toLowerCase() };
  for (const word of wanted.text.split(/\s+/).filter(Boolean)) {
    const [, kind, rest] = /^(host|tag|metric):(.*)$/.exec(word) ?? [null, "", word];
    if (!rest) continue;
    if (kind === "tag") wanted.tagWords.push(rest);
    else if (kind === "metric") wanted.metricWords.push(rest);
    else if (kind === "host" || hosts.some((host) => hostHas(host, rest))) wanted.hostWords.push(rest);
    else wanted.metricWords.push(rest);
  }
  return wanted;
}

function hostHas(host, word) {
  return [host.name, ...host.tags, ...host.path].some((text) => text.toLowerCase().includes(word));
}

function hostFits(host, wanted) {
  if (!wanted.hostWords.every((word) => hostHas(host, word))) return false;
  if (!wanted.tagWords.every((word) => host.tags.some((tag) => tag.toLowerCase().includes(word)))) return false;
  if (!wanted.metricWords.length) return true;
  return [...host.series.keys()].some((name) => metricFits(name, wanted));
}

function metricFits(series, wanted) {
  const text = `${series} ${titleOf(series)}`.toLowerCase();
  return wanted.metricWords.every((word) => text.includes(word));
}
