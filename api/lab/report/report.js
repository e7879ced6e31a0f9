"use strict";
// The report: pictures from the data in the page, the table of trades, and each one's audit walk.

const data = JSON.parse(textOf("data"));
const trades = data.trades;
const total = trades.pnl.length;
const money = (x) => x.toLocaleString("en", { minimumFractionDigits: data.digits, maximumFractionDigits: data.digits }).replace("-", "−");
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const counted = (n) => `${n.toLocaleString("en")} trade${n === 1 ? "" : "s"}`;
let walks = [], view = null, chosen = -1, charted = [], chartOf = null;

function drawPlots() {
  equityPlot("equity-plot", data.equity, data.currency);
  linePlot("rolling-plot", data.rolling.s, data.rolling.value, { label: `Sharpe ratio a year over the last ${data.rolling.window} trading days` });
  linePlot("exposure-plot", data.equity.s, data.equity.margin, { label: `Margin used, ${data.currency}`, height: 120, tint: "balance", filled: true });
  const hours = data.hours, days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
  barPlot("hours-plot", hours.hour_pnl.map((_, i) => two(i)), hours.hour_pnl, { label: "Result by hour of entry", every: 3, said: (i) => `${two(i)}:00 ${money(hours.hour_pnl[i])} ${data.currency}, ${counted(hours.hour_count[i])}` });
  const used = days.map((_, i) => i).filter((i) => i < 5 || hours.weekday_count[i]);
  barPlot("weekdays-plot", used.map((i) => days[i]), used.map((i) => hours.weekday_pnl[i]), { label: "Result by weekday of entry", said: (k) => `${days[used[k]]} ${money(hours.weekday_pnl[used[k]])} ${data.currency}, ${counted(hours.weekday_count[used[k]])}` });
  waterfall("costs-plot", data.costs);
  if (!total) return;
  scatter("mae-plot", trades.mae, trades.pnl, { label: "Worst floating result of each trade against its result", xName: "MAE", chosen: choose });
  scatter("mfe-plot", trades.mfe, trades.pnl, { label: "Best floating result of each trade against its result", xName: "MFE", chosen: choose });
  const { edges, count } = data.distribution;
  barPlot("distribution-plot", edges.slice(0, -1).map(short), count, { label: "Trades by result", every: Math.max(1, Math.ceil(count.length / 7)), tint: (i) => (edges[i] >= 0 ? "gain" : "loss"), said: (i) => `${short(edges[i])} to ${short(edges[i + 1])}: ${counted(count[i])}` });
}

const quoted = (x, i) => { const digits = data.price_digits[trades.listing[i]]; return digits === undefined ? x : x.toFixed(digits); };
const when = (ms) => clock(ms / 1000, true);
const columns = [
  ["#", (i) => i, (i) => i + 1],
  ["Entry", (i) => trades.entry_ms[i], (i) => when(trades.entry_ms[i]), "text"],
  ["Side", (i) => trades.side[i], (i) => (trades.side[i] > 0 ? "▲ long" : "▼ short"), "text"],
  ["Lots", (i) => trades.lots[i], (i) => trades.lots[i]],
  ["Price", (i) => trades.entry_price[i], (i) => quoted(trades.entry_price[i], i)],
  ["Exit", (i) => trades.exit_ms[i], (i) => when(trades.exit_ms[i]), "text"],
  ["Price", (i) => trades.exit_price[i], (i) => quoted(trades.exit_price[i], i)],
  ["Why", (i) => trades.exit_reason[i], (i) => escaped(trades.exit_reason[i].toLowerCase().replace("_", " ")), "text"],
  ["Result", (i) => trades.pnl[i], (i) => `<span class="${trades.pnl[i] >= 0 ? "up" : "down"}">${money(trades.pnl[i])}</span>`],
  ["R", (i) => (trades.risk[i] ? trades.pnl[i] / trades.risk[i] : -Infinity), (i) => (trades.risk[i] ? (trades.pnl[i] / trades.risk[i]).toFixed(2).replace("-", "−") : "–")],
  ["Costs", (i) => costOf(i), (i) => money(costOf(i))],
  ["MAE", (i) => trades.mae[i], (i) => money(trades.mae[i])],
  ["MFE", (i) => trades.mfe[i], (i) => money(trades.mfe[i])],
];
if (new Set(trades.listing).size > 1) columns.splice(2, 0, ["Listing", (i) => trades.listing[i], (i) => escaped(trades.listing[i]), "text"]);
if (new Set(trades.strategy).size > 1) columns.splice(2, 0, ["Strategy", (i) => trades.strategy[i], (i) => escaped(trades.strategy[i]), "text"]);
const costOf = (i) => trades.spread_cost[i] + trades.slippage_cost[i] + trades.commission[i] + trades.swap[i];

