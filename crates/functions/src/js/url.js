// The `url` module: URL for absolute addresses of the usual schemes, URLSearchParams, and the old parse and format.
const querystring = internal('querystring');
const PORTS = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443', 'ftp:': '21' };
const invalid = (text) => Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL', input: text });

const encode = (text) => encodeURIComponent(String(text).toWellFormed()).replace(/%20/g, '+').replace(/[!'()~]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());
class URLSearchParams {
  #pairs = [];
  #changed = null;
  constructor(given = '', changed = null) {
    this.#changed = changed;
    if (typeof given === 'string') this.#parse(given);
    else if (typeof given[Symbol.iterator] === 'function') for (const [key, value] of given) this.#pairs.push([String(key), String(value)]);
    else for (const key of Object.keys(given)) this.#pairs.push([key, String(given[key])]);
  }
  #parse(text) {
    for (const part of text.replace(/^\?/, '').split('&')) {
      if (part === '') continue;
      const at = part.indexOf('=');
      const decode = (piece) => querystring.unescape(piece.replaceAll('+', ' '));
      this.#pairs.push(at < 0 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))]);
    }
  }
  #done() { if (this.#changed) this.#changed(this.toString()); }
  append(key, value) { this.#pairs.push([String(key), String(value)]); this.#done(); }
  delete(key) { this.#pairs = this.#pairs.filter((pair) => pair[0] !== key); this.#done(); }
  get(key) { const found = this.#pairs.find((pair) => pair[0] === key); return found ? found[1] : null; }
  getAll(key) { return this.#pairs.filter((pair) => pair[0] === key).map((pair) => pair[1]); }
  has(key) { return this.#pairs.some((pair) => pair[0] === key); }
  set(key, value) {
    const found = this.#pairs.find((pair) => pair[0] === key);
    if (!found) return this.append(key, value);
    found[1] = String(value);
    this.#pairs = this.#pairs.filter((pair) => pair[0] !== key || pair === found);
    this.#done();
  }
  sort() { this.#pairs.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)); this.#done(); }
  get size() { return this.#pairs.length; }
  forEach(callback) { for (const [key, value] of this.#pairs) callback(value, key, this); }
  *keys() { for (const pair of this.#pairs) yield pair[0]; }
  *values() { for (const pair of this.#pairs) yield pair[1]; }
  *entries() { for (const pair of this.#pairs) yield pair.slice(); }
  [Symbol.iterator]() { return this.entries(); }
  toString() { return this.#pairs.map(([key, value]) => encode(key) + '=' + encode(value)).join('&'); }
}

const clean = (text, allowed) => text.replace(allowed, (c) => encodeURIComponent(c.toWellFormed()));
const FORM = /^([A-Za-z][A-Za-z0-9+.-]*:)(?:\/\/(?:([^\/?#@]*)@)?(\[[0-9a-fA-F:.]+\]|[^\/?#:]*)(?::(\d*))?)?([^?#]*)(\?[^#]*)?(#.*)?$/s;
class URL {
  constructor(text, base) {
    let whole = String(text).trim();
    if (!/^[A-Za-z][A-Za-z0-9+.-]*:/.test(whole)) {
      if (base === undefined) throw invalid(whole);
      whole = against(whole, new URL(base));
    }
    const found = FORM.exec(whole);
    if (!found) throw invalid(whole);
    const [, protocol, user, host, port, pathname, search, hash] = found;
    this.protocol = protocol.toLowerCase();
    const known = Object.hasOwn(PORTS, this.protocol);
    if (known && !host) throw invalid(whole);
    if (port && Number(port) > 65535) throw invalid(whole);
    const [username, ...password] = (user || '').split(':');
    this.username = username;
    this.password = password.join(':');
    this.hostname = (host || '').toLowerCase();
    if (/[\s<>^|%]/.test(this.hostname)) throw invalid(whole);
    this.port = !port || PORTS[this.protocol] === String(Number(port)) ? '' : String(Number(port));
    this.pathname = known ? '/' + dots(clean(pathname, /[\s"<>`{}]|[^\x00-\x7f]+/g)) : pathname;
    this._slashes = host !== undefined;
    this._search = search === '?' ? '' : clean(search || '', /[\s"<>']|[^\x00-\x7f]+/g);
    this.hash = hash === '#' ? '' : clean(hash || '', /[\s"<>`]|[^\x00-\x7f]+/g);
    Object.defineProperty(this, '_params', { value: null, writable: true, enumerable: false });
  }
  get host() { return this.hostname + (this.port ? ':' + this.port : ''); }
  get origin() { return Object.hasOwn(PORTS, this.protocol) ? this.protocol + '//' + this.host : 'null'; }
  get search() { return this._search; }
  set search(text) { this._search = text ? '?' + String(text).replace(/^\?/, '') : ''; this._params = null; }
  get searchParams() {
    if (!this._params) this._params = new URLSearchParams(this._search, (text) => { this._search = text ? '?' + text : ''; });
    return this._params;
  }
  get href() {
    const user = this.username ? this.username + (this.password ? ':' + this.password : '') + '@' : '';
    return this.protocol + (this._slashes ? '//' : '') + user + this.host + this.pathname + this._search + this.hash;
  }
  toString() { return this.href; }
  toJSON() { return this.href; }
  static canParse(text, base) { try { return Boolean(new URL(text, base)); } catch (e) { return false; } }
  [Symbol.for('nodejs.util.inspect.custom')]() { return 'URL { href: ' + JSON.stringify(this.href) + ' }'; }
}

function dots(text) {
  const parts = [];
  const pieces = text.replace(/^\//, '').split('/');
  pieces.forEach((piece, at) => {
    const isLast = at === pieces.length - 1;
    if (piece === '..') { parts.pop(); if (isLast) parts.push(''); } else if (piece === '.') { if (isLast) parts.push(''); } else parts.push(piece);
  });
  return parts.join('/');
}

function against(text, base) {
  const origin = base.protocol + '//' + (base.username ? base.username + (base.password ? ':' + base.password : '') + '@' : '') + base.host;
  if (text.startsWith('//')) return base.protocol + text;
  if (text.startsWith('/')) return origin + text;
  if (text === '') return origin + base.pathname + base.search;
  if (text.startsWith('?')) return origin + base.pathname + text;
  if (text.startsWith('#')) return origin + base.pathname + base.search + text;
  return origin + base.pathname.slice(0, base.pathname.lastIndexOf('/') + 1) + text;
}

module.exports = {
  URL, URLSearchParams,
  parse(text, parseQuery) {
    const found = /^([A-Za-z][\w+.-]*:)?(\/\/)?(?:([^\/?#@]*)@)?([^\/?#]*)?([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(String(text).trim()) || [];
    const slashes = Boolean(found[2]);
    const host = slashes ? (found[4] || '').toLowerCase() : null;
    const pathname = (slashes ? found[5] : (found[4] || '') + (found[5] || '')) || (slashes ? '/' : null);
    const search = found[6] || null;
    return {
      protocol: found[1] ? found[1].toLowerCase() : null, slashes: slashes || null, auth: found[3] ? querystring.unescape(found[3]) : null, host,
      port: host && /:(\d+)$/.test(host) ? /:(\d+)$/.exec(host)[1] : null, hostname: host ? host.replace(/:\d+$/, '') : host,
      hash: found[7] || null, search, query: parseQuery ? querystring.parse((search || '').slice(1)) : search ? search.slice(1) : null,
      pathname, path: (pathname || '') + (search || '') || null, href: String(text),
    };
  },
  format(facts) {
    if (facts instanceof URL) return facts.href;
    if (typeof facts === 'string') return facts;
    const protocol = facts.protocol ? String(facts.protocol).replace(/:?$/, ':') : '';
    const host = facts.host || (facts.hostname ? facts.hostname + (facts.port ? ':' + facts.port : '') : '');
    const query = facts.query && typeof facts.query === 'object' ? querystring.stringify(facts.query) : '';
    const search = facts.search || (query ? '?' + query : '');
    return protocol + (host ? '//' + (facts.auth ? facts.auth + '@' : '') + host : '') + (facts.pathname || '') + search + (facts.hash || '');
  },
  resolve: (from, to) => new URL(to, from).href,
  fileURLToPath: (address) => new URL(address).pathname,
  pathToFileURL: (file) => new URL('file://' + file),
};
