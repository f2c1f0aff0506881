// The curves: one uPlot a panel, all with the same times; and what is painted into them.
const UNITS_TOP = 12, STRIP = 8, LEFT = 48, RIGHT = 24;
const colours = {};
function readColours() {
  for (const name of ["ink", "soft", "rule", "grid", "card", "missing", "valence", "arousal", "quality",
    "truth", "face", "voice", "speaks", "low", "mid", "high", ...facts.classes.map((_, at) => `c${at}`)]) {
    colours[name] = css(name);
  }
  colours.ramp = Array.from({ length: 64 }, (_, at) => ramp(at / 63));
}
function rgb(hex) {
  const full = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, "$&$&") : hex;
  return [1, 3, 5].map((at) => parseInt(full.slice(at, at + 2), 16));
}
function ramp(share) {
  const [a, b, part] = share < 0.5 ? ["low", "mid", share * 2] : ["mid", "high", share * 2 - 1];
  const from = rgb(colours[a]), to = rgb(colours[b]);
  return `rgb(${from.map((value, at) => Math.round(value + (to[at] - value) * part)).join()})`;
}

const state = { person: 0, view: { min: 0, max: 1 }, time: 0, hover: null };
const person = () => people[state.person];
const charts = [];
// What the reader points at counts, unless the video plays.
const shownTime = () => (state.hover === null || (video && !video.paused) ? state.time : state.hover);

// Curves of a panel of values: the interval's two, the least and the greatest of the frames that
// fall together, their middle, what was annotated.
function valueCurves(name) {
  const one = person(), least = one[`${name}_min`], most = one[`${name}_max`];
  const middle = (array, cell) => (array[cell] === NO_SHORT ? null : (short(array[cell]) + short(most[cell])) / 2);
  return [
    { array: one[`${name}_low`], read: shortAt, kind: "mean" }, { array: one[`${name}_high`], read: shortAt, kind: "mean" },
    { array: least, read: shortAt, kind: "least" }, { array: most, read: shortAt, kind: "most" },
    { array: least, read: middle, kind: "mean" }, { array: one[`${name}_truth`], read: shortAt, kind: "mean" },
  ];
}

function painted(u) {
  const { left, top, width, height } = u.bbox;
  return { left, top, width, height, ctx: u.ctx };
}
function clipped(u, draw) {
  const place = painted(u);
  place.ctx.save();
  place.ctx.beginPath();
  place.ctx.rect(place.left, place.top, place.width, place.height);
  place.ctx.clip();
  draw(place);
  place.ctx.restore();
}
function missing(u) {
  clipped(u, ({ ctx, left, top, width, height }) => {
    const until = u.valToPos(Math.min(person().end, state.view.max), "x", true);
    ctx.fillStyle = colours.missing;
    ctx.fillRect(left, top, Math.max(0, until - left), height);
  });
}
function paintClasses(u) {
  missing(u);
  clipped(u, ({ ctx, left, top, width, height }) => {
    const data = person().classes, truth = person().class_truth, n = person().n;
    const above = truth ? STRIP * devicePixelRatio : 0, tall = height - above;
    columns(person(), state.view, Math.round(width), (x, first, end) => {
      if (data) {
        const shares = facts.classes.map((_, at) => meanByte(data, at * n, first, end));
        const sum = shares.reduce((total, share) => total + (share || 0), 0);
        let floor = top + height;
        if (sum > 0) shares.forEach((share, at) => {
          const high = (tall * share) / sum;
          ctx.fillStyle = colours[`c${at}`];
          ctx.fillRect(left + x, floor - high, 1, high + 0.5);
          floor -= high;
        });
      }
      if (truth) {
        const found = truth[(first + end - 1) >> 1];
        ctx.fillStyle = found === NO_BYTE ? colours.missing : colours[`c${found}`];
        ctx.fillRect(left + x, top, 1, above - devicePixelRatio);
      }
    });
    if (truth) { ctx.fillStyle = colours.card; ctx.fillRect(left, top + above - devicePixelRatio, width, devicePixelRatio); }
  });
}
function paintUnits(u) {
  missing(u);
  clipped(u, ({ ctx, left, top, width, height }) => {
    const data = person().units, truth = person().units_truth, n = person().n;
    const tall = height / UNITS_TOP;
    columns(person(), state.view, Math.round(width), (x, first, end) => {
      for (let at = 0; at < UNITS_TOP; at++) {
        const score = data ? meanByte(data, at * n, first, end) : null;
        if (score !== null) {
          ctx.fillStyle = colours.ramp[Math.round(score * 63)];
          ctx.fillRect(left + x, top + at * tall, 1, tall);
        }
        if (truth && (truth[(first + end - 1) >> 1] >> at) & 1) {
          ctx.fillStyle = colours.truth;
          ctx.fillRect(left + x, top + (at + 1) * tall - 4 * devicePixelRatio, 1, 2.5 * devicePixelRatio);
        }
      }
    });
    ctx.fillStyle = colours.card;
    for (let at = 1; at < UNITS_TOP; at++) ctx.fillRect(left, top + at * tall - 0.5, width, 1);
  });
}
function paintSeen(u) {
  clipped(u, ({ ctx, left, width }) => {
    const line = (value) => u.valToPos(value, "y", true);
    for (const [name, low, high, colour] of [["seen", -0.29, -0.06, "face"], ["heard", -0.6, -0.37, "voice"], ["speaking", -0.91, -0.68, "speaks"]]) {
      const bottom = line(low), top = line(high), tall = bottom - top;
      columns(person(), state.view, Math.round(width), (x, first, end) => {
        const share = person()[name] ? meanByte(person()[name], 0, first, end) || 0 : 0;
        ctx.fillStyle = colours.missing;
        ctx.fillRect(left + x, top, 1, tall);
        // Rare things are seen too.
        const high = share > 0 ? Math.max(share * tall, 2) : 0;
        ctx.fillStyle = colours[colour];
        ctx.fillRect(left + x, bottom - high, 1, high);
      });
    }
  });
}

