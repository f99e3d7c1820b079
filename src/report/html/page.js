"use strict";
// Charts on canvases in place of the pictures, and the choice between light and dark.
(() => {
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("data").textContent);
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // The same words as in the pictures.
  const plain = (v) => v >= 1000 ? Math.round(v).toLocaleString("en-US")
    : String(+v.toFixed(v < 10 ? 2 : v < 100 ? 1 : 0));
  const millis = (ms) => ms < 0.9995 ? plain(ms * 1e3) + " µs"
    : ms < 999.5 ? plain(ms) + " ms" : plain(ms / 1e3) + " s";
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  const clock = (s) => s < 60 ? plain(s) + " s"
    : s < 3600 ? Math.floor(s / 60) + ":" + two(s % 60)
    : Math.floor(s / 3600) + ":" + two(s / 60 % 60) + ":" + two(s % 60);
  const nines = (n) => {
    const decimals = Math.min(Math.max(Math.ceil(n) - 2, 0), 6);
    return (100 - Math.pow(10, 2 - n)).toFixed(decimals) + " %";
  };
  const rate = (v) => plain(v) + "/s";
  const across = { time: clock, latency: millis, percentile: nines, rate: rate };
  const up = {
    per_second: rate,
    devices: plain,
    millis: millis,
    percent: (v) => plain(v) + " %",
  };
  const decade = (v, round) => Math.pow(10, round(Math.log10(v)));

  // One mark of the axis for each power of ten, as in the pictures.
  const decades = (u, axis, from, to) => {
    const splits = [];
    for (let at = decade(from, Math.ceil); at <= to * 1.001; at *= 10) splits.push(at);
    return splits;
  };
  const whole = (u, axis, from, to) => {
    const splits = [];
    for (let at = Math.ceil(from); at <= to; at += 1) splits.push(at);
    return splits;
  };
  const splits = { time: undefined, latency: decades, percentile: whole };

  const marks = (chart) => ({
    hooks: {
      draw: (u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = colour("--dim");
        ctx.setLineDash([2, 3]);
        ctx.textAlign = "left";
        ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif";
        for (const mark of chart.marks) {
          const x = Math.round(u.valToPos(mark.at, "x", true));
          if (x < bbox.left || x > bbox.left + bbox.width) continue;
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          ctx.fillText(mark.number, x + 3, bbox.top + 11 * devicePixelRatio);
        }
        ctx.restore();
      },
    },
  });

  // A line needs two values: one between gaps is a point.
  const alone = (u, s) => u.data[s].flatMap((v, i, all) =>
    v != null && all[i - 1] == null && all[i + 1] == null ? [i] : []);

  const draw = (chart, place) => {
    const [x, y] = [across[chart.x_kind], up[chart.y_unit]];
    const axis = (values, more) => Object.assign({
      stroke: colour("--dim"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: colour("--rule"), width: 1 },
      ticks: { show: false },
      values: (u, splits) => splits.map((v) => v === null ? null : values(v)),
    }, more);
    const options = {
      width: place.clientWidth,
      height: 220,
      cursor: {
        sync: chart.x_kind === "time" ? { key: "time" } : undefined,
        drag: { x: true, y: false },
        points: { size: 5 },
      },
      scales: {
        x: { time: false, distr: chart.x_kind === "latency" ? 3 : 1 },
        y: chart.y_log
          ? { distr: 3, range: (u, a, b) => a === null ? [1, 10]
            : [decade(a, Math.floor), Math.max(decade(b, Math.ceil), decade(a, Math.floor) * 10)] }
          : { range: (u, a, b) => [0, b > 0 ? b * 1.05 : 1] },
      },
      axes: [
        axis(x, { size: 30, grid: { show: false }, space: 60, splits: splits[chart.x_kind] }),
        axis(y, { size: 62, space: 34, splits: chart.y_log ? decades : undefined }),
      ],
      series: [{ label: "at", value: (u, v) => v === null ? "–" : x(v) }].concat(
        chart.series.map((line) => ({
          label: line.label,
          stroke: colour("--s" + line.colour),
          width: 1.6,
          dash: line.dashed ? [5, 3] : undefined,
          points: { show: true, size: 4, filter: alone },
          paths: chart.stepped ? uPlot.paths.stepped({ align: -1 }) : undefined,
          value: (u, v) => v === null || v === undefined ? "–" : y(v),
        }))),
      plugins: [marks(chart)],
    };
    return new uPlot(options, [chart.x].concat(chart.series.map((line) => line.y)), place);
  };

  let drawn = [];
  const drawAll = () => {
    for (const [plot] of drawn) plot.destroy();
    drawn = [];
    for (const chart of charts) {
      const place = document.querySelector('[data-chart="' + CSS.escape(chart.id) + '"]');
      place.setAttribute("role", "img");
      place.setAttribute("aria-label", chart.alt);
      drawn.push([draw(chart, place), place]);
    }
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  const button = document.getElementById("theme");
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    name();
    drawAll();
  });
  dark.addEventListener("change", () => { name(); drawAll(); });
  name();

  root.classList.add("scripts");
  drawAll();
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const [plot, place] of drawn) plot.setSize({ width: place.clientWidth, height: 220 });
    }, 100);
  });
})();
