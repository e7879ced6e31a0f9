"use strict";
// Small pictures as SVG, in the page's own colours.

const svg = (name, attributes, ...inside) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...inside);
  return node;
};
const short = (x) => {
  const a = Math.abs(x), text = a >= 1e6 ? `${+(a / 1e6).toFixed(2)}M` : a >= 1e4 ? `${+(a / 1e3).toFixed(1)}k` : String(+a.toFixed(a < 1 ? 3 : a < 100 ? 2 : 0));
  return x < 0 ? `−${text}` : text;
};

function ticksOf(low, high, most) {
  const raw = (high - low || 1) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((s) => s * power).find((s) => s >= raw), out = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + step * 1e-9; x += step) out.push(+x.toPrecision(12));
  return out;
}

function frame(id, height, label) {
  const holder = document.getElementById(id);
  if (!holder) return null;
  const width = Math.max(holder.clientWidth, 200);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  holder.replaceChildren(root);
  return { holder, root, width, height, left: 52, right: width - 8, top: 8, bottom: height - 22 };
}

function yAxis(f, low, high, top, bottom, unit = "") {
  const Y = (v) => bottom - ((v - low) / (high - low || 1)) * (bottom - top);
  for (const v of ticksOf(low, high, Math.max(2, (bottom - top) / 38))) {
    f.root.append(svg("line", { class: v === 0 ? "axis" : "grid", x1: f.left, x2: f.right, y1: Y(v), y2: Y(v) }));
    f.root.append(svg("text", { x: f.left - 6, y: Y(v) + 4, "text-anchor": "end" }, short(v) + unit));
  }
  return Y;
}

function timeAxis(f, s) {
  const from = s[0], to = s[s.length - 1], X = (t) => f.left + ((t - from) / (to - from || 1)) * (f.right - f.left);
  const count = Math.max(2, Math.floor((f.right - f.left) / 110));
  for (let k = 0; k < count; k++) {
    const t = from + ((k + 0.5) / count) * (to - from), said = clock(t);
    f.root.append(svg("text", { x: X(t), y: f.height - 6, "text-anchor": "middle" }, to - from > 3 * 86400 ? said.slice(0, 10) : said.slice(5)));
  }
  return X;
}

const path = (s, v, X, Y, stepped) => v.reduce((d, y, i) => d + (i === 0 ? `M${X(s[0]).toFixed(1)} ${Y(y).toFixed(1)}`
  : stepped ? `H${X(s[i]).toFixed(1)}V${Y(y).toFixed(1)}` : `L${X(s[i]).toFixed(1)} ${Y(y).toFixed(1)}`), "");

function hover(f, s, X, said) {
  const line = svg("line", { class: "axis", y1: f.top, y2: f.bottom, visibility: "hidden" });
  f.root.append(line);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  f.holder.append(tip);
  f.holder.onpointermove = (e) => {
    const box = f.root.getBoundingClientRect(), x = ((e.clientX - box.left) / box.width) * f.width;
    const t = s[0] + ((x - f.left) / (f.right - f.left)) * (s[s.length - 1] - s[0]);
    let low = 0, high = s.length - 1;
    while (low < high) { const m = (low + high + 1) >> 1; if (s[m] <= t) low = m; else high = m - 1; }
    line.setAttribute("x1", X(s[low])); line.setAttribute("x2", X(s[low])); line.setAttribute("visibility", "visible");
    tip.textContent = said(low);
    tip.hidden = false;
    const at = (X(s[low]) / f.width) * box.width;
    tip.style.left = `${Math.min(Math.max(at + 10, 0), box.width - tip.offsetWidth)}px`;
    tip.style.top = "4px";
  };
  f.holder.onpointerleave = () => { tip.hidden = true; line.setAttribute("visibility", "hidden"); };
}

function equityPlot(id, e, currency) {
  const f = frame(id, 330, "Equity and balance, and the drawdown of the equity below");
  if (!f) return;
  const split = 225, values = e.equity.concat(e.balance);
  let low = Math.min(...values), high = Math.max(...values);
  const pad = (high - low || 1) * 0.05;
  const Y = yAxis(f, low - pad, high + pad, f.top, split), X = timeAxis(f, e.s);
  const worst = Math.min(...e.drawdown, -0.01), D = yAxis(f, worst * 1.05, 0, split + 22, f.bottom, "%");
  // Between two marks nothing is known, or nothing is held: all three stay where they are until the next.
  const down = path(e.s, e.drawdown, X, D, true);
  f.root.append(svg("path", { d: `${down}L${X(e.s[e.s.length - 1])} ${D(0)}L${X(e.s[0])} ${D(0)}Z`, fill: "var(--loss)", opacity: 0.28 }));
  f.root.append(svg("path", { d: down, fill: "none", stroke: "var(--loss)", "stroke-width": 1 }));
  f.root.append(svg("path", { d: path(e.s, e.balance, X, Y, true), fill: "none", stroke: "var(--balance)", "stroke-width": 1.3 }));
  f.root.append(svg("path", { d: path(e.s, e.equity, X, Y, true), fill: "none", stroke: "var(--accent)", "stroke-width": 1.6, "stroke-linejoin": "round" }));
  [["equity", "accent"], ["balance", "balance"], ["drawdown", "loss"]].forEach(([name, tint], k) => {
    f.root.append(svg("rect", { x: f.left + 8 + k * 82, y: f.top + 3, width: 14, height: 3, fill: `var(--${tint})` }));
    f.root.append(svg("text", { x: f.left + 26 + k * 82, y: f.top + 9 }, name));
  });
  hover(f, e.s, X, (i) => `${clock(e.s[i])}  equity ${e.equity[i].toLocaleString("en")} ${currency}, balance ${e.balance[i].toLocaleString("en")}, ${e.drawdown[i].toFixed(2)} %`);
}

