"use strict";

// The page: what is shown, its controls and keys, and what arrives while a run lasts.

const REDRAW_MS = 1000;
const FIRST_WAIT_MS = 1000;
const SEARCH_MS = 120;
const PAN_SHARE = 0.2;
const ZOOM = 1.5;

// A file opened from disk may have no storage.
const memory = {
  get(name) {
    try {
      return localStorage.getItem(`otto-${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`otto-${name}`, value);
    } catch {
      // Then it is not stored.
    }
  },
};

function announce(text) {
  byId("announce").textContent = text;
}

class App {
  constructor() {
    const pageElement = byId("otto-page");
    this.source = pageElement ? new FileSource(pageElement) : new ServerSource();
    this.store = new Store(this.source);
    this.view = new View(this.store);
    this.searchText = "";
    this.early = [];
    this.scrolls = new Map();
    this.searchTag = (tag) => this.search(`tag:${tag}`);
  }

  async start() {
    this.theme = new Theme(() => {});
    if (this.source.isServer) await this.openStream();
    if (!(await this.firstPage())) return;
    this.stage = new Stage(this.store, this.view);
    this.theme.onChange = () => {
      this.stage.palette.read();
      this.stage.redraw();
    };
    this.strip = new Strip(this.stage, byId("strip"));
    this.stage.addFixed(this.strip);
    this.eventDialog = new EventDialog(this);
    this.controls = new Controls(this);
    this.keys = new Keys(this);
    this.connect();
    this.view.reset();
    this.route();
    addEventListener("hashchange", () => this.route(true));
    this.ready = true;
    this.early.forEach((take) => take());
    setInterval(() => this.refresh(), REDRAW_MS);
  }

  async firstPage() {
    try {
      await this.store.fetchPage();
      return true;
    } catch (error) {
      const again = element("button", { type: "button", click: () => location.reload() }, "Try again");
      byId("content").replaceChildren(
        element("p", { class: "notice" }, `The page's data did not arrive. ${error.message} `, again),
      );
      byId("content").setAttribute("aria-busy", "false");
      setText(byId("state-text"), "no data");
      return false;
    }
  }

  connect() {
    const { stage, store, view } = this;
    view.onRange = () => {
      stage.redraw();
      this.controls.showRange();
    };
    store.onLoaded = (host) => {
      if (view.following && !this.paused) view.follow();
      stage.loaded(host);
      if (store.hosts.has(host) && this.shown?.isOutdatedBy(store.hosts.get(host))) this.renderAgain();
    };
    store.onTrouble = (text) => announce(text);
    stage.onSettled = () => this.drawn();
    stage.gestures.onMark = (at, until, host) => {
      if (this.source.isServer) this.eventDialog.add({ at, until, host });
    };
    byId("skip").addEventListener("click", (event) => {
      event.preventDefault();
      byId("content").focus();
    });
  }

  drawn() {
    byId("content").setAttribute("aria-busy", "false");
    if (!performance.getEntriesByName("drawn").length) performance.mark("drawn");
  }

  // --- which view

  place() {
    const [, view, name] = /^#?([a-z]*)(?:=(.*))?$/.exec(location.hash) ?? [];
    try {
      return { view: view || "grid", name: decodeURIComponent(name ?? "") };
    } catch {
      return { view: "grid", name: "" };
    }
  }

  route(moved = false) {
    if (moved) this.scrolls.set(this.address, scrollY);
    this.address = location.hash;
    this.render();
    scrollTo(0, this.scrolls.get(this.address) ?? 0);
    if (!moved) return;
    byId("content").focus({ preventScroll: true });
    announce(this.shown.title);
  }

  render() {
    const { view, name } = this.place();
    const main = byId("content");
    main.setAttribute("aria-busy", "true");
    this.stage.clear();
    this.stage.looked = false;
    this.shown = this.makeView(view, main, name);
    this.shown.show();
    if (!this.stage.panes.size) this.stage.looked = true;
    this.stage.request("drawWanted");
    document.title = `${this.shown.title} · ${this.store.page.title}`;
    this.controls.showPlace(view);
  }

  makeView(view, main, name) {
    if (view === "host") return new HostView(this, main, name);
    if (view === "metric") return new MetricView(this, main, name);
    if (view === "topology") return new TopologyView(this, main, name);
    if (view === "events") return new EventsView(this, main);
    return new GridView(this, main);
  }

  // Draws the view again in its place and restores the focus.
  renderAgain() {
    const label = document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent;
    const had = byId("content").contains(document.activeElement);
    const top = scrollY;
    this.render();
    scrollTo(0, top);
    if (!had) return;
    const again = [...byId("content").querySelectorAll("a, button, select, [tabindex]")].find(
      (node) => (node.getAttribute("aria-label") ?? node.textContent) === label,
    );
    (again ?? byId("content")).focus({ preventScroll: true });
  }

  search(text) {
    byId("search").value = text;
    this.searchText = text;
    this.renderAgain();
    const count = this.shown.fittingHosts().length;
    announce(`${count} of ${this.store.hosts.size} hosts`);
  }

  // --- events

  eventsChanged() {
    this.stage.redraw();
    if (this.place().view === "events") this.renderAgain();
  }

  keepEvent(event) {
    this.store.events.set(event.id, event);
    this.eventsChanged();
  }

  async deleteEvent(event) {
    try {
      await this.source.deleteEvent(event.id);
      this.dropEvent(event.id);
      announce(`Deleted: ${event.text}`);
    } catch (error) {
      this.controls.complain(`The event was not deleted. ${error.message}`);
    }
  }

  dropEvent(id) {
    if (this.store.events.delete(id)) this.eventsChanged();
  }

  goTo(event) {
    const until = eventEnd(event, this.view);
    const length = Math.max((until - event.at) * 1.5, 60);
    const middle = (event.at + until) / 2;
    this.view.choose(middle - length / 2, middle + length / 2);
    this.view.point(event.at);
    location.hash = event.host ? hostAddress(event.host) : "";
  }

  // --- live

  // The stream begins before the page's data is requested, so that nothing is lost between them.
  openStream() {
    const { promise, resolve } = Promise.withResolvers();
    const whenReady = (take) => (data) => (this.ready ? take(data) : this.early.push(() => take(data)));
    this.stream = new Stream(this.source, {
      opened: () => {
        this.opened();
        resolve();
      },
      lost: () => {
        this.setLost(true);
        resolve();
      },
      ticks: whenReady((ticks) => this.takeTicks(ticks)),
      event: whenReady((event) => this.keepEvent(event)),
      gone: whenReady(({ id }) => this.dropEvent(id)),
      test: whenReady((test) => this.takeTest(test)),
      resync: whenReady(() => this.resync()),
      end: whenReady(() => this.finish()),
    });
    this.stream.open();
    setTimeout(resolve, FIRST_WAIT_MS);
    return promise;
  }

  // What happened while there was no stream has to be loaded.
  opened() {
    this.setLost(false);
    if (this.ready) this.resync();
  }

  finish() {
    this.over = true;
    this.controls.showState();
    announce("The monitor has stopped.");
  }

  setLost(lost) {
    this.lost = lost;
    this.controls?.showState();
  }

  setPaused(paused) {
    this.paused = paused;
    this.controls.showState();
    if (!paused) this.refresh();
  }

  takeTicks(ticks) {
    this.isNew = this.store.takeTicks(ticks) || this.isNew;
    this.fresh = true;
  }

  takeTest(test) {
    const place = this.store.tests.findIndex((one) => one.name === test.name && one.began === test.began);
    if (place < 0) this.store.tests.push(test);
    else this.store.tests[place] = test;
    this.strip.makeTests();
    this.stage.redraw();
  }

  // Once a second: what arrived is drawn, unless the view is paused.
  refresh() {
    if (!this.fresh || this.paused) return;
    this.fresh = false;
    if (this.isNew) this.renderAgain();
    this.isNew = false;
    if (this.view.following) this.view.follow();
    else this.stage.redraw();
  }

  async resync() {
    const before = this.shape();
    try {
      await this.store.fetchPage();
    } catch {
      this.stream.retry();
      return;
    }
    this.strip.makeTests();
    if (this.shape() !== before || this.place().view === "events") this.renderAgain();
    this.stage.loadVisible();
    this.fresh = true;
    this.controls.showState();
  }

  shape() {
    return JSON.stringify(
      [...this.store.hosts.values()].map((host) => [host.name, host.tags, host.path, [...host.series.keys()]]),
    );
  }
}

