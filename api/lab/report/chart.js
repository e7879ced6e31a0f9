"use strict";
// Candles on a canvas: drag, wheel, pinch and keys; above the pixels' number bars are drawn together, extremes kept.

const MISSING = -2147483648;
const textOf = (id) => document.getElementById(id).textContent;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const two = (x) => String(x).padStart(2, "0");

async function inflated(base64) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(base64) {
  const planes = await inflated(base64);
  const n = planes.length / 4;
  const out = new Int32Array(n);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    sum = (sum + (planes[i] | (planes[n + i] << 8) | (planes[2 * n + i] << 16) | (planes[3 * n + i] << 24))) | 0;
    out[i] = sum;
  }
  return out;
}

async function unpackChart(packed) {
  const names = ["time", "offset", "open", "high", "low", "close"];
  const columns = await Promise.all(names.map((name) => unpack(packed[name])));
  const lines = await Promise.all(packed.lines.map(async (line) => ({ name: line.name, values: await unpack(line.values) })));
  const chart = Object.fromEntries(names.map((name, i) => [name, columns[i]]));
  return { ...packed, ...chart, lines, unit: 10 ** packed.scale };
}

function clock(seconds, withSeconds) {
  const d = new Date(seconds * 1000);
  const day = `${d.getUTCFullYear()}-${two(d.getUTCMonth() + 1)}-${two(d.getUTCDate())}`;
  return `${day} ${two(d.getUTCHours())}:${two(d.getUTCMinutes())}${withSeconds ? `:${two(d.getUTCSeconds())}` : ""}`;
}

class PriceChart {
  // marks: {entryS, entryPrice, exitS, exitPrice, side, pnl, stops: [[s, price]]}[], or for signals {entryS, entryPrice, side, leaves}.
  constructor(holder, chart, marks) {
    Object.assign(this, { holder, chart, marks, chosen: -1, pointer: null, over: new AbortController(), shown: new Set(chart.lines.map((_, i) => i)) });
    holder.replaceChildren();
    this.canvas = holder.appendChild(document.createElement("canvas"));
    this.read = holder.appendChild(document.createElement("div"));
    this.read.className = "read";
    for (const mark of marks) {
      mark.i = this.barAt(mark.entryS);
      mark.j = mark.exitS === undefined ? mark.i : this.barAt(mark.exitS);
    }
    this.range(chart.count - Math.min(chart.count, this.opening()), chart.count);
    this.listen();
  }

  opening() { return this.holder.clientWidth < 600 ? 120 : 260; }

