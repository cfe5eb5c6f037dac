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

exports.send = function (service, operation, input, answer) {
  const text = JSON.stringify(plain(input === undefined || input === null ? {} : input, 0)).toWellFormed();
  const call = lastCall = (lastCall + 1) % 0x7fffffff;
  waiting.set(call, answer);
  try {
    host.awsCall(call, service, operation, text);
  } catch (error) {
    waiting.delete(call);
    throw error;
  }
};

exports.reply = function (call, text, isFailure) {
  const answer = waiting.get(call);
  if (!answer) return;
  waiting.delete(call);
  const value = JSON.parse(text);
  if (isFailure) answer(value, null);
  else answer(null, value);
};

const ids = { iotdata: 'iot-data', iotdataplane: 'iot-data', 'iot-data-plane': 'iot-data', cloudwatchlogs: 'logs', 'cloudwatch-logs': 'logs' };
exports.serviceId = (name) => {
  const lower = String(name).toLowerCase();
  return Object.hasOwn(ids, lower) ? ids[lower] : lower;
};
