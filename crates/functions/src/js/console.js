// console: each call is one line of the log. The host puts time, request id and level before it.
const { format, inspect } = internal('inspect');
const counts = new Map();
const starts = new Map();
let indent = '';

const write = (level) => (...args) => {
  let text = format(...args).toWellFormed();
  if (indent) text = indent + text.replaceAll('\n', '\n' + indent);
  host.log(level, text);
};

const info = write('INFO');
const error = write('ERROR');
const warn = write('WARN');
module.exports = {
  log: info, info, error, warn,
  debug: write('DEBUG'), trace: (...args) => {
    const stack = new Error().stack.split('\n').slice(1).join('\n');
    write('TRACE')('Trace: ' + format(...args) + '\n' + stack);
  },
  dir: (value, options) => info(inspect(value, options)),
  dirxml: info,
  table: (value) => info(inspect(value)),
  assert: (condition, ...args) => {
    if (condition) return;
    if (args.length === 0) error('Assertion failed');
    else error('Assertion failed:', ...args);
  },
  count: (label = 'default') => {
    counts.set(label, (counts.get(label) || 0) + 1);
    info(label + ': ' + counts.get(label));
  },
  countReset: (label = 'default') => { counts.delete(label); },
  group: (...args) => { if (args.length) info(...args); if (indent.length < 100) indent += '  '; },
  groupEnd: () => { indent = indent.slice(2); },
  time: (label = 'default') => { starts.set(label, host.monotonicMs()); },
  timeLog: (label = 'default') => {
    if (starts.has(label)) info(label + ': ' + (host.monotonicMs() - starts.get(label)).toFixed(3) + 'ms');
  },
  timeEnd: (label = 'default') => { module.exports.timeLog(label); starts.delete(label); },
};
module.exports.groupCollapsed = module.exports.group;
