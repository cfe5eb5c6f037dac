// The `buffer` module, and TextEncoder and TextDecoder. The host converts text to bytes and back.
const octets = internal('octets');

const encodingOf = (name) => {
  const lower = name === undefined || name === null ? 'utf8' : String(name).toLowerCase();
  switch (lower) {
    case 'utf8': case 'utf-8': return 'utf8';
    case 'hex': case 'base64': case 'base64url': case 'ascii': return lower;
    case 'latin1': case 'binary': return 'latin1';
    case 'ucs2': case 'ucs-2': case 'utf16le': case 'utf-16le': return 'utf16le';
    default: throw Object.assign(new TypeError('Unknown encoding: ' + name), { code: 'ERR_UNKNOWN_ENCODING' });
  }
};

function bytesOf(text, encoding) {
  if (encoding === 'utf8') return host.utf8Bytes(text.toWellFormed());
  if (encoding === 'hex') {
    const length = Math.floor(text.length / 2);
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at++) {
      const pair = text.slice(at * 2, at * 2 + 2);
      if (!/^[0-9a-fA-F]{2}$/.test(pair)) return bytes.slice(0, at);
      bytes[at] = parseInt(pair, 16);
    }
    return bytes;
  }
  if (encoding === 'base64' || encoding === 'base64url') return host.base64Bytes(text.toWellFormed());
  if (encoding === 'utf16le') {
    const bytes = new Uint8Array(text.length * 2);
    for (let at = 0; at < text.length; at++) { bytes[at * 2] = text.charCodeAt(at) & 255; bytes[at * 2 + 1] = text.charCodeAt(at) >> 8; }
    return bytes;
  }
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

