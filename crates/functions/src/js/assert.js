// The `assert` module.
const { inspect } = internal('inspect');
const { isDeepStrictEqual } = internal('util');
class AssertionError extends Error {
  constructor(options) {
    super(options.message);
    Object.assign(this, { name: 'AssertionError', code: 'ERR_ASSERTION', actual: options.actual, expected: options.expected, operator: options.operator });
  }
}
const fail = (message, usual, facts) => {
  if (message instanceof Error) throw message;
  throw new AssertionError({ ...facts, message: message === undefined ? usual : message });
};
const compare = (operator, holds, text) => (actual, expected, message) => {
  if (!holds(actual, expected)) fail(message, text + '\n\n' + inspect(actual) + ' ' + operator + ' ' + inspect(expected), { actual, expected, operator });
};
const assert = module.exports = (value, message) => { if (!value) fail(message, 'The expression evaluated to a falsy value', { actual: value, expected: true, operator: '==' }); };
const loose = (a, b) => a == b || (Number.isNaN(a) && Number.isNaN(b));
Object.assign(assert, {
  AssertionError, ok: assert,
  equal: compare('==', loose, 'Expected values to be loosely equal:'),
  notEqual: compare('!=', (a, b) => !loose(a, b), 'Expected values to differ:'),
  strictEqual: compare('===', Object.is, 'Expected values to be strictly equal:'),
  notStrictEqual: compare('!==', (a, b) => !Object.is(a, b), 'Expected values to be strictly unequal:'),
  deepEqual: compare('deepEqual', isDeepStrictEqual, 'Expected values to be deep-equal:'),
  deepStrictEqual: compare('deepStrictEqual', isDeepStrictEqual, 'Expected values to be strictly deep-equal:'),
  notDeepStrictEqual: compare('notDeepStrictEqual', (a, b) => !isDeepStrictEqual(a, b), 'Expected values to differ:'),
  fail: (message) => fail(message, 'Failed', { operator: 'fail' }),
  ifError: (value) => { if (value !== null && value !== undefined) throw value; },
  throws(run, expected, message) {
    try { run(); } catch (error) { if (expected instanceof RegExp && !expected.test(String(error))) throw error; return; }
    fail(typeof expected === 'string' ? expected : message, 'Missing expected exception.', { operator: 'throws' });
  },
  async rejects(given, expected, message) {
    try { await (typeof given === 'function' ? given() : given); } catch (error) { return; }
    fail(message, 'Missing expected rejection.', { operator: 'rejects' });
  },
});
assert.strict = assert;
