// The `crypto` module: hashes, HMAC and randomness, computed by the host.
const { Buffer } = internal('buffer');
const octets = internal('octets');
const NAMES = { sha1: 'sha1', sha256: 'sha256', sha384: 'sha384', sha512: 'sha512' };

const algorithm = (name) => {
  const found = NAMES[String(name).toLowerCase().replace('-', '')];
  if (!found) throw Object.assign(new Error('Digest method not supported: ' + name + ' (the embedded runtime has ' + Object.keys(NAMES).join(', ') + ')'), { code: 'ERR_CRYPTO_INVALID_DIGEST' });
  return found;
};
const bytes = (value, encoding) => (typeof value === 'string' ? Buffer.from(value, encoding) : Buffer.from(value.buffer || value, value.byteOffset, value.byteLength));

class Digest {
  constructor(finish) { this._parts = []; this._finish = finish; this._done = false; }
  update(value, encoding) {
    if (this._done) throw Object.assign(new Error('Digest already called'), { code: 'ERR_CRYPTO_HASH_FINALIZED' });
    this._parts.push(Buffer.from(bytes(value, encoding)));
    return this;
  }
  digest(encoding) {
    if (this._done) throw Object.assign(new Error('Digest already called'), { code: 'ERR_CRYPTO_HASH_FINALIZED' });
    this._done = true;
    const result = Buffer.from(this._finish(Buffer.concat(this._parts)));
    return encoding && encoding !== 'buffer' ? result.toString(encoding) : result;
  }
}

const randomBytes = (size, callback) => {
  const result = Buffer.from(host.random(size));
  if (typeof callback !== 'function') return result;
  queueMicrotask(() => callback(null, result));
};
const randomUUID = () => {
  const value = randomBytes(16);
  value[6] = value[6] & 15 | 64;
  value[8] = value[8] & 63 | 128;
  return value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
};
const getRandomValues = (view) => {
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(host.random(view.byteLength));
  return view;
};

module.exports = {
  createHash: (name) => { const known = algorithm(name); return new Digest((all) => host.hash(known, octets(all))); },
  createHmac: (name, key) => { const known = algorithm(name); const secret = bytes(key); return new Digest((all) => host.hmac(known, octets(secret), octets(all))); },
  hash: (name, value, encoding = 'hex') => module.exports.createHash(name).update(value).digest(encoding),
  getHashes: () => Object.keys(NAMES),
  randomBytes, randomUUID, getRandomValues,
  randomFillSync: getRandomValues,
  randomInt(least, most) {
    if (most === undefined) { most = least; least = 0; }
    if (!(most > least)) throw new RangeError('The value of "max" is out of range.');
    return least + Number(randomBytes(8).readBigUInt64BE() % BigInt(most - least));
  },
  timingSafeEqual(a, b) {
    if (a.byteLength !== b.byteLength) throw Object.assign(new RangeError('Input buffers must have the same byte length'), { code: 'ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH' });
    let difference = 0;
    for (let at = 0; at < a.length; at++) difference |= a[at] ^ b[at];
    return difference === 0;
  },
  webcrypto: {
    randomUUID, getRandomValues,
    subtle: { digest: async (name, value) => { const result = host.hash(algorithm(name.name || name), octets(bytes(value))); return result.buffer; } },
  },
};
