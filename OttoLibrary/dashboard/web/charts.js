"use strict";

// Drawing: the range of time that all charts share, and the charts. Axes are uPlot's; lines are traced here, because hosts have
// different times, lines must break where a host was away, and fifty small charts have to move together.

const SHORTEST_S = 0.5;
const SETTLE_MS = 150;
const CLICK_PX = 4;
const NEAR_PX = 5;
const COLORS = 8;
const DASHES = [[], [6, 3], [2, 3], [9, 3, 2, 3]];
const EVENT_TONES = { error: "bad", limit: "bad", reboot: "bad", mark: "mark", span: "mark", gap: "gap" };
const LASTING = new Set(["span", "gap"]);

// --- the shared view

class View {
  constructor(store) {
    this.store = store;
    this.from = 0;
    this.to = 1;
    this.hover = null;
    this.following = false;
    this.followed_s = 900;
    this.onRange = () => {};
    this.onHover = () => {};
  }

  get length() {
    return this.to - this.from;
  }

  // Everything; a run that has just begun gets the width that it will soon need.
  whole() {
    const { began } = this.store.page;
    return [began, Math.max(this.store.end, began + 10)];
  }

  set(from, to) {
    const [begin, end] = this.whole();
    const length = Math.min(Math.max(to - from, SHORTEST_S), end - begin);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - length / 2, begin), end - length);
    this.to = this.from + length;
    this.onRange();
  }

  // Any action of a user ends following.
  choose(from, to) {
    this.following = false;
    this.set(from, to);
  }

  pan(share) {
    const step = share * this.length;
    this.choose(this.from + step, this.to + step);
  }

  zoom(factor, center = this.hover ?? (this.from + this.to) / 2) {
    this.choose(center - (center - this.from) * factor, center + (this.to - center) * factor);
  }

  reset() {
    if (this.store.page.mode === "live" && this.store.page.ended === null) this.follow();
    else this.choose(...this.whole());
  }

  follow() {
    this.following = true;
    const [begin, end] = this.whole();
    this.from = Math.max(begin, end - this.followed_s);
    this.to = end;
    this.onRange();
  }

  point(time) {
    this.hover = time;
    this.onHover();
  }
}

// --- colours

// Canvases need colours as numbers; the style sheet has them for both themes, and the browser resolves them.
class Palette {
  constructor() {
    this.probe = element("span", { hidden: true });
    document.body.append(this.probe);
    this.read();
  }

  read() {
    this.known = new Map();
  }

  get(name) {
    if (!this.known.has(name)) {
      this.probe.style.color = `var(--${name})`;
      this.known.set(name, getComputedStyle(this.probe).color);
    }
    return this.known.get(name);
  }

  line(index) {
    return this.get(`line-${index % COLORS}`);
  }

  faint(name, alpha) {
    return this.get(name).replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
  }
}

function dashOf(index) {
  return DASHES[Math.floor(index / COLORS) % DASHES.length];
}

// --- lines

// Puts a line on a canvas, at most four points for each column of pixels: the peaks stay, the cost does not grow with the readings.
class Pen {
  constructor(line, area, bottom) {
    this.line = line;
    this.area = area;
    this.bottom = bottom;
    this.down = false;
  }

  start(x, y) {
    this.lift();
    this.down = true;
    this.line.moveTo(x, y);
    // A single reading is a dot, not nothing.
    this.line.lineTo(x + 1.5, y);
    this.line.moveTo(x, y);
    this.area?.moveTo(x, this.bottom);
    this.keep(x, y);
    this.area?.lineTo(x, y);
  }

  to(x, y) {
    if ((x | 0) === this.column) {
      if (y < this.top) this.top = y;
      if (y > this.base) this.base = y;
      this.x = x;
      this.y = y;
      return;
    }
    this.flush();
    this.line.lineTo(x, y);
    this.area?.lineTo(x, y);
    this.keep(x, y);
  }

  keep(x, y) {
    this.column = x | 0;
    this.x = x;
    this.y = this.top = this.base = y;
  }

  flush() {
    if (this.top === this.base) return;
    this.line.lineTo(this.x, this.top);
    this.line.lineTo(this.x, this.base);
    this.line.lineTo(this.x, this.y);
    this.area?.lineTo(this.x, this.top);
    this.area?.lineTo(this.x, this.y);
  }