function linePlot(id, s, v, { label, height = 170, tint = "accent", unit = "", filled = false }) {
  const f = frame(id, height, label);
  if (!f) return;
  if (s.length < 2) { f.holder.textContent = "Too few days."; return; }
  let low = Math.min(...v, 0), high = Math.max(...v, 0);
  if (low === high) high = low + 1;
  const pad = filled ? 0 : (high - low) * 0.06;
  const Y = yAxis(f, low - (low < 0 ? pad : 0), high + pad, f.top, f.bottom, unit), X = timeAxis(f, s), d = path(s, v, X, Y, filled);
  if (filled) f.root.append(svg("path", { d: `${d}V${Y(0)}H${X(s[0])}Z`, fill: `var(--${tint})`, opacity: 0.3 }));
  f.root.append(svg("path", { d, fill: "none", stroke: `var(--${tint})`, "stroke-width": filled ? 0.8 : 1.5 }));
  hover(f, s, X, (i) => `${clock(s[i]).slice(0, 10)}  ${short(v[i])}${unit}`);
}

function barPlot(id, labels, values, { label, said, height = 190, every = 1, tint }) {
  const f = frame(id, height, label);
  if (!f) return;
  const low = Math.min(...values, 0), high = Math.max(...values, 0), Y = yAxis(f, low, high === low ? 1 : high, f.top, f.bottom);
  const step = (f.right - f.left) / values.length, wide = Math.max(1, step * 0.74);
  values.forEach((v, i) => {
    const x = f.left + i * step + (step - wide) / 2, y = Math.min(Y(v), Y(0));
    const fill = `var(--${tint ? tint(i) : v >= 0 ? "gain" : "loss"})`;
    f.root.append(svg("rect", { x, y, width: wide, height: Math.max(Math.abs(Y(v) - Y(0)), v ? 1 : 0), fill, rx: Math.min(2, wide / 4) }, svg("title", {}, said(i))));
    if (i % every === 0) f.root.append(svg("text", { x: f.left + (i + 0.5) * step, y: f.height - 6, "text-anchor": "middle" }, labels[i]));
  });
}

function waterfall(id, steps) {
  const f = frame(id, 250, `From the profit before costs to the net profit: ${steps.map(([n, v]) => `${n} ${short(v)}`).join(", ")}`);
  if (!f) return;
  let level = 0;
  const bars = steps.map(([name, value, brief], i) => {
    const total = i === 0 || i === steps.length - 1, from = total ? 0 : level, to = total ? value : level + value;
    level = to;
    return { name, brief, value, from, to, total };
  });
  const ends = bars.flatMap((b) => [b.from, b.to]), low = Math.min(...ends, 0), high = Math.max(...ends, 0), pad = (high - low || 1) * 0.09;
  const Y = yAxis(f, low < 0 ? low - pad : 0, high + pad, f.top, f.bottom), step = (f.right - f.left) / bars.length;
  bars.forEach((b, i) => {
    const x = f.left + i * step + step * 0.14, wide = step * 0.72, y = Math.min(Y(b.from), Y(b.to));
    f.root.append(svg("rect", { x, y, width: wide, height: Math.max(Math.abs(Y(b.from) - Y(b.to)), 1), rx: 2, fill: `var(--${b.total ? "accent" : b.value > 0 ? "gain" : "loss"})` }, svg("title", {}, `${b.name} ${b.value.toLocaleString("en")}`)));
    f.root.append(svg("text", { x: x + wide / 2, y: y - 4, "text-anchor": "middle" }, short(b.value)));
    f.root.append(svg("text", { x: x + wide / 2, y: f.height - 6, "text-anchor": "middle" }, step < 64 ? b.brief : b.name));
    if (i + 1 < bars.length) f.root.append(svg("line", { class: "axis", x1: x + wide, x2: x + wide + step * 0.28, y1: Y(b.to), y2: Y(b.to), "stroke-dasharray": "2 2" }));
  });
}

function scatter(id, x, y, { label, xName, chosen }) {
  const f = frame(id, 240, label);
  if (!f) return;
  const low = Math.min(...y, 0), high = Math.max(...y, 0), x0 = Math.min(...x, 0), x1 = Math.max(...x, 0) || (Math.min(...x, 0) < 0 ? 0 : 1);
  const Y = yAxis(f, low, high === low ? 1 : high, f.top, f.bottom - 4), X = (v) => f.left + 6 + ((v - x0) / (x1 - x0 || 1)) * (f.right - f.left - 12);
  for (const v of ticksOf(x0, x1, Math.max(2, (f.right - f.left) / 90))) f.root.append(svg("text", { x: X(v), y: f.height - 6, "text-anchor": "middle" }, short(v)));
  x.forEach((v, i) => {
    const dot = svg("circle", { cx: X(v).toFixed(1), cy: Y(y[i]).toFixed(1), r: x.length > 400 ? 2 : 3, fill: `var(--${y[i] >= 0 ? "gain" : "loss"})`, opacity: 0.62 });
    dot.addEventListener("click", () => chosen(i));
    dot.append(svg("title", {}, `Trade ${i + 1}: result ${short(y[i])}, ${xName} ${short(v)}`));
    f.root.append(dot);
  });
}
