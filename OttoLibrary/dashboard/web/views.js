"use strict";

// The views. Each fills the main part of the page and tells the stage what to draw.

const MAIN_METRICS = [
  ["cpu_percent"],
  ["memory_used_percent"],
  ["network_bytes_per_s", "network_received_bytes_per_s"],
  ["load_1min", "load_1", "load"],
];
const STATISTICS = ["min", "mean", "p95", "max"];
const OFFSET = "clock_offset_s";
const TOLD_OFFSET_S = 1;
const MOST_COLUMNS = 4;
const LEAF_ROWS = 12;
const NODE = { width: 190, height: 30, gap: 8, step: 252, letters: 12 };
const SMALL_NODE = { width: 132, height: 30, gap: 6, step: 154, letters: 6 };
const SMALL_SCREEN = 560;

function hostAddress(name) {
  return `#host=${encodeURIComponent(name)}`;
}

function metricAddress(name) {
  return `#metric=${encodeURIComponent(name)}`;
}

function swatch(palette, index) {
  const node = element("span", { class: "swatch", "aria-hidden": "true" });
  node.style.background = palette.line(index);
  return node;
}

function tagList(tags, onTag) {
  if (!tags.length) return null;
  const items = tags.map((tag) =>
    element(
      "li",
      {},
      element("button", { type: "button", class: "tag", title: `Show only tag:${tag}`, click: () => onTag(tag) }, tag),
    ),
  );
  return element("ul", { class: "tags", "aria-label": "Tags" }, ...items);
}

function emptyNote(text) {
  return element("p", { class: "notice" }, text);
}

// What all views share: the page's parts, and the search.
class Shown {
  constructor(app, main) {
    this.app = app;
    this.main = main;
    this.store = app.store;
    this.stage = app.stage;
    this.wanted = parseSearch(app.searchText, [...app.store.hosts.values()]);
  }

  isOutdatedBy() {
    return false;
  }

  fittingHosts() {
    return [...this.store.hosts.values()].filter((host) => hostFits(host, this.wanted));
  }

  heading(text, ...more) {
    return element("div", { class: "heading" }, element("h2", {}, text), ...more);
  }
}

// --- all hosts

function isClockWrong(host) {
  const [low, high] = host.history.extent(OFFSET, -Infinity, Infinity);
  return low <= -TOLD_OFFSET_S || high >= TOLD_OFFSET_S;
}

class GridView extends Shown {
  get title() {
    return "Hosts";
  }

  show() {
    const hosts = this.fittingHosts();
    const metrics = this.chosenMetrics();
    this.columnCount = metrics.length;
    this.hasOffset = metrics.includes(OFFSET) || this.wanted.metricWords.length > 0;
    const count = `${hosts.length} of ${this.store.hosts.size}`;
    this.main.replaceChildren(this.heading("Hosts", element("span", { class: "count" }, count)));
    if (!hosts.length)
      return this.main.append(emptyNote(this.store.hosts.size ? "No host, tag or metric matches the search." : "No host yet."));
    this.main.append(this.table(hosts, metrics));
    return undefined;
  }

  // The metrics that were searched for, or the most useful ones.
  chosenMetrics() {
    const all = this.store.metrics();
    if (this.wanted.metricWords.length) return [...all.keys()].filter((name) => metricFits(name, this.wanted)).slice(0, 4);
    const main = MAIN_METRICS.map((names) => names.find((name) => all.has(name))).filter(Boolean);
    // Another number of what has a column already, such as the bytes beside the percentage, says nothing more.
    const titles = new Set(main.map(titleOf));
    const others = [...all.keys()].filter((name) => !labelOf(name) && !titles.has(titleOf(name)) && this.tells(name));
    const different = others.filter((name) => !titles.has(titleOf(name)) && titles.add(titleOf(name)));
    return [...main, ...different].slice(0, MOST_COLUMNS);
  }

  // A clock that is right is not worth a column.
  tells(name) {
    return name !== OFFSET || [...this.store.hosts.values()].some(isClockWrong);
  }

  // Whether the readings of a host that have come make a column worth its place.
  isOutdatedBy(host) {
    return this.columnCount < MOST_COLUMNS && !this.hasOffset && isClockWrong(host);
  }

