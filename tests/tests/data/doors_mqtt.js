// mqtt.js: over mutual TLS, over WebSocket with a client certificate, presigned and signed in headers, and plain; MQTT 3.1.1
// and 5. PLACE says where the server is.
const fs = require('fs');
const mqtt = require('mqtt');
const { Sha256 } = require('@aws-crypto/sha256-js');
const { HttpRequest } = require('@smithy/protocol-http');
const { SignatureV4 } = require('@smithy/signature-v4');

const tls = {
  ca: fs.readFileSync(PLACE.root),
  cert: fs.readFileSync(PLACE.certificate),
  key: fs.readFileSync(PLACE.key),
  servername: PLACE.host,
};

const signer = new SignatureV4({
  service: 'iotdevicegateway',
  region: PLACE.region,
  credentials: { accessKeyId: PLACE.id, secretAccessKey: PLACE.secret },
  sha256: Sha256,
});

const authority = (door) => `${PLACE.host}:${PLACE[door]}`;

const opening = (door) =>
  new HttpRequest({
    method: 'GET',
    protocol: 'wss:',
    hostname: PLACE.host,
    port: PLACE[door],
    path: '/mqtt',
    headers: { host: authority(door) },
  });

async function presigned(door) {
  const { query } = await signer.presign(opening(door), { expiresIn: 60 });
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return `/mqtt?${pairs.join('&')}`;
}

async function signedHeaders(door) {
  const { host, ...headers } = (await signer.sign(opening(door))).headers;
  return headers;
}

const doors = async () => [
  [`mqtts://${PLACE.host}:${PLACE.mqtt}`, tls, 1],
  [`mqtts://${PLACE.host}:${PLACE.alpn}`, { ...tls, ALPNProtocols: ['x-amzn-mqtt-ca'] }, 1],
  [`wss://${PLACE.host}:${PLACE.alpn}/mqtt`, { ...tls, wsOptions: tls }, 1],
  [`wss://${authority('alpn')}${await presigned('alpn')}`, { ca: tls.ca }, 1],
  [`ws://${authority('api')}${await presigned('api')}`, {}, 1],
  [`ws://${authority('api')}/mqtt`, { wsOptions: { headers: await signedHeaders('api') } }, 1],
  [`mqtt://127.0.0.1:${PLACE.plain}`, {}, 2],
];

async function talk(clientId, [url, options, qos], protocolVersion) {
  const client = await mqtt.connectAsync(url, { ...options, clientId, protocolVersion, reconnectPeriod: 0 }, false);
  const heard = new Promise((resolve) => client.once('message', (topic, payload) => resolve(payload.toString())));
  const granted = await client.subscribeAsync('ok/js', { qos });
  if (granted[0].qos !== qos) throw new Error(`${url}: granted ${granted[0].qos}`);
  await client.publishAsync('ok/js', 'hello', { qos });
  if ((await heard) !== 'hello') throw new Error(`${url}: heard something else`);
  await client.endAsync();
}

(async () => {
  for (const [index, door] of (await doors()).entries()) {
    for (const protocolVersion of [4, 5]) await talk(`js-${protocolVersion}-${index}`, door, protocolVersion);
  }
  console.log('{}');
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
