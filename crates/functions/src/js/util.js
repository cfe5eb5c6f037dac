// The `util` module.
const { inspect, format, isError } = internal('inspect');
const promisified = Symbol.for('nodejs.util.promisify.custom');

function promisify(original) {
  if (typeof original !== 'function') throw Object.assign(new TypeError('The "original" argument must be of type function'), { code: 'ERR_INVALID_ARG_TYPE' });
  if (original[promisified]) return original[promisified];
  if (original === setTimeout) return internal('timers').promises.setTimeout;
  if (original === setImmediate) return internal('timers').promises.setImmediate;
  return function (...args) {
    return new Promise((resolve, reject) => original.call(this, ...args, (error, value) => (error ? reject(error) : resolve(value))));
  };
}
promisify.custom = promisified;

function isDeepStrictEqual(a, b, depth = 0) {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || depth > 200) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return a.getTime() === b.getTime();
  if (a instanceof RegExp) return String(a) === String(b);
  if (a instanceof Map || a instanceof Set) return a.size === b.size && isDeepStrictEqual([...a], [...b], depth + 1);
  if (isError(a) && (a.message !== b.message || a.name !== b.name)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && isDeepStrictEqual(a[key], b[key], depth + 1));
}

function structuredClone(value, seen = new Map()) {
  if (typeof value === 'function' || typeof value === 'symbol') throw Object.assign(new Error(String(value) + ' could not be cloned.'), { name: 'DataCloneError' });
  if (value === null || typeof value !== 'object') return value;
  if (seen.has(value)) return seen.get(value);
  const keep = (copy) => { seen.set(value, copy); return copy; };
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return keep(value.slice());
  if (isError(value)) return keep(Object.assign(new Error(value.message), { name: value.name, stack: value.stack }));
  if (value instanceof Map) {
    const copy = keep(new Map());
    for (const [key, item] of value) copy.set(structuredClone(key, seen), structuredClone(item, seen));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set());
    for (const item of value) copy.add(structuredClone(item, seen));
    return copy;
  }
  const copy = keep(Array.isArray(value) ? new Array(value.length) : {});
  for (const key of Object.keys(value)) copy[key] = structuredClone(value[key], seen);
  return copy;
}

const is = (kind) => (value) => typeof value === kind;
module.exports = {
  inspect, format, promisify, isDeepStrictEqual, structuredClone,
  formatWithOptions: (options, ...args) => format(...args),
  callbackify: (original) => function (...args) {
    const callback = args.pop();
    original.apply(this, args).then((value) => process.nextTick(callback, null, value), (error) => process.nextTick(callback, error || new Error('Promise was rejected with a falsy value')));
  },
  inherits(kind, parent) {
    Object.defineProperty(kind, 'super_', { value: parent, writable: true, configurable: true });
    Object.setPrototypeOf(kind.prototype, parent.prototype);
  },
  deprecate: (original) => original,
  debuglog: () => Object.assign(() => {}, { enabled: false }),
  stripVTControlCharacters: (text) => String(text).replace(/\x1b\[[0-9;]*[A-Za-z]/g, ''),
  toUSVString: (text) => String(text).toWellFormed(),
  isArray: Array.isArray, isBoolean: is('boolean'), isNumber: is('number'), isString: is('string'), isFunction: is('function'), isSymbol: is('symbol'), isUndefined: is('undefined'),
  isNull: (value) => value === null, isNullOrUndefined: (value) => value === null || value === undefined,
  isObject: (value) => typeof value === 'object' && value !== null, isPrimitive: (value) => Object(value) !== value,
  isDate: (value) => value instanceof Date, isRegExp: (value) => value instanceof RegExp, isError, isBuffer: (value) => Buffer.isBuffer(value),
  types: {
    isDate: (value) => value instanceof Date, isRegExp: (value) => value instanceof RegExp, isNativeError: isError, isPromise: (value) => value instanceof Promise,
    isMap: (value) => value instanceof Map, isSet: (value) => value instanceof Set, isTypedArray: (value) => ArrayBuffer.isView(value) && !(value instanceof DataView),
    isUint8Array: (value) => value instanceof Uint8Array, isArrayBuffer: (value) => value instanceof ArrayBuffer,
    isAsyncFunction: (value) => Object.prototype.toString.call(value) === '[object AsyncFunction]',
  },
  get TextEncoder() { return internal('buffer').TextEncoder; },
  get TextDecoder() { return internal('buffer').TextDecoder; },
};
