// process: facts of the environment, and what old functions expect to find there.
const EventEmitter = internal('events');
const { format } = internal('inspect');
const started = host.monotonicMs();

const stream = (fd) => ({
  fd, isTTY: false, writable: true,
  write(chunk, encoding, done) {
    const text = typeof chunk === 'string' ? chunk : internal("buffer").Buffer.from(chunk).toString();
    host.write(text.replace(/\n$/, '').toWellFormed());
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') queueMicrotask(callback);
    return true;
  },
  end() {}, on() { return this; }, once() { return this; },
});

const process = module.exports = new EventEmitter();
Object.assign(process, {
  title: 'node', pid: 8, ppid: 1, platform: 'linux', arch: settings.arch, exitCode: undefined,
  version: settings.nodeVersion, execPath: '/var/lang/bin/node', execArgv: [], argv: ['/var/lang/bin/node', '/var/runtime/index.mjs'],
  versions: { node: settings.nodeVersion.slice(1), v8: '0.0.0', modules: '0' },
  release: { name: 'node' }, config: {}, features: {},
  env: Object.assign({}, settings.variables),
  stdout: stream(1), stderr: stream(2), stdin: { fd: 0, isTTY: false },
  cwd: () => '/var/task',
  chdir: () => { throw new Error('process.chdir is not available in the embedded runtime'); },
  umask: () => 0o22, getuid: () => 993, getgid: () => 990, geteuid: () => 993, getegid: () => 990,
  uptime: () => (host.monotonicMs() - started) / 1000,
  hrtime: Object.assign((since) => {
    const now = host.monotonicMs();
    let seconds = Math.floor(now / 1000);
    let nanoseconds = Math.floor((now % 1000) * 1e6);
    if (since) {
      seconds -= since[0];
      nanoseconds -= since[1];
      if (nanoseconds < 0) { seconds -= 1; nanoseconds += 1e9; }
    }
    return [seconds, nanoseconds];
  }, { bigint: () => BigInt(Math.floor(host.monotonicMs() * 1e6)) }),
  memoryUsage: () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 }),
  cpuUsage: () => ({ user: 0, system: 0 }),
  nextTick: (callback, ...args) => queueMicrotask(() => callback(...args)),
  emitWarning: (warning) => console.warn('(node:8) ' + format(warning)),
  exit: (code) => host.exit(Number(code === undefined ? process.exitCode || 0 : code) | 0),
  abort: () => host.exit(134),
  kill: () => { throw new Error('process.kill is not available in the embedded runtime'); },
  binding: () => { throw new Error('process.binding is not available in the embedded runtime'); },
});