function textOf(bytes, encoding) {
  if (encoding === 'utf8') return host.utf8Text(octets(bytes));
  if (encoding === 'hex') return host.hexText(octets(bytes));
  if (encoding === 'base64') return host.base64Text(octets(bytes));
  if (encoding === 'base64url') return host.base64Text(octets(bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  let text = '';
  if (encoding === 'utf16le') for (let at = 0; at + 1 < bytes.length; at += 2) text += String.fromCharCode(bytes[at] | bytes[at + 1] << 8);
  else for (let at = 0; at < bytes.length; at++) text += String.fromCharCode(encoding === 'ascii' ? bytes[at] & 127 : bytes[at]);
  return text;
}

const adopt = (bytes) => Object.setPrototypeOf(bytes, Buffer.prototype);

class Buffer extends Uint8Array {
  static from(value, encoding, length) {
    if (typeof value === 'string') return adopt(bytesOf(value, encodingOf(encoding)));
    if (value instanceof ArrayBuffer) return adopt(new Uint8Array(value, encoding, length));
    if (ArrayBuffer.isView(value)) return adopt(new Uint8Array(value));
    if (Array.isArray(value)) return adopt(Uint8Array.from(value));
    if (value && value.type === 'Buffer' && Array.isArray(value.data)) return adopt(Uint8Array.from(value.data));
    if (value !== null && value !== undefined && typeof value.valueOf === 'function' && value.valueOf() !== value) return Buffer.from(value.valueOf(), encoding, length);
    throw Object.assign(new TypeError('The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array. Received ' + (value === null ? 'null' : typeof value)), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  static alloc(size, fill, encoding) {
    const buffer = adopt(new Uint8Array(size));
    return fill === undefined || fill === 0 ? buffer : buffer.fill(fill, 0, size, encoding);
  }
  static allocUnsafe(size) { return Buffer.alloc(size); }
  static allocUnsafeSlow(size) { return Buffer.alloc(size); }
  static isBuffer(value) { return value instanceof Buffer; }
  static isEncoding(name) { try { return Boolean(encodingOf(name)); } catch (e) { return false; } }
  static byteLength(value, encoding) { return typeof value === 'string' ? bytesOf(value, encodingOf(encoding)).length : value.byteLength; }
  static compare(a, b) {
    const shorter = Math.min(a.length, b.length);
    for (let at = 0; at < shorter; at++) if (a[at] !== b[at]) return a[at] < b[at] ? -1 : 1;
    return Math.sign(a.length - b.length);
  }
  static concat(list, length) {
    const total = length === undefined ? list.reduce((sum, item) => sum + item.length, 0) : length;
    const whole = Buffer.alloc(total);
    let at = 0;
    for (const item of list) {
      const part = item.subarray(0, Math.max(0, total - at));
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
  toString(encoding, start = 0, end = this.length) { return textOf(this.subarray(start, end), encodingOf(encoding)); }
  toJSON() { return { type: 'Buffer', data: Array.from(this) }; }
  equals(other) { return Buffer.compare(this, other) === 0; }
  compare(other) { return Buffer.compare(this, other); }
  slice(start, end) { return this.subarray(start, end); }
  subarray(start, end) { return adopt(Uint8Array.prototype.subarray.call(new Uint8Array(this.buffer, this.byteOffset, this.length), start, end)); }
  write(text, offset = 0, length, encoding) {
    if (typeof offset === 'string') { encoding = offset; offset = 0; length = undefined; }
    if (typeof length === 'string') { encoding = length; length = undefined; }
    const bytes = bytesOf(text, encodingOf(encoding)).subarray(0, Math.min(length === undefined ? Infinity : length, this.length - offset));
    this.set(bytes, offset);
    return bytes.length;
  }
  copy(target, targetStart = 0, start = 0, end = this.length) {
    const part = this.subarray(start, Math.min(end, start + target.length - targetStart));
    target.set(part, targetStart);
    return part.length;
  }
  fill(value, start = 0, end = this.length, encoding) {
    if (typeof value === 'number') return Uint8Array.prototype.fill.call(this, value, start, end);
    const bytes = typeof value === 'string' ? bytesOf(value, encodingOf(encoding)) : value;
    for (let at = start; at < end; at++) this[at] = bytes.length ? bytes[(at - start) % bytes.length] : 0;
    return this;
  }
  indexOf(value, from = 0, encoding) {
    if (typeof value === 'number') return Uint8Array.prototype.indexOf.call(this, value, from);
    const bytes = typeof value === 'string' ? bytesOf(value, encodingOf(encoding)) : value;
    for (let at = from; at + bytes.length <= this.length; at++) {
      let same = 0;
      while (same < bytes.length && this[at + same] === bytes[same]) same++;
      if (same === bytes.length) return at;
    }
    return -1;
  }
  includes(value, from, encoding) { return this.indexOf(value, from, encoding) >= 0; }
  _view() { return new DataView(this.buffer, this.byteOffset, this.byteLength); }
  [Symbol.for('nodejs.util.inspect.custom')]() {
    const shown = host.hexText(octets(this.subarray(0, 50))).replace(/../g, ' $&');
    return '<Buffer' + shown + (this.length > 50 ? ' ... ' + (this.length - 50) + ' more bytes' : '') + '>';
  }
}

for (const [name, method, size] of [['UInt8', 'Uint8', 1], ['Int8', 'Int8', 1], ['UInt16', 'Uint16', 2], ['Int16', 'Int16', 2], ['UInt32', 'Uint32', 4], ['Int32', 'Int32', 4], ['Float', 'Float32', 4], ['Double', 'Float64', 8], ['BigUInt64', 'BigUint64', 8], ['BigInt64', 'BigInt64', 8]]) {
  for (const [suffix, little] of size === 1 ? [['', false]] : [['BE', false], ['LE', true]]) {
    const define = (key, value) => Object.defineProperty(Buffer.prototype, key, { value, writable: true, configurable: true });
    define('read' + name + suffix, function (offset = 0) { return this._view()['get' + method](offset, little); });
    define('write' + name + suffix, function (value, offset = 0) { this._view()['set' + method](offset, value, little); return offset + size; });
    for (const key of ['read', 'write']) define(key + (name + suffix).replace('UInt', 'Uint'), Buffer.prototype[key + name + suffix]);
  }
}
Buffer.poolSize = 8192;

class TextEncoder {
  get encoding() { return 'utf-8'; }
  encode(text = '') { return host.utf8Bytes(String(text).toWellFormed()); }
}
class TextDecoder {
  constructor(label = 'utf-8') { this.encoding = encodingOf(label) === 'utf8' ? 'utf-8' : String(label); }
  decode(bytes) {
    if (bytes === undefined) return '';
    const view = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return textOf(view, encodingOf(this.encoding)).replace(/^\uFEFF/, '');
  }
}

module.exports = { Buffer, TextEncoder, TextDecoder, kMaxLength: 0x7fffffff, constants: { MAX_LENGTH: 0x7fffffff, MAX_STRING_LENGTH: 0x3fffffff }, SlowBuffer: Buffer, INSPECT_MAX_BYTES: 50 };
