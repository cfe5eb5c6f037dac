// mqtt.js in MQTT 3.1.1 and 5: persistent sessions before and after the server was killed (PHASE), then retained messages,
// shared subscriptions, wills, properties and topic aliases. PLACE says where the server is. It asserts by itself.
const assert = require('assert');
const fs = require('fs');
const mqtt = require('mqtt');

const url = `mqtts://${PLACE.host}:${PLACE.port}`;
const tls = {
  ca: fs.readFileSync(PLACE.root),
  cert: fs.readFileSync(PLACE.certificate),
  key: fs.readFileSync(PLACE.key),
  servername: PLACE.host,
};

class Device {
  // Resolves once it is connected; what a resumed session sends at once is kept.
  static open(clientId, protocolVersion, options = {}) {
    const device = new Device();
    device.heard = [];
    device.waiting = [];
    const all = { ...tls, clientId, protocolVersion, reconnectPeriod: 0, resubscribe: false, ...options };
    device.client = mqtt.connect(url, all);
    device.client.on('packetreceive', (packet) => {
      if (packet.cmd === 'publish') device.wire = { topic: packet.topic, alias: packet.properties?.topicAlias };
    });
    device.client.on('message', (topic, payload, packet) => {
      const message = { topic, payload: payload.toString(), packet, wire: device.wire };
      const next = device.waiting.shift();
      if (next) next(message);
      else device.heard.push(message);
    });
    return new Promise((resolve, reject) => {
      device.client.on('error', reject);
      device.client.on('connect', (connack) => {
        device.isResumed = connack.sessionPresent;
        device.granted = connack.properties;
        resolve(device);
      });
    });
  }

  static lasting(clientId, version, options = {}) {
    const properties = { ...(version === 5 ? { sessionExpiryInterval: 3600 } : {}), ...options.properties };
    return Device.open(clientId, version, { clean: false, ...options, properties });
  }

  async subscribe(topic, options = {}) {
    const [granted] = await this.client.subscribeAsync(topic, { qos: 1, ...options });
    assert.strictEqual(granted.qos, 1);
  }

  publish(topic, payload, options = {}) {
    return this.client.publishAsync(topic, payload, { qos: 1, ...options });
  }

  message() {
    const next = this.heard.shift();
    return next ? Promise.resolve(next) : new Promise((resolve) => this.waiting.push(resolve));
  }

  async hears(...expected) {
    let message;
    for (const payload of expected) {
      message = await this.message();
      assert.strictEqual(message.payload, payload);
    }
    return message;
  }

  leave() {
    return this.client.endAsync();
  }

  // The connection is gone without a word.
  breaks() {
    const closed = new Promise((resolve) => this.client.once('close', resolve));
    this.client.stream.destroy();
    return closed.then(() => this.client.endAsync(true));
  }
}

const versions = [4, 5];

async function away() {
  for (const version of versions) {
    const device = await Device.lasting(`js-${version}`, version);
    assert(!device.isResumed);
    await device.subscribe('ok/away');
    await device.leave();
  }
}

async function back() {
  for (const version of versions) {
    const device = await Device.lasting(`js-${version}`, version);
    assert(device.isResumed);
    await device.hears('of 3');
    const { packet } = await device.hears('of 5');
    if (version === 5) {
      assert.deepStrictEqual({ ...packet.properties.userProperties }, { b: ['1', '1'], a: '2' });
      assert.strictEqual(packet.properties.contentType, 'text/plain');
      assert.strictEqual(packet.properties.responseTopic, 'ok/answer');
      assert.strictEqual(packet.properties.correlationData.toString(), '7');
    }
    await device.hears('of mosquitto 3', 'of mosquitto 5');
    await device.leave();
  }
}

async function retained() {
  for (const version of versions) {
    const says = await Device.open('says', version);
    const topic = `ok/js/${version}`;
    await says.publish(topic, 'kept', { retain: true });
    const hears = await Device.open('hears', version);
    await hears.subscribe(topic);
    assert((await hears.hears('kept')).packet.retain);
    await says.publish(topic, '', { retain: true });
    assert(!(await hears.hears('')).packet.retain);
    const late = await Device.open('late', version);
    await late.subscribe(topic);
    await says.publish(topic, 'live');
    assert(!(await late.hears('live')).packet.retain);
    for (const device of [says, hears, late]) await device.leave();
  }
  // What MQTT 5 adds to a subscription.
  const [says, hears] = [await Device.open('says', 5), await Device.open('hears', 5)];
  await says.publish('ok/js', 'kept', { retain: true });
  await hears.subscribe('ok/js', { rh: 2, rap: true });
  await says.publish('ok/js', 'next', { retain: true });
  assert((await hears.hears('next')).packet.retain);
  for (const device of [says, hears]) await device.leave();
}

