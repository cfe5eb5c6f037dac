// The `path` module, of POSIX.
function normalizeParts(text, isAbsolute) {
  const parts = [];
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length && parts.at(-1) !== '..') parts.pop();
    else if (!isAbsolute) parts.push('..');
  }
  return parts.join('/');
}
const check = (text) => {
  if (typeof text !== 'string') throw Object.assign(new TypeError('The "path" argument must be of type string. Received ' + typeof text), { code: 'ERR_INVALID_ARG_TYPE' });
  return text;
};
const path = module.exports = {
  sep: '/', delimiter: ':',
  normalize(text) {
    if (check(text) === '') return '.';
    const isAbsolute = text.startsWith('/');
    const body = normalizeParts(text, isAbsolute) || (isAbsolute ? '' : '.');
    return (isAbsolute ? '/' : '') + body + (text.endsWith('/') && body && body !== '.' ? '/' : '');
  },
  isAbsolute: (text) => check(text).startsWith('/'),
  join: (...parts) => path.normalize(parts.map(check).filter((part) => part !== '').join('/')),
  resolve(...parts) {
    let whole = '';
    for (const part of ['/var/task', ...parts.map(check)]) {
      if (part === '') continue;
      whole = part.startsWith('/') ? part : whole + '/' + part;
    }
    return '/' + normalizeParts(whole, true);
  },
  dirname(text) {
    const trimmed = check(text).replace(/\/+$/, '');
    const at = trimmed.lastIndexOf('/');
    if (at < 0) return text.startsWith('/') ? '/' : '.';
    return at === 0 ? '/' : trimmed.slice(0, at).replace(/\/+$/, '') || '/';
  },
  basename(text, suffix) {
    const base = check(text).replace(/\/+$/, '').split('/').at(-1);
    return suffix && base !== suffix && base.endsWith(suffix) ? base.slice(0, -suffix.length) : base;
  },
  extname(text) {
    const base = path.basename(text);
    const at = base.lastIndexOf('.');
    return at <= 0 || base === '..' ? '' : base.slice(at);
  },
  relative(from, to) {
    const a = path.resolve(from).split('/').filter(Boolean);
    const b = path.resolve(to).split('/').filter(Boolean);
    let same = 0;
    while (same < a.length && same < b.length && a[same] === b[same]) same++;
    return [...a.slice(same).map(() => '..'), ...b.slice(same)].join('/');
  },
  parse(text) {
    const base = path.basename(text);
    const ext = path.extname(text);
    const root = text.startsWith('/') ? '/' : '';
    const dir = path.dirname(text);
    return { root, dir: dir === '.' && !text.startsWith('./') ? '' : dir, base, ext, name: ext ? base.slice(0, -ext.length) : base };
  },
  format: (facts) => {
    const base = facts.base || (facts.name || '') + (facts.ext || '');
    const dir = facts.dir || facts.root;
    return dir ? (dir === facts.root ? dir + base : dir + '/' + base) : base;
  },
  toNamespacedPath: (text) => text,
};
path.posix = path;
