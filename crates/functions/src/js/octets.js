// Bytes on their way to the host: a string of one character per byte.
const PIECE = 4096;
module.exports = function octets(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE) {
    text += String.fromCharCode.apply(null, Uint8Array.prototype.subarray.call(bytes, at, at + PIECE));
  }
  return text;
};