async function shared() {
  const says = await Device.open('says', 4);
  const members = [await Device.open('a', 4), await Device.open('b', 5)];
  const told = Array.from({ length: 20 }, (_, number) => `${number}`);
  for (const member of members) {
    await member.subscribe('$share/js/ok/shared');
    await member.subscribe(`ok/only/${member.client.options.clientId}`);
  }
  for (const payload of told) await says.publish('ok/shared', payload);
  const heard = [];
  for (const member of members) {
    await says.publish(`ok/only/${member.client.options.clientId}`, 'marker');
    const before = heard.length;
    for (let next = await member.message(); next.payload !== 'marker'; next = await member.message()) heard.push(next.payload);
    assert(heard.length > before, 'each has its share');
  }
  assert.deepStrictEqual(heard.sort((one, other) => one - other), told);
  for (const device of [says, ...members]) await device.leave();
}

async function wills() {
  const hears = await Device.open('hears', 5);
  await hears.subscribe('ok/will');
  const will = { topic: 'ok/will', payload: 'my last', qos: 1 };
  for (const version of versions) {
    await (await Device.open('dies', version, { will })).breaks();
    await hears.hears('my last');
    await (await Device.open('dies', version, { will })).leave();
  }
  const delayed = (s) => Device.lasting('dies', 5, { will: { ...will, properties: { willDelayInterval: s } } });
  await (await delayed(1)).breaks();
  await hears.hears('my last');
  await (await delayed(3000)).breaks();
  const again = await Device.lasting('dies', 5);
  assert(again.isResumed);
  await again.leave();
  // Its session ends: a will that was not cancelled would come now.
  await (await Device.open('dies', 5)).leave();
  const says = await Device.open('says', 5);
  await says.publish('ok/will', 'after all');
  await hears.hears('after all');
  for (const device of [says, hears]) await device.leave();
}

async function properties() {
  const assigned = await Device.open('', 5);
  assert(assigned.granted.assignedClientIdentifier, 'it is told its name');
  await assigned.leave();
  const [asks, answers] = [await Device.open('asks', 5), await Device.open('answers', 5)];
  await asks.subscribe('ok/js/answer', { nl: true });
  await answers.subscribe('ok/js/question');
  const question = {
    responseTopic: 'ok/js/answer', correlationData: Buffer.from('7'), messageExpiryInterval: 60,
    userProperties: { b: ['1', '2'], a: '3' }, payloadFormatIndicator: true, contentType: 'text/plain',
  };
  await asks.publish('ok/js/question', 'what?', { properties: question });
  const { packet } = await answers.hears('what?');
  assert.deepStrictEqual({ ...packet.properties.userProperties }, { b: ['1', '2'], a: '3' });
  assert(packet.properties.messageExpiryInterval <= 60);
  const { responseTopic, correlationData } = packet.properties;
  await asks.publish(responseTopic, 'its own, which it does not hear');
  await answers.publish(responseTopic, 'that', { properties: { correlationData } });
  const answer = await asks.hears('that');
  assert.strictEqual(answer.packet.properties.correlationData.toString(), '7');
  for (const device of [asks, answers]) await device.leave();
}

// Both ways: the server uses what aliases the client takes, and the client what the server takes.
async function aliases() {
  const says = await Device.open('says', 5, { autoAssignTopicAlias: true });
  const hears = await Device.open('hears', 5, { properties: { topicAliasMaximum: 4 } });
  await hears.subscribe('ok/aliases/one');
  await hears.subscribe('ok/aliases/two');
  const seen = [];
  for (const number of [0, 1, 2, 3]) {
    for (const topic of ['ok/aliases/one', 'ok/aliases/two']) {
      await says.publish(topic, `${number}`);
      const heard = await hears.hears(`${number}`);
      assert.strictEqual(heard.topic, topic);
      seen.push(heard.wire);
    }
  }
  assert.deepStrictEqual(seen.slice(0, 2).map((wire) => wire.topic), ['ok/aliases/one', 'ok/aliases/two']);
  assert(seen.slice(2).every((wire) => wire.topic === '' && wire.alias > 0), JSON.stringify(seen));
  for (const device of [says, hears]) await device.leave();
}

const phases = { away: [away], back: [back, retained, shared, wills, properties, aliases] };
(async () => {
  for (const check of phases[PHASE]) {
    await check().catch((error) => {
      error.message = `${check.name}: ${error.message}`;
      throw error;
    });
  }
  console.log('{}');
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
