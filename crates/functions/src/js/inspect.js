// What console and util show of a value, in Node's form.
const DEPTH_MAX = 64;
const LINE_MAX = 80;
const custom = Symbol.for('nodejs.util.inspect.custom');
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

function quote(text) {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes('`') && !text.includes('${') ? '`' : "'";
  const shown = text.replace(/[\x00-\x1f\x7f\\]/g, (c) => {
    const short = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '\b': '\\b', '\f': '\\f', '\v': '\\v', '\\': '\\\\' }[c];
    return short || '\\x' + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
  });
  return mark + (mark === "'" ? shown.replaceAll("'", "\\'") : shown) + mark;
}

function primitive(value) {
  switch (typeof value) {
    case 'string': return quote(value);
    case 'number': return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint': return value + 'n';
    case 'symbol': return value.toString();
    default: return String(value);
  }
}

function keyText(key) {
  if (typeof key === 'symbol') return '[' + key.toString() + ']';
  return IDENTIFIER.test(key) ? key : quote(key);
}

function className(value) {
  for (let at = value, depth = 0; at && depth < 20; at = Object.getPrototypeOf(at), depth++) {
    const found = Object.getOwnPropertyDescriptor(at, 'constructor');
    if (found && typeof found.value === 'function' && found.value.name !== '') return found.value.name;
  }
  return null;
}

const isError = (value) => value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';

function functionText(value) {
  const source = Function.prototype.toString.call(value);
  if (source.startsWith('class')) return '[class ' + (value.name || '(anonymous)') + ']';
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  return '[' + kind + (value.name ? ': ' + value.name : ' (anonymous)') + ']';
}

function errorText(error) {
  let text = typeof error.stack === 'string' && error.stack ? error.stack : Error.prototype.toString.call(error);
  const name = String(error.name);
  if (!text.includes(name) && text.startsWith('Error')) text = name + text.slice(5);
  return text;
}

class Shower {
  constructor(options) {
    this.depth = options.depth === undefined ? 2 : options.depth === null ? Infinity : options.depth;
    this.showHidden = Boolean(options.showHidden);
    this.line = options.breakLength || LINE_MAX;
    this.compact = options.compact === undefined ? 3 : options.compact === true ? 3 : Number(options.compact);
    this.items = options.maxArrayLength === null ? Infinity : options.maxArrayLength === undefined ? 100 : options.maxArrayLength;
    this.text = options.maxStringLength === null ? Infinity : options.maxStringLength === undefined ? 10000 : options.maxStringLength;
    this.seen = [];
    this.deepest = 0;
    this.indent = 0;
  }

  show(value, level) {
    if (typeof value === 'string' && value.length > this.text) {
      return quote(value.slice(0, this.text)) + '... ' + (value.length - this.text) + ' more characters';
    }
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return primitive(value);
    const own = value[custom];
    if (typeof own === 'function') {
      const shown = own.call(value, this.depth - level, {}, inspect);
      return typeof shown === 'string' ? shown : this.show(shown, level);
    }
    if (this.seen.includes(value)) return '[Circular *1]';
    return this.object(value, level);
  }