  lift() {
    if (!this.down) return;
    this.down = false;
    this.flush();
    this.area?.lineTo(this.x, this.bottom);
  }
}

function trace(history, name, view, box, scale, line, area = null) {
  const values = history.columns.get(name);
  if (!values || !history.count) return;
  const { times, thinRows } = history;
  const gap_s = history.gapOf(name);
  const [first, last] = history.rowsToDraw(name, view.from, view.to);
  const wide = box.width / view.length;
  const high = box.height / (scale.high - scale.low);
  const bottom = box.top + box.height;
  const pen = new Pen(line, area, bottom);
  let before = -Infinity;
  for (let row = first; row <= last; row++) {
    const value = values[row];
    if (value !== value) continue;
    const time = times[row];
    const x = box.left + (time - view.from) * wide;
    const y = bottom - (value - scale.low) * high;
    if (time - before > (row < thinRows ? gap_s * THINNED_ROWS : gap_s)) pen.start(x, y);
    else pen.to(x, y);
    before = time;
  }
  pen.lift();
}

// --- events on charts

function eventEnd(event, view) {
  if (event.until !== null && event.until !== undefined) return event.until;
  return LASTING.has(event.kind) ? Math.max(view.to, event.at) : event.at;
}

function drawEvents(context, events, view, box, palette) {
  const wide = box.width / view.length;
  for (const event of events) {
    const until = eventEnd(event, view);
    if (until < view.from || event.at > view.to) continue;
    const tone = EVENT_TONES[event.kind] ?? "note";
    const left = box.left + Math.max(0, (event.at - view.from) * wide);
    const right = box.left + Math.min(box.width, (until - view.from) * wide);
    if (right - left > 1) {
      context.fillStyle = palette.faint(`event-${tone}`, tone === "gap" ? 0.16 : 0.1);
      context.fillRect(left, box.top, right - left, box.height);
    }
    context.fillStyle = palette.faint(`event-${tone}`, tone === "note" ? 0.35 : 0.8);
    const line = Math.max(1, Math.round(devicePixelRatio));
    if (event.at >= view.from && tone !== "gap") context.fillRect(Math.round(left), box.top, line, box.height);
    if (until > event.at && until <= view.to && tone !== "gap")
      context.fillRect(Math.round(right) - line, box.top, line, box.height);
  }
}

function eventsNear(events, time, view, width) {
  const near_s = (NEAR_PX / width) * view.length;
  return events.filter((event) => time >= event.at - near_s && time <= eventEnd(event, view) + near_s);
}

// --- the stage: draws what is on the screen, at most once for each frame

class Stage {
  constructor(store, view) {
    this.store = store;
    this.view = view;
    this.palette = new Palette();
    this.tip = new Tip(this);
    this.gestures = new Gestures(this);
    this.panes = new Map();
    this.fixed = [];
    this.frame = null;
    this.onSettled = () => {};
    this.seen = new IntersectionObserver((entries) => this.sight(entries), { rootMargin: "120px 0px" });
    this.sized = new ResizeObserver((entries) => {
      for (const entry of entries) this.paneOf(entry.target)?.resized(entry.contentRect);
      this.redraw();
    });
    view.onRange = () => this.redraw();
    view.onHover = () => this.request("hoverWanted");
  }

  add(pane) {
    this.panes.set(pane.element, pane);
    this.seen.observe(pane.element);
    this.sized.observe(pane.element);
  }

  // A pane that is always there and needs no readings, such as the strip.
  addFixed(pane) {
    this.fixed.push(pane);
    this.sized.observe(pane.element);
  }

  clear() {
    for (const pane of this.panes.values()) {
      this.seen.unobserve(pane.element);
      this.sized.unobserve(pane.element);
      pane.destroy?.();
    }
    this.panes.clear();
    this.tip.hide();
  }

  paneOf(node) {
    return this.panes.get(node) ?? this.fixed.find((pane) => pane.element === node);
  }

  sight(entries) {
    for (const entry of entries) {
      const pane = this.panes.get(entry.target);
      if (!pane) continue;
      pane.visible = entry.isIntersecting;
      if (pane.visible) pane.dirty = pane.unsettled = true;
    }
    this.looked = true;
    this.loadVisible();
    this.request("drawWanted");
  }

  visible() {
    return [...this.panes.values()].filter((pane) => pane.visible);
  }