const faint = (colour, share = "38") => `${colour}${share}`;
const line = (colour, more = {}) => ({
  stroke: () => colours[colour], width: 1.6, spanGaps: false,
  points: { show: (u, at, from, to) => to - from < u.over.clientWidth / 10, size: 4, fill: () => colours[colour] }, ...more,
});
const unseen = { stroke: () => null, width: 0, points: { show: false } };
const values = (name) => ({
  height: 152, range: [-1.02, 1.02], curves: () => valueCurves(name),
  series: [unseen, unseen, unseen, unseen, line(name), line("truth", { dash: [5, 4], width: 1.4, points: { show: false } })],
  bands: [{ series: [2, 1], fill: () => faint(colours[name]) }, { series: [4, 3], fill: () => faint(colours[name], "78") }],
  splits: [-1, -0.5, 0, 0.5, 1], labels: ["−1", "−.5", "0", ".5", "1"], has: () => person()[`${name}_min`],
});
const PANELS = {
  valence: values("valence"),
  arousal: values("arousal"),
  expression: { height: 150, range: [0, 1], paint: paintClasses, splits: [0, 0.5, 1], labels: ["0", ".5", "1"], has: () => person().classes },
  units: {
    height: 258, range: [0, UNITS_TOP], dir: -1, paint: paintUnits, splits: facts ? facts.units.map((_, at) => at + 0.5) : [],
    labels: facts ? facts.units : [], plain: true, has: () => person().units,
  },
  quality: {
    height: 180, range: [-0.93, 1.04], paint: paintSeen, splits: [-0.795, -0.485, -0.175, 0, 0.5, 1], labels: ["speaks", "voice", "face", "0", ".5", "1"],
    curves: () => [{ array: person().quality, read: byteAt, kind: "mean" }], series: [line("quality")], has: () => true,
  },
};

const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000, 36000];
// So many digits that two ticks never look the same.
const digitsOf = (step) => [0, 1, 2].find((digits) => Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6) ?? 3;