const PAGE = 500;
let order = Array.from({ length: total }, (_, i) => i), sorted = 0, ascending = true, listed = PAGE;

function drawTable() {
  const table = document.getElementById("trade-table");
  if (!table) return;
  table.tHead.innerHTML = `<tr>${columns.map(([name, , , kind], k) => `<th scope="col" class="${kind || ""}"${k === sorted ? ` aria-sort="${ascending ? "ascending" : "descending"}"` : ""}><button type="button" data-column="${k}">${name}${k === sorted ? (ascending ? " ↑" : " ↓") : ""}</button></th>`).join("")}</tr>`;
  table.tBodies[0].innerHTML = order.slice(0, listed).map((i) => `<tr data-trade="${i}" tabindex="0"${i === chosen ? ' class="chosen"' : ""}>${columns.map(([, , said, kind]) => `<td${kind ? ` class="${kind}"` : ""}>${said(i)}</td>`).join("")}</tr>`).join("");
  const more = document.getElementById("more");
  more.hidden = listed >= total;
  more.textContent = `Show ${Math.min(PAGE, total - listed)} more of ${(total - listed).toLocaleString("en")}`;
}

function sortBy(k) {
  ascending = k === sorted ? !ascending : true;
  sorted = k;
  const key = columns[k][1];
  order.sort((a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : a - b) * (ascending ? 1 : -1); });
  drawTable();
}

async function bring(i) {
  const k = data.charts.indexOf(trades.listing[i]);
  if (k < 0 || !chartOf) return;
  await chartOf(k);
  if (view) view.show(charted.indexOf(i));
}

function choose(i) {
  chosen = i;
  document.querySelectorAll("#trade-table tr.chosen").forEach((row) => row.classList.remove("chosen"));
  const row = document.querySelector(`#trade-table tr[data-trade="${i}"]`);
  if (row) {
    row.classList.add("chosen");
    const holder = row.closest(".tall");
    if (row.offsetTop < holder.scrollTop + 40 || row.offsetTop > holder.scrollTop + holder.clientHeight - 40) holder.scrollTop = row.offsetTop - 120;
  }
  bring(i);
  drawWalk(i);
}

const step = (name, text) => `<li><b>${name}</b> ${text}</li>`;
const price = (x) => (x === null || x === undefined ? "–" : `<code>${x}</code>`);
const tick = (n) => (n >= 0 ? `tick <code>${n.toLocaleString("en")}</code>` : "tick unknown");
const us = (t) => `${when(t / 1000)}.${String(Math.floor((t % 1e6) / 1e3)).padStart(3, "0")}`;
const ms = (t) => us(t * 1000);

function fillText(f) {
  const worse = f.slippage === 0 ? "no slippage" : `${Math.abs(f.slippage)} point${Math.abs(f.slippage) === 1 ? "" : "s"} ${f.slippage > 0 ? "worse" : "better"} than decided (${price(f.decided)})`;
  return `${f.side.toLowerCase()} ${f.lots} lots at ${price(f.price)}, ${ms(f.ms)}, ${tick(f.n)}; bid ${price(f.bid)}, ask ${price(f.ask)}, spread ${f.spread} points; ${worse}; commission ${money(f.commission)}, swap ${money(f.swap)}; deal ${f.deal} of order ${f.order}`;
}

function orderText(o) {
  const at = o.type === "MARKET" ? "" : ` at ${price(o.price)}`;
  const reason = o.reason === "NONE" ? "" : `, because of ${escaped(o.reason.toLowerCase().replace("_", " "))}`;
  return `${o.no}: ${o.type.toLowerCase()} ${o.side.toLowerCase()} ${o.lots} lots${at}, decided ${us(o.us)} on ${tick(o.n)} (bid ${price(o.bid)}, ask ${price(o.ask)}); stop ${price(o.sl)}, target ${price(o.tp)}${reason}${o.retry ? `, attempt ${o.retry + 1}` : ""}`;
}