  table(hosts, metrics) {
    const caption = element(
      "caption",
      { class: "hidden" },
      "Hosts and their main metrics: the value at the cursor or the end, and statistics of the visible range",
    );
    const columns = metrics.map((metric) =>
      element(
        "th",
        { scope: "col", role: "columnheader" },
        element("a", { href: metricAddress(metric) }, titleOf(metric)),
        this.numberHeads(),
      ),
    );
    const head = element(
      "thead",
      { role: "rowgroup" },
      element("tr", { role: "row" }, element("th", { scope: "col", role: "columnheader" }, "host"), ...columns),
    );
    const rows = hosts.map((host) => this.row(host, metrics));
    const table = element(
      "table",
      { class: "grid", role: "table" },
      caption,
      head,
      element("tbody", { role: "rowgroup" }, ...rows),
    );
    table.dataset.columns = metrics.length;
    return table;
  }

  numberHeads() {
    return element("span", { class: "numbers", "aria-hidden": "true" }, ...STATISTICS.map((which) => element("span", {}, which)));
  }

  row(host, metrics) {
    const name = element(
      "th",
      { scope: "row", role: "rowheader" },
      element("a", { class: "host-name", href: hostAddress(host.name) }, host.name),
      tagList(host.tags, this.app.searchTag),
    );
    const cells = metrics.map((metric, index) => this.cell(host, metric, index));
    return element("tr", { role: "row", "data-name": host.name }, name, ...cells);
  }

  cell(host, metric, index) {
    const name = this.store.seriesOf(host, metric)[0];
    if (!name)
      return element("td", { role: "cell", class: "no-series" }, element("span", { class: "muted" }, `no ${titleOf(metric)}`));
    const spark = new Spark(this.stage, host.name, name, { color: `line-${index}` });
    const value = element("span", { class: "value" }, NO_VALUE);
    const numbers = STATISTICS.map((which) => element("b", { "data-number": which }, NO_VALUE));
    const list = element(
      "span",
      { class: "numbers" },
      ...STATISTICS.map((which, place) => element("span", {}, element("span", { class: "which" }, `${which} `), numbers[place])),
    );
    const label = element(
      "a",
      { class: "cell-name", href: metricAddress(metric), tabindex: "-1", "aria-hidden": "true" },
      titleOf(name),
    );
    spark.onValue = (number) => setText(value, Number.isNaN(number) ? "away" : valueText(number, spark.unit));
    spark.onSettle = (said) => STATISTICS.forEach((which, place) => setText(numbers[place], shortText(said[which], spark.unit)));
    this.stage.add(spark);
    return element(
      "td",
      { role: "cell", "data-series": name },
      element("div", { class: "cell-top" }, label, value),
      spark.element,
      list,
    );
  }
}

// --- tables of numbers

