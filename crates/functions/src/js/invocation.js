// One invocation: loading the module, calling the handler in whichever style it has, and Lambda's form of its outcome.
// Order and texts follow https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html and nodejs-exceptions.html.
const modules = internal('modules');
const rejections = new Map();
let handler = null;
let current = null;

class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

const isError = (value) => value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
const isOutOfMemory = (value) => isError(value) && value.name === 'InternalError' && value.message === 'out of memory';

const stackLines = (error) => {
  const head = error.message ? error.name + ': ' + error.message : String(error.name);
  const lines = typeof error.stack === 'string' ? error.stack.split('\n').filter((line) => line !== '') : [];
  // The name may have been set after the stack was written.
  if (lines.length && !lines[0].startsWith('    at ')) lines[0] = lines[0].startsWith(String(error.name)) ? lines[0] : head;
  else lines.unshift(head);
  return lines;
};

function payload(error) {
  try {
    if (isError(error)) {
      return JSON.stringify({ errorType: String(error.name), errorMessage: String(error.message), trace: stackLines(error) });
    }
    return JSON.stringify({ errorType: typeof error, errorMessage: String(error), trace: [] });
  } catch (e) {
    return JSON.stringify({ errorType: 'handled', errorMessage: 'callback called with an Error argument, but it cannot be shown', trace: [] });
  }
}

// What the log shows of an error, its own fields included (an SDK error's code and requestId).
function logged(error) {
  try {
    if (!isError(error)) return '\t' + JSON.stringify(error);
    const own = {};
    for (const key of Object.keys(error)) own[key] = error[key];
    return '\t' + JSON.stringify({ errorType: String(error.name), errorMessage: String(error.message), ...own, stack: stackLines(error) });
  } catch (e) {
    return '\t' + payload(error);
  }
}

function fail(label, error) {
  if (isOutOfMemory(error)) return host.outOfMemory();
  host.log('ERROR', (label + ' ' + logged(error)).toWellFormed());
  const text = payload(error).toWellFormed();
  if (label === 'Invoke Error') host.fail(text);
  else host.failUncaught(text);
}

function succeed(value) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch (e) {
    return fail('Invoke Error', new Error('Unable to stringify response body'));
  }
  if (text === undefined) text = 'null';
  host.succeed(text);
}

exports.load = function () {
  const spec = settings.handler;
  const asInit = (error) => fail('Uncaught Exception', initError(error));
  const done = (found) => {
    handler = found;
    host.loaded();
  };
  try {
    const namespace = modules.loadHandlerModule(spec, RuntimeError);
    if (namespace && typeof namespace.then === 'function' && namespace.isImport) {
      namespace.then((space) => done(modules.pickHandler(space, spec, RuntimeError))).catch(asInit);
    } else {
      done(modules.pickHandler(namespace, spec, RuntimeError));
    }
  } catch (error) {
    asInit(error);
  }
};

function initError(error) {
  if (error instanceof RuntimeError || isOutOfMemory(error)) return error;
  if (isError(error) && error.name === 'SyntaxError') {
    const shaped = new RuntimeError('Runtime.UserCodeSyntaxError', 'SyntaxError: ' + error.message);
    shaped.stack = [shaped.name + ': ' + shaped.message].concat(stackLines(error)).join('\n');
    return shaped;
  }
  if (isError(error) && error.code === 'MODULE_NOT_FOUND') {
    const shaped = new RuntimeError('Runtime.ImportModuleError', 'Error: ' + error.message);
    shaped.stack = [shaped.name + ': ' + shaped.message].concat(stackLines(error).slice(1)).join('\n');
    return shaped;
  }
  return error;
}

function contextFor(facts, settle) {
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: settings.functionVersion,
    functionName: settings.functionName,
    memoryLimitInMB: String(settings.memoryMb),
    logGroupName: '/aws/lambda/' + settings.functionName,
    logStreamName: facts.logStream,
    clientContext: undefined,
    identity: undefined,
    invokedFunctionArn: settings.functionArn,
    awsRequestId: facts.requestId,
    getRemainingTimeInMillis: () => Math.max(0, Math.floor(host.remainingMs())),
  };
  const hidden = (name, value) => Object.defineProperty(context, name, { value, enumerable: true, writable: true });
  hidden('done', (error, value) => {
    context.callbackWaitsForEmptyEventLoop = false;
    settle(error, value);
  });
  hidden('succeed', (value) => context.done(null, value));
  hidden('fail', (error) => context.done(error === undefined || error === null ? 'handled' : error));
  return context;
}

exports.begin = function (eventText, requestId, logStream) {
  const facts = { requestId, logStream };
  const own = current = { settled: false, waiting: false, value: undefined };
  const settle = (error, value) => {
    if (own.settled || own !== current) return;
    own.settled = true;
    if (error !== undefined && error !== null) return fail('Invoke Error', error);
    own.value = value;
    if (context.callbackWaitsForEmptyEventLoop) own.waiting = true;
    else succeed(value);
  };
  const context = contextFor(facts, settle);
  // Null is what the engine throws when not even the error for "out of memory" can be allocated.
  const thrown = (error) => error === null ? host.outOfMemory() : context.fail(error);
  try {
    const result = handler(JSON.parse(eventText), context, settle);
    if (result !== null && result !== undefined && typeof result.then === 'function') {
      result.then(context.succeed, thrown);
    }
  } catch (error) {
    thrown(error);
  }
};

// Nothing is left to run: a callback that waited for that is answered, and a handler that never answers ends with null.
exports.drained = function () {
  if (!current) return fail('Uncaught Exception', new RuntimeError('Runtime.ImportModuleError', 'Error: the module never finished loading'));
  current.settled = true;
  succeed(current.value);
};

exports.uncaught = function (error) {
  if (process.listenerCount('uncaughtException') > 0 && !isOutOfMemory(error)) {
    process.emit('uncaughtException', error, 'uncaughtException');
    return;
  }
  fail('Uncaught Exception', current ? error : initError(error));
};

exports.rejected = function (promise, reason, isHandled) {
  if (isHandled) rejections.delete(promise);
  else rejections.set(promise, reason);
};

exports.checkRejections = function () {
  for (const [promise, reason] of rejections) {
    rejections.delete(promise);
    if (isOutOfMemory(reason)) return host.outOfMemory();
    if (process.listenerCount('unhandledRejection') > 0) {
      process.emit('unhandledRejection', reason, promise);
      continue;
    }
    const error = new RuntimeError('Runtime.UnhandledPromiseRejection', isError(reason) ? reason.name + ': ' + reason.message : String(reason));
    error.reason = isError(reason)
      ? { errorType: reason.name, errorMessage: reason.message, stack: stackLines(reason) } : reason;
    error.promise = {};
    if (isError(reason)) error.stack = [error.name + ': ' + error.message].concat(stackLines(reason).slice(1)).join('\n');
    return fail('Unhandled Promise Rejection', error);
  }
};