  // The bar that was forming then: the last one opened at or before.
  barAt(s) {
    let low = 0, high = this.chart.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.chart.time[middle] <= s) low = middle; else high = middle - 1;
    }
    return low;
  }

  range(from, to) {
    const n = this.chart.count;
    const width = Math.min(Math.max(to - from, Math.min(12, n)), n * 1.04 + 4);
    const most = n + width * 0.06 - width, least = -width * 0.04;
    this.from = Math.min(Math.max(from, least), Math.max(most, least));
    this.to = this.from + width;
    this.ask();
  }

  all() { this.range(-this.chart.count * 0.01, this.chart.count * 1.02); }

  zoom(factor, at = 0.5) {
    const width = this.to - this.from, middle = this.from + width * at;
    this.range(middle - width * factor * at, middle + width * factor * (1 - at));
  }

  show(index) {
    this.chosen = index;
    const mark = this.marks[index];
    if (!mark) return;
    const span = Math.max(mark.j - mark.i, 8);
    this.range(mark.i - span * 0.9 - 12, mark.j + span * 0.6 + 12);
  }

  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => { this.asked = false; this.draw(); });
  }

  listen() {
    const { canvas, holder } = this, touches = new Map(), signal = this.over.signal;
    let spread = 0;
    const x = (e) => (e.clientX - canvas.getBoundingClientRect().left) / this.plotWidth();
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); touches.set(e.pointerId, e.clientX); spread = 0; });
    canvas.addEventListener("pointermove", (e) => {
      const box = canvas.getBoundingClientRect();
      this.pointer = { x: e.clientX - box.left, y: e.clientY - box.top };
      if (touches.has(e.pointerId)) {
        const before = touches.get(e.pointerId);
        touches.set(e.pointerId, e.clientX);
        if (touches.size === 1) {
          const moved = ((before - e.clientX) / this.plotWidth()) * (this.to - this.from);
          this.range(this.from + moved, this.to + moved);
        } else if (touches.size === 2) {
          const [a, b] = [...touches.values()], now = Math.max(Math.abs(a - b), 10);
          if (spread) this.zoom(spread / now, ((a + b) / 2 - box.left) / this.plotWidth());
          spread = now;
        }
      }
      this.ask();
    });
    const up = (e) => { touches.delete(e.pointerId); spread = 0; };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.ask(); });
    canvas.addEventListener("dblclick", () => this.all());
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
        const moved = (e.deltaX / this.plotWidth()) * (this.to - this.from);
        this.range(this.from + moved, this.to + moved);
      } else this.zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) * 0.004), x(e));
    }, { passive: false });
    holder.addEventListener("keydown", (e) => {
      const step = (this.to - this.from) * 0.15;
      const keys = {
        ArrowLeft: () => this.range(this.from - step, this.to - step), ArrowRight: () => this.range(this.from + step, this.to + step),
        "+": () => this.zoom(0.7), "=": () => this.zoom(0.7), "-": () => this.zoom(1.4), Home: () => this.all(),
      };
      if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
    }, { signal });
    window.addEventListener("theme", () => this.ask(), { signal });
    const watch = new ResizeObserver(() => this.ask());
    watch.observe(holder);
    signal.addEventListener("abort", () => watch.disconnect());
  }

  plotWidth() { return this.holder.clientWidth - this.right(); }
  right() { return 8 + 7 * (this.chart.digits + String(Math.round(this.chart.close[0] / this.chart.unit)).length + 1); }

  draw() {
    const { chart, canvas } = this, ratio = window.devicePixelRatio || 1;
    const w = this.holder.clientWidth, h = this.holder.clientHeight, pw = this.plotWidth(), ph = h - 22;
    if (w < 10 || !chart.count) return;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
    }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    const i0 = Math.max(0, Math.floor(this.from)), i1 = Math.min(chart.count, Math.ceil(this.to));
    let low = Infinity, high = -Infinity;
    for (let i = i0; i < i1; i++) {
      if (chart.low[i] < low) low = chart.low[i];
      if (chart.high[i] > high) high = chart.high[i];
    }
    if (!(high > low)) { high = low + 10; low -= 10; }
    const pad = (high - low) * 0.07;
    low -= pad; high += pad * (w < 600 ? 2.4 : 1.4);
    const X = (i) => ((i - this.from) / (this.to - this.from)) * pw;
    const Y = (points) => ((high - points) / (high - low)) * ph;
    const P = (price) => Y(price * chart.unit);
    this.axes(g, { low, high, X, Y, pw, ph, w, i0, i1 });
    g.save();
    g.beginPath();
    g.rect(0, 0, pw, ph);
    g.clip();
    this.candles(g, X, Y, pw, i0, i1);
    this.drawLines(g, X, Y, pw, i0, i1);
    this.drawMarks(g, X, P, i0, i1, pw);
    g.restore();
    this.cross(g, { X, pw, ph, w, low, high });
  }

  axes(g, { low, high, X, Y, pw, ph, w, i0, i1 }) {
    const { chart } = this, grid = colour("grid"), soft = colour("soft");
    g.font = '11px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace';
    g.lineWidth = 1;
    g.textBaseline = "middle";
    g.textAlign = "left";
    const raw = (high - low) / Math.max(2, ph / 62), power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 2.5, 5, 10].map((s) => s * power).find((s) => s >= raw);
    for (let p = Math.ceil(low / step) * step; p < high; p += step) {
      const y = Math.round(Y(p)) + 0.5;
      g.strokeStyle = grid;
      g.beginPath(); g.moveTo(0, y); g.lineTo(pw, y); g.stroke();
      g.fillStyle = soft;
      g.fillText((p / chart.unit).toFixed(chart.digits), pw + 6, y);
    }
    const count = Math.max(2, Math.floor(pw / 105)), every = Math.max(1, Math.ceil((i1 - i0) / count));
    const span = chart.time[Math.max(i0, i1 - 1)] - chart.time[i0];
    g.textAlign = "center";
    g.textBaseline = "alphabetic";
    for (let i = Math.ceil(i0 / every) * every; i < i1; i += every) {
      const x = Math.round(X(i + 0.5)) + 0.5, said = clock(chart.time[i]);
      if (x < 40 || x > pw - 40) continue;
      g.strokeStyle = grid;
      g.beginPath(); g.moveTo(x, 0); g.lineTo(x, ph); g.stroke();
      g.fillStyle = soft;
      g.fillText(span > 20 * 86400 ? said.slice(0, 10) : span > 86400 ? said.slice(5) : said.slice(11), x, ph + 16);
    }
  }

  candles(g, X, Y, pw, i0, i1) {
    const { chart } = this, gain = colour("gain"), loss = colour("loss"), width = X(1) - X(0);
    if (width >= 2) {
      const body = Math.max(1, Math.min(width - 1, Math.floor(width * 0.7)));
      for (const up of [true, false]) {
        g.fillStyle = up ? gain : loss;
        for (let i = i0; i < i1; i++) {
          if ((chart.close[i] >= chart.open[i]) !== up) continue;
          const x = X(i + 0.5), top = Y(Math.max(chart.open[i], chart.close[i])), bottom = Y(Math.min(chart.open[i], chart.close[i]));
          g.fillRect(Math.round(x - 0.5), Y(chart.high[i]), 1, Math.max(1, Y(chart.low[i]) - Y(chart.high[i])));
          g.fillRect(x - body / 2, top, body, Math.max(1, bottom - top));
        }
      }
      return;
    }
    const columns = Math.ceil(pw);
    let i = i0;
    for (let px = 0; px < columns && i < i1; px++) {
      const end = Math.min(i1, Math.ceil(this.from + ((px + 1) / pw) * (this.to - this.from)));
      if (end <= i) continue;
      let low = Infinity, high = -Infinity;
      const open = chart.open[i];
      for (; i < end; i++) {
        if (chart.low[i] < low) low = chart.low[i];
        if (chart.high[i] > high) high = chart.high[i];
      }
      g.fillStyle = chart.close[i - 1] >= open ? gain : loss;
      g.fillRect(px, Y(high), 1, Math.max(1, Y(low) - Y(high)));
    }
  }

  drawLines(g, X, Y, pw, i0, i1) {
    const step = Math.max(1, Math.floor((i1 - i0) / (pw * 1.5)));
    this.chart.lines.forEach((line, k) => {
      if (!this.shown.has(k)) return;
      g.strokeStyle = colour(`line-${(k % 5) + 1}`);
      g.lineWidth = 1.4;
      g.beginPath();
      let pen = false;
      for (let i = Math.max(0, i0 - step); i < Math.min(this.chart.count, i1 + step); i += step) {
        const value = line.values[i];
        if (value === MISSING) { pen = false; continue; }
        if (pen) g.lineTo(X(i + 0.5), Y(value / 10)); else g.moveTo(X(i + 0.5), Y(value / 10));
        pen = true;
      }
      g.stroke();
    });
  }

  drawMarks(g, X, P, i0, i1, pw) {
    const gain = colour("gain"), loss = colour("loss"), ink = colour("ink"), card = colour("card");
    const seen = [];
    this.marks.forEach((mark, k) => { if (mark.j >= i0 - 1 && mark.i <= i1) seen.push(k); });
    const size = seen.length > pw / 6 ? 3.5 : 6;
    for (const k of seen) {
      const mark = this.marks[k], x = X(mark.i + 0.5), y = P(mark.entryPrice), chosen = k === this.chosen;
      if (mark.exitPrice !== undefined) {
        const X2 = X(mark.j + 0.5), Y2 = P(mark.exitPrice), tint = mark.pnl >= 0 ? gain : loss;
        g.strokeStyle = tint;
        g.lineWidth = chosen ? 2.4 : 1.4;
        g.setLineDash(chosen ? [] : [5, 4]);
        g.beginPath(); g.moveTo(x, y); g.lineTo(X2, Y2); g.stroke();
        g.setLineDash([]);
        if (seen.length < 60 && mark.stops && mark.stops.length) {
          g.strokeStyle = loss;
          g.lineWidth = chosen ? 1.8 : 1;
          g.setLineDash([2, 3]);
          g.beginPath();
          mark.stops.forEach(([s, price], at) => {
            const from = at ? X(this.barAt(s) + 0.5) : x, to = at + 1 < mark.stops.length ? X(this.barAt(mark.stops[at + 1][0]) + 0.5) : X2;
            g.moveTo(from, P(price)); g.lineTo(Math.max(to, from + 1), P(price));
          });
          g.stroke();
          g.setLineDash([]);
        }
        g.fillStyle = tint;
        g.strokeStyle = card;
        g.lineWidth = 1.5;
        g.beginPath(); g.arc(X2, Y2, size * 0.72 + (chosen ? 2 : 0), 0, 7); g.fill(); g.stroke();
      }
      if (mark.leaves) {
        g.fillStyle = ink;
        g.strokeStyle = card;
        g.lineWidth = 1.5;
        g.fillRect(x - size * 0.7, y - size * 0.7, size * 1.4, size * 1.4);
        g.strokeRect(x - size * 0.7, y - size * 0.7, size * 1.4, size * 1.4);
        continue;
      }
      const s = (chosen ? size + 3 : size) * (mark.side >= 0 ? 1 : -1);
      g.fillStyle = mark.side === 0 ? ink : mark.side > 0 ? gain : loss;
      g.strokeStyle = card;
      g.lineWidth = 1.5;
      g.beginPath(); g.moveTo(x, y); g.lineTo(x - Math.abs(s), y + s * 1.5); g.lineTo(x + Math.abs(s), y + s * 1.5); g.closePath(); g.fill(); g.stroke();
    }
  }

  cross(g, { X, pw, ph, w, low, high }) {
    const { chart, pointer } = this;
    const i = pointer && pointer.x < pw ? Math.floor(this.from + (pointer.x / pw) * (this.to - this.from)) : Math.min(chart.count, Math.ceil(this.to)) - 1;
    if (i < 0 || i >= chart.count) { this.read.textContent = ""; return; }
    const price = (points) => (points / chart.unit).toFixed(chart.digits);
    const said = [`${clock(chart.time[i])} UTC  O ${price(chart.open[i])} H ${price(chart.high[i])} L ${price(chart.low[i])} C ${price(chart.close[i])}`];
    if (w >= 600) chart.lines.forEach((line, k) => { if (this.shown.has(k) && line.values[i] !== MISSING) said.push(`${line.name} ${(line.values[i] / 10 / chart.unit).toFixed(chart.digits)}`); });
    this.read.textContent = said.join("  ");
    if (!pointer || pointer.x >= pw || pointer.y >= ph) return;
    g.strokeStyle = colour("soft");
    g.setLineDash([3, 3]);
    g.lineWidth = 1;
    g.beginPath();
    const x = Math.round(X(i + 0.5)) + 0.5, y = Math.round(pointer.y) + 0.5;
    g.moveTo(x, 0); g.lineTo(x, ph); g.moveTo(0, y); g.lineTo(pw, y); g.stroke();
    g.setLineDash([]);
    g.fillStyle = colour("ink");
    g.fillRect(pw + 1, y - 9, w - pw - 1, 18);
    g.fillStyle = colour("card");
    g.textAlign = "left";
    g.textBaseline = "middle";
    g.fillText(price(high - (pointer.y / ph) * (high - low)), pw + 6, y);
  }
}

