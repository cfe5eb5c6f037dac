// The `fs` module, reading only and of the package only. There is no disk behind it.
const path = internal('path');
const { Buffer } = internal('buffer');
const ROOT = '/var/task';

const failure = (code, text, call, file) => Object.assign(new Error(code + ': ' + text + ', ' + call + " '" + file + "'"), { errno: code === 'ENOENT' ? -2 : -30, code, syscall: call, path: file });
const at = (file) => {
  const whole = path.resolve(file instanceof URL ? file.pathname : String(file));
  return whole === ROOT ? '' : whole.startsWith(ROOT + '/') ? whole.slice(ROOT.length + 1) : null;
};
const has = (file) => { const place = at(file); return place !== null && (host.isFile(place) || host.isFolder(place)); };
const reads = {
  readFile(file, options) {
    const place = at(file);
    if (place === null || !host.isFile(place)) throw failure('ENOENT', 'no such file or directory', 'open', file);
    const bytes = Buffer.from(host.bytes(place));
    const encoding = typeof options === 'string' ? options : options && options.encoding;
    return encoding ? bytes.toString(encoding) : bytes;
  },
  access(file) { if (!has(file)) throw failure('ENOENT', 'no such file or directory', 'access', file); },
  stat(file) {
    if (!has(file)) throw failure('ENOENT', 'no such file or directory', 'stat', file);
    const isFile = host.isFile(at(file));
    return { isFile: () => isFile, isDirectory: () => !isFile, isSymbolicLink: () => false, size: isFile ? host.bytes(at(file)).length : 0 };
  },
  readdir(file) {
    const place = at(file);
    if (place === null || !host.isFolder(place)) throw failure('ENOENT', 'no such file or directory', 'scandir', file);
    return host.list(place);
  },
  realpath(file) { reads.access(file); return path.resolve(file); },
};
reads.lstat = reads.stat;
for (const name of ['writeFile', 'appendFile', 'mkdir', 'unlink', 'rm', 'rmdir', 'rename', 'copyFile', 'mkdtemp']) {
  reads[name] = (file) => { throw failure('EROFS', 'read-only file system (the embedded runtime has no disk)', name, file); };
}

exports.promises = {};
for (const name of Object.keys(reads)) {
  exports[name + 'Sync'] = reads[name];
  exports.promises[name] = async (...args) => reads[name](...args);
  exports[name] = (...args) => {
    const callback = args.pop();
    exports.promises[name](...args).then((value) => callback(null, value), (error) => callback(error));
  };
}
exports.existsSync = (file) => has(file);
exports.constants = { F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1 };