// --- dark and light

class Theme {
  constructor(onChange) {
    this.onChange = onChange;
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.system.addEventListener("change", () => this.apply());
    byId("theme").addEventListener("click", () => this.toggle());
    this.chosen = memory.get("theme");
    this.apply();
  }

  get dark() {
    return this.chosen ? this.chosen === "dark" : this.system.matches;
  }

  // A choice that equals the system's theme is deleted: the page follows the system again.
  toggle() {
    const next = this.dark ? "light" : "dark";
    this.chosen = (next === "dark") === this.system.matches ? "" : next;
    memory.set("theme", this.chosen);
    this.apply();
  }

  apply() {
    document.documentElement.dataset.theme = this.dark ? "dark" : "light";
    byId("theme").setAttribute("aria-pressed", String(this.dark));
    this.onChange();
  }
}

// --- controls

class Controls {
  constructor(app) {
    this.app = app;
    this.view = app.view;
    const { page } = app.store;
    this.live = page.mode === "live" && page.ended === null;
    setText(byId("title"), page.title);
    byId("live-controls").hidden = !this.live;
    byId("add").hidden = byId("downloads").hidden = !app.source.isServer;
    this.connectTime();
    this.connectLive();
    this.connectSearch();
    this.connectDownloads();
    this.showState();
  }

