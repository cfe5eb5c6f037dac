// require and import of the package's own files and of the runtime's modules. Paths are as on AWS, below /var/task.
const ROOT = '/var/task';
const MODULES_MAX = 2000;
const path = internal('path');
const loaded = new Map();

// What `require` finds without a file.
const offered = {
  'aws-sdk': () => internal('aws_sdk_v2'),
  assert: () => internal('assert'),
  buffer: () => internal('buffer'),
  console: () => console,
  crypto: () => internal('crypto'),
  events: () => internal('events'),
  fs: () => internal('fs'),
  'fs/promises': () => internal('fs').promises,
  os: () => internal('os'),
  path: () => path,
  'path/posix': () => path,
  process: () => process,
  querystring: () => internal('querystring'),
  timers: () => internal('timers').module,
  'timers/promises': () => internal('timers').promises,
  url: () => internal('url'),
  util: () => internal('util'),
};
const refused = ['child_process', 'cluster', 'dgram', 'dns', 'http', 'http2', 'https', 'net', 'stream', 'tls', 'vm', 'worker_threads', 'zlib'];

function builtin(name) {
  const bare = name.startsWith('node:') ? name.slice(5) : name;
  if (Object.hasOwn(offered, bare)) return { exports: offered[bare]() };
  if (bare.startsWith('aws-sdk/clients/')) return { exports: internal('aws_sdk_v2').clientModule(bare.slice(16)) };
  if (bare.startsWith('@aws-sdk/client-')) return { exports: internal('aws_sdk_v3').clientModule(bare.slice(16)) };
  if (refused.includes(bare)) throw notFound(name, 'the embedded runtime has no network, processes or streams; call AWS by aws-sdk or @aws-sdk/client-*');
  return null;
}

function notFound(name, reason) {
  const error = new Error("Cannot find module '" + name + "'" + (reason ? ' (' + reason + ')' : ''));
  error.code = 'MODULE_NOT_FOUND';
  return error;
}

const inPackage = (file) => (file === ROOT ? '' : file.startsWith(ROOT + '/') ? file.slice(ROOT.length + 1) : null);
const isFile = (file) => { const at = inPackage(file); return at !== null && host.isFile(at); };
const isFolder = (file) => { const at = inPackage(file); return at !== null && host.isFolder(at); };
const read = (file) => host.source(inPackage(file));

function asFile(file) {
  for (const candidate of [file, file + '.js', file + '.json', file + '.cjs', file + '.mjs']) if (isFile(candidate)) return candidate;
  return null;
}

function manifest(folder) {
  const file = folder + '/package.json';
  if (!isFile(file)) return null;
  try {
    return JSON.parse(read(file));
  } catch (error) {
    error.message = 'Error parsing ' + file + ': ' + error.message;
    throw error;
  }
}

// The one entry of "exports" that matters here: the package itself, by the usual conditions.
function exported(entry) {
  for (let depth = 0; depth < 5; depth++) {
    if (typeof entry === 'string') return entry;
    if (!entry || typeof entry !== 'object') return null;
    entry = entry['.'] ?? entry.require ?? entry.node ?? entry.default ?? entry.import;
  }
  return null;
}

function asFolder(folder) {
  if (!isFolder(folder)) return null;
  const facts = manifest(folder);
  const main = facts && (typeof facts.main === 'string' ? facts.main : exported(facts.exports));
  if (main) {
    const target = path.resolve(folder, main);
    const found = asFile(target) || asFile(target + '/index');
    if (found) return found;
  }
  return asFile(folder + '/index');
}

function find(name, from) {
  if (/^(\.{1,2}(\/|$)|\/)/.test(name)) {
    const target = path.resolve(from, name);
    return (name.endsWith('/') ? null : asFile(target)) || asFolder(target);
  }
  for (let folder = from; ; folder = path.dirname(folder)) {
    const target = folder + '/node_modules/' + name;
    const found = asFile(target) || asFolder(target);
    if (found) return found;
    if (folder === ROOT || folder === '/' || folder === '.') break;
  }
  // Lambda has the task's root on NODE_PATH for its own modules only; a bare name that is a file there is not found.
  return null;
}

function usesImport(file) {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const facts = manifest(folder);
    if (facts) return facts.type === 'module';
    if (folder === ROOT || folder === '/') return false;
  }
}

