"use strict";

// Where readings come from and where they are kept. The protocol is in docs/decisions/0009-dashboard.md.

const KEPT_S = 2 * 3600; // at full rate, while readings arrive
const THINNED_ROWS = 10; // that many older rows become one
const LONGEST_S = 24 * 3600;
const LOADS_AT_ONCE = 4;
const LONGEST_WAIT_S = 30;
const GAP_INTERVALS = 3;

// --- sources

class ServerSource {
  constructor() {
    this.key = new URLSearchParams(location.search).get("key");
    this.isServer = true;
  }

  address(path, parameters = {}) {
    const query = new URLSearchParams(this.key === null ? parameters : { ...parameters, key: this.key });
    return `api/${path}?${query}`;
  }

  async page() {
    return (await this.answer(this.address("page"))).json();
  }

  async chunk(host) {
    return decodeChunk(new Uint8Array(await (await this.answer(this.address("data", { host }))).arrayBuffer()));
  }

  async addEvent(event) {
    return (await this.send("POST", "events", event)).json();
  }

  async changeEvent(id, event) {
    return (await this.send("PATCH", `events/${id}`, event)).json();
  }

  async deleteEvent(id) {
    await this.send("DELETE", `events/${id}`);
  }

  send(method, path, body) {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
    return this.answer(this.address(path), { method, ...content });
  }

  async answer(address, options = {}) {
    const answer = await fetch(address, { cache: "no-store", ...options });
    if (answer.ok) return answer;
    if (answer.status === 401 || answer.status === 403) throw new Error("The access key in the address is missing or wrong.");
    const said = (await answer.text()).slice(0, 200);
    throw new Error(said || `The server answered ${answer.status}.`);
  }
}

class FileSource {
  constructor(pageElement) {
    this.pageElement = pageElement;
    this.isServer = false;
    this.chunks = new Map([...document.querySelectorAll("[data-host]")].map((node) => [node.dataset.host, node]));
  }

  async page() {
    const text = this.pageElement.textContent.trim();
    return JSON.parse(text.startsWith("{") ? text : new TextDecoder().decode(bytesOfBase64(text)));
  }

  async chunk(host) {
    const node = this.chunks.get(host);
    if (!node) throw new Error(`The file has no readings of '${host}'.`);
    const chunk = await decodeChunk(bytesOfBase64(node.textContent));
    // Decoded once; the text would only take memory.
    node.textContent = "";
    return chunk;
  }
}

function bytesOfBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

// --- chunks