  loadVisible() {
    for (const pane of this.visible()) pane.hosts.forEach((host) => this.store.load(host));
  }

  loaded(host) {
    for (const pane of this.panes.values()) if (pane.hosts.includes(host)) pane.dirty = pane.unsettled = true;
    this.request("drawWanted");
  }

  redraw() {
    for (const pane of [...this.panes.values(), ...this.fixed]) pane.dirty = pane.unsettled = true;
    this.request("drawWanted");
  }

  request(what) {
    this[what] = true;
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = null;
    const shown = [...this.visible(), ...this.fixed];
    if (this.drawWanted) {
      for (const pane of shown) {
        if (!pane.dirty || !pane.width) continue;
        pane.dirty = false;
        pane.draw();
      }
      this.settleLater();
    }
    for (const pane of shown) pane.showCursor();
    this.drawWanted = this.hoverWanted = false;
    if (this.looked && !this.store.busy) this.onSettled();
  }

  // Numbers of the visible range need sorting: they wait until the view rests, or for a quarter of a second of movement.
  settleLater() {
    const now = performance.now();
    this.unsettledSince ??= now;
    clearTimeout(this.settleTimer);
    const wait_ms = now - this.unsettledSince > 1000 ? 0 : SETTLE_MS;
    this.settleTimer = setTimeout(() => this.settle(), wait_ms);
  }

  settle() {
    this.unsettledSince = null;
    for (const pane of [...this.visible(), ...this.fixed]) {
      if (!pane.unsettled) continue;
      pane.unsettled = false;
      pane.settle?.();
    }
  }
}

// --- gestures, the same on all charts

class Gestures {
  constructor(stage) {
    this.stage = stage;
    this.view = stage.view;
    this.onMark = () => {};
  }

  attach(pane) {
    const { over } = pane;
    over.addEventListener("pointermove", (event) => this.move(event, pane));
    over.addEventListener("pointerleave", () => {
      if (!this.drag) this.leave();
    });
    over.addEventListener("pointerdown", (event) => this.press(event, pane));
    over.addEventListener("pointerup", (event) => this.release(event, pane));
    over.addEventListener("pointercancel", () => this.abort(pane));
    over.addEventListener("dblclick", () => this.view.reset());
    over.addEventListener("wheel", (event) => this.wheel(event, pane), { passive: false });
  }

  time(event, pane) {
    const box = pane.over.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    return this.view.from + share * this.view.length;
  }

  press(event, pane) {
    if (event.button !== 0 || event.target.closest("a, button")) return;
    const kind = event.shiftKey || event.pointerType === "touch" ? "pan" : event.ctrlKey || event.metaKey ? "mark" : "zoom";
    this.drag = { kind, pane, x: event.clientX, time: this.time(event, pane), from: this.view.from, to: this.view.to };
    pane.over.setPointerCapture(event.pointerId);
  }

  move(event, pane) {
    const { drag } = this;
    if (!drag) return this.point(event, pane);
    if (Math.abs(event.clientX - drag.x) < CLICK_PX && !drag.moved) return undefined;
    drag.moved = true;
    if (drag.kind === "pan") {
      const passed_s = ((event.clientX - drag.x) / drag.pane.width) * (drag.to - drag.from);
      return this.view.choose(drag.from - passed_s, drag.to - passed_s);
    }
    drag.pane.showSelection(drag.time, this.time(event, drag.pane), drag.kind);
    return this.view.point(this.time(event, drag.pane));
  }

  point(event, pane) {
    this.view.point(this.time(event, pane));
    this.stage.tip.show(pane, event);
  }

  leave() {
    this.view.point(null);
    this.stage.tip.hide();
  }

  release(event, pane) {
    const { drag } = this;
    this.abort(pane);
    if (!drag) return;
    const [from, to] = [drag.time, this.time(event, drag.pane)].sort((a, b) => a - b);
    if (drag.kind === "zoom" && drag.moved) this.view.choose(from, to);
    if (drag.kind === "mark") this.onMark(from, drag.moved ? to : null, drag.pane.host ?? "");
    if (event.pointerType === "touch" && !drag.moved) this.point(event, pane);
  }

  abort() {
    this.drag?.pane.hideSelection();
    this.drag = null;
  }

  // The wheel alone scrolls the page: a chart does not catch it.
  wheel(event, pane) {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey) this.view.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.time(event, pane));
    else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) this.view.pan(sideways / pane.width);
    else return;
    event.preventDefault();
  }
}

