// Candles with signals and fills, and lines over time, on a canvas.

const styles = getComputedStyle(document.documentElement);
const color = (name) => styles.getPropertyValue(`--${name}`).trim();

/** A canvas at the screen's own resolution, cleared; its context and size in CSS pixels. */
function cleared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  return { context, width, height };
}

/** The round step (1, 2 or 5 times a power of ten) that cuts `room` into at most `count` parts. */
function roundStep(room, count) {
  const power = 10 ** Math.floor(Math.log10(room / count));
  return power * ([1, 2, 5].find((times) => room / (power * times) <= count) ?? 10);
}

/** Draws the grid, labelled at round values between low and high, and returns value -> y. `digits`: at most so many. */
function scale({ context, width, height }, low, high, digits, count = 6) {
  const room = high - low || Math.abs(high) * 0.001 || 1;
  const top = 8, bottom = height - 18;
  const y = (value) => bottom - ((value - low) / room) * (bottom - top);
  const step = Math.max(roundStep(room, count), 10 ** -digits);
  context.strokeStyle = color("line");
  context.fillStyle = color("soft");
  for (let i = Math.ceil(low / step); i * step <= low + room; i += 1) {
    context.beginPath();
    context.moveTo(0, y(i * step));
    context.lineTo(width - 58, y(i * step));
    context.stroke();
    context.fillText((i * step).toFixed(digits), width - 54, y(i * step) + 4);
  }
  return y;
}

const minutes = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440];
const hour = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 16);

/** The round step of time, seconds, that cuts `span` seconds on `width` pixels into parts with room for a label. */
function timeStep(span, width) {
  const least = (span / 60) * (56 / width);
  return 60 * (minutes.find((step) => step >= least) ?? 1440 * Math.ceil(least / 1440));
}

/** Writes the time `seconds` below x, whole within the chart. */
function timeLabel({ context, width, height }, seconds, x) {
  const half = context.measureText(hour(seconds)).width / 2;
  if (x >= half && x <= width - 58 - half) context.fillText(hour(seconds), x - half, height - 4);
}

/** Draws a listing's candles; returns what can be clicked: [{x, y, id}]. */
export function candles(canvas, section, digits) {
  const area = cleared(canvas);
  const { context, width, height } = area;
  const bars = section ? [...section.bars, ...(section.forming ? [section.forming] : [])] : [];
  if (!bars.length) {
    context.fillStyle = color("soft");
    context.fillText("no bar yet", 10, 20);
    return [];
  }
  const low = Math.min(...bars.map((bar) => bar.l)), high = Math.max(...bars.map((bar) => bar.h));
  const margin = (high - low) * 0.08 || 1e-5;
  const y = scale(area, low - margin, high + margin, digits);
  const step = (width - 64) / Math.max(bars.length, 60);
  const first = bars[0].t;
  const place = new Map(bars.map((bar, i) => [bar.t, i]));
  const x = (i) => (i + 0.5) * step;
  const at = (seconds) => {
    const minute = Math.floor(seconds / 60) * 60;
    if (place.has(minute)) return x(place.get(minute));
    const next = bars.findIndex((bar) => bar.t > minute);
    return x(next < 0 ? bars.length - 1 : Math.max(0, next - 1));
  };
  context.fillStyle = color("soft");
  const every = timeStep(60 * (width / step), width);
  let behind = -Infinity;
  bars.forEach((bar, i) => {
    // Minutes without a tick have no bar: two labels can be nearer than their times are.
    if (bar.t % every || x(i) < behind) return;
    timeLabel(area, bar.t, x(i));
    behind = x(i) + 48;
  });
  bars.forEach((bar, i) => {
    context.strokeStyle = context.fillStyle = bar.c >= bar.o ? color("up") : color("down");
    context.beginPath();
    context.moveTo(x(i), y(bar.h));
    context.lineTo(x(i), y(bar.l));
    context.stroke();
    const top = Math.min(y(bar.o), y(bar.c));
    context.fillRect(x(i) - step * 0.35, top, Math.max(1, step * 0.7), Math.max(1, Math.abs(y(bar.o) - y(bar.c))));
  });
  const arrow = (px, py, up, filled) => {
    const size = 6, way = up ? 1 : -1;
    context.beginPath();
    context.moveTo(px, py);
    context.lineTo(px - size, py + way * size * 1.6);
    context.lineTo(px + size, py + way * size * 1.6);
    context.closePath();
    if (filled) context.fill(); else context.stroke();
  };
  for (const signal of section.signals) {
    if (signal.t < first || signal.kind !== "ENTER") continue;
    context.strokeStyle = signal.side === "LONG" ? color("up") : color("down");
    arrow(at(signal.t), y(signal.side === "LONG" ? signal.ask : signal.bid), signal.side === "LONG", false);
  }
  const spots = [];
  for (const fill of section.fills) {
    if (fill.t < first) continue;
    context.fillStyle = fill.side === "LONG" ? color("up") : color("down");
    arrow(at(fill.t), y(fill.price), fill.side === "LONG", true);
    spots.push({ x: at(fill.t), y: y(fill.price), id: fill.id });
  }
  return spots;
}

/** Rows with the time filled in at which nothing was held, up to `now`: equity is marked only while something is. */
function filled(rows, now) {
  const found = [];
  rows.forEach((row, i) => {
    found.push(row);
    const next = rows[i + 1] ?? { ...row, t: now, balance: row.equity };
    if (next.t > row.t + 60) {
      const flat = { ...row, balance: next.balance, equity: next.balance };
      found.push({ ...flat, t: row.t + 60 }, { ...flat, t: next.t });
    }
  });
  return found;
}

/** Draws equity and balance up to `now`, and shades what equity is below its peak: the drawdown. */
export function equity(canvas, marks, now) {
  const rows = filled(marks, now);
  const area = cleared(canvas);
  const { context, width, height } = area;
  if (!rows.length) {
    context.fillStyle = color("soft");
    context.fillText("nothing was held yet", 10, 20);
    return;
  }
  const values = rows.flatMap((row) => [row.equity, row.balance, row.peak]);
  const low = Math.min(...values), high = Math.max(...values);
  const margin = (high - low) * 0.1 || 1;
  const y = scale(area, low - margin, high + margin, high - low + 2 * margin < 12 ? 2 : 0);
  const begin = rows[0].t, span = rows[rows.length - 1].t - begin || 1;
  const x = (row) => ((row.t - begin) / span) * (width - 64) + 2;
  context.fillStyle = color("soft");
  const every = timeStep(span, width - 64);
  for (let t = Math.ceil(begin / every) * every; t <= begin + span; t += every) timeLabel(area, t, x({ t }));
  context.fillStyle = color("down");
  context.globalAlpha = 0.15;
  context.beginPath();
  rows.forEach((row) => context.lineTo(x(row), y(row.peak)));
  [...rows].reverse().forEach((row) => context.lineTo(x(row), y(row.equity)));
  context.fill();
  context.globalAlpha = 1;
  for (const [name, tone] of [["balance", "soft"], ["equity", "accent"]]) {
    context.strokeStyle = color(tone);
    context.beginPath();
    rows.forEach((row, i) => (i ? context.lineTo(x(row), y(row[name])) : context.moveTo(x(row), y(row[name]))));
    context.stroke();
  }
}