async function decodeChunk(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = new TextDecoder();
  if (bytes.length < 8 || text.decode(bytes.subarray(0, 4)) !== "OTT1") throw new Error("The readings have an unknown format.");
  const begin = 8 + view.getUint32(4, true);
  const head = JSON.parse(text.decode(bytes.subarray(8, begin)));
  const packed = await inflated(bytes.subarray(begin));
  if (packed.length !== head.count * (4 + 2 * head.series.length)) throw new Error("The readings are cut off.");
  const columns = new Map();
  head.series.forEach((series, index) => {
    columns.set(series.name, unpackedColumn(packed, head.count, head.count * (4 + 2 * index), series));
  });
  return { host: head.host, times: unpackedTimes(packed, head), columns, series: head.series };
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpackedTimes(packed, head) {
  const view = new DataView(packed.buffer);
  const times = new Float64Array(head.count);
  let passed_ms = 0;
  for (let row = 0; row < head.count; row++) {
    passed_ms += view.getUint32(4 * row, true);
    times[row] = head.began + passed_ms / 1000;
  }
  return times;
}

function unpackedColumn(packed, count, begin, { low, high }) {
  const values = new Float32Array(count);
  const step = (high - low) / 65534;
  let number = 0;
  for (let row = 0; row < count; row++) {
    number = (number + packed[begin + row] + (packed[begin + count + row] << 8)) & 65535;
    values[row] = number === 0 ? NaN : low + (number - 1) * step;
  }
  return values;
}

// --- readings of one host

class History {
  constructor(interval_s, bounded) {
    this.interval_s = interval_s;
    this.bounded = bounded;
    this.loaded = false;
    this.clear();
  }

  clear() {
    this.times = new Float64Array(64);
    this.columns = new Map();
    this.count = 0;
    this.thinRows = 0; // the first rows, which stand for several each
    this.chunkEnd = -Infinity;
    this.intervals = new Map();
  }

  // Takes a chunk; rows that arrived while it was fetched stay behind it.
  adopt(chunk) {
    // A chunk knows milliseconds only.
    const chunkEnd = chunk.times.length ? chunk.times[chunk.times.length - 1] + 0.001 : -Infinity;
    const late = this.rowsAfter(chunkEnd);
    this.chunkEnd = chunkEnd;
    this.times = chunk.times;
    this.columns = chunk.columns;
    this.count = chunk.times.length;
    this.thinRows = 0;
    this.intervals.clear();
    this.loaded = true;
    for (const [at, values] of late) this.append(at, values);
    this.thin();
  }

  rowsAfter(time) {
    const rows = [];
    for (let row = this.rowAfter(time); row < this.count; row++) {
      const values = {};
      for (const [name, column] of this.columns) if (!Number.isNaN(column[row])) values[name] = column[row];
      rows.push([this.times[row], values]);
    }
    return rows;
  }

  append(at, values) {
    if (at <= this.chunkEnd) return;
    const row = this.placeFor(at);
    for (const [name, value] of Object.entries(values)) {
      if (Number.isFinite(value)) this.column(name)[row] = value;
    }
    if (this.bounded && at - this.times[this.thinRows] > KEPT_S * 1.1) this.thin();
  }

  // The row of a time: the one that is there, a new last one, or now and then one between others.
  placeFor(at) {
    const row = this.rowAfter(at - 1e-6);
    if (row < this.count && Math.abs(this.times[row] - at) < 1e-6) return row;
    this.makeRoom();
    this.times.copyWithin(row + 1, row, this.count);
    this.times[row] = at;
    for (const column of this.columns.values()) {
      column.copyWithin(row + 1, row, this.count);
      column[row] = NaN;
    }
    this.count += 1;
    return row;
  }

  makeRoom() {
    if (this.count < this.times.length) return;
    const capacity = Math.max(64, this.count * 2);
    const times = new Float64Array(capacity);
    times.set(this.times);
    this.times = times;
    for (const [name, old] of this.columns) {
      const column = new Float32Array(capacity).fill(NaN, this.count);
      column.set(old.subarray(0, this.count));
      this.columns.set(name, column);
    }
  }

  column(name) {
    if (!this.columns.has(name)) this.columns.set(name, new Float32Array(this.times.length).fill(NaN));
    return this.columns.get(name);
  }

  // Old rows are thinned out, very old ones removed: a page that stays open for days keeps its size.
  thin() {
    if (!this.bounded || this.count === 0) return;
    const newest = this.times[this.count - 1];
    const end = this.rowAfter(newest - KEPT_S);
    const begin = this.rowAfter(newest - LONGEST_S);
    if (end - this.thinRows < THINNED_ROWS && begin === 0) return;
    const groups = [];
    for (let row = begin; row < this.thinRows; row++) groups.push([row, row + 1]);
    for (let row = Math.max(begin, this.thinRows); row < end; row += THINNED_ROWS)
      groups.push([row, Math.min(row + THINNED_ROWS, end)]);
    const rest = this.count - end;
    for (const column of this.columns.values()) {
      groups.forEach(([first, after], index) => {
        column[index] = lastNumber(column, first, after);
      });
      column.copyWithin(groups.length, end, this.count);
    }
    groups.forEach(([, after], index) => {
      this.times[index] = this.times[after - 1];
    });
    this.times.copyWithin(groups.length, end, this.count);
    this.thinRows = groups.length;
    this.count = groups.length + rest;
  }

  // The first row that is later than a time.
  rowAfter(time) {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Rows to draw: those inside, and one reading more on each side so that lines go on to the edge.
  rowsToDraw(name, from, to) {
    const column = this.columns.get(name);
    return [this.readingBefore(column, this.rowAfter(from)), this.readingFrom(column, this.rowAfter(to))];
  }

  readingBefore(column, row) {
    let before = row - 1;
    while (before > 0 && Number.isNaN(column[before])) before--;
    return Math.max(before, 0);
  }

  readingFrom(column, row) {
    let next = row;
    while (next < this.count - 1 && Number.isNaN(column[next])) next++;
    return Math.min(next, this.count - 1);
  }

  intervalOf(name) {
    const known = this.intervals.get(name);
    if (known && this.count < known.count * 2) return known.interval_s;
    const interval_s = this.measuredInterval(name);
    this.intervals.set(name, { interval_s, count: Math.max(this.count, 16) });
    return interval_s;
  }

  // The median of the newest distances: some series are read less often than others.
  measuredInterval(name) {
    const column = this.columns.get(name);
    const distances = [];
    let later = NaN;
    for (let row = this.count - 1; row >= this.thinRows && distances.length < 100; row--) {
      if (!column || Number.isNaN(column[row])) continue;
      if (!Number.isNaN(later)) distances.push(later - this.times[row]);
      later = this.times[row];
    }
    if (distances.length < 3) return this.interval_s;
    return distances.sort((a, b) => a - b)[distances.length >> 1];
  }

  gapOf(name) {
    return GAP_INTERVALS * this.intervalOf(name) + 0.01;
  }

  gapAt(gap_s, row) {
    return row < this.thinRows ? gap_s * THINNED_ROWS : gap_s;
  }

  // The reading nearest to a time, NaN where there was none for long.
  at(name, time) {
    const column = this.columns.get(name);
    if (!column || !this.count) return NaN;
    const row = this.rowAfter(time);
    const before = this.readingBefore(column, row);
    const next = this.readingFrom(column, row);
    const gap_s = this.gapAt(this.gapOf(name), next);
    const since_s = row > 0 && !Number.isNaN(column[before]) ? time - this.times[before] : Infinity;
    const ahead_s = row < this.count && !Number.isNaN(column[next]) ? this.times[next] - time : Infinity;
    if (since_s + ahead_s > gap_s && Math.min(since_s, ahead_s) > this.gapAt(this.intervalOf(name), next)) return NaN;
    return since_s <= ahead_s ? column[before] : column[next];
  }

  // The last reading at the end of the visible range; NaN when the host was away by then.
  latest(name, time) {
    const column = this.columns.get(name);
    if (!column || !this.count) return NaN;
    const row = this.readingBefore(column, this.rowAfter(time));
    const longest_s = Math.max(this.gapAt(this.gapOf(name), row), 10);
    return time - this.times[row] <= longest_s && this.times[row] <= time ? column[row] : NaN;
  }

  extent(name, from, to) {
    const column = this.columns.get(name);
    let low = Infinity;
    let high = -Infinity;
    if (!column || !this.count) return [low, high];
    const [first, last] = this.rowsToDraw(name, from, to);
    for (let row = first; row <= last; row++) {
      const value = column[row];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }

  statistics(name, from, to) {
    const column = this.columns.get(name);
    const values = column
      ? column.subarray(this.rowAfter(from - 1e-6), this.rowAfter(to)).filter((value) => !Number.isNaN(value))
      : [];
    if (!values.length) return { min: NaN, mean: NaN, p95: NaN, max: NaN, count: 0 };
    values.sort();
    let sum = 0;
    for (const value of values) sum += value;
    return {
      min: values[0],
      mean: sum / values.length,
      p95: values[Math.max(0, Math.ceil(values.length * 0.95) - 1)],
      max: values[values.length - 1],
      count: values.length,
    };
  }
}

function lastNumber(column, first, after) {
  for (let row = after - 1; row >= first; row--) if (!Number.isNaN(column[row])) return column[row];
  return NaN;
}

// --- everything that the page knows

class Store {
  constructor(source) {
    this.source = source;
    this.hosts = new Map();
    this.events = new Map();
    this.tests = [];
    this.newest = -Infinity;
    this.waiting = [];
    this.loading = 0;
    this.onLoaded = () => {};
    this.onTrouble = () => {};
  }

  // Asks for the page's data; histories of hosts stay, to be loaded again when they are next looked at.
  async fetchPage() {
    const page = await this.source.page();
    this.page = page;
    const known = this.hosts;
    this.hosts = new Map(page.hosts.map((host) => [host.name, this.makeHost(host, page.series[host.name] ?? [], known)]));
    this.events = new Map(page.events.map((event) => [event.id, event]));
    this.tests = page.tests;
    this.newest = Math.max(this.newest, page.ended ?? page.began);
  }

  makeHost(host, series, known) {
    const history = known.get(host.name)?.history ?? new History(this.page.interval_s, this.page.mode === "live");
    history.loaded = false;
    history.request = null;
    const named = new Map(series.map((one) => [one.name, { name: one.name, unit: unitText(one.unit || unitOf(one.name)) }]));
    return { name: host.name, path: host.path ?? [host.name], tags: host.tags ?? [], series: named, history };
  }

  get end() {
    return Math.max(this.page.ended ?? -Infinity, this.newest);
  }

  get busy() {
    return this.loading > 0 || this.waiting.length > 0;
  }

  load(name) {
    const history = this.hosts.get(name)?.history;
    if (!history || history.loaded || history.request) return;
    history.request = {};
    this.waiting.push([name, history, history.request]);
    this.loadNext();
  }

  loadNext() {
    while (this.loading < LOADS_AT_ONCE && this.waiting.length) this.fetchChunk(...this.waiting.shift());
  }

  async fetchChunk(name, history, request) {
    this.loading += 1;
    try {
      const chunk = await this.source.chunk(name);
      // After a resync an older answer has less than the newer one will have.
      if (history.request === request) this.takeChunk(name, history, chunk);
    } catch (error) {
      // Loaded, with nothing: it is tried again after the next resync, not in a loop.
      history.loaded = true;
      this.onTrouble(`The readings of '${name}' did not arrive. ${error.message}`);
    } finally {
      this.loading -= 1;
      this.onLoaded(name);
      this.loadNext();
    }
  }

  takeChunk(name, history, chunk) {
    history.adopt(chunk);
    const host = this.hosts.get(name);
    for (const { name: series, unit } of chunk.series) this.knowSeries(host, series, unit);
    if (history.count) this.newest = Math.max(this.newest, history.times[history.count - 1]);
  }

  // Returns whether a host or series is new, so that a view has to be made again.
  takeTicks(ticks) {
    let isNew = false;
    for (const { host: name, at, values } of ticks) {
      isNew = this.knowHost(name) || isNew;
      const host = this.hosts.get(name);
      for (const series of Object.keys(values)) isNew = this.knowSeries(host, series, "") || isNew;
      host.history.append(at, values);
      this.newest = Math.max(this.newest, at);
    }
    return isNew;
  }

  knowHost(name) {
    if (this.hosts.has(name)) return false;
    this.hosts.set(name, this.makeHost({ name }, [], new Map()));
    return true;
  }

  knowSeries(host, name, unit) {
    if (host.series.has(name)) return false;
    host.series.set(name, { name, unit: unitText(unit || unitOf(name)) });
    return true;
  }

  eventsOf(host) {
    return [...this.events.values()].filter(
      (event) => event.kind !== "test" && (host === null || !event.host || event.host === host),
    );
  }

  metrics() {
    const names = new Map();
    for (const host of this.hosts.values()) {
      for (const { name, unit } of host.series.values()) {
        if (!names.has(metricOf(name))) names.set(metricOf(name), unit);
        if (host.series.has(metricOf(name))) names.set(name, unit);
      }
    }
    return names;
  }

  // The series that stand for a metric on a host: the one of that name, or one for each label.
  seriesOf(host, metric) {
    if (host.series.has(metric)) return [metric];
    return [...host.series.keys()].filter((name) => metricOf(name) === metric);
  }
}

// --- live

class Stream {
  constructor(source, handlers) {
    this.source = source;
    this.handlers = handlers;
    this.wait_s = 1;
    this.timer = null;
    addEventListener("online", () => {
      if (this.timer !== null) this.open();
    });
  }

  open() {
    this.close();
    this.events = new EventSource(this.source.address("stream"));
    this.events.addEventListener("open", () => {
      this.wait_s = 1;
      this.handlers.opened();
    });
    this.events.addEventListener("error", () => this.retry());
    for (const kind of ["ticks", "event", "gone", "test"]) {
      this.events.addEventListener(kind, (message) => this.handlers[kind](JSON.parse(message.data)));
    }
    this.events.addEventListener("resync", () => this.handlers.resync());
    this.events.addEventListener("end", () => {
      this.close();
      this.handlers.end();
    });
  }

  // The browser's own reconnect gives up on an error answer, and does not slow down.
  retry() {
    this.close();
    this.handlers.lost();
    this.timer = setTimeout(() => this.open(), this.wait_s * 1000 * (0.8 + 0.4 * Math.random()));
    this.wait_s = Math.min(this.wait_s * 2, LONGEST_WAIT_S);
  }

  close() {
    clearTimeout(this.timer);
    this.timer = null;
    this.events?.close();
    this.events = null;
  }
}