// Charts of a page: elements chart-0, chart-1 … hold the data; marksOf(chart) gives what is drawn on each. Returns what shows the k-th.
function startCharts(count, marksOf, ready) {
  const holder = document.getElementById("price"), open = [];
  if (!holder) return async () => {};
  if (typeof DecompressionStream === "undefined") {
    holder.textContent = "This browser is too old for the chart: it needs one of 2023 or later.";
    return async () => {};
  }
  const legend = document.getElementById("legend");
  const use = async (k) => {
    if (!open[k]) {
      const chart = await unpackChart(JSON.parse(textOf(`chart-${k}`)));
      open[k] = { chart, marks: marksOf(chart) };
    }
    const view = new PriceChart(holder, open[k].chart, open[k].marks);
    legend.replaceChildren(...open[k].chart.lines.map((line, i) => {
      const label = document.createElement("label"), box = document.createElement("input"), key = document.createElement("i");
      Object.assign(box, { type: "checkbox", checked: true });
      key.style.background = `var(--line-${(i % 5) + 1})`;
      box.addEventListener("change", () => { if (box.checked) view.shown.add(i); else view.shown.delete(i); view.ask(); });
      label.append(box, " ", key, line.name);
      return label;
    }));
    ready(view, k);
    return view;
  };
  const choice = document.getElementById("chart-choice");
  let view = null, at = -1;
  const choose = async (k) => {
    if (k === at) return;
    at = k;
    if (view) view.over.abort();
    if (choice) choice.value = String(k);
    view = await use(k);
  };
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
    if (view) ({ in: () => view.zoom(0.6), out: () => view.zoom(1.7), all: () => view.all() })[button.dataset.zoom]();
  }));
  if (choice) choice.addEventListener("change", () => choose(Number(choice.value)));
  if (count) choose(0);
  return choose;
}