// --- the tip beside the pointer

class Tip {
  constructor(stage) {
    this.stage = stage;
    this.node = byId("tip");
  }

  show(pane, event) {
    const time = this.stage.view.hover;
    const rows = pane.tipRows(time, event);
    const events = eventsNear(this.stage.store.eventsOf(pane.host), time, this.stage.view, pane.width);
    this.node.replaceChildren(
      element("strong", {}, clockText(time, this.stage.view.length < 30 ? 0.1 : 1)),
      ...rows.map((row) => this.row(row)),
      ...events.slice(0, 6).map((one) => this.eventRow(one)),
    );
    this.node.hidden = false;
    this.place(event);
  }

  row({ color, name, value }) {
    const swatch = element("span", { class: "swatch" });
    swatch.style.background = color;
    return element("div", { class: "tip-row" }, swatch, element("span", {}, name), element("b", {}, value));
  }

  eventRow(event) {
    const tone = EVENT_TONES[event.kind] ?? "note";
    const length = event.until ? ` (${lengthText(event.until - event.at)})` : "";
    return element("div", { class: `tip-event tone-${tone}` }, `${event.text || event.kind}${length}`);
  }

  showText(lines, event) {
    this.node.replaceChildren(...lines.map((line, index) => element(index ? "div" : "strong", {}, line)));
    this.node.hidden = false;
    this.place(event);
  }

  place(event) {
    const { width, height } = this.node.getBoundingClientRect();
    const left = event.clientX + 14 + width > innerWidth ? event.clientX - 14 - width : event.clientX + 14;
    const top = Math.min(event.clientY + 14, innerHeight - height - 4);
    this.node.style.transform = `translate(${Math.round(Math.max(4, left))}px, ${Math.round(Math.max(4, top))}px)`;
  }

  hide() {
    this.node.hidden = true;
  }
}

// --- panes: what has a width of time

class Pane {
  constructor(stage, hosts) {
    this.stage = stage;
    this.view = stage.view;
    this.store = stage.store;
    this.hosts = hosts;
    this.host = hosts.length === 1 ? hosts[0] : null;
    this.width = 0;
    this.cursor = element("div", { class: "cursor", hidden: true });
    this.selection = element("div", { class: "selection", hidden: true });
  }

  // `over` covers the plot exactly.
  watch(over) {
    this.over = over;
    over.classList.add("plot");
    over.append(this.selection, this.cursor);
    this.stage.gestures.attach(this);
  }

  resized({ width }) {
    this.width = width;
  }

  x(time) {
    return ((time - this.view.from) / this.view.length) * this.width;
  }

  showCursor() {
    const { hover } = this.view;
    const x = hover === null ? -1 : this.x(hover);
    this.cursor.hidden = x < 0 || x > this.width;
    if (!this.cursor.hidden) this.cursor.style.transform = `translateX(${x}px)`;
    this.showValues?.();
  }

  showSelection(from, to, kind) {
    const [left, right] = [this.x(from), this.x(to)].sort((a, b) => a - b);
    this.selection.hidden = false;
    this.selection.dataset.kind = kind;
    this.selection.style.transform = `translateX(${left}px)`;
    this.selection.style.width = `${right - left}px`;
  }

  hideSelection() {
    this.selection.hidden = true;
  }

  history(host) {
    return this.store.hosts.get(host).history;
  }

  // The value of a series at the cursor, or else at the end of the visible range.
  valueNow(host, name) {
    const history = this.history(host);
    return this.view.hover === null ? history.latest(name, this.view.to) : history.at(name, this.view.hover);
  }

  tipRows() {
    return [];
  }
}

// One line without axes.
class Spark extends Pane {
  constructor(stage, host, name, options = {}) {
    super(stage, [host]);
    this.name = name;
    this.unit = stage.store.hosts.get(host).series.get(name).unit;
    this.color = options.color ?? "line-0";
    this.scaleOf = options.scaleOf ?? null;
    this.canvas = element("canvas");
    this.element = element("div", { class: "spark", "aria-hidden": "true" }, this.canvas);
    this.onValue = () => {};
    this.onSettle = () => {};
    this.watch(this.element);
  }

  resized({ width, height }) {
    const ratio = devicePixelRatio;
    this.width = width;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
  }