  click(id, action) {
    byId(id).addEventListener("click", action);
  }

  connectTime() {
    this.click("earlier", () => this.view.pan(-PAN_SHARE));
    this.click("later", () => this.view.pan(PAN_SHARE));
    this.click("zoom-in", () => this.view.zoom(1 / ZOOM));
    this.click("zoom-out", () => this.view.zoom(ZOOM));
    this.click("reset", () => this.view.reset());
    this.click("add", () => this.app.eventDialog.addHere());
  }

  connectLive() {
    const length = byId("follow-length");
    this.click("pause", () => this.app.setPaused(!this.app.paused));
    this.click("follow", () => this.follow());
    length.addEventListener("change", () => {
      this.view.followed_s = Number(length.value);
      this.follow();
    });
  }

  follow() {
    this.app.paused = false;
    this.view.follow();
    this.showState();
  }

  connectSearch() {
    const field = byId("search");
    let timer;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.app.search(field.value), SEARCH_MS);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      if (field.value) this.app.search("");
      else field.blur();
    });
  }

  connectDownloads() {
    const menu = byId("downloads");
    menu.addEventListener("toggle", () => {
      if (menu.open) this.showDownloads();
    });
    addEventListener("click", (event) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  }

  showDownloads() {
    const { view, name } = this.app.place();
    const host = view === "host" ? { host: name } : {};
    const range = { since: this.view.from.toFixed(3), until: this.view.to.toFixed(3) };
    setText(byId("download-what"), `${host.host ?? "All hosts"}, visible range`);
    for (const link of byId("downloads").querySelectorAll("a"))
      link.href = this.app.source.address(`export.${link.dataset.form}`, { ...host, ...range });
  }

  showRange() {
    setText(byId("range"), `${rangeText(this.view.from, this.view.to)} · ${lengthText(this.view.length)}`);
    byId("follow").setAttribute("aria-pressed", String(this.view.following));
  }

  showPlace(view) {
    const tab = { host: "grid" }[view] ?? view;
    for (const link of document.querySelectorAll("[data-view]")) {
      if (link.dataset.view === tab) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  showState() {
    const [state, text] = this.state();
    byId("state").dataset.state = state;
    setText(byId("state-text"), text);
    byId("pause").setAttribute("aria-pressed", String(Boolean(this.app.paused)));
    setText(byId("pause"), this.app.paused ? "Resume" : "Pause");
  }

  state() {
    const { page } = this.app.store;
    if (this.app.over || (page.mode === "live" && page.ended !== null)) return ["still", "the watching is over"];
    if (this.app.lost) return ["lost", "connection lost, trying again"];
    if (page.mode !== "live") return ["still", page.mode === "static" ? "file" : "replay"];
    return this.app.paused ? ["paused", "paused"] : ["live", "live"];
  }

  complain(text) {
    announce(text);
    const note = element("p", { class: "notice bad" }, text);
    byId("content").prepend(note);
    setTimeout(() => note.remove(), 8000);
  }
}

// --- marks and spans

class EventDialog {
  constructor(app) {
    this.app = app;
    this.dialog = byId("event-dialog");
    byId("event-cancel").addEventListener("click", () => this.dialog.close());
    byId("event-range").addEventListener("click", () => this.setTimes(app.view.from, app.view.to));
    byId("event-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
  }

  addHere() {
    const { view } = this.app;
    const place = this.app.place();
    this.add({
      at: view.hover ?? (view.following ? view.to : (view.from + view.to) / 2),
      until: null,
      host: place.view === "host" ? place.name : "",
    });
  }

  add(event) {
    this.open(event.until === null ? "Add a mark" : "Add a span", { text: "", ...event, id: null });
  }

  edit(event) {
    this.open(`Edit ${event.kind}`, event);
  }

  open(title, event) {
    this.event = event;
    setText(byId("event-title"), title);
    setText(byId("event-error"), "");
    byId("event-text").value = event.text;
    byId("event-host").replaceChildren(
      element("option", { value: "" }, "all hosts"),
      ...[...this.app.store.hosts.keys()].map((name) => element("option", { value: name }, name)),
    );
    byId("event-host").value = event.host;
    this.setTimes(event.at, event.until);
    this.dialog.showModal();
    byId("event-text").focus();
  }

  setTimes(at, until) {
    this.times = {
      "event-at": [at, fieldTime(at)],
      "event-until": until === null || until === undefined ? [null, ""] : [until, fieldTime(until)],
    };
    for (const [id, [, text]] of Object.entries(this.times)) byId(id).value = text;
  }

  // A field that was not touched keeps its exact time: the field itself only knows milliseconds.
  timeOf(id) {
    const { value } = byId(id);
    const [time, text] = this.times[id];
    if (value === "") return null;
    return new Date(value).getTime() === new Date(text).getTime() ? time : new Date(value).getTime() / 1000;
  }

  async save() {
    const wanted = {
      at: this.timeOf("event-at"),
      until: this.timeOf("event-until"),
      text: byId("event-text").value.trim(),
      host: byId("event-host").value,
    };
    if (wanted.until !== null && wanted.until < wanted.at) return setText(byId("event-error"), "It ends before it begins.");
    const { source } = this.app;
    try {
      const event = this.event.id === null ? await source.addEvent(wanted) : await source.changeEvent(this.event.id, wanted);
      this.dialog.close();
      this.app.keepEvent(event);
      announce(`Saved: ${event.text}`);
    } catch (error) {
      setText(byId("event-error"), `It was not saved. ${error.message}`);
    }
    return undefined;
  }
}

// --- keys

class Keys {
  constructor(app) {
    this.app = app;
    const { view } = app;
    // Letters can be turned off: they disturb voice control.
    this.letters = {
      "/": () => {
        byId("search").focus();
        byId("search").select();
      },
      "?": () => this.help(),
      "+": () => view.zoom(1 / ZOOM),
      "=": () => view.zoom(1 / ZOOM),
      "-": () => view.zoom(ZOOM),
      0: () => view.reset(),
      ",": () => this.step(-1),
      ".": () => this.step(1),
      "<": () => this.step(-10),
      ">": () => this.step(10),
      h: () => {
        location.hash = "";
      },
      t: () => {
        location.hash = "#topology";
      },
      e: () => {
        location.hash = "#events";
      },
      m: () => {
        if (app.source.isServer) app.eventDialog.addHere();
      },
      p: () => {
        if (app.controls.live) app.setPaused(!app.paused);
      },
      f: () => {
        if (app.controls.live) app.controls.follow();
      },
    };
    this.others = {
      ArrowLeft: () => view.pan(-PAN_SHARE),
      ArrowRight: () => view.pan(PAN_SHARE),
      Escape: () => view.point(null),
    };
    this.connect();
  }

  connect() {
    const check = byId("single-keys");
    check.checked = memory.get("keys") !== "off";
    check.addEventListener("change", () => memory.set("keys", check.checked ? "on" : "off"));
    byId("help").addEventListener("click", () => this.help());
    byId("help-close").addEventListener("click", () => byId("help-dialog").close());
    document.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, dialog")) return;
    if (event.key.startsWith("Arrow") && this.scrolls(event.target)) return;
    const action = this.others[event.key] ?? (byId("single-keys").checked ? this.letters[event.key] : null);
    if (!action) return;
    event.preventDefault();
    action();
  }

  // A wide table or drawing that has the focus keeps the arrows.
  scrolls(node) {
    return node.matches("[role=group][tabindex]") && node.scrollWidth > node.clientWidth;
  }

  help() {
    byId("help-dialog").showModal();
  }

  step(intervals) {
    const { view, store } = this.app;
    const time = (view.hover ?? view.to) + intervals * store.page.interval_s;
    const [begin, end] = view.whole();
    const hover = Math.min(Math.max(time, begin), end);
    if (hover < view.from || hover > view.to)
      view.choose(view.from + intervals * store.page.interval_s, view.to + intervals * store.page.interval_s);
    view.point(hover);
    announce(clockText(hover));
  }
}

const app = new App();
app.start();
