// What the page shows, unpacked; and fewer points where there are more than pixels.
const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const all = (selector) => [...document.querySelectorAll(selector)];
const facts = byId("data") ? JSON.parse(byId("data").textContent) : null;
const video = byId("video");
const TYPES = { f4: Float32Array, i2: Int16Array, u2: Uint16Array, u1: Uint8Array };
const NO_SHORT = -32768, NO_BYTE = 255;
const short = (value) => (value === NO_SHORT ? null : value / 32000);
const byte = (value) => (value === NO_BYTE ? null : value / 254);

function unpack(text) {
  const letters = atob(text.data), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return new TYPES[text.type](bytes.buffer);
}

const people = facts ? facts.people.map((packed) => {
  const person = {};
  for (const [name, value] of Object.entries(packed)) {
    person[name] = value && value.data !== undefined ? unpack(value) : value;
  }
  person.n = person.t.length;
  return person;
}) : [];

// The last cell that begins at or before a time.
function cellAt(person, time) {
  let low = 0, high = person.n - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (person.t[middle] <= time + 1e-6) low = middle; else high = middle - 1;
  }
  return low;
}

// Times and curves of a stretch, at most a point a pixel. `curves` are arrays with a reader of their
// numbers, and which number of those that fall together counts: the least, the most, or their mean.
const FOLDS = {
  least: (before, value) => Math.min(before, value), most: (before, value) => Math.max(before, value),
  mean: (before, value) => before + value,
};
function thin(person, from, to, pixels, curves) {
  const first = Math.max(0, cellAt(person, from) - 1);
  const end = Math.min(person.n, cellAt(person, to) + 2);
  const step = Math.max(1, Math.ceil((end - first) / pixels));
  const times = [], lists = curves.map(() => []);
  for (let start = first; start < end; start += step) {
    const stop = Math.min(end, start + step), next = stop < person.n ? person.t[stop] : person.end;
    times.push(step === 1 && person.frames === 1 ? person.t[start] : (person.t[start] + next) / 2);
    curves.forEach(({ array, read, kind }, at) => {
      let found = null, count = 0;
      if (array) for (let cell = start; cell < stop; cell++) {
        const value = read(array, cell);
        if (value !== null) { found = count ? FOLDS[kind](found, value) : value; count++; }
      }
      lists[at].push(count && kind === "mean" ? found / count : found);
    });
  }
  return [times, ...lists];
}
const shortAt = (array, cell) => short(array[cell]);
const byteAt = (array, cell) => byte(array[cell]);

// Calls back once a column of pixels with the cells that fall into it.
function columns(person, view, pixels, draw) {
  const span = view.max - view.min;
  let first = cellAt(person, view.min);
  for (let x = 0; x < pixels; x++) {
    const until = view.min + (span * (x + 1)) / pixels;
    if (view.min + (span * x) / pixels >= person.end) return;
    while (first + 1 < person.n && person.t[first + 1] <= view.min + (span * x) / pixels) first++;
    let end = first + 1;
    while (end < person.n && person.t[end] < until) end++;
    draw(x, first, end);
  }
}

// The mean of a row of bytes over some cells; null where there is none.
function meanByte(bytes, offset, first, end) {
  let sum = 0, count = 0;
  for (let at = first; at < end; at++) {
    const value = bytes[offset + at];
    if (value !== NO_BYTE) { sum += value; count++; }
  }
  return count ? sum / count / 254 : null;
}

function clock(seconds, digits = 1) {
  const whole = Math.max(0, seconds), hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = (Math.floor((whole % 60) * 10 ** digits + 1e-6) / 10 ** digits).toFixed(digits);
  const padded = rest.padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${padded}` : `${minutes}:${padded}`;
}

const signed = (value) => (value < -0.005 ? "−" : value > 0.005 ? "+" : "") + Math.abs(value).toFixed(2);
const percent = (value) => `${Math.round(value * 100)} %`;
const css = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