  scale() {
    if (this.scaleOf) return this.scaleOf();
    if (this.unit === "%") return { low: 0, high: 100 };
    const [low, high] = this.history(this.host).extent(this.name, this.view.from, this.view.to);
    return low <= high ? valueScale(low, high, this.unit) : { low: 0, high: 1 };
  }

  draw() {
    const { canvas, stage } = this;
    const ratio = devicePixelRatio;
    const context = canvas.getContext("2d");
    const box = { left: 0, top: 2 * ratio, width: canvas.width, height: canvas.height - 3 * ratio };
    context.clearRect(0, 0, canvas.width, canvas.height);
    drawEvents(context, this.store.eventsOf(this.host), this.view, { ...box, top: 0, height: canvas.height }, stage.palette);
    const line = new Path2D();
    const area = new Path2D();
    trace(this.history(this.host), this.name, this.view, box, this.scale(), line, area);
    context.fillStyle = stage.palette.faint(this.color, 0.14);
    context.fill(area);
    context.strokeStyle = stage.palette.get(this.color);
    // A browser without a graphics card draws lines of one pixel more than twice as fast as any others.
    context.lineWidth = ratio;
    context.lineJoin = "bevel";
    context.stroke(line);
  }

  showValues() {
    if (this.history(this.host).loaded) this.onValue(this.valueNow(this.host, this.name));
  }

  settle() {
    this.onSettle(this.history(this.host).statistics(this.name, this.view.from, this.view.to));
  }

  tipRows(time) {
    const value = valueText(this.history(this.host).at(this.name, time), this.unit);
    return [{ color: this.stage.palette.get(this.color), name: `${this.host} · ${titleOf(this.name)}`, value }];
  }
}

// Several lines with axes. A line is {host, name, text, unit, index, color}.
class Chart extends Pane {
  constructor(stage, lines, options = {}) {
    super(stage, [...new Set(lines.map((line) => line.host))]);
    this.lines = lines;
    this.many = options.many ?? false;
    this.height = options.height ?? 170;
    this.unit = lines[0].unit;
    this.strong = null;
    this.element = element("div", { class: "chart", role: "img", "aria-label": options.label });
    this.element.style.height = `${this.height}px`;
    this.onValues = () => {};
    this.onSettle = () => {};
    this.onStrong = () => {};
    this.scale = { low: 0, high: 1, step: 1, unit: this.unit };
  }

  resized({ width }) {
    this.outer = Math.floor(width);
    if (this.plot) this.plot.setSize({ width: this.outer, height: this.height });
    else this.width = this.outer;
  }

  make() {
    this.plot = new uPlot(
      this.options(),
      [
        [this.view.from, this.view.to],
        [null, null],
      ],
      this.element,
    );
    this.watch(this.plot.over);
  }

