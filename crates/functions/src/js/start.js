// The environment's beginning: globals, modules, and the calls that the event loop makes. Evaluates to a function of the
// host, whose functions are the only way out of the script. No script of the package ever sees the host.
(function (host, settings) {
  'use strict';
  const cache = new Map();

  // The modules that are part of the runtime. They get the host, the package's own modules do not.
  function internal(name) {
    const known = cache.get(name);
    if (known) return known.exports;
    const module = { exports: {} };
    cache.set(name, module);
    host.compile('landfall:' + name, 'exports, module, internal, host, settings', host.builtin(name))(
      module.exports, module, internal, host, settings);
    return module.exports;
  }

  // V8's form of a stack: message first, then the frames. The runtime's own frames are left out.
  Error.stackTraceLimit = 10;
  Error.prepareStackTrace = function (error, frames) {
    let head;
    try {
      const name = error.name === undefined ? 'Error' : String(error.name);
      const message = error.message === undefined ? '' : String(error.message);
      head = name && message ? name + ': ' + message : name || message;
    } catch (e) {
      head = 'Error';
    }
    for (const frame of frames) {
      const file = frame.getFileName();
      if (!file || String(file).startsWith('landfall:')) continue;
      const place = file + ':' + frame.getLineNumber() + ':' + frame.getColumnNumber();
      const name = frame.getFunctionName();
      head += '\n    at ' + (name && name !== '<anonymous>' ? name + ' (' + place + ')' : place);
    }
    return head;
  };

  function lazy(name, load) {
    Object.defineProperty(globalThis, name, {
      configurable: true, enumerable: false,
      get() {
        const value = load();
        Object.defineProperty(globalThis, name, { configurable: true, enumerable: false, writable: true, value });
        return value;
      },
      set(value) {
        Object.defineProperty(globalThis, name, { configurable: true, enumerable: false, writable: true, value });
      },
    });
  }

  const fixed = (name, value) =>
    Object.defineProperty(globalThis, name, { configurable: true, enumerable: false, writable: true, value });
  fixed('global', globalThis);
  fixed('console', internal('console'));
  fixed('process', internal('process'));
  const timers = internal('timers');
  for (const name of Object.keys(timers.globals)) fixed(name, timers.globals[name]);
  lazy('Buffer', () => internal('buffer').Buffer);
  lazy('URL', () => internal('url').URL);
  lazy('URLSearchParams', () => internal('url').URLSearchParams);
  lazy('TextEncoder', () => internal('buffer').TextEncoder);
  lazy('TextDecoder', () => internal('buffer').TextDecoder);
  lazy('structuredClone', () => internal('util').structuredClone);
  lazy('btoa', () => (text) => internal('buffer').Buffer.from(String(text), 'latin1').toString('base64'));
  lazy('atob', () => (text) => internal('buffer').Buffer.from(String(text), 'base64').toString('latin1'));
  lazy('crypto', () => internal('crypto').webcrypto);

  const invocation = internal('invocation');
  const modules = internal('modules');
  return {
    load: invocation.load,
    begin: invocation.begin,
    drained: invocation.drained,
    uncaught: invocation.uncaught,
    rejected: invocation.rejected,
    checkRejections: invocation.checkRejections,
    awsReply: internal('aws_calls').reply,
    runTimers: timers.run,
    moduleSource: modules.sourceForImport,
    resolveImport: modules.resolveImport,
  };
})
