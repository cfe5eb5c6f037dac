// Waiting for a state, as the SDKs do it: ask, and ask again after a while. Both versions' waiters are made of these.
const READ = { Lambda: (member) => (data) => { const found = data.Configuration || data; return found[member]; } };
const state = READ.Lambda('State');
const update = READ.Lambda('LastUpdateStatus');

const judged = (value, good, bad) => (value === good ? 'SUCCESS' : value === bad ? 'FAILURE' : 'RETRY');
const exists = () => 'SUCCESS';

// By service and state: the operation, what its answer means, and the errors to wait out.
const known = {
  lambda: {
    FunctionExists: ['GetFunction', exists, ['ResourceNotFoundException'], 1],
    FunctionActive: ['GetFunctionConfiguration', (data) => judged(state(data), 'Active', 'Failed'), [], 5],
    FunctionActiveV2: ['GetFunction', (data) => judged(state(data), 'Active', 'Failed'), [], 1],
    FunctionUpdated: ['GetFunctionConfiguration', (data) => judged(update(data), 'Successful', 'Failed'), [], 5],
    FunctionUpdatedV2: ['GetFunction', (data) => judged(update(data), 'Successful', 'Failed'), [], 1],
  },
  iam: {
    RoleExists: ['GetRole', exists, ['NoSuchEntity', 'NoSuchEntityException'], 1],
    PolicyExists: ['GetPolicy', exists, ['NoSuchEntity', 'NoSuchEntityException'], 1],
  },
};
const ATTEMPTS_MAX = 300;

exports.knows = (service, name) => Object.hasOwn(known, service) && Object.hasOwn(known[service], name);

// `ask` takes the operation's name and answers a promise. `maxWaitTime` and `minDelay` are seconds.
exports.wait = async (service, name, options, ask) => {
  const [operation, judge, waitedOut, delay] = known[service][name];
  const until = Date.now() + (options.maxWaitTime || ATTEMPTS_MAX) * 1000;
  for (let attempt = 1; ; attempt++) {
    let outcome;
    try {
      const reason = await ask(operation);
      outcome = { state: judge(reason), reason };
    } catch (reason) {
      outcome = { state: waitedOut.includes(reason.name) || waitedOut.includes(reason.code) ? 'RETRY' : 'FAILURE', reason };
    }
    if (outcome.state !== 'RETRY') return outcome;
    const pause = (options.minDelay || options.delay || delay) * 1000;
    if (Date.now() + pause > until || attempt >= (options.maxAttempts || ATTEMPTS_MAX)) return { state: 'TIMEOUT', reason: outcome.reason };
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
};
