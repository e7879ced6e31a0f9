// The page: what the server pushes, section by section, and the audit walk of a fill.

import { candles, equity } from "/chart.js";

const $ = (id) => document.getElementById(id);
const state = { listing: new URLSearchParams(location.search).get("listing"), feeds: [], section: null, account: null, market: null, spots: [] };
let source = null;

const clock = (seconds) => (seconds == null ? "" : new Date(seconds * 1000).toISOString().slice(11, 23).replace(/\.000$/, ""));
const fixed = (digits) => (value) => (value == null ? "" : Number(value).toFixed(digits));
const plain = (value) => (value == null || value === "NONE" ? "" : Array.isArray(value) ? value.join(", ") : String(value));
const money = fixed(2);
const digitsOf = (name) => {
  const feed = state.feeds.find((each) => each.listing === name);
  return feed && feed.digits != null ? feed.digits : 5;
};
const price = (value, row) => (value == null ? "" : Number(value).toFixed(digitsOf(row.listing)));

/** Fills a table: `columns` are [title, key, format, kind]; `open` makes rows links. One that says the same is left as it
 * is, so that who clicks, marks text or walks by keyboard is not disturbed. */
function table(id, rows, columns, open) {
  const text = JSON.stringify(rows);
  if ($(id).dataset.rows === text) return;
  $(id).dataset.rows = text;
  const focused = $(id).contains(document.activeElement) ? document.activeElement.dataset.id : null;
  const head = document.createElement("tr");
  for (const [title, , , kind] of columns) {
    const cell = document.createElement("th");
    cell.textContent = title;
    if (kind) cell.className = kind;
    head.append(cell);
  }
  const body = rows.map((row) => {
    const line = document.createElement("tr");
    for (const [, key, format, kind] of columns) {
      const cell = document.createElement("td");
      cell.textContent = (format || plain)(row[key], row);
      if (format === clock && row[key] != null) cell.title = `${new Date(row[key] * 1000).toISOString()}`;
      if (kind) cell.className = kind;
      if (key === "side") cell.classList.add(row.side === "LONG" ? "long" : "short");
      if (key === "state" && kind === "status") cell.className = row.state === "ready" || row.state === "external" ? "good" : "bad";
      if (key === "severity" && row.severity !== "INFO") cell.classList.add("bad");
      line.append(cell);
    }
    if (open) {
      line.className = "link";
      line.tabIndex = 0;
      line.dataset.id = row.id;
      line.addEventListener("click", () => open(row));
      line.addEventListener("keydown", (event) => event.key === "Enter" && open(row));
    }
    return line;
  });
  const thead = document.createElement("thead"), tbody = document.createElement("tbody");
  thead.append(head);
  tbody.append(...(body.length ? body : [nothing(columns.length)]));
  $(id).replaceChildren(thead, tbody);
  if (focused) body.find((line) => line.dataset.id === focused)?.focus({ preventScroll: true });
}

function nothing(columns) {
  const line = document.createElement("tr"), cell = document.createElement("td");
  cell.colSpan = columns;
  cell.className = "none";
  cell.textContent = "none";
  line.append(cell);
  return line;
}

const number = "number";

const whose = (instance) => instance || "not ours";

