// The `events` module.
class EventEmitter {
  constructor() { this._events = new Map(); }
  _list(name) {
    if (!(this._events instanceof Map)) Object.defineProperty(this, '_events', { value: new Map(), writable: true, configurable: true });
    return this._events.get(name) || [];
  }
  _add(name, listener, first, once) {
    if (typeof listener !== 'function') {
      throw Object.assign(new TypeError('The "listener" argument must be of type function. Received ' + typeof listener), { code: 'ERR_INVALID_ARG_TYPE' });
    }
    const list = this._list(name).slice();
    const entry = { listener, once };
    if (first) list.unshift(entry); else list.push(entry);
    this._events.set(name, list);
    return this;
  }
  on(name, listener) { return this._add(name, listener, false, false); }
  addListener(name, listener) { return this._add(name, listener, false, false); }
  prependListener(name, listener) { return this._add(name, listener, true, false); }
  once(name, listener) { return this._add(name, listener, false, true); }
  prependOnceListener(name, listener) { return this._add(name, listener, true, true); }
  off(name, listener) {
    const list = this._list(name).slice();
    const at = list.findLastIndex((entry) => entry.listener === listener);
    if (at >= 0) { list.splice(at, 1); this._events.set(name, list); }
    return this;
  }
  removeListener(name, listener) { return this.off(name, listener); }
  removeAllListeners(name) {
    this._list(name);
    if (name === undefined) this._events.clear(); else this._events.delete(name);
    return this;
  }
  emit(name, ...args) {
    const list = this._list(name);
    if (list.length === 0) {
      if (name !== 'error') return false;
      throw args[0] instanceof Error ? args[0] : Object.assign(new Error('Unhandled error. (' + args[0] + ')'), { code: 'ERR_UNHANDLED_ERROR' });
    }
    for (const entry of list) {
      if (entry.once) this._events.set(name, this._list(name).filter((other) => other !== entry));
      entry.listener.apply(this, args);
    }
    return true;
  }
  listenerCount(name) { return this._list(name).length; }
  listeners(name) { return this._list(name).map((entry) => entry.listener); }
  rawListeners(name) { return this.listeners(name); }
  eventNames() { this._list(''); return [...this._events.keys()].filter((name) => this._list(name).length); }
  setMaxListeners() { return this; }
  getMaxListeners() { return 10; }
}
// Old code calls it without `new`: `EventEmitter.call(this)` and util.inherits.
const Emitter = module.exports = function EventEmitter_() {
  if (!(this instanceof Emitter)) return undefined;
  Object.defineProperty(this, '_events', { value: new Map(), writable: true, configurable: true, enumerable: false });
};
Object.defineProperty(Emitter, 'name', { value: 'EventEmitter' });
for (const name of Object.getOwnPropertyNames(EventEmitter.prototype)) {
  if (name !== 'constructor') Object.defineProperty(Emitter.prototype, name, { value: EventEmitter.prototype[name], writable: true, configurable: true, enumerable: false });
}
Emitter.EventEmitter = Emitter;
Emitter.defaultMaxListeners = 10;
Emitter.once = (emitter, name) => new Promise((resolve, reject) => {
  const failed = (error) => { emitter.off(name, came); reject(error); };
  const came = (...args) => { emitter.off('error', failed); resolve(args); };
  emitter.once(name, came);
  if (name !== 'error') emitter.once('error', failed);
});