class NumberTable {
  constructor(palette, caption, lines, options = {}) {
    this.palette = palette;
    this.lines = lines;
    this.onRow = options.onRow ?? (() => {});
    this.rows = lines.map((line) => this.row(line, options));
    this.body = element("tbody", {}, ...this.rows.map(({ node }) => node));
    this.heads = ["value", ...STATISTICS].map((which, index) => this.head(which, index, options.sortable));
    const head = element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, options.first ?? "series"),
        ...(options.sparkOf ? [element("th", { scope: "col" }, element("span", { class: "hidden" }, "chart"))] : []),
        ...this.heads,
      ),
    );
    const table = element("table", { class: "numbers-table" }, element("caption", { class: "hidden" }, caption), head, this.body);
    this.element = element("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": caption }, table);
  }

  head(which, index, sortable) {
    if (!sortable) return element("th", { scope: "col" }, which);
    const button = element(
      "button",
      { type: "button", class: "sort", title: `Sort by ${which}`, click: () => this.sort(index) },
      which,
    );
    return element("th", { scope: "col" }, button);
  }

  row(line, options) {
    const numbers = ["value", ...STATISTICS].map((which) => element("td", { "data-number": which }, NO_VALUE));
    const name = element(options.addressOf ? "a" : "span", { href: options.addressOf?.(line) }, line.text);
    const spark = options.sparkOf ? [element("td", { class: "spark-cell" }, options.sparkOf(line).element)] : [];
    const node = element(
      "tr",
      { "data-name": line.text },
      element("th", { scope: "row" }, options.many ? null : swatch(this.palette, line.color), name),
      ...spark,
      ...numbers,
    );
    node.addEventListener("pointerenter", () => this.onRow(line));
    node.addEventListener("pointerleave", () => this.onRow(null));
    node.addEventListener("focusin", () => this.onRow(line));
    node.addEventListener("focusout", () => this.onRow(null));
    return { line, node, numbers, said: [] };
  }

  setValues(values) {
    values.forEach((value, index) => this.set(index, 0, value));
  }

  setStatistics(all) {
    all.forEach((said, index) => STATISTICS.forEach((which, place) => this.set(index, place + 1, said[which])));
    if (this.sorted !== undefined) this.place();
  }

  set(index, column, value) {
    const row = this.rows[index];
    row.said[column] = value;
    setText(row.numbers[column], (column ? shortText : valueText)(value, row.line.unit));
  }

  setStrong(line) {
    for (const row of this.rows) row.node.classList.toggle("strong", row.line === line);
  }

  sort(column) {
    this.upwards = this.sorted === column ? !this.upwards : false;
    this.sorted = column;
    this.heads.forEach((head, index) =>
      index === column
        ? head.setAttribute("aria-sort", this.upwards ? "ascending" : "descending")
        : head.removeAttribute("aria-sort"),
    );
    this.place();
  }

  // Rows move only when their order changed, so that the focus and the pointer stay where they are.
  place() {
    const size = (row) => (Number.isNaN(row.said[this.sorted]) ? -Infinity : row.said[this.sorted]);
    const order = [...this.rows].sort(
      (a, b) => (this.upwards ? size(a) - size(b) : size(b) - size(a)) || a.line.index - b.line.index,
    );
    if (order.every((row, index) => this.body.children[index] === row.node)) return;
    const focused = document.activeElement;
    this.body.append(...order.map(({ node }) => node));
    if (this.body.contains(focused)) focused.focus();
  }
}

// --- one host

class HostView extends Shown {
  constructor(app, main, name) {
    super(app, main);
    this.name = name;
  }

  get title() {
    return this.name;
  }

  show() {
    const host = this.store.hosts.get(this.name);
    if (!host) return this.main.replaceChildren(this.heading(this.name), emptyNote("This recording has no host of that name."));
    const groups = this.groups(host);
    this.main.replaceChildren(
      this.hostHeading(host),
      element("p", { class: "path" }, ["this machine", ...host.path].join(" → ")),
    );
    if (!groups.length) return this.main.append(emptyNote(host.series.size ? "No metric matches the search." : "No readings yet."));
    this.main.append(element("div", { class: "charts" }, ...groups.map(([metric, names]) => this.card(host, metric, names))));
    return undefined;
  }

  hostHeading(host) {
    const names = [...this.store.hosts.keys()];
    const place = names.indexOf(host.name);
    const neighbour = (name, sign, said) =>
      name === undefined
        ? null
        : element("a", { class: "step", href: hostAddress(name), "aria-label": `${said}: ${name}`, title: name }, sign);
    return this.heading(
      host.name,
      neighbour(names[place - 1], "‹", "Previous host"),
      neighbour(names[place + 1], "›", "Next host"),
      tagList(host.tags, this.app.searchTag),
    );
  }

  // Words that match this host do not hide its metrics.
  groups(host) {
    const groups = new Map();
    for (const name of host.series.keys()) {
      if (this.wanted.metricWords.length && !metricFits(name, this.wanted)) continue;
      const metric = metricOf(name);
      groups.set(metric, [...(groups.get(metric) ?? []), name]);
    }
    const rank = (metric) => {
      const place = MAIN_METRICS.findIndex((names) => names.includes(metric));
      return place < 0 ? MAIN_METRICS.length : place;
    };
    return [...groups].sort(([a], [b]) => rank(a) - rank(b));
  }

