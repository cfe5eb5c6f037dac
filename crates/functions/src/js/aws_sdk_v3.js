// `@aws-sdk/client-*`, version 3: clients, commands, exceptions, paginators and waiters, on the same calls as version 2.
const calls = internal('aws_calls');
const waiters = internal('aws_waiters');
const modules = new Map();

class ServiceException extends Error {
  constructor(options = {}) {
    super(options.message);
    this.name = options.name || this.constructor.name;
    this.$fault = options.$fault || 'client';
    this.$metadata = options.$metadata || {};
    if (options.$retryable) this.$retryable = options.$retryable;
  }
}

class Command {
  constructor(input) { this.input = input === undefined ? {} : input; }
}

class Client {
  constructor(options) {
    this.config = { region: async () => settings.region, credentials: async () => ({}), ...options };
    if (typeof this.config.region === 'string') {
      const region = this.config.region;
      this.config.region = async () => region;
    }
    this.middlewareStack = { add() {}, addRelativeTo() {}, remove() {}, use() {}, clone() { return this; } };
  }
  send(command, options, callback) {
    const done = typeof options === 'function' ? options : callback;
    const result = new Promise((resolve, reject) => {
      if (!(command instanceof Command)) throw new TypeError('client.send expects a command');
      calls.send(this.constructor.service, command.constructor.operation, command.input, (failure, data) => {
        if (failure) reject(exceptionFrom(this.constructor.module, failure));
        else resolve(Object.assign({ $metadata: { httpStatusCode: 200, attempts: 1, totalRetryDelay: 0 } }, data));
      }, asBytes);
    });
    if (typeof done !== 'function') return result;
    result.then((data) => done(null, data), (error) => done(error));
  }
  destroy() {}
}

// Binary members are byte arrays with two ways to text.
function asBytes(buffer) {
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  Object.defineProperty(bytes, 'transformToString', { value: (encoding) => buffer.toString(encoding || 'utf8') });
  return bytes;
}

function exceptionFrom(exports, failure) {
  const isThrottling = /Throttl|TooManyRequests/.test(failure.code);
  const Exception = /^[A-Z]\w*$/.test(failure.code) ? exports[failure.code] : undefined;
  const kind = typeof Exception === 'function' && Exception.prototype instanceof ServiceException ? Exception : exports.AnyServiceException;
  const error = new kind({
    name: failure.code, message: failure.message, $fault: failure.status >= 500 ? 'server' : 'client',
    $metadata: { httpStatusCode: failure.status, requestId: failure.request_id, attempts: 1, totalRetryDelay: 0 },
    $retryable: isThrottling ? { throttling: true } : undefined,
  });
  error.Code = failure.code;
  return error;
}

const named = (kind, name) => { Object.defineProperty(kind, 'name', { value: name }); return kind; };

// The one aggregated client (`new IoT()`), whose methods are the operations. An enumeration (`InvocationType.Event`) has
// the same kind of name: what a class does not have is a value of that name.
const aggregated = (Base) => new Proxy(class extends Base {
  constructor(options) {
    super(options);
    return new Proxy(this, {
      get(target, name, receiver) {
        if (typeof name !== 'string' || name in target || name === 'then' || name === 'toJSON' || !/^[a-z]\w*$/.test(name)) return Reflect.get(target, name, receiver);
        return (input, options, callback) => target.send(new target.constructor.module[name[0].toUpperCase() + name.slice(1) + 'Command'](input), options, callback);
      },
    });
  }
}, {
  get(target, name, receiver) {
    if (typeof name !== 'string' || name in target || name === 'then' || name === 'toJSON') return Reflect.get(target, name, receiver);
    return name.replace(/^(nodejs\d+)x$/, '$1.x').replace(/^python3(\d+)$/, 'python3.$1');
  },
});

// Where a page says how to go on, and where the next request takes it.
const TOKENS = [['nextMarker', 'marker'], ['NextMarker', 'Marker'], ['nextToken', 'nextToken'], ['nextForwardToken', 'nextToken'], ['Marker', 'Marker']];
const PAGE_SIZES = { iot: 'pageSize', lambda: 'MaxItems', iam: 'MaxItems', logs: 'limit' };

function paginator(made, service, operation) {
  return async function* (config, input, ...rest) {
    const PagedCommand = made[operation + 'Command'];
    const size = operation === 'ListTopicRules' ? 'maxResults' : PAGE_SIZES[service];
    const asked = { ...input };
    if (config.pageSize && size) asked[size] = config.pageSize;
    let token = config.startingToken;
    let where = TOKENS.find(([, member]) => member in asked) || [];
    for (;;) {
      if (token !== undefined) asked[where[1] || (PAGE_SIZES[service] === 'MaxItems' ? 'Marker' : service === 'iot' ? 'marker' : 'nextToken')] = token;
      const page = await config.client.send(new PagedCommand(asked), ...rest);
      yield page;
      where = TOKENS.find(([member]) => page[member]) || [];
      const next = page[where[0]];
      // Where a log ends, its token stays the same.
      if (!next || next === token || page.IsTruncated === false) return;
      token = next;
    }
  };
}

function waiter(made, service, state) {
  return async (config, input) => {
    const client = config.client;
    const outcome = await waiters.wait(service, state, config, (operation) => client.send(new made[operation + 'Command'](input)));
    if (outcome.state !== 'SUCCESS') throw Object.assign(new Error(JSON.stringify({ ...outcome, reason: String(outcome.reason) })), { name: outcome.state === 'TIMEOUT' ? 'TimeoutError' : 'Error' });
    return outcome;
  };
}

function member(made, service, key) {
  if (/^paginate[A-Z]/.test(key)) return named(paginator(made, service, key.slice(8)), key);
  if (/^waitUntil[A-Z]/.test(key)) return waiters.knows(service, key.slice(9)) ? named(waiter(made, service, key.slice(9)), key) : undefined;
  if (!/^[A-Z]\w*$/.test(key)) return undefined;
  if (key.endsWith('Command')) return Object.assign(named(class extends Command {}, key), { operation: key.slice(0, -7) });
  // `IoTServiceException` is the base of all that a service throws; `ServiceException` alone is one of Lambda's own.
  if (/.ServiceException$/.test(key)) return made[BASE];
  if (/Exception$|Error$|Fault$/.test(key)) return named(class extends made[BASE] {}, key);
  const kind = key.endsWith('Client') ? named(class extends Client {}, key) : named(aggregated(Client), key);
  kind.service = service;
  kind.module = made;
  return kind;
}

const BASE = Symbol('base exception');

exports.clientModule = (name) => {
  const known = modules.get(name);
  if (known) return known;
  const service = calls.serviceId(name);
  const made = new Proxy({ [BASE]: class extends ServiceException {} }, {
    get(target, key, receiver) {
      if (typeof key !== 'string' || key in target) return Reflect.get(target, key, receiver);
      const found = member(made, service, key);
      if (found !== undefined) target[key] = found;
      return found;
    },
  });
  modules.set(name, made);
  return made;
};
