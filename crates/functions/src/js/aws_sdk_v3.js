// `@aws-sdk/client-*`, version 3: clients, commands and the errors' names, on the same calls as version 2.
const calls = internal('aws_calls');
const modules = new Map();

class ServiceException extends Error {
  constructor(options) {
    super(options.message);
    this.name = options.name;
    this.$fault = options.$fault || 'client';
    this.$metadata = options.$metadata || {};
  }
}

class Command {
  constructor(input) { this.input = input === undefined ? {} : input; }
}

class Client {
  constructor(options) {
    this.config = { region: async () => settings.region, ...options };
    this.middlewareStack = { add() {}, addRelativeTo() {}, remove() {}, use() {}, clone() { return this; } };
  }
  send(command, options, callback) {
    const done = typeof options === 'function' ? options : callback;
    const result = new Promise((resolve, reject) => {
      if (!(command instanceof Command)) throw new TypeError('client.send expects a command');
      calls.send(this.constructor.service, command.constructor.operation, command.input, (failure, data) => {
        if (failure) reject(exceptionFrom(this.constructor.module, failure));
        else resolve(Object.assign({ $metadata: { httpStatusCode: 200, attempts: 1, totalRetryDelay: 0 } }, data));
      });
    });
    if (typeof done !== 'function') return result;
    result.then((data) => done(null, data), (error) => done(error));
  }
  destroy() {}
}

function exceptionFrom(exports, failure) {
  const Exception = /^[A-Z]\w*$/.test(failure.code) ? exports[failure.code] : ServiceException;
  const kind = typeof Exception === 'function' && Exception.prototype instanceof ServiceException ? Exception : ServiceException;
  const error = new kind({
    name: failure.code, message: failure.message, $fault: failure.status >= 500 ? 'server' : 'client',
    $metadata: { httpStatusCode: failure.status, requestId: failure.request_id, attempts: 1, totalRetryDelay: 0 },
  });
  error.Code = failure.code;
  return error;
}

const named = (kind, name) => { Object.defineProperty(kind, 'name', { value: name }); return kind; };

// The one aggregated client (`new IoT()`), whose methods are the operations.
const aggregated = (Base) => class extends Base {
  constructor(options) {
    super(options);
    return new Proxy(this, {
      get(target, name, receiver) {
        if (typeof name !== 'string' || name in target || name === 'then' || name === 'toJSON' || !/^[a-z]\w*$/.test(name)) return Reflect.get(target, name, receiver);
        return (input, options, callback) => target.send(new target.constructor.module[name[0].toUpperCase() + name.slice(1) + 'Command'](input), options, callback);
      },
    });
  }
};

exports.clientModule = (name) => {
  const known = modules.get(name);
  if (known) return known;
  const service = calls.serviceId(name);
  const made = new Proxy({}, {
    get(target, key, receiver) {
      if (typeof key !== 'string' || key in target || !/^[A-Z]\w*$/.test(key)) return Reflect.get(target, key, receiver);
      if (key.endsWith('Command')) {
        target[key] = named(class extends Command {}, key);
        target[key].operation = key.slice(0, -7);
      } else if (key.endsWith('ServiceException')) {
        target[key] = ServiceException;
      } else if (/Exception$|Error$|Fault$/.test(key)) {
        target[key] = named(class extends ServiceException {}, key);
      } else {
        target[key] = named(key.endsWith('Client') ? class extends Client {} : aggregated(Client), key);
        target[key].service = service;
        target[key].module = made;
      }
      return target[key];
    },
  });
  modules.set(name, made);
  return made;
};
