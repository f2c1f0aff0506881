// What the reader does: moves in time, zooms, chooses a person; and what follows from it.
const endOf = () => Math.max(...people.map((each) => each.end));
const LEAST_SPAN = 0.2;

function setView(min, max) {
  const end = endOf(), span = Math.min(end, Math.max(LEAST_SPAN, max - min));
  const from = Math.max(0, Math.min(end - span, min));
  state.view = { min: from, max: from + span };
  byId("shown").textContent = `${clock(from)} to ${clock(from + span)} of ${clock(end)}`;
  redraw();
  overview();
  plane();
  moveHeads();
}
function zoom(factor, around = inView(state.time) ? state.time : (state.view.min + state.view.max) / 2) {
  const { min, max } = state.view;
  setView(around - (around - min) * factor, around + (max - around) * factor);
}
function pan(share) {
  const step = (state.view.max - state.view.min) * share;
  setView(state.view.min + step, state.view.max + step);
}
const inView = (time) => time >= state.view.min && time <= state.view.max;

// The cursor: of the curves, and of the video unless it comes from there.
function setTime(time, fromVideo = false) {
  state.time = Math.max(0, Math.min(endOf(), time));
  root.dataset.time = state.time.toFixed(3);
  if (video && !fromVideo && Number.isFinite(video.duration)) {
    video.currentTime = Math.min(video.duration, state.time + facts.offset);
  }
  if (!inView(state.time)) {
    const span = state.view.max - state.view.min;
    setView(state.time - span * 0.1, state.time + span * 0.9);
  }
  moveHeads();
  readout();
}
function moveHeads() {
  const { min, max } = state.view;
  for (const { playhead } of charts) {
    playhead.style.left = `${((state.time - min) / (max - min)) * 100}%`;
    playhead.style.visibility = inView(state.time) ? "visible" : "hidden";
  }
}

function readout() {
  const one = person(), time = shownTime(), cell = cellAt(one, time);
  byId("n-time").textContent = clock(time, 2);
  const frame = cell * one.frames + 1;
  byId("n-frame").textContent = `frame ${frame}${one.frames > 1 ? ` to ${Math.min(one.rows, frame + one.frames - 1)}` : ""} of ${one.rows}`;
  for (const name of ["valence", "arousal"]) {
    const read = (part) => (one[`${name}_${part}`] ? short(one[`${name}_${part}`][cell]) : null);
    const low = read("min"), high = read("max"), from = read("low"), to = read("high");
    byId(`n-${name}`).textContent = low === null ? "no value" : signed((low + high) / 2);
    byId(`n-${name}-range`).textContent = from === null ? "" : `${signed(from)} to ${signed(to)}`;
  }
  let best = null;
  if (one.classes) facts.classes.forEach((name, at) => {
    const share = byte(one.classes[at * one.n + cell]);
    if (share !== null && (best === null || share > best.share)) best = { name, share };
  });
  byId("n-class").textContent = best ? best.name : "no value";
  byId("n-share").textContent = best ? percent(best.share) : "";
  const known = one.units && facts.units.some((_, at) => one.units[at * one.n + cell] !== NO_BYTE);
  const active = known && one.active ? facts.units.filter((_, at) => (one.active[cell] >> at) & 1) : [];
  byId("n-units").textContent = !known ? "no value" : active.join(" ") || "none";
  const seen = one.seen[cell] > 0, quality = one.quality ? byte(one.quality[cell]) : null;
  byId("n-seen").textContent = (seen ? `face seen${quality === null ? "" : `, quality ${quality.toFixed(2)}`}` : "no face") + (one.heard[cell] > 0 ? ", voice" : "") + (one.speaking && one.speaking[cell] !== NO_BYTE && byte(one.speaking[cell]) >= 0.5 ? ", speaks" : "");
  if (byId("n-said")) byId("n-said").textContent = saidAt(time) || "nothing";
  box(cell);
  plane();
}
function saidAt(time) {
  return facts.said.filter(([start, end]) => start <= time && time < end).map((each) => each[2]).join(" / ");
}
function box(cell) {
  const frame = byId("box"), one = person();
  if (!frame) return;
  const at = one.box && shownTime() === state.time ? [0, 1, 2, 3].map((side) => one.box[side * one.n + cell]) : [];
  frame.hidden = !at.length || at[0] === NO_SHORT || one.seen[cell] === 0 || !video.videoWidth;
  if (frame.hidden) return;
  // The picture lies in the middle of the element, as large as fits.
  const scale = Math.min(video.clientWidth / facts.size[0], video.clientHeight / facts.size[1]);
  const left = video.offsetLeft + (video.clientWidth - facts.size[0] * scale) / 2;
  const top = video.offsetTop + (video.clientHeight - facts.size[1] * scale) / 2;
  frame.style.left = `${left + at[0] * scale}px`;
  frame.style.top = `${top + at[1] * scale}px`;
  frame.style.width = `${(at[2] - at[0]) * scale}px`;
  frame.style.height = `${(at[3] - at[1]) * scale}px`;
}