const show = {
  services(services) {
    table("services", Object.entries(services).map(([name, one]) => ({ name, ...one })),
      [["service", "name"], ["state", "state", null, "status"], ["process", "pid", null, number], ["address", "address"], ["reason", "reason"]]);
  },
  topics(rows) {
    table("topics", rows, [["topic", "topic"], ["records", "taken", (v) => Number(v).toLocaleString("en"), number], ["refused", "refused", null, number]]);
  },
  alerts(rows) {
    table("alerts", rows, [["time", "t", clock], ["severity", "severity"], ["code", "code"], ["about", "subject"], ["what", "message", null, "text"]]);
  },
  feeds(rows) {
    state.feeds = rows;
    table("feeds", rows, [["listing", "listing"], ["time", "t", clock], ["bid", "bid", price, number], ["ask", "ask", price, number],
      ["spread, points", "spread", fixed(1), number], ["ticks", "ticks", (v) => Number(v).toLocaleString("en"), number],
      ["good of last 500", "good", (v) => (v == null ? "" : `${(100 * v).toFixed(1)} %`), number], ["lag, ms", "lag_ms", fixed(0), number], ["newest is", "quality", (v) => plain(v) || "good"]]);
    const choice = $("listing");
    const names = rows.map((row) => row.listing);
    if ([...choice.options].map((option) => option.value).join() !== names.join()) {
      choice.replaceChildren(...names.map((name) => new Option(name, name, false, name === state.listing)));
    }
    if (!state.listing && names.length) look(names[0]);
    quote();
  },
  listing(section) {
    if (!section || section.listing !== state.listing) return;
    state.section = section;
    state.spots = candles($("candles"), section, digitsOf(state.listing));
    quote();
  },
  accounts(accounts) {
    const account = accounts[0];
    if (!account) return;
    const last = account.equity[account.equity.length - 1];
    const drawdown = last ? Math.max(0, last.peak - last.equity) : 0;
    $("money").textContent = last
      ? `${account.account}: equity ${money(last.equity)}, balance ${money(last.balance)}, drawdown ${money(drawdown)} (${((100 * drawdown) / last.peak).toFixed(2)} %)`
      : account.account;
    $("trading").textContent = `trading: ${account.state.state}${account.state.cause ? `, ${account.state.cause}` : ""}${account.state.who ? ` (${account.state.who})` : ""}`;
    state.account = account;
    drawEquity();
    table("positions", account.positions, [["opened", "opened", clock], ["position", "position", null, number], ["listing", "listing"], ["instance", "instance", whose],
      ["side", "side"], ["lots", "volume", null, number], ["price", "price", price, number], ["stop", "sl", price, number], ["target", "tp", price, number]]);
    table("orders", account.orders, [["time", "t", clock], ["order", "order_no", null, number], ["listing", "listing"], ["instance", "instance"], ["purpose", "purpose"],
      ["type", "type"], ["side", "side"], ["lots", "volume", null, number], ["stop", "sl", price, number], ["target", "tp", price, number], ["state", "state"], ["filled", "filled", null, number], ["why", "reason"], ["last", "cause", null, "text"]]);
    table("fills", account.fills, [["time", "t", clock], ["order", "order_no", null, number], ["listing", "listing"], ["instance", "instance", whose], ["side", "side"], ["entry", "entry"],
      ["why", "reason"], ["lots", "volume", null, number], ["price", "price", price, number], ["slippage", "slippage_points", fixed(1), number], ["commission", "commission", money, number], ["profit", "profit", money, number]],
      (row) => walk(row.id));
    table("decisions", account.decisions, [["time", "t", clock], ["listing", "listing"], ["instance", "instance"], ["side", "side"], ["verdict", "verdict"],
      ["code", "code"], ["asked", "asked", null, number], ["allowed", "allowed", null, number], ["why", "reason", null, "text"]]);
    const booked = fixed(account.digits ?? 2);
    table("pnl", account.total ? [...account.pnl, account.total] : [], [["agent", "instance", whose], ["cause", "reason"], ["trades", "trades", null, number], ["gross", "gross", booked, number],
      ["spread", "spread", booked, number], ["slippage", "slippage", booked, number], ["commission", "commission", booked, number], ["swap", "swap", booked, number], ["net", "net", booked, number]]);
  },
  market(market) {
    const minute = state.market?.now?.slice(0, 16);
    state.market = market;
    if (minute !== market.now?.slice(0, 16)) drawEquity();
    $("controls").hidden = !market.simulated;
    if (market.now) $("clock").textContent = `${market.now.replace("T", " ").slice(0, 19)} UTC${market.ended ? ", played to the end" : ""}`;
    if (!market.simulated) return;
    $("pause").textContent = market.standing ? "Go on" : "Pause";
    if (document.activeElement !== $("speed")) {
      const speed = String(market.speed);
      if (![...$("speed").options].some((option) => option.value === speed)) $("speed").add(new Option(`${speed} ×`, speed));
      $("speed").value = speed;
    }
    const from = Date.parse(market.played_from), to = Date.parse(market.played_to);
    $("played").value = to > from ? (Date.parse(market.now) - from) / (to - from) : 0;
  },
  database(trouble) {
    connected(!trouble, trouble ? `database: ${trouble}` : "live");
  },
};

/** Equity up to the market's minute, if nothing is held: what is held is marked each minute. */
function drawEquity() {
  if (!state.account) return;
  const now = !state.account.positions.length && state.market?.now ? Date.parse(state.market.now) / 1000 : 0;
  equity($("equity"), state.account.equity, now);
}