  options() {
    const axis = { stroke: () => this.stage.palette.get("muted"), font: "11px system-ui, sans-serif" };
    const takeWidth = (plot) => {
      this.width = plot.bbox.width / devicePixelRatio;
    };
    const thin = { stroke: () => this.stage.palette.get("grid"), width: 1, size: 4 };
    return {
      width: this.outer,
      height: this.height,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 8, 0, 0],
      scales: {
        x: { time: false, range: () => [this.view.from, this.view.to] },
        y: { range: () => [this.scale.low, this.scale.high] },
      },
      axes: [
        {
          ...axis,
          grid: thin,
          ticks: thin,
          size: 24,
          gap: 3,
          splits: (plot) => this.timeSplits(plot),
          values: (plot, ticks) => ticks.map((at) => tickClock(at, this.timeStep)),
        },
        {
          ...axis,
          grid: thin,
          ticks: { show: false },
          size: 62,
          gap: 6,
          splits: () => scaleTicks(this.scale),
          values: (plot, ticks) => ticks.map((value) => tickText(value, this.scale)),
        },
      ],
      series: [{}, {}],
      hooks: { draw: [(plot) => this.drawLines(plot.ctx, plot.bbox)], ready: [takeWidth], setSize: [takeWidth] },
    };
  }

  timeSplits(plot) {
    const { ticks, step } = timeTicks(this.view.from, this.view.to, plot.bbox.width / devicePixelRatio);
    this.timeStep = step;
    return ticks;
  }

  // The more lines there are, the fainter each is: the crowd shows where it is dense.
  crowdAlpha() {
    return Math.min(0.45, Math.max(0.1, this.width / (this.lines.length * 60)));
  }

  // The strong line comes last: it is above the others.
  drawLines(context, box) {
    const clip = new Path2D();
    clip.rect(box.left, box.top - 2, box.width, box.height + 4);
    context.save();
    context.clip(clip);
    drawEvents(context, this.store.eventsOf(this.host), this.view, box, this.stage.palette);
    context.lineJoin = "bevel";
    for (const line of this.lines) if (line !== this.strong) this.drawLine(context, box, line);
    if (this.strong) this.drawLine(context, box, this.strong);
    context.restore();
  }

  drawLine(context, box, line) {
    const path = new Path2D();
    trace(this.history(line.host), line.name, this.view, box, this.scale, path);
    context.strokeStyle = this.strokeOf(line);
    context.lineWidth = (line === this.strong ? 2 : this.many ? 1 : 1.5) * devicePixelRatio;
    context.setLineDash(dashOf(line.color).map((length) => length * devicePixelRatio));
    context.stroke(path);
  }

  strokeOf(line) {
    const { palette } = this.stage;
    if (this.strong === line) return palette.line(line.color);
    // Among many, colours cannot be distinguished: they are a crowd, from which one is picked.
    if (this.many) return palette.faint("line-7", this.crowdAlpha() * (this.strong ? 0.5 : 1));
    return this.strong ? palette.faint(`line-${line.color % COLORS}`, 0.2) : palette.line(line.color);
  }

  draw() {
    this.scale = this.scaleNow();
    if (!this.plot) this.make();
    else this.moveAxes();
  }

  moveAxes() {
    this.plot.batch(() => {
      this.plot.setScale("x", { min: this.view.from, max: this.view.to });
      this.plot.setScale("y", { min: this.scale.low, max: this.scale.high });
      this.plot.redraw(false, true);
    });
  }

  scaleNow() {
    let [low, high] = [Infinity, -Infinity];
    for (const line of this.lines) {
      const [least, most] = this.history(line.host).extent(line.name, this.view.from, this.view.to);
      low = Math.min(low, least);
      high = Math.max(high, most);
    }
    return low <= high ? valueScale(low, high, this.unit) : { low: 0, high: 1, step: 1, unit: this.unit };
  }

  setStrong(line) {
    if (this.strong === line) return;
    this.strong = line;
    this.onStrong(line);
    this.dirty = true;
    this.stage.request("drawWanted");
  }

  showValues() {
    this.onValues(this.lines.map((line) => this.valueNow(line.host, line.name)));
  }

  statistics() {
    return this.lines.map((line) => this.history(line.host).statistics(line.name, this.view.from, this.view.to));
  }

  settle() {
    this.onSettle(this.statistics());
  }

  tipRows(time, event) {
    const rows = this.lines.map((line) => ({ line, number: this.history(line.host).at(line.name, time) }));
    const there = rows.filter(({ number }) => !Number.isNaN(number));
    const nearest = this.nearest(there, event);
    if (this.many) this.setStrong(nearest?.line ?? null);
    const shown = this.many ? [nearest].filter(Boolean) : there.sort((a, b) => b.number - a.number).slice(0, 8);
    return shown.map(({ line, number }) => ({
      color: this.stage.palette.line(line.color),
      name: line.text,
      value: valueText(number, line.unit),
    }));
  }

  nearest(rows, event) {
    const box = this.over.getBoundingClientRect();
    const value = this.scale.high - ((event.clientY - box.top) / box.height) * (this.scale.high - this.scale.low);
    return rows.reduce((best, row) => (best && Math.abs(best.number - value) <= Math.abs(row.number - value) ? best : row), null);
  }

  destroy() {
    this.plot?.destroy();
    this.plot = null;
  }
}

// --- the strip above all charts: times, tests and events

const MOST_LANES = 6;

class Strip extends Pane {
  constructor(stage, node) {
    super(stage, []);
    this.element = node;
    this.axis = element("div", { class: "strip-axis", "aria-hidden": "true" });
    this.marks = element("div", { class: "strip-marks", "aria-hidden": "true" });
    this.tests = element("ol", { class: "strip-tests", "aria-label": "Tests", role: "list" });
    this.now = element("div", { class: "strip-now", hidden: true, "aria-hidden": "true" });
    node.append(this.axis, this.marks, this.tests, this.now);
    this.watch(node);
    this.makeTests();
  }

