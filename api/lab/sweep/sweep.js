"use strict";
// Heat maps, the distribution and the out-of-sample curve of a sweep, drawn from the page's own data.
document.addEventListener("DOMContentLoaded", () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const MOST = 40, BINS = 20;

  const svg = (name, attributes, ...inside) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...inside);
    return node;
  };
  const short = (x) => {
    if (x === null) return "–";
    const a = Math.abs(x), text = a >= 1e6 ? `${+(a / 1e6).toFixed(2)}M` : a >= 1e4 ? `${+(a / 1e3).toFixed(1)}k` : String(+a.toFixed(a < 1 ? 3 : a < 100 ? 2 : 0));
    return x < 0 ? `−${text}` : text;
  };
  const metric = () => data.metrics[byId("metric").value];
  const values = () => data.rows.metrics[byId("metric").value];

  // The places of an axis: its values, or bins of equal width where there are many.
  function places(name) {
    const all = data.rows.parameters[name], distinct = [...new Set(all)].sort((a, b) => a - b);
    if (distinct.length <= MOST) return { labels: distinct.map(short), of: (row) => distinct.indexOf(all[row]) };
    const low = distinct[0], width = (distinct[distinct.length - 1] - low) / BINS;
    return {
      labels: Array.from({ length: BINS }, (_, i) => short(low + (i + 0.5) * width)),
      of: (row) => Math.min(BINS - 1, Math.floor((all[row] - low) / width)),
    };
  }

  function cells(x, y) {
    const sign = metric().sign, best = byId("others").value === "best", found = new Map();
    values().forEach((value, row) => {
      if (value === null) return;
      const key = y ? `${x.of(row)},${y.of(row)}` : `${x.of(row)},0`, one = found.get(key);
      if (!one) found.set(key, { sum: value, count: 1, value, row });
      else {
        one.sum += value;
        one.count += 1;
        if (sign * value > sign * one.value) Object.assign(one, { value, row });
      }
    });
    if (!best) for (const one of found.values()) one.value = one.sum / one.count;
    return found;
  }

  function heat() {
    const [first, second] = byId("pair").value.split("|"), x = places(first), y = second ? places(second) : null;
    const found = cells(x, y), all = [...found.values()].map((one) => one.value);
    const low = Math.min(...all), high = Math.max(...all), sign = metric().sign;
    const holder = byId("heat"), width = Math.max(holder.clientWidth, 260), left = 60, foot = 40;
    const across = x.labels.length, down = y ? y.labels.length : 1;
    const w = (width - left - 4) / across, h = Math.max(14, Math.min(y ? 34 : 60, 420 / down)), height = down * h + foot;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${metric().name} by ${first}${second ? ` and ${second}` : ""}` });
    for (const [key, one] of found) {
      const [i, j] = key.split(",").map(Number), share = high > low ? (sign > 0 ? one.value - low : high - one.value) / (high - low) : 1;
      const cell = svg("rect", { x: left + i * w, y: (down - 1 - j) * h, width: Math.max(w - 1, 1), height: h - 1, rx: 2 });
      cell.style.fill = `color-mix(in oklab, var(--gain) ${Math.round(share * 100)}%, var(--loss))`;
      cell.style.fillOpacity = 0.25 + 0.75 * Math.abs(share - 0.5) * 2;
      const said = Object.entries(data.rows.parameters).map(([name, column]) => `${name} ${short(column[one.row])}`).join(", ");
      const how = one.count === 1 ? said : byId("others").value === "best" ? `best of ${one.count}: ${said}` : `mean of ${one.count}`;
      cell.append(svg("title", {}, `${metric().name} ${short(one.value)} (${how})`));
      root.append(cell);
      if (w > 38) root.append(svg("text", { x: left + (i + 0.5) * w, y: (down - 0.5 - j) * h + 4, "text-anchor": "middle", class: "in" }, short(one.value)));
    }
    const every = Math.max(1, Math.ceil(34 / w));
    x.labels.forEach((text, i) => { if (i % every === 0) root.append(svg("text", { x: left + (i + 0.5) * w, y: down * h + 14, "text-anchor": "middle" }, text)); });
    if (y) y.labels.forEach((text, j) => { if (h >= 14 || j % 2 === 0) root.append(svg("text", { x: left - 6, y: (down - 0.5 - j) * h + 4, "text-anchor": "end" }, text)); });
    root.append(svg("text", { x: left + (width - left) / 2, y: height - 6, "text-anchor": "middle" }, first));
    if (y) root.append(svg("text", { x: 0, y: height - 6 }, `↑ ${second}`));
    holder.replaceChildren(root);
    const others = Object.keys(data.rows.parameters).filter((name) => name !== first && name !== second);
    byId("heat-said").textContent = (others.length ? `${others.join(", ")}: ${byId("others").value === "best" ? "each cell shows their best" : "each cell shows the mean over them"}. ` : "")
      + `From ${short(low)} to ${short(high)}; green is better.`;
  }

  function distribution() {
    const all = values().filter((value) => value !== null);
    const holder = byId("distribution"), width = Math.max(holder.clientWidth, 260), height = 190, left = 40, bottom = height - 22;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Distribution of ${metric().name}` });
    holder.replaceChildren(root);
    if (!all.length) return;
    const low = Math.min(...all), high = Math.max(...all), bins = Math.max(1, Math.min(40, Math.ceil(2 * Math.cbrt(all.length) + 4)));
    const step = (high - low) / bins || 1, counts = new Array(bins).fill(0);
    for (const value of all) counts[Math.min(bins - 1, Math.floor((value - low) / step))] += 1;
    const most = Math.max(...counts), w = (width - left - 8) / bins, X = (v) => left + ((v - low) / (step * bins)) * (w * bins);
    counts.forEach((count, i) => {
      const h = (count / most) * (bottom - 10), bar = svg("rect", { x: left + i * w, y: bottom - h, width: Math.max(w - 1, 1), height: h });
      bar.style.fill = "var(--accent)";
      bar.append(svg("title", {}, `${short(low + i * step)} to ${short(low + (i + 1) * step)}: ${count}`));
      root.append(bar);
    });
    for (const share of [0, 0.25, 0.5, 0.75, 1]) root.append(svg("text", { x: X(low + share * step * bins), y: height - 6, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, short(low + share * step * bins)));
    root.append(svg("text", { x: left - 6, y: 18, "text-anchor": "end" }, String(most)));
    if (byId("metric").value === "sharpe" && data.by_luck !== null && data.by_luck >= low && data.by_luck <= low + step * bins) {
      root.append(svg("line", { x1: X(data.by_luck), x2: X(data.by_luck), y1: 4, y2: bottom, class: "axis", "stroke-dasharray": "4 3" }));
      root.append(svg("text", { x: X(data.by_luck) - 4, y: 12, "text-anchor": "end" }, "best expected by luck"));
    }
  }

  function curve() {
    const holder = byId("curve");
    if (!holder) return;
    const { time, equity, edges } = data.walk, width = Math.max(holder.clientWidth, 260), height = 260, left = 60, bottom = height - 22;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Out-of-sample equity" });
    holder.replaceChildren(root);
    const from = time[0], to = time[time.length - 1], low = Math.min(...equity), high = Math.max(...equity);
    const X = (t) => left + ((t - from) / (to - from || 1)) * (width - left - 8), Y = (v) => bottom - ((v - low) / (high - low || 1)) * (bottom - 10);
    for (const v of [low, (low + high) / 2, high]) {
      root.append(svg("line", { class: "grid", x1: left, x2: width - 8, y1: Y(v), y2: Y(v) }), svg("text", { x: left - 6, y: Y(v) + 4, "text-anchor": "end" }, short(v)));
    }
    for (const t of edges) if (t > from && t < to) root.append(svg("line", { class: "axis", x1: X(t), x2: X(t), y1: 8, y2: bottom, "stroke-dasharray": "2 4" }));
    const line = svg("path", { d: equity.map((v, i) => `${i ? "L" : "M"}${X(time[i]).toFixed(1)} ${Y(v).toFixed(1)}`).join(""), fill: "none", "stroke-width": 1.6 });
    line.style.stroke = "var(--accent)";
    root.append(line);
    const count = Math.max(2, Math.floor((width - left) / 120));
    for (let k = 0; k < count; k++) {
      const t = from + ((k + 0.5) / count) * (to - from);
      root.append(svg("text", { x: X(t), y: height - 6, "text-anchor": "middle" }, new Date(t).toISOString().slice(0, 10)));
    }
  }

  for (const table of document.querySelectorAll("table.sets")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, at) => head.firstChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[at].dataset.v, number = (text) => (text === "" ? (down ? -Infinity : Infinity) : Number(text));
      const sorted = [...body.rows].sort((a, b) => (down ? -1 : 1) * (number(key(a)) - number(key(b))) || 0);
      body.append(...sorted);
    }));
  }

  const draw = () => { if (byId("pair")) heat(); if (byId("distribution")) distribution(); curve(); };
  for (const id of ["metric", "pair", "others"]) byId(id)?.addEventListener("change", draw);
  let waits = 0;
  window.addEventListener("resize", () => { clearTimeout(waits); waits = setTimeout(draw, 120); });
  draw();
});