function canvasOf(id) {
  const canvas = byId(id), ratio = devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return { ctx, width, height };
}
function plane() {
  const { ctx, width, height } = canvasOf("plane"), one = person();
  const side = Math.min(width, height) - 44, left = (width - side) / 2, top = (height - side) / 2;
  const x = (value) => left + ((value + 1) / 2) * side, y = (value) => top + ((1 - value) / 2) * side;
  ctx.strokeStyle = colours.grid;
  ctx.lineWidth = 1;
  for (const value of [-1, -0.5, 0.5, 1]) {
    ctx.strokeRect(x(-Math.abs(value)), y(Math.abs(value)), Math.abs(value) * side, Math.abs(value) * side);
  }
  ctx.strokeStyle = colours.rule;
  ctx.beginPath(); ctx.moveTo(x(-1), y(0)); ctx.lineTo(x(1), y(0)); ctx.moveTo(x(0), y(-1)); ctx.lineTo(x(0), y(1)); ctx.stroke();
  ctx.fillStyle = colours.soft;
  ctx.font = "12px system-ui, sans-serif";
  ctx.textAlign = "center";
  ctx.fillText("excited", x(0), top - 7);
  ctx.fillText("calm", x(0), top + side + 16);
  ctx.save(); ctx.translate(left - 9, y(0)); ctx.rotate(-Math.PI / 2); ctx.fillText("unpleasant", 0, 0); ctx.restore();
  ctx.save(); ctx.translate(left + side + 9, y(0)); ctx.rotate(Math.PI / 2); ctx.fillText("pleasant", 0, 0); ctx.restore();
  if (!one.valence_min || !one.arousal_min) { ctx.fillText("no values", x(0), y(0) - 8); return; }
  const middle = (name, cell) => {
    const low = short(one[`${name}_min`][cell]), high = short(one[`${name}_max`][cell]);
    return low === null ? null : (low + high) / 2;
  };
  const cells = [cellAt(one, state.view.min), cellAt(one, state.view.max) + 1];
  const cursor = shownTime(), many = cells[1] - cells[0] > 600;
  const place = (at) => {
    const v = middle("valence", at), a = middle("arousal", at);
    return v === null || a === null ? null : [x(v), y(a)];
  };
  if (many) {
    // A long time's path would be a tangle: its places, and the way to the cursor.
    const step = Math.ceil((cells[1] - cells[0]) / 6000);
    ctx.fillStyle = colours.soft;
    ctx.globalAlpha = 0.16;
    for (let at = cells[0]; at < cells[1]; at += step) {
      const here = place(at);
      if (here) ctx.fillRect(here[0] - 1.2, here[1] - 1.2, 2.4, 2.4);
    }
    cells[0] = cellAt(one, cursor - 10);
    cells[1] = cellAt(one, cursor) + 1;
  }
  let before = null;
  ctx.strokeStyle = colours.ink;
  ctx.lineWidth = 1.4;
  for (let at = cells[0]; at < cells[1]; at++) {
    const here = place(at);
    if (here && before) {
      ctx.globalAlpha = 0.1 + 0.65 * ((at - cells[0]) / Math.max(1, cells[1] - cells[0]));
      ctx.beginPath(); ctx.moveTo(...before); ctx.lineTo(...here); ctx.stroke();
    }
    before = here;
  }
  ctx.globalAlpha = 1;
  const cell = cellAt(one, cursor), v = middle("valence", cell), a = middle("arousal", cell);
  if (v === null || a === null) return;
  if (one.valence_low && one.arousal_low && one.valence_low[cell] !== NO_SHORT) {
    const [l, r, b, t] = [one.valence_low, one.valence_high, one.arousal_low, one.arousal_high].map((each) => short(each[cell]));
    ctx.fillStyle = faint(colours.valence);
    ctx.strokeStyle = colours.valence;
    ctx.fillRect(x(l), y(t), x(r) - x(l), y(b) - y(t));
    ctx.strokeRect(x(l), y(t), x(r) - x(l), y(b) - y(t));
  }
  ctx.fillStyle = colours.arousal;
  ctx.strokeStyle = colours.card;
  ctx.lineWidth = 2;
  ctx.beginPath(); ctx.arc(x(v), y(a), 6, 0, 7); ctx.fill(); ctx.stroke();
}
function overview() {
  const { ctx, width, height } = canvasOf("overview"), one = person(), end = endOf();
  const whole = { min: 0, max: end };
  columns(one, whole, width, (x, first, last) => {
    const seen = meanByte(one.seen, 0, first, last) || 0;
    if (seen < 1) { ctx.globalAlpha = 1 - seen; ctx.fillStyle = colours.missing; ctx.fillRect(x, 0, 1, height); ctx.globalAlpha = 1; }
    for (const name of ["valence", "arousal"]) {
      let low = null, high = null;
      if (one[`${name}_min`]) for (let cell = first; cell < last; cell++) {
        const a = short(one[`${name}_min`][cell]), b = short(one[`${name}_max`][cell]);
        if (a !== null) { low = low === null ? a : Math.min(low, a); high = high === null ? b : Math.max(high, b); }
      }
      if (low === null) continue;
      ctx.fillStyle = colours[name];
      const top = ((1 - high) / 2) * height;
      ctx.fillRect(x, top, 1, Math.max(1.4, ((high - low) / 2) * height));
    }
  });
  const from = (state.view.min / end) * width, to = (state.view.max / end) * width;
  ctx.fillStyle = colours.soft;
  ctx.globalAlpha = 0.28;
  ctx.fillRect(0, 0, from, height);
  ctx.fillRect(to, 0, width - to, height);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = colours.ink;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(from + 0.75, 0.75, Math.max(3, to - from - 1.5), height - 1.5);
}