  // Places tests that overlap (pabot) in lanes, once: lanes do not jump while the view moves.
  makeTests() {
    const ends = [];
    this.spans = [...this.store.tests]
      .sort((a, b) => a.began - b.began)
      .map((test) => {
        let lane = ends.findIndex((end) => end <= test.began);
        if (lane < 0) lane = ends.length;
        ends[lane] = test.ended ?? Infinity;
        return { test, node: this.testNode(test, lane % MOST_LANES) };
      });
    this.tests.replaceChildren(...this.spans.map(({ node }) => node));
    this.tests.hidden = !this.spans.length;
    this.tests.style.height = `${Math.min(ends.length, MOST_LANES) * 18}px`;
  }

  testNode(test, lane) {
    const status = String(test.status).toLowerCase();
    const sign = { pass: "✓", fail: "✗", skip: "–" }[status] ?? "…";
    const said = `${test.name}, ${test.status}${test.ended ? `, ${lengthText(test.ended - test.began)}` : ""}`;
    const name = test.name.split(".").pop();
    const link = safeLink(test.link);
    const inner = element(
      link ? "a" : "span",
      { class: `test test-${["pass", "fail", "skip"].includes(status) ? status : "other"}`, href: link },
      element("span", { "aria-hidden": "true" }, `${sign} ${name}`),
      element("span", { class: "hidden" }, said),
    );
    const node = element("li", {}, inner);
    node.addEventListener("pointermove", (event) => {
      if (!this.stage.gestures.drag) this.stage.tip.showText([test.name, said.slice(test.name.length + 2)], event);
      event.stopPropagation();
    });
    inner.addEventListener("focus", () => this.bringIn(test));
    node.style.top = `${lane * 18}px`;
    return node;
  }

  // A test that gets the focus outside of the visible range would be invisible.
  bringIn(test) {
    if (test.began <= this.view.to && (test.ended ?? this.view.to) >= this.view.from) return;
    this.view.choose(test.began - this.view.length / 2, test.began + this.view.length / 2);
  }

  draw() {
    this.drawTests();
    this.drawAxis();
    this.drawMarks();
  }

  drawTests() {
    for (const { test, node } of this.spans) {
      const left = Math.max(this.x(test.began), 0);
      const right = Math.min(this.x(test.ended ?? this.view.to), this.width);
      const outside = right < 0 || left > this.width;
      node.classList.toggle("outside", outside);
      if (outside) continue;
      const width = Math.max(right - left - 1, 3);
      node.style.transform = `translateX(${left}px)`;
      node.style.width = `${width}px`;
      node.classList.toggle("tight", width < 40);
    }
  }

  drawAxis() {
    const { ticks, step } = timeTicks(this.view.from, this.view.to, this.width);
    this.axis.replaceChildren(
      ...ticks.map((at) => {
        const tick = element("span", {}, tickClock(at, step));
        tick.style.transform = `translateX(${this.x(at)}px)`;
        return tick;
      }),
    );
  }

  drawMarks() {
    const events = this.store.eventsOf(null).filter((event) => (EVENT_TONES[event.kind] ?? "note") !== "note");
    const shown = events.filter((event) => event.at <= this.view.to && eventEnd(event, this.view) >= this.view.from);
    this.marks.replaceChildren(
      ...shown.slice(0, 300).map((event) => {
        const node = element("span", { class: `strip-mark tone-${EVENT_TONES[event.kind]}` });
        const left = Math.max(this.x(event.at), 0);
        node.style.transform = `translateX(${left}px)`;
        node.style.width = `${Math.max(Math.min(this.x(eventEnd(event, this.view)), this.width) - left, 3)}px`;
        return node;
      }),
    );
  }

  showValues() {
    const { hover } = this.view;
    this.now.hidden = this.cursor.hidden;
    if (this.now.hidden) return;
    setText(this.now, clockText(hover, this.view.length < 30 ? 0.1 : 1));
    const x = Math.min(Math.max(this.x(hover), 32), this.width - 32);
    this.now.style.transform = `translateX(${x}px) translateX(-50%)`;
  }
}

// A place in a log: anything else, such as a script, does not become a link.
function safeLink(link) {
  if (!link) return null;
  try {
    const url = new URL(link, document.baseURI);
    return ["http:", "https:", "file:"].includes(url.protocol) ? link : null;
  } catch {
    return null;
  }
}
