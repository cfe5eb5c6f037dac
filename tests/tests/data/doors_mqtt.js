// mqtt.js: over mutual TLS, over WebSocket with a client certificate, and plain; MQTT 3.1.1 and 5. PLACE says where the
// server is.
const fs = require('fs');
const mqtt = require('mqtt');

const tls = {
  ca: fs.readFileSync(PLACE.root),
  cert: fs.readFileSync(PLACE.certificate),
  key: fs.readFileSync(PLACE.key),
  servername: PLACE.host,
};

const doors = [
  [`mqtts://${PLACE.host}:${PLACE.mqtt}`, tls, 1],
  [`mqtts://${PLACE.host}:${PLACE.alpn}`, { ...tls, ALPNProtocols: ['x-amzn-mqtt-ca'] }, 1],
  [`wss://${PLACE.host}:${PLACE.alpn}/mqtt`, { ...tls, wsOptions: tls }, 1],
  [`mqtt://127.0.0.1:${PLACE.plain}`, {}, 2],
];

async function talk(url, options, qos, protocolVersion) {
  const clientId = `js-${protocolVersion}-${doors.findIndex(([other]) => other === url)}`;
  const client = await mqtt.connectAsync(url, { ...options, clientId, protocolVersion, reconnectPeriod: 0 }, false);
  const heard = new Promise((resolve) => client.once('message', (topic, payload) => resolve(payload.toString())));
  const granted = await client.subscribeAsync('ok/js', { qos });
  if (granted[0].qos !== qos) throw new Error(`${url}: granted ${granted[0].qos}`);
  await client.publishAsync('ok/js', 'hello', { qos });
  if ((await heard) !== 'hello') throw new Error(`${url}: heard something else`);
  await client.endAsync();
}

(async () => {
  for (const [url, options, qos] of doors) {
    for (const protocolVersion of [4, 5]) await talk(url, options, qos, protocolVersion);
  }
  console.log('{}');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