  card(host, metric, names) {
    const unit = host.series.get(names[0]).unit;
    const lines = names.map((name, index) => ({
      host: host.name,
      name,
      unit,
      index,
      color: index,
      text: labelOf(name) || titleOf(name),
    }));
    const caption = `${titleOf(metric)} of ${host.name}, visible range`;
    const chart = new Chart(this.stage, lines, {
      label: `Chart: ${titleOf(metric)} of ${host.name}. The table below has its numbers.`,
    });
    const table = new NumberTable(this.stage.palette, caption, lines, { onRow: (line) => chart.setStrong(line) });
    chart.onValues = (values) => table.setValues(values);
    chart.onSettle = (said) => table.setStatistics(said);
    this.stage.add(chart);
    const heading = element(
      "h3",
      {},
      element("a", { href: metricAddress(metric), title: "Show it for all hosts" }, titleOf(metric)),
      unit ? element("span", { class: "muted" }, ` ${unit}`) : null,
    );
    return element(
      "section",
      { class: "card", "aria-label": titleOf(metric), "data-metric": metric },
      heading,
      chart.element,
      table.element,
    );
  }
}

// --- one metric

class MetricView extends Shown {
  constructor(app, main, name) {
    super(app, main);
    this.name = name || this.firstMetric();
  }

  get title() {
    return titleOf(this.name);
  }

  firstMetric() {
    const all = this.store.metrics();
    const main = MAIN_METRICS.flat().find((name) => all.has(name));
    return main ?? [...all.keys()][0] ?? "";
  }

  show() {
    const lines = this.lines();
    this.main.replaceChildren(this.heading(titleOf(this.name), this.chooser()));
    if (!lines.length) return this.main.append(emptyNote("No matching host has this metric."));
    const many = lines.length > COLORS;
    const chart = new Chart(this.stage, lines, {
      many,
      height: 280,
      label: `Chart: ${titleOf(this.name)} of ${lines.length} hosts. The table below has its numbers.`,
    });
    const caption = `${titleOf(this.name)} of each host, visible range`;
    this.numbers = new Pane(this.stage, chart.hosts);
    this.sparks = [];
    const sparkOf = (line) => this.spark(line, chart);
    const table = new NumberTable(this.stage.palette, caption, lines, {
      first: "host",
      sortable: true,
      many,
      sparkOf,
      addressOf: (line) => hostAddress(line.host),
      onRow: (line) => chart.setStrong(line),
    });
    table.element.classList.add("wide");
    chart.onStrong = (line) => table.setStrong(line);
    this.connectNumbers(chart, table);
    for (const pane of [this.numbers, chart, ...this.sparks]) this.stage.add(pane);
    this.main.append(
      element("section", { class: "card", "aria-label": "All hosts", "data-metric": this.name }, chart.element),
      table.element,
    );
    return undefined;
  }

  // The table is a pane of its own: it is still updated when the chart has been scrolled away. All lines share one scale.
  connectNumbers(chart, table) {
    const { numbers } = this;
    numbers.element = table.element;
    numbers.draw = () => {
      const { low, high } = chart.scale;
      chart.scale = chart.scaleNow();
      if (low !== chart.scale.low || high !== chart.scale.high)
        this.sparks.forEach((spark) => {
          spark.dirty = true;
        });
    };
    numbers.showValues = () => table.setValues(chart.lines.map((line) => chart.valueNow(line.host, line.name)));
    numbers.settle = () => table.setStatistics(chart.statistics());
  }

  lines() {
    const hosts = this.fittingHosts();
    const found = hosts.flatMap((host) => this.store.seriesOf(host, this.name).map((name) => ({ host, name })));
    const labelled = !labelOf(this.name);
    return found.map(({ host, name }, index) => ({
      host: host.name,
      name,
      index,
      color: found.length > COLORS ? 0 : index,
      unit: host.series.get(name).unit,
      text: labelled && labelOf(name) ? `${host.name} · ${labelOf(name)}` : host.name,
    }));
  }

  spark(line, chart) {
    const spark = new Spark(this.stage, line.host, line.name, {
      color: `line-${line.color % COLORS}`,
      scaleOf: () => chart.scale,
    });
    this.sparks.push(spark);
    return spark;
  }

