"use strict";
// A page of `tickledger chart`: signals instead of trades.

const signals = JSON.parse(textOf("data")).signals;
startCharts(document.querySelectorAll('script[id^="chart-"]').length, (chart) => signals[chart.listing].map(([s, price, side, leaves]) => ({
  entryS: s, entryPrice: price, side, leaves: leaves === 1,
})), () => {});
