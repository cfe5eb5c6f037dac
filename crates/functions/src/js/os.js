// The `os` module: what a function sees of Lambda's machine, not of the one it runs on.
const MIB = 1024 * 1024;
module.exports = {
  EOL: '\n', devNull: '/dev/null',
  arch: () => settings.arch, platform: () => 'linux', type: () => 'Linux', release: () => '5.10.0', version: () => '#1 SMP', machine: () => (settings.arch === 'arm64' ? 'aarch64' : 'x86_64'),
  hostname: () => 'localhost', homedir: () => '/root', tmpdir: () => '/tmp', endianness: () => 'LE',
  cpus: () => [{ model: '', speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } }], availableParallelism: () => 1,
  totalmem: () => settings.memoryMb * MIB, freemem: () => settings.memoryMb * MIB, loadavg: () => [0, 0, 0], uptime: () => process.uptime(),
  networkInterfaces: () => ({}), userInfo: () => ({ username: 'sbx_user1051', uid: 993, gid: 990, shell: null, homedir: '/home/sbx_user1051' }),
  constants: { signals: {}, errno: {} },
};