  chooser() {
    const options = [...this.store.metrics()]
      .sort(([a], [b]) => titleOf(a).localeCompare(titleOf(b)))
      .map(([name, unit]) =>
        element("option", { value: name, selected: name === this.name }, unit ? `${titleOf(name)} (${unit})` : titleOf(name)),
      );
    const select = element(
      "select",
      {
        "aria-label": "Metric",
        change: () => {
          location.hash = metricAddress(select.value);
        },
      },
      ...options,
    );
    return select;
  }
}

// --- topology

class TopologyView extends Shown {
  constructor(app, main, metric) {
    super(app, main);
    this.metric = metric || new MetricView(app, main, "").name;
  }

  get title() {
    return "Topology";
  }

  show() {
    this.node = innerWidth < SMALL_SCREEN ? SMALL_NODE : NODE;
    this.tiles = new Map();
    const drawing = this.drawing();
    const frame = element(
      "div",
      { class: "topology", tabindex: "0", role: "group", "aria-label": "Hosts and the hops to them" },
      drawing,
    );
    this.legend = element("div", { class: "legend" });
    this.body = element("tbody");
    const caption = element("caption", { class: "hidden" }, "Hosts, the path to them and the value that colours them");
    const head = element(
      "thead",
      {},
      element("tr", {}, ...["host", "path", titleOf(this.metric)].map((text) => element("th", { scope: "col" }, text))),
    );
    const table = element(
      "details",
      { class: "as-table" },
      element("summary", {}, "The same as a table"),
      element("table", { class: "numbers-table" }, caption, head, this.body),
    );
    this.main.replaceChildren(
      this.heading("Topology", element("label", { class: "chooser" }, "coloured by ", this.chooser()), this.legend),
      frame,
      table,
    );
    this.fillTable();
    this.stage.add(this.pane(frame));
  }

  chooser() {
    const options = [...this.store.metrics()]
      .filter(([name]) => !labelOf(name))
      .map(([name, unit]) =>
        element("option", { value: name, selected: name === this.metric }, unit ? `${titleOf(name)} (${unit})` : titleOf(name)),
      );
    const select = element(
      "select",
      {
        "aria-label": "Metric that colours the hosts",
        change: () => {
          location.hash = `#topology=${encodeURIComponent(select.value)}`;
        },
      },
      ...options,
    );
    return select;
  }

  // The stage tells it when to look at values again.
  pane(frame) {
    const pane = new Pane(this.stage, [...this.store.hosts.keys()]);
    pane.element = frame;
    pane.draw = () => {};
    pane.showValues = () => this.color(pane);
    return pane;
  }

  // A tree of names: hops that are not hosts of this run have a place but no value.
  tree() {
    const root = { name: "this machine", children: new Map(), host: null };
    for (const host of this.store.hosts.values()) {
      let node = root;
      for (const name of host.path) {
        if (!node.children.has(name))
          node.children.set(name, { name, children: new Map(), host: this.store.hosts.get(name) ?? null });
        node = node.children.get(name);
      }
      node.host = host;
    }
    return root;
  }

  drawing() {
    this.edges = svgElement("g", { class: "edges" });
    this.nodes = svgElement("g", {});
    this.widest = 0;
    const root = this.tree();
    const height = this.place(root, 0, this.node.gap);
    const width = this.widest + this.node.gap;
    return svgElement(
      "svg",
      {
        width,
        height: height + this.node.gap,
        viewBox: `0 0 ${width} ${height + this.node.gap}`,
        role: "group",
        "aria-label": "Topology",
      },
      this.edges,
      this.nodes,
    );
  }

  // Puts a node and what is behind it below `top`; returns where that ends. Many leaves are placed side by side in columns.
  place(node, depth, top) {
    const children = [...node.children.values()];
    const leaves = children.filter((child) => !child.children.size);
    const left = this.node.gap + depth * this.node.step;
    let bottom = this.placeLeaves(leaves, left + this.node.step, top);
    for (const child of children.filter((one) => one.children.size)) bottom = this.place(child, depth + 1, bottom);
    if (!children.length) bottom = top + this.node.height + this.node.gap;
    node.x = left;
    node.y = (top + bottom - this.node.gap - this.node.height) / 2;
    this.addNode(node);
    for (const child of children) if (!child.column) this.addEdge(node, child);
    return bottom;
  }

