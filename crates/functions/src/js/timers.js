// Timers: kept here, run by the event loop. `run` calls what is due and tells when the next one is.
const TIMERS_MAX = 10000;
const pending = new Map();
let lastId = 0;

class Timeout {
  constructor(callback, args, delay, repeats) {
    this._callback = callback;
    this._args = args;
    this._delay = delay;
    this._repeats = repeats;
    this._held = true;
    this._id = ++lastId;
    this._due = host.monotonicMs() + delay;
  }
  ref() { this._held = true; return this; }
  unref() { this._held = false; return this; }
  hasRef() { return this._held; }
  refresh() { this._due = host.monotonicMs() + this._delay; pending.set(this._id, this); return this; }
  close() { pending.delete(this._id); return this; }
  [Symbol.toPrimitive]() { return this._id; }
}

function add(callback, delay, repeats, args) {
  if (typeof callback !== 'function') {
    const error = new TypeError('The "callback" argument must be of type function. Received ' + typeof callback);
    error.code = 'ERR_INVALID_ARG_TYPE';
    throw error;
  }
  if (pending.size >= TIMERS_MAX) throw new RangeError('more than ' + TIMERS_MAX + ' timers');
  let ms = Number(delay);
  if (!(ms >= 1 && ms <= 2147483647)) ms = 1;
  const timer = new Timeout(callback, args, ms, repeats);
  pending.set(timer._id, timer);
  return timer;
}

function clear(timer) {
  if (timer === undefined || timer === null) return;
  pending.delete(timer instanceof Timeout ? timer._id : Number(timer));
}

// One due timer per call, so that the event loop runs promise jobs between two of them, as Node does. Answers milliseconds to wait, 0 for "call again", -1 for "none".
exports.run = function () {
  const now = host.monotonicMs();
  let first = null;
  let held = false;
  for (const timer of pending.values()) {
    if (timer._held) held = true;
    if (!first || timer._due < first._due) first = timer;
  }
  if (!first || !held) return -1;
  if (first._due > now) return Math.max(first._due - now, 0.05);
  if (first._repeats) {
    first._due = now + first._delay;
    pending.delete(first._id);
    pending.set(first._id, first);
  } else {
    pending.delete(first._id);
  }
  first._callback(...first._args);
  return 0;
};

const setTimeout = (callback, delay, ...args) => add(callback, delay, false, args);
const setInterval = (callback, delay, ...args) => add(callback, delay, true, args);
const setImmediate = (callback, ...args) => {
  const timer = add(callback, 1, false, args);
  timer._due = host.monotonicMs();
  return timer;
};
exports.globals = {
  setTimeout, setInterval, setImmediate, clearTimeout: clear, clearInterval: clear, clearImmediate: clear,
  queueMicrotask: globalThis.queueMicrotask || ((job) => { Promise.resolve().then(job); }),
};
const promises = {
  setTimeout: (delay, value) => new Promise((resolve) => setTimeout(resolve, delay, value)),
  setImmediate: (value) => new Promise((resolve) => setImmediate(resolve, value)),
};
exports.module = { ...exports.globals, promises };
exports.promises = promises;