function load(file, parent) {
  const known = loaded.get(file);
  if (known) return known.exports;
  if (loaded.size >= MODULES_MAX) throw new RangeError('more than ' + MODULES_MAX + ' modules');
  const module = { id: file, filename: file, path: path.dirname(file), loaded: false, parent, children: [], paths: [], exports: {} };
  loaded.set(file, module);
  try {
    if (file.endsWith('.json')) {
      module.exports = JSON.parse(read(file).replace(/^\uFEFF/, ''));
    } else {
      if (usesImport(file)) {
        const error = new Error('require() of ES Module ' + file + ' not supported. Instead use a dynamic import().');
        error.code = 'ERR_REQUIRE_ESM';
        throw error;
      }
      const source = read(file).replace(/^\uFEFF/, '').replace(/^#!/, '//');
      const run = host.compile(file, 'exports, require, module, __filename, __dirname', source);
      module.require = requireFrom(path.dirname(file), module);
      run.call(module.exports, module.exports, module.require, module, file, path.dirname(file));
    }
    module.loaded = true;
  } finally {
    if (!module.loaded) loaded.delete(file);
  }
  return module.exports;
}

function requireFrom(folder, parent) {
  const resolve = (name) => {
    const found = find(name, folder);
    if (found) return found;
    if (builtin(name)) return name;
    throw notFound(name);
  };
  const require = (name) => {
    if (typeof name !== 'string' || name === '') {
      const error = new TypeError('The "id" argument must be of type string. Received ' + typeof name);
      error.code = 'ERR_INVALID_ARG_TYPE';
      throw error;
    }
    const own = builtin(name);
    if (own) return own.exports;
    const found = find(name, folder);
    if (!found) {
      const error = notFound(name);
      error.requireStack = [parent.filename];
      error.message += '\nRequire stack:\n- ' + parent.filename;
      throw error;
    }
    return load(found, parent);
  };
  require.resolve = resolve;
  require.main = undefined;
  require.cache = {};
  return require;
}

// ES modules: the engine asks for a module's full name, then for its source.
exports.resolveImport = function (name, base) {
  const own = builtin(name);
  if (own) return name.startsWith('node:') ? name : 'node:' + name;
  const found = find(name, base.startsWith(ROOT) ? path.dirname(base) : ROOT);
  if (!found) throw notFound(name, '');
  return found;
};

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const RESERVED = new Set(('await break case catch class const continue debugger default delete do else enum export extends false finally for function ' +
  'if implements import in instanceof interface let new null package private protected public return static super switch this throw true try typeof var void while with yield').split(' '));

exports.sourceForImport = function (name) {
  if (!name.startsWith('node:') && usesImport(name)) return read(name);
  const value = name.startsWith('node:') ? builtin(name).exports : load(name, { filename: name });
  const bare = name.replace(/^node:/, '');
  const keys = bare.startsWith('@aws-sdk/')
    ? host.identifiers()
    : Object.keys(Object(value)).filter((key) => IDENTIFIER.test(key) && !RESERVED.has(key));
  bridged.set(name, value);
  const at = 'const value = globalThis[Symbol.for("landfall.imported")](' + JSON.stringify(name) + ');\nexport default value;\n';
  return at + keys.map((key) => 'const $' + key + ' = value[' + JSON.stringify(key) + '];\nexport { $' + key + ' as ' + key + ' };\n').join('');
};
const bridged = new Map();
Object.defineProperty(globalThis, Symbol.for('landfall.imported'), { value: (name) => bridged.get(name) });

exports.loadHandlerModule = function (spec, RuntimeError) {
  const base = spec.slice(spec.lastIndexOf('/') + 1);
  const dot = base.indexOf('.');
  if (dot <= 0 || dot === base.length - 1 || spec.includes('..')) {
    throw new RuntimeError('Runtime.MalformedHandlerName', spec.includes('..')
      ? "'" + spec + "' is not a valid handler name. Use absolute paths when specifying root directories in handler names."
      : 'Bad handler');
  }
  const name = base.slice(0, dot);
  const stem = path.resolve(ROOT, spec.slice(0, spec.length - base.length), name);
  const file = [stem, stem + '.js', stem + '.mjs', stem + '.cjs'].find(isFile);
  if (!file) {
    const error = new RuntimeError('Runtime.ImportModuleError', "Error: Cannot find module '" + name + "'\nRequire stack:\n- /var/runtime/index.mjs");
    error.code = 'MODULE_NOT_FOUND';
    throw error;
  }
  if (!usesImport(file)) return load(file, { filename: '/var/runtime/index.mjs' });
  const space = import(file);
  const waiting = { isImport: true, then: (...args) => space.then(...args) };
  return waiting;
};

exports.pickHandler = function (space, spec, RuntimeError) {
  const base = spec.slice(spec.lastIndexOf('/') + 1);
  let found = space;
  for (const part of base.slice(base.indexOf('.') + 1).split('.')) {
    found = found === null || found === undefined ? undefined
      : found[part] !== undefined ? found[part] : found.default && found.default[part];
  }
  if (found === undefined || found === null) throw new RuntimeError('Runtime.HandlerNotFound', spec + ' is undefined or not exported');
  if (typeof found !== 'function') throw new RuntimeError('Runtime.HandlerNotFound', spec + ' is not a function');
  return found;
};
