// Calls to AWS in flight: a number, and who waits for the answer. Whose role they run under is not said here: the server knows.
const waiting = new Map();
let lastCall = 0;

// Dates go as seconds and binary members as base64, as the models' JSON has them.
function plain(value, depth) {
  if (depth > 100) throw new RangeError('the parameters are nested more than 100 deep');
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return value.getTime() / 1000;
  if (value instanceof ArrayBuffer) return internal('buffer').Buffer.from(value).toString('base64');
  if (ArrayBuffer.isView(value)) {
    return internal('buffer').Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  }
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  const copy = {};
  for (const key of Object.keys(value)) {
    const item = plain(value[key], depth + 1);
    if (item !== undefined && item !== null && typeof item !== 'function') copy[key] = item;
  }
  return copy;
}

// Moments and binary members come marked, since JSON has neither.
function revived(asBytes) {
  return (key, value) => {
    if (value === null || typeof value !== 'object') return value;
    if (Object.hasOwn(value, '\u0000date')) return new Date(Math.round(value['\u0000date'] * 1000));
    if (Object.hasOwn(value, '\u0000bytes')) {
      const bytes = internal('buffer').Buffer.from(value['\u0000bytes'], 'base64');
      return asBytes ? asBytes(bytes) : bytes;
    }
    return value;
  };
}

// `asBytes` makes of a Buffer what the caller has for binary members.
exports.send = function (service, operation, input, answer, asBytes) {
  const text = JSON.stringify(plain(input === undefined || input === null ? {} : input, 0)).toWellFormed();
  const call = lastCall = (lastCall + 1) % 0x7fffffff;
  waiting.set(call, { answer, asBytes });
  try {
    host.awsCall(call, service, operation, text);
  } catch (error) {
    waiting.delete(call);
    throw error;
  }
};

exports.reply = function (call, text, isFailure) {
  const found = waiting.get(call);
  if (!found) return;
  waiting.delete(call);
  const { answer, asBytes } = found;
  const value = JSON.parse(text, text.includes('\\u0000') ? revived(asBytes) : undefined);
  if (isFailure) answer(value, null);
  else answer(null, value);
};

const ids = { iotdata: 'iot-data', iotdataplane: 'iot-data', 'iot-data-plane': 'iot-data', cloudwatchlogs: 'logs', 'cloudwatch-logs': 'logs' };
exports.serviceId = (name) => {
  const lower = String(name).toLowerCase();
  return Object.hasOwn(ids, lower) ? ids[lower] : lower;
};