function riskText(r) {
  const number = (x) => (x === null ? "–" : +x.toPrecision(6));
  const rows = r.checks.map(([name, limit, measured, unit, verdict]) => `<tr><td>${escaped(name.replaceAll("_", " "))}</td><td>${number(limit)}</td><td>${number(measured)}</td><td>${escaped(unit)}</td><td>${verdict === "NONE" ? "no limit" : escaped(verdict.toLowerCase())}</td></tr>`).join("");
  return `${escaped(r.verdict.toLowerCase())}: ${r.asked} lots asked, ${r.allowed} allowed; equity ${money(r.equity)}, margin used ${money(r.margin)}<div class="scroll"><table><thead><tr><th>Check</th><th>Limit</th><th>Measured</th><th>Unit</th><th>Verdict</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

function drawWalk(i) {
  const box = document.getElementById("walk"), w = walks[i];
  box.hidden = false;
  const head = `<h3 style="margin-top:0">Trade ${i + 1}: ${trades.side[i] > 0 ? "long" : "short"} ${trades.lots[i]} ${escaped(trades.listing[i])}, result <span class="${trades.pnl[i] >= 0 ? "up" : "down"}">${money(trades.pnl[i])} ${data.currency}</span></h3>`
    + `<p class="note">${money(trades.gross[i] + trades.spread_cost[i] + trades.slippage_cost[i])} before costs, spread ${money(trades.spread_cost[i])}, slippage ${money(trades.slippage_cost[i])}, commission ${money(trades.commission[i])}, swap ${money(trades.swap[i])}; at worst ${money(trades.mae[i])}, at best ${money(trades.mfe[i])}</p>`;
  if (!w) { box.innerHTML = `${head}<p class="note">The records of this run weren't kept, so there is no walk from fill to tick.</p>`; return; }
  const items = [];
  for (const f of w.fills.slice().reverse()) items.push(step(f.entry === "IN" ? "Entry fill" : `Exit fill (${escaped(f.reason.toLowerCase().replace("_", " "))})`, fillText(f)));
  if (w.closing) items.splice(1, 0, step("Exit order", orderText(w.closing)));
  if (w.stops.length) {
    const shown = w.stops.slice(-6), rest = w.stops.length - shown.length;
    items.splice(w.closing ? 2 : 1, 0, step("Stop", `${rest ? `${rest} earlier, then ` : ""}${shown.map(([t, sl, tp]) => `${price(sl)}${tp === null ? "" : ` (target ${price(tp)})`} from ${ms(t)}`).join("; ")}`));
  }
  if (w.order) items.push(step("Order", orderText(w.order)));
  if (w.risk) items.push(step("Risk decision", riskText(w.risk)));
  if (w.signal) {
    const s = w.signal;
    items.push(step("Signal", `<code>${escaped(s.operator)}</code> number ${s.seq}, reference ${s.ref}, ${ms(s.ms)}; stop distance ${price(s.stop)}, target distance ${price(s.target)}${s.model ? `, model ${escaped(s.model)}` : ""}`));
    items.push(step("Ticks", `<code>${s.from.toLocaleString("en")}</code> to <code>${s.n.toLocaleString("en")}</code> of ${escaped(trades.listing[i])}; at the last: bid ${price(s.bid)}, ask ${price(s.ask)}`));
  }
  box.innerHTML = `${head}<ol>${items.join("")}</ol>`;
}

function marksOf(chart) {
  charted = order.slice().sort((a, b) => a - b).filter((i) => trades.listing[i] === chart.listing);
  return charted.map((i) => ({
    entryS: trades.entry_ms[i] / 1000, entryPrice: trades.entry_price[i], exitS: trades.exit_ms[i] / 1000, exitPrice: trades.exit_price[i],
    side: trades.side[i], pnl: trades.pnl[i],
    stops: (walks[i] ? walks[i].stops : []).filter(([t, sl]) => sl !== null && t <= trades.exit_ms[i]).map(([t, sl]) => [t / 1000, sl]),
  }));
}

async function start() {
  drawPlots();
  drawTable();
  const table = document.getElementById("trade-table");
  if (table) {
    const pick = (e) => { const row = e.target.closest("tr[data-trade]"); if (row) choose(Number(row.dataset.trade)); };
    table.addEventListener("click", (e) => { const head = e.target.closest("[data-column]"); if (head) sortBy(Number(head.dataset.column)); else pick(e); });
    table.addEventListener("keydown", (e) => { if (e.key === "Enter") pick(e); });
    document.getElementById("more").addEventListener("click", () => { listed += PAGE; drawTable(); });
  }
  document.getElementById("definitions").addEventListener("change", (e) => document.getElementById("metrics").classList.toggle("defined", e.target.checked));
  let width = innerWidth, waiting = 0;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; clearTimeout(waiting); waiting = setTimeout(drawPlots, 120); } });
  if (typeof DecompressionStream !== "undefined") walks = JSON.parse(new TextDecoder().decode(await inflated(JSON.parse(textOf("walks")))));
  chartOf = startCharts(document.querySelectorAll('script[id^="chart-"]').length, marksOf, (shown) => {
    charted = order.slice().sort((a, b) => a - b).filter((i) => trades.listing[i] === shown.chart.listing);
    view = shown;
  });
}
start();