function build() {
  readColours();
  const sync = uPlot.sync("time");
  for (const place of all(".plot")) {
    const panel = PANELS[place.closest(".panel").dataset.panel];
    const axis = { stroke: () => colours.soft, font: "12px system-ui, sans-serif" };
    const lines = { stroke: () => colours.grid, width: 1 };
    const chart = new uPlot({
      width: Math.max(200, place.clientWidth), height: panel.height, padding: [6, RIGHT, 0, 0], legend: { show: false },
      cursor: {
        y: false, points: { show: false }, drag: { x: true, y: false, setScale: false },
        // What is dragged in one panel is not dragged in the others.
        sync: { key: sync.key, scales: ["x", null], filters: { pub: (kind) => kind.startsWith("mousem") || kind === "mouseleave" } },
      },
      scales: { x: { time: false, auto: false, range: () => [state.view.min, state.view.max] }, y: { auto: false, range: () => panel.range, dir: panel.dir || 1 } },
      axes: [
        { ...axis, grid: panel.paint && !panel.curves ? { show: false } : lines, ticks: lines, size: 26, gap: 2, space: 70, incrs: STEPS,
          values: (u, ticks) => ticks.map((tick) => clock(tick, digitsOf(ticks[1] - ticks[0]))) },
        { ...axis, grid: { ...lines, show: !panel.plain }, ticks: { show: false }, size: LEFT, gap: 6,
          splits: () => panel.splits, values: () => panel.labels },
      ],
      series: [{}, ...(panel.series || [unseen])], bands: panel.bands || [],
      hooks: {
        drawAxes: panel.paint ? [panel.paint] : [],
        setCursor: [(u) => hovered(u)],
        setSelect: [(u) => selected(u)],
      },
    }, dataOf(panel, place.clientWidth), place);
    const playhead = document.createElement("div");
    playhead.className = "playhead";
    chart.over.append(playhead);
    const nothing = document.createElement("div");
    nothing.className = "nothing";
    nothing.textContent = "no value in any frame";
    chart.over.append(nothing);
    charts.push({ u: chart, panel, place, playhead, nothing });
    chart.over.addEventListener("click", (event) => {
      if (event.shiftKey) return;
      state.hover = null;
      setTime(chart.posToVal(event.offsetX, "x"));
    });
    wheelAndPan(chart);
  }
}
function dataOf(panel, width) {
  const { min, max } = state.view;
  if (!panel.curves) return [[min, max], [null, null]];
  return thin(person(), min, max, Math.max(100, width - LEFT - RIGHT), panel.curves());
}
function selected(u) {
  const { left, width } = u.select;
  if (width < 4) return;
  const from = u.posToVal(left, "x"), to = u.posToVal(left + width, "x");
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  setView(from, to);
}
function hovered(u) {
  const { left } = u.cursor;
  if (u !== charts[0]?.u) return;
  state.hover = left >= 0 ? u.posToVal(left, "x") : null;
  readout();
}
function wheelAndPan(u) {
  const at = (event) => u.posToVal(event.clientX - u.over.getBoundingClientRect().left, "x");
  u.over.addEventListener("wheel", (event) => {
    const across = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      event.preventDefault();
      zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.006), at(event));
    } else if (Math.abs(across) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
      event.preventDefault();
      pan(across / u.over.clientWidth);
    }
  }, { passive: false });
  u.over.addEventListener("mousedown", (event) => {
    if (!(event.shiftKey || event.button === 1)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    let last = event.clientX;
    const move = (moved) => { pan((last - moved.clientX) / u.over.clientWidth); last = moved.clientX; };
    const stop = () => { removeEventListener("mousemove", move); removeEventListener("mouseup", stop); };
    addEventListener("mousemove", move);
    addEventListener("mouseup", stop);
  }, { capture: true });
}

function redraw() {
  let points = 0;
  for (const { u, panel, place, nothing } of charts) {
    const data = dataOf(panel, place.clientWidth);
    points = Math.max(points, data[0].length);
    u.setData(data, false);
    u.setScale("x", { min: state.view.min, max: state.view.max });
    nothing.hidden = Boolean(panel.has());
  }
  root.dataset.points = points;
  root.dataset.folded = points < cellAt(person(), state.view.max) - cellAt(person(), state.view.min) || person().frames > 1 ? "yes" : "no";
  root.dataset.view = `${state.view.min.toFixed(3)} ${state.view.max.toFixed(3)}`;
}