function connected(isGood, text) {
  $("connection").textContent = text;
  $("connection").className = `pill ${isGood ? "good" : "bad"}`;
}

function quote() {
  const feed = state.feeds.find((each) => each.listing === state.listing);
  $("quote").textContent = feed ? `${feed.listing}  ${price(feed.bid, feed)} / ${price(feed.ask, feed)}` : "";
}

/** Looks at a listing: the stream begins anew with its candles. */
function look(name) {
  state.listing = name;
  state.section = null;
  history.replaceState(null, "", name ? `?listing=${encodeURIComponent(name)}` : "/");
  if (source) source.close();
  source = new EventSource(`/api/stream${name ? `?symbol=${encodeURIComponent(name)}` : ""}`);
  source.onerror = () => connected(false, "the server doesn't answer: trying again");
  for (const [section, draw] of Object.entries(show)) source.addEventListener(section, (event) => draw(JSON.parse(event.data)));
}

async function act(action, value) {
  const answer = await fetch(`/api/market/${action}${value == null ? "" : `?value=${value}`}`, { method: "POST", headers: { "X-Tickledger": "1" } });
  if (!answer.ok) connected(false, (await answer.json()).detail);
}

const CHECK = ["check", "verdict", "measured", "limit", "unit"];

/** A value of the walk's tables: no more digits than say something; what there is none of (a limit) is a dash. */
function short(value) {
  if (value == null || value === "nan" || Number.isNaN(value)) return "–";
  if (typeof value === "object") return JSON.stringify(value);
  const parsed = typeof value === "boolean" || value === "" ? NaN : Number(value);
  return Number.isFinite(parsed) && !Number.isInteger(parsed) ? String(Number(parsed.toPrecision(8))) : plain(value);
}

/** A part of the walk: a heading and its fields, or a table. */
function part(title, value) {
  const heading = document.createElement("h2");
  heading.textContent = title;
  if (!value || (Array.isArray(value) && !value.length)) {
    const none = document.createElement("p");
    none.textContent = "none";
    return [heading, none];
  }
  if (Array.isArray(value)) {
    const box = document.createElement("div"), inner = document.createElement("table");
    box.className = "scroll";
    inner.id = `walk-${title.replaceAll(" ", "-")}`;
    box.append(inner);
    $("walk-body").append(heading, box);
    table(inner.id, value, (title === "checks" ? CHECK : Object.keys(value[0])).map((key) => [key, key, short]));
    return [];
  }
  const list = document.createElement("dl");
  const checks = value.checks;
  for (const [key, each] of Object.entries(value)) {
    if (each == null || each === "" || key === "checks") continue;
    const name = document.createElement("dt"), text = document.createElement("dd");
    name.textContent = key;
    text.textContent = typeof each === "object" ? JSON.stringify(each) : String(each);
    list.append(name, text);
  }
  $("walk-body").append(heading, list);
  if (checks) part("checks", checks);
  return [];
}

async function walk(id) {
  const answer = await fetch(`/api/audit/${id.split("/").map(encodeURIComponent).join("/")}`);
  const found = await answer.json();
  $("walk-title").textContent = `Audit walk of ${id}`;
  $("walk-body").replaceChildren();
  if (!answer.ok) {
    $("walk-body").textContent = found.detail;
  } else {
    for (const name of ["fill", "deal", "order", "changes", "reports", "decision", "signal", "activation", "specification", "ticks"]) {
      $("walk-body").append(...part(name === "ticks" ? `ticks (${found.tick_count}, the last ${found.ticks.length})` : name, found[name]));
    }
  }
  $("walk").showModal();
}

$("listing").addEventListener("change", (event) => look(event.target.value));
$("pause").addEventListener("click", () => act(state.market && state.market.standing ? "resume" : "pause"));
$("speed").addEventListener("change", (event) => { act("speed", event.target.value); event.target.blur(); });
$("candles").addEventListener("click", (event) => {
  const box = $("candles").getBoundingClientRect();
  const near = state.spots.map((spot) => ({ ...spot, far: Math.hypot(spot.x - (event.clientX - box.left), spot.y - (event.clientY - box.top)) }))
    .sort((a, b) => a.far - b.far)[0];
  if (near && near.far < 20) walk(near.id);
});
window.addEventListener("resize", () => { if (state.section) state.spots = candles($("candles"), state.section, digitsOf(state.listing)); });
look(state.listing);
