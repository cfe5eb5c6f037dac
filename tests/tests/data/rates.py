# AWS's rates, held to, as paho meets them: 100 messages a second on one connection each way, one CONNECT a second of one
# client id, two subscriptions a second of all clients (the server's configuration). PLACE says where the server is and with
# what to connect. It asserts by itself and prints `{}`.
import queue
import ssl
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 30
MANY = 300
QUOTA_EXCEEDED = 0x97


class Device:
    def __init__(self, client_id, protocol, is_kept=False):
        self.events = queue.Queue()
        is_five = protocol == mqtt.MQTTv5
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False,
            clean_session=None if is_five else not is_kept)
        tell = lambda kind: lambda client, userdata, *args: self.events.put((kind, args))
        self.client.on_connect = tell('connect')
        self.client.on_disconnect = tell('disconnect')
        self.client.on_subscribe = tell('subscribe')
        self.client.on_publish = tell('publish')
        self.client.on_message = tell('message')
        self.client.max_inflight_messages_set(100)
        self.client.tls_set(PLACE['root'], PLACE['certificate'], PLACE['key'], tls_version=ssl.PROTOCOL_TLS_CLIENT)
        session = {}
        if is_five and is_kept:
            session = {'clean_start': False, 'properties': Properties(PacketTypes.CONNECT)}
            session['properties'].SessionExpiryInterval = 300
        self.client.connect(PLACE['host'], PLACE['port'], 60, **session)
        self.client.loop_start()

    def next(self, *kinds):
        while True:
            got, args = self.events.get(timeout=PATIENCE)
            if got in kinds:
                return got, args

    def subscribe(self, topic):
        """The SUBACK's code: a rate is of all clients, and a second may pass in between."""
        self.client.subscribe(topic, qos=1)
        return [code.value for code in self.next('subscribe')[1][1]][0]

    def subscribed(self, topic):
        while self.subscribe(topic) >= 0x80:
            time.sleep(0.5)
        return self

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def connected(client_id, protocol, is_kept=False):
    device = Device(client_id, protocol, is_kept)
    assert device.next('connect', 'disconnect')[0] == 'connect', client_id
    return device


def until(what, is_it):
    """On a slow machine a second may pass between two of what is beyond one a second."""
    stop = time.monotonic() + PATIENCE
    while time.monotonic() < stop:
        if is_it():
            return
    raise AssertionError(what)


# Messages from a device: MQTT 5 is told of each, and stays.
five = connected('five', mqtt.MQTTv5)
for number in range(MANY):
    five.client.publish('in', str(number), 1)
codes = [five.next('publish')[1][1].value for _ in range(MANY)]
assert {code for code in codes if code >= 0x80} == {QUOTA_EXCEEDED}, set(codes)
assert len([code for code in codes if code < 0x80]) >= 100, codes
# 3.1.1 has no word for it: what is discarded is never acknowledged, and the connection stays.
three = connected('three', mqtt.MQTTv311)
for number in range(MANY):
    three.client.publish('in', str(number), 0)
three.subscribed('alive')

# Messages to a device wait, and none is lost: those that have gathered while it was away come at this rate.
KEPT = {'kept-five': mqtt.MQTTv5, 'kept-three': mqtt.MQTTv311}
for client_id, protocol in KEPT.items():
    connected(client_id, protocol, is_kept=True).subscribed('out').end()
sender = connected('sender', mqtt.MQTTv5)
for number in range(MANY):
    sender.client.publish('out', str(number), 1)
    while sender.next('publish')[1][1].value == QUOTA_EXCEEDED:
        time.sleep(0.1)
        sender.client.publish('out', str(number), 1)
for client_id, protocol in KEPT.items():
    listener = connected(client_id, protocol, is_kept=True)
    got = [listener.next('message')[1][0].payload for _ in range(MANY)]
    assert got == [str(number).encode() for number in range(MANY)], got
    listener.end()

# Subscriptions.
until('SUBACK 0x97', lambda: five.subscribe('more') == QUOTA_EXCEEDED)
until('SUBACK 0x80', lambda: three.subscribe('more') == 0x80)


# CONNECTs of one client id.
def is_refused():
    device = Device('hasty', mqtt.MQTTv5)
    code = device.next('connect')[1][1].value
    device.end()
    return code == QUOTA_EXCEEDED


def is_dropped():
    device = Device('hasty', mqtt.MQTTv311)
    kind = device.next('connect', 'disconnect')[0]
    device.end()
    return kind == 'disconnect'


until('CONNACK 0x97', is_refused)
until('a close without CONNACK', is_dropped)
for device in (five, three, sender):
    device.end()
print('{}')