  object(value, level) {
    const name = className(value);
    const { base, open, close, entries, isList } = this.shape(value, name);
    const keys = Object.keys(value).concat(Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key)));
    const shown = isList ? keys.filter((key) => typeof key === 'symbol' || !/^\d+$/.test(key)) : keys;
    const fields = isError(value) ? shown.filter((key) => key !== 'stack' && key !== 'message' || !String(value.stack).includes(value[key])) : shown;
    if (isError(value) && Object.hasOwn(value, 'cause') && !fields.includes('cause')) fields.push('cause');
    if (!entries && fields.length === 0) return base || (open === '{' ? '{}' : open + close);
    if (level > this.depth || level > DEPTH_MAX) {
      if (Array.isArray(value)) return '[Array]';
      return base && isError(value) ? '[' + Error.prototype.toString.call(value) + ']' : '[' + (name || 'Object: null prototype') + ']';
    }
    this.seen.push(value);
    this.deepest = level;
    this.indent += 2;
    const output = entries ? entries(level) : [];
    for (const key of fields) output.push(this.field(value, key, level));
    this.indent -= 2;
    this.seen.pop();
    if (!output.length) return base || open + close;
    return this.join(output, base, open, close, level, isList);
  }

  field(value, key, level) {
    const found = Object.getOwnPropertyDescriptor(value, key);
    if (!found) return keyText(key) + ': undefined';
    const name = found.enumerable ? keyText(key) : '[' + String(key) + ']';
    if (found.get) return name + ': ' + (found.set ? '[Getter/Setter]' : '[Getter]');
    if (found.set) return name + ': [Setter]';
    return name + ': ' + this.show(found.value, level + 1);
  }

  // What comes before the braces, and the entries that are not properties.
  shape(value, name) {
    const prefix = (usual, size) => (name === usual ? usual : name || '[' + usual + ': null prototype]') + (size === undefined ? '' : '(' + size + ')') + ' ';
    if (Array.isArray(value)) {
      return { base: '', open: (name === 'Array' ? '' : prefix('Array', value.length)) + '[', close: ']', isList: true, entries: value.length ? (level) => this.list(value, value.length, level) : null };
    }
    if (typeof value === 'function') return { base: functionText(value), open: '{', close: '}' };
    if (isError(value)) return { base: errorText(value).replaceAll('\n', '\n' + ' '.repeat(this.indent)), open: '{', close: '}' };
    if (value instanceof Map) {
      return { base: '', open: prefix('Map', value.size) + '{', close: '}', entries: value.size ? (level) => Array.from(value, ([key, item]) => this.show(key, level + 1) + ' => ' + this.show(item, level + 1)) : null };
    }
    if (value instanceof Set) {
      return { base: '', open: prefix('Set', value.size) + '{', close: '}', entries: value.size ? (level) => Array.from(value, (item) => this.show(item, level + 1)) : null };
    }
    if (value instanceof Date) return { base: Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString(), open: '{', close: '}' };
    if (value instanceof RegExp) return { base: String(value), open: '{', close: '}' };
    if (value instanceof Promise) return { base: '', open: 'Promise {', close: '}', entries: () => [host.promiseState(value)] };
    if (value instanceof ArrayBuffer) return { base: '', open: 'ArrayBuffer {', close: '}', entries: () => ['byteLength: ' + value.byteLength] };
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return { base: '', open: prefix(name, value.length) + '[', close: ']', isList: true, entries: value.length ? (level) => this.list(value, value.length, level) : null };
    }
    if (value instanceof WeakMap || value instanceof WeakSet) return { base: '', open: name + ' {', close: '}', entries: () => ['<items unknown>'] };
    if (value instanceof Boolean || value instanceof Number || value instanceof String) return { base: '[' + name + ': ' + primitive(value.valueOf()) + ']', open: '{', close: '}', isList: true };
    const tag = value[Symbol.toStringTag];
    let open = name === 'Object' ? '{' : (name === null ? '[Object: null prototype]' : name) + ' {';
    if (typeof tag === 'string' && tag && tag !== name) open = (name || 'Object') + ' [' + tag + '] {';
    return { base: '', open, close: '}' };
  }

  list(value, length, level) {
    const output = [];
    const count = Math.min(length, this.items);
    let holes = 0;
    const flush = () => { if (holes) output.push('<' + holes + ' empty item' + (holes > 1 ? 's' : '') + '>'); holes = 0; };
    for (let at = 0; at < count; at++) {
      if (!(at in value)) { holes++; continue; }
      flush();
      output.push(this.show(value[at], level + 1));
    }
    flush();
    if (length > count) output.push('... ' + (length - count) + ' more item' + (length - count > 1 ? 's' : ''));
    return output;
  }

  join(output, base, open, close, level, isList) {
    const head = base ? base + ' ' : '';
    const total = output.reduce((sum, text) => sum + text.length, output.length);
    const fits = total + output.length + this.indent + open.length + base.length + 10 <= this.line && !base.includes('\n') && !output.some((text) => text.includes('\n'));
    const pad = ' '.repeat(this.indent);
    if (isList && output.length > 6 && output.every((text) => text.length <= 16 && !text.includes('\n'))) {
      return head + open + '\n' + pad + '  ' + this.columns(output).join(',\n' + pad + '  ') + '\n' + pad + close;
    }
    if (fits && this.deepest - level < this.compact) return head + open + ' ' + output.join(', ') + ' ' + close;
    return head + open + '\n' + pad + '  ' + output.join(',\n' + pad + '  ') + '\n' + pad + close;
  }

  columns(output) {
    const rows = [];
    const width = Math.max(...output.map((text) => text.length)) + 2;
    const perRow = Math.max(1, Math.min(Math.round(Math.sqrt(2.5 * width * output.length) / width), Math.floor((LINE_MAX - this.indent) / width), 15));
    for (let at = 0; at < output.length; at += perRow) {
      rows.push(output.slice(at, at + perRow).map((text, i, row) => (at + i < output.length - 1 && i < row.length - 1 ? (text + ',').padEnd(width) : text)).join('').trimEnd());
    }
    return rows;
  }
}

function inspect(value, options) {
  const given = typeof options === 'object' && options !== null ? options : {};
  return new Shower(given).show(value, 0);
}
inspect.custom = custom;
inspect.defaultOptions = {};

function plainText(value) {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null || typeof value === 'function') return inspect(value);
  return primitive(value);
}

function format(...args) {
  if (typeof args[0] !== 'string') return args.map(plainText).join(' ');
  let next = 1;
  let text = args.length === 1 ? args[0] : args[0].replace(/%[sdifjoOc%]/g, (mark) => {
    if (mark === '%%') return '%';
    if (next >= args.length) return mark;
    const value = args[next++];
    switch (mark) {
      case '%s': {
        if (typeof value === 'object' && value !== null && !isError(value) && value.toString === Object.prototype.toString) return inspect(value, { depth: 0 });
        return typeof value === 'bigint' ? value + 'n' : typeof value === 'object' && value !== null && !isError(value) && Array.isArray(value) ? inspect(value, { depth: 0 }) : Object.is(value, -0) ? '-0' : String(value);
      }
      case '%d': return typeof value === 'bigint' ? value + 'n' : typeof value === 'symbol' ? 'NaN' : primitive(Number(value));
      case '%i': return typeof value === 'bigint' ? value + 'n' : String(parseInt(value));
      case '%f': return String(parseFloat(value));
      case '%j': try { return JSON.stringify(value); } catch (e) { return '[Circular]'; }
      case '%o': return inspect(value, { showHidden: true, depth: 4 });
      case '%O': return inspect(value, { depth: null });
      default: return '';
    }
  });
  for (; next < args.length; next++) text += ' ' + plainText(args[next]);
  return text;
}

exports.inspect = inspect;
exports.format = format;
exports.isError = isError;
