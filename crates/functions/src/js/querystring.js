// The `querystring` module.
const unescape = (text) => {
  try { return decodeURIComponent(text); } catch (e) { return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))); }
};
const escape = (text) => encodeURIComponent(String(text).toWellFormed());
const shown = (value) => (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint' || (typeof value === 'number' && isFinite(value)) ? String(value) : '');
module.exports = {
  escape, unescape,
  parse(text, separator = '&', equals = '=', options = {}) {
    const result = Object.create(null);
    if (typeof text !== 'string' || text === '') return result;
    const keysMax = options && typeof options.maxKeys === 'number' ? options.maxKeys : 1000;
    let parts = text.split(separator);
    if (keysMax > 0) parts = parts.slice(0, keysMax);
    for (const part of parts) {
      if (part === '') continue;
      const at = part.indexOf(equals);
      const key = module.exports.unescape((at < 0 ? part : part.slice(0, at)).replaceAll('+', ' '));
      const value = at < 0 ? '' : module.exports.unescape(part.slice(at + equals.length).replaceAll('+', ' '));
      if (!(key in result)) result[key] = value;
      else if (Array.isArray(result[key])) result[key].push(value);
      else result[key] = [result[key], value];
    }
    return result;
  },
  stringify(values, separator = '&', equals = '=') {
    if (values === null || typeof values !== 'object') return '';
    return Object.keys(values).flatMap((key) => [].concat(values[key]).map((value) => escape(key) + equals + escape(shown(value)))).join(separator);
  },
};
module.exports.decode = module.exports.parse;
module.exports.encode = module.exports.stringify;