  placeLeaves(leaves, left, top) {
    const columns = Math.ceil(leaves.length / LEAF_ROWS);
    const rows = Math.ceil(leaves.length / Math.max(columns, 1));
    leaves.forEach((leaf, index) => {
      leaf.column = Math.floor(index / rows);
      leaf.x = left + leaf.column * (this.node.width + this.node.gap);
      leaf.y = top + (index % rows) * (this.node.height + this.node.gap);
      this.addNode(leaf);
    });
    return top + rows * (this.node.height + this.node.gap);
  }

  addEdge(from, to) {
    const [x1, y1, x2, y2] = [from.x + this.node.width, from.y + this.node.height / 2, to.x, to.y + this.node.height / 2];
    const middle = (x1 + x2) / 2;
    this.edges.append(svgElement("path", { d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` }));
  }

  addNode(node) {
    this.widest = Math.max(this.widest, node.x + this.node.width);
    const box = svgElement("rect", { width: this.node.width, height: this.node.height, rx: 6 });
    const value = svgElement("text", { x: this.node.width - 10, y: 19, "text-anchor": "end", class: "node-value" });
    const name = svgElement(
      "text",
      { x: 10, y: 19, class: "node-name" },
      shortened(node.name, node.host ? this.node.letters : this.node.letters + 5),
    );
    const place = `translate(${node.x} ${node.y})`;
    if (!node.host) {
      this.nodes.append(svgElement("g", { transform: place, class: "node hop" }, svgElement("title", {}, node.name), box, name));
      return;
    }
    const fits = hostFits(node.host, this.wanted);
    const title = svgElement("title", {}, node.name);
    const link = svgElement(
      "a",
      { href: hostAddress(node.name), transform: place, class: fits ? "node" : "node dimmed", "data-name": node.name },
      title,
      box,
      name,
      value,
    );
    this.nodes.append(link);
    this.tiles.set(node.name, { link, box, name, value, title });
  }

  fillTable() {
    this.cells = new Map();
    for (const host of this.store.hosts.values()) {
      const cell = element("td", {}, NO_VALUE);
      this.cells.set(host.name, cell);
      this.body.append(
        element("tr", {}, element("th", { scope: "row" }, host.name), element("td", {}, host.path.join(" → ")), cell),
      );
    }
  }

  color(pane) {
    const values = new Map([...this.tiles.keys()].map((name) => [name, this.valueOf(pane, this.store.hosts.get(name))]));
    const unit = this.store.metrics().get(this.metric) ?? "";
    const there = [...values.values()].filter((value) => !Number.isNaN(value));
    const scale = unit === "%" ? { low: 0, high: 100 } : valueScale(Math.min(0, ...there), Math.max(0, ...there), unit);
    for (const [name, value] of values) this.colorTile(name, value, scale, unit);
    this.showLegend(scale, unit);
  }

  // Where a metric has labels, the largest counts.
  valueOf(pane, host) {
    const values = this.store
      .seriesOf(host, this.metric)
      .map((name) => pane.valueNow(host.name, name))
      .filter((value) => !Number.isNaN(value));
    return values.length ? Math.max(...values) : NaN;
  }

  colorTile(name, value, scale, unit) {
    const tile = this.tiles.get(name);
    const away = Number.isNaN(value);
    const text = away ? "no value" : valueText(value, unit);
    setText(tile.value, away ? NO_VALUE : text);
    setText(this.cells.get(name), text);
    setText(tile.title, `${name}: ${text}`);
    tile.link.classList.toggle("away", away);
    const color = away ? null : heat((value - scale.low) / (scale.high - scale.low), this.stage.palette);
    tile.box.style.fill = color?.fill ?? "";
    tile.name.style.fill = tile.value.style.fill = color?.text ?? "";
  }

  showLegend(scale, unit) {
    const key = `${scale.low} ${scale.high} ${this.stage.palette.get("heat-0")}`;
    if (this.legend.dataset.key === key) return;
    this.legend.dataset.key = key;
    const stops = Array.from({ length: 21 }, (_, index) => index / 20).map((share) => {
      const stop = element("span", { class: "legend-stop" });
      stop.style.background = heat(share, this.stage.palette).fill;
      return stop;
    });
    this.legend.replaceChildren(
      element("span", {}, valueText(scale.low, unit)),
      element("span", { class: "legend-bar", "aria-hidden": "true" }, ...stops),
      element("span", {}, valueText(scale.high, unit)),
      element("span", { class: "legend-away" }, "no value"),
    );
  }
}

function shortened(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

// A colour between the stops of the theme, and black or white, whichever is easier to read on it.
function heat(share, palette) {
  const place = Math.min(Math.max(share, 0), 1) * 4;
  const stop = Math.min(Math.floor(place), 3);
  const [from, to] = [stop, stop + 1].map((index) =>
    palette
      .get(`heat-${index}`)
      .match(/[\d.]+/g)
      .map(Number),
  );
  const mixed = from.slice(0, 3).map((part, index) => Math.round(part + (to[index] - part) * (place - stop)));
  const light = luminance(mixed);
  return { fill: `rgb(${mixed.join(", ")})`, text: (light + 0.05) ** 2 > 0.0525 ? "#000" : "#fff" };
}

function luminance(color) {
  const [red, green, blue] = color.map((part) => (part <= 10 ? part / 3295 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

// --- events

class EventsView extends Shown {
  get title() {
    return "Events";
  }

  show() {
    const { text } = this.wanted;
    const events = [...this.store.events.values()]
      .filter((event) => `${event.text} ${event.kind} ${event.host}`.toLowerCase().includes(text))
      .sort((a, b) => a.at - b.at);
    this.main.replaceChildren(
      this.heading("Events", element("span", { class: "count" }, `${events.length} of ${this.store.events.size}`)),
    );
    if (!this.store.source.isServer)
      this.main.append(element("p", { class: "muted" }, "This page is a file: events cannot be changed here."));
    if (!events.length)
      return this.main.append(
        emptyNote(
          this.store.events.size ? "No event matches the search." : "No events yet. Add a mark with the button above, or with m.",
        ),
      );
    const heads = ["time", "length", "kind", "host", "text", ""].map((name) =>
      element("th", { scope: "col", role: "columnheader" }, name || element("span", { class: "hidden" }, "actions")),
    );
    const caption = element("caption", { class: "hidden" }, "Events, oldest first");
    const table = element(
      "table",
      { class: "events", role: "table" },
      caption,
      element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)),
      element("tbody", { role: "rowgroup" }, ...events.map((event) => this.row(event))),
    );
    return this.main.append(
      element("div", { class: "table-scroll wide", tabindex: "0", role: "group", "aria-label": "Events" }, table),
    );
  }

  row(event) {
    const length =
      event.until === null || event.until === undefined
        ? LASTING.has(event.kind)
          ? "goes on"
          : ""
        : lengthText(event.until - event.at);
    const when = `${dayText(event.at)} ${clockText(event.at)}`;
    const time = element(
      "button",
      { type: "button", class: "as-link", title: "Show this time in the charts", click: () => this.app.goTo(event) },
      when,
    );
    const kind = element("span", { class: `kind tone-${EVENT_TONES[event.kind] ?? "note"}` }, event.kind);
    const host = event.host
      ? element("a", { href: hostAddress(event.host) }, event.host)
      : element("span", { class: "muted" }, "all");
    return element(
      "tr",
      { role: "row", "data-event": event.id },
      element("td", { role: "cell" }, time),
      element("td", { role: "cell" }, length),
      element("td", { role: "cell" }, kind),
      element("td", { role: "cell" }, host),
      element("td", { role: "cell", class: "event-text" }, event.text),
      this.actions(event),
    );
  }

  actions(event) {
    const cell = element("td", { role: "cell", class: "row-actions" });
    if (!this.store.source.isServer || !["mark", "span"].includes(event.kind)) return cell;
    const said = event.text || event.kind;
    cell.append(
      element("button", { type: "button", "aria-label": `Edit ${said}`, click: () => this.app.eventDialog.edit(event) }, "Edit"),
      element("button", { type: "button", "aria-label": `Delete ${said}`, click: () => this.app.deleteEvent(event) }, "Delete"),
    );
    return cell;
  }
}
