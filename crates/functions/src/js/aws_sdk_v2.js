// `aws-sdk`, version 2: any service, any method, answered by the server. What is not served is refused there, by its name.
const calls = internal('aws_calls');
const waiters = internal('aws_waiters');
const EventEmitter = internal('events');

class Config {
  constructor(options) { Object.assign(this, { region: settings.region, maxRetries: undefined }, options); }
  update(options) { Object.assign(this, options); }
  getCredentials(callback) { callback(null, this.credentials || null); }
  setPromisesDependency() {}
  loadFromPath() { return this; }
}

function errorFrom(failure) {
  const error = new Error(failure.message);
  error.name = failure.code;
  error.code = failure.code;
  error.statusCode = failure.status;
  error.requestId = failure.request_id;
  error.time = new Date();
  error.retryable = failure.status >= 500 || /Throttl|TooManyRequests/.test(failure.code);
  error.retryDelay = 0;
  return error;
}

class AWSRequest extends EventEmitter {
  constructor(service, operation, params) {
    super();
    this.service = service;
    this.operation = operation[0].toLowerCase() + operation.slice(1);
    this.params = params;
    this.response = { request: this, data: null, error: null, retryCount: 0, httpResponse: { statusCode: 0, headers: {} } };
    this._operation = operation;
    this._state = 'new';
  }
  send(callback) {
    if (this._state !== 'new') throw new Error('The request has already been sent');
    this._state = 'sent';
    try {
      calls.send(this.service._id, this._operation, this.params, (failure, data) => this._finish(failure && errorFrom(failure), data, callback));
    } catch (error) {
      queueMicrotask(() => this._finish(error, null, callback));
    }
    return this;
  }
  _finish(error, data, callback) {
    if (this._state === 'done') return;
    this._state = 'done';
    const response = this.response;
    response.error = error || null;
    response.data = error ? null : data;
    response.requestId = error ? error.requestId : undefined;
    response.httpResponse.statusCode = error ? error.statusCode || 0 : 200;
    if (data && typeof data === 'object') Object.defineProperty(data, '$response', { value: response, enumerable: false });
    if (error) { if (this.listenerCount('error')) this.emit('error', error, response); } else this.emit('success', response);
    this.emit('complete', response);
    if (typeof callback === 'function') callback.call(response, response.error, response.data);
  }
  promise() {
    return new Promise((resolve, reject) => this.send((error, data) => (error ? reject(error) : resolve(data))));
  }
  abort() { this._finish(Object.assign(new Error('Request aborted by user'), { code: 'RequestAbortedError', name: 'RequestAbortedError', retryable: false }), null); return this; }
  createReadStream() { throw new Error('createReadStream is not available in the embedded runtime'); }
}

class Service {
  constructor(name, options) {
    this._id = calls.serviceId(name);
    this.serviceIdentifier = this._id;
    this.config = new Config({ ...AWS.config, ...options });
    this.endpoint = { hostname: this._id + '.' + this.config.region + '.amazonaws.com' };
  }
  makeRequest(operation, params, callback) {
    if (typeof params === 'function') { callback = params; params = undefined; }
    const name = String(operation);
    const request = new AWSRequest(this, name[0].toUpperCase() + name.slice(1), params);
    if (typeof callback === 'function') request.send(callback);
    return request;
  }
  makeUnauthenticatedRequest(operation, params, callback) { return this.makeRequest(operation, params, callback); }
  setEndpoint() {}
  waitFor(state, params, callback) {
    if (typeof params === 'function') { callback = params; params = undefined; }
    const name = String(state)[0].toUpperCase() + String(state).slice(1);
    if (!waiters.knows(this._id, name)) {
      throw Object.assign(new Error('State ' + state + ' not found.'), { name: 'StateNotFoundError', code: 'StateNotFoundError' });
    }
    const { $waiter: options = {}, ...input } = params || {};
    const result = waiters.wait(this._id, name, options, (operation) => this.makeRequest(operation, input).promise()).then((outcome) => {
      if (outcome.state === 'SUCCESS') return outcome.reason;
      throw Object.assign(new Error('Resource is not in the state ' + state), { name: 'ResourceNotReady', code: 'ResourceNotReady', retryable: false, originalError: outcome.reason });
    });
    // Somebody may ask for neither.
    result.catch(() => {});
    if (typeof callback === 'function') result.then((data) => callback(null, data), (error) => callback(error, null));
    return { promise: () => result, send: (done) => { result.then((data) => done(null, data), (error) => done(error, null)); } };
  }
}

// A method that the class does not have is an operation.
const withOperations = (service) => new Proxy(service, {
  get(target, name, receiver) {
    if (typeof name !== 'string' || name in target || name === 'then' || name === 'toJSON' || name === 'inspect' || !/^[a-z]\w*$/.test(name)) {
      return Reflect.get(target, name, receiver);
    }
    const method = (params, callback) => target.makeRequest(name, params, callback);
    target[name] = method;
    return method;
  },
});

const classes = new Map();
function serviceClass(name) {
  let found = classes.get(name);
  if (!found) {
    found = class extends Service {
      constructor(options) {
        super(name, options);
        return withOperations(this);
      }
    };
    Object.defineProperty(found, 'name', { value: name });
    found.serviceIdentifier = calls.serviceId(name);
    classes.set(name, found);
  }
  return found;
}

class Credentials {
  constructor(accessKeyId, secretAccessKey, sessionToken) {
    Object.assign(this, typeof accessKeyId === 'object' && accessKeyId ? accessKeyId : { accessKeyId, secretAccessKey, sessionToken });
    this.expired = false;
  }
  get(callback) { callback(null); }
  getPromise() { return Promise.resolve(); }
  refresh(callback) { callback(null); }
  needsRefresh() { return false; }
}

class Endpoint {
  constructor(text) {
    this.href = String(text);
    this.host = this.hostname = this.href.replace(/^\w+:\/\//, '').split(/[/:]/)[0];
    this.protocol = 'https:';
  }
}

const AWS = {
  VERSION: '2.1692.0',
  config: new Config(),
  Config, Service, Request: AWSRequest, Credentials, EnvironmentCredentials: Credentials, SharedIniFileCredentials: Credentials, Endpoint,
  util: { uuid: { v4: () => internal('crypto').randomUUID() }, error: (error, options) => Object.assign(error, options) },
};

exports.clientModule = (name) => {
  const known = { iot: 'Iot', iotdata: 'IotData', lambda: 'Lambda', iam: 'IAM', sts: 'STS', cloudwatchlogs: 'CloudWatchLogs' };
  return serviceClass(known[name] || name);
};

const clientModule = exports.clientModule;
module.exports = new Proxy(AWS, {
  get(target, name, receiver) {
    if (name === 'clientModule') return clientModule;
    if (typeof name !== 'string' || name in target || !/^[A-Z]\w*$/.test(name)) return Reflect.get(target, name, receiver);
    return serviceClass(name);
  },
});