function choose(at) {
  state.person = at;
  all('[role="tab"]').forEach((tab, place) => {
    tab.setAttribute("aria-selected", String(place === at));
    tab.tabIndex = place === at ? 0 : -1;
  });
  byId("person").setAttribute("aria-labelledby", `tab-${at}`);
  for (const each of all("[data-person]")) each.hidden = Number(each.dataset.person) !== at;
  const size = person().frames, note = byId("thinned");
  note.hidden = size === 1;
  note.textContent = `The video is long: ${size} frames stand together as one. Of valence and arousal the least and the greatest value are kept, of the rest the mean. The table has every frame.`;
  setView(state.view.min, state.view.max);
  readout();
}

function theme(name) {
  root.dataset.theme = name;
  if (!facts || !charts.length) return;
  readColours();
  charts.forEach(({ u }) => u.redraw(false, true));
  overview();
  plane();
}

function keys(event) {
  const step = event.shiftKey ? null : Math.max(1e-3, (person().t[1] || 0.04) * 1.0001);
  const deeds = {
    ArrowLeft: () => (step ? setTime(state.time - step) : pan(-0.2)),
    ArrowRight: () => (step ? setTime(state.time + step) : pan(0.2)),
    PageUp: () => pan(-0.8), PageDown: () => pan(0.8),
    Home: () => setTime(0), End: () => setTime(endOf()),
    "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: () => setView(0, endOf()),
    " ": () => video && (video.paused ? video.play().catch(() => {}) : video.pause()),
  };
  if (!deeds[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  deeds[event.key]();
}

function start() {
  setUpTheme();
  setUpGaps();
  if (!facts) return;
  state.view = { min: 0, max: endOf() };
  build();
  choose(0);
  setTime(0, true);
  setUpTabs();
  byId("curves").addEventListener("keydown", (event) => { if (event.target === byId("curves")) keys(event); });
  for (const [id, deed] of Object.entries({ "z-in": () => zoom(0.5), "z-out": () => zoom(2), "z-left": () => pan(-0.3), "z-right": () => pan(0.3), "z-all": () => setView(0, endOf()) })) {
    byId(id).addEventListener("click", deed);
  }
  const strip = byId("overview");
  const there = (event) => {
    const span = state.view.max - state.view.min, to = (event.offsetX / strip.clientWidth) * endOf();
    setView(to - span / 2, to + span / 2);
  };
  strip.addEventListener("pointerdown", (event) => { strip.setPointerCapture(event.pointerId); there(event); });
  strip.addEventListener("pointermove", (event) => { if (event.buttons) there(event); });
  new ResizeObserver(() => {
    for (const { u, panel, place } of charts) u.setSize({ width: Math.max(200, place.clientWidth), height: panel.height });
    setView(state.view.min, state.view.max);
    readout();
  }).observe(byId("curves"));
  if (video) setUpVideo();
  root.dataset.ready = "yes";
}
function setUpVideo() {
  const film = byId("film");
  if (film) {
    const bytes = Uint8Array.from(atob(film.textContent), (letter) => letter.charCodeAt(0));
    video.src = URL.createObjectURL(new Blob([bytes], { type: film.dataset.kind }));
    film.remove();
  }
  const follow = () => setTime(video.currentTime - facts.offset, true);
  const each = () => { follow(); if (!video.paused && !video.ended) requestAnimationFrame(each); };
  video.addEventListener("play", each);
  for (const kind of ["seeking", "seeked", "timeupdate", "pause"]) video.addEventListener(kind, () => { if (!video.seeking || kind === "seeking") follow(); });
  video.addEventListener("loadedmetadata", readout);
  video.addEventListener("error", () => {
    video.hidden = byId("box").hidden = true;
    byId("novideo").hidden = false;
    byId("novideo").textContent = "The video cannot be played here: it was moved, or this browser does not know its kind. The curves are whole without it.";
  });
}
function setUpTabs() {
  const tabs = all('[role="tab"]');
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => choose(at));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = (to + tabs.length) % tabs.length;
      choose(next);
      tabs[next].focus();
    });
  });
}
function setUpTheme() {
  const wanted = matchMedia("(prefers-color-scheme: dark)");
  theme(wanted.matches ? "dark" : "light");
  let chosen = false;
  wanted.addEventListener("change", () => { if (!chosen) theme(wanted.matches ? "dark" : "light"); });
  byId("theme").addEventListener("click", () => { chosen = true; theme(root.dataset.theme === "dark" ? "light" : "dark"); });
}
function setUpGaps() {
  const buttons = all("[data-gaps]");
  for (const button of buttons) button.addEventListener("click", () => {
    for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
    for (const part of all("[data-part]")) part.hidden = part.dataset.part !== button.dataset.gaps;
  });
}
start();
