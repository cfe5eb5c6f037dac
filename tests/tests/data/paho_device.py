# A device with paho, for the scripts that follow. PLACE says where the server is and with what to connect.
import queue
import socket
import ssl

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE = 20
VERSIONS = {3: mqtt.MQTTv311, 5: mqtt.MQTTv5}


def properties(packet, given):
    made = Properties(packet)
    for name, value in given.items():
        setattr(made, name, value)
    return made


def has(found, **expected):
    found = found.json()
    assert all(found.get(name) == value for name, value in expected.items()), (expected, found)


class Device:
    # `clean` ends an older session; `connect` and `will` are properties of MQTT 5; `will` may be (topic, payload, retain).
    def __init__(self, client_id, version=5, clean=True, will=None, will_properties={}, is_manual=False, plain=False, **connect):
        self.version, self.events = version, queue.Queue()
        three = {'clean_session': clean} if version == 3 else {}
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[version], reconnect_on_failure=False,
            manual_ack=is_manual, **three)
        tell = lambda kind: lambda client, userdata, *args: self.events.put((kind, args))
        for kind in ('connect', 'disconnect', 'subscribe', 'unsubscribe', 'publish', 'message'):
            setattr(self.client, f'on_{kind}', tell(kind))
        if will:
            topic, payload, retain = will
            given = properties(PacketTypes.WILLMESSAGE, will_properties) if version == 5 else None
            self.client.will_set(topic, payload, 1, retain, given)
        five = {}
        if version == 5:
            five = {'clean_start': clean, 'properties': properties(PacketTypes.CONNECT, connect)}
        if plain:
            self.client.connect('127.0.0.1', PLACE['plain'], 60, **five)
        else:
            self.client.tls_set(PLACE['root'], PLACE['certificate'], PLACE['key'], tls_version=ssl.PROTOCOL_TLS_CLIENT)
            self.client.connect(PLACE['host'], PLACE['port'], 60, **five)
        self.client.loop_start()
        flags, code, self.granted = self.next('connect')
        assert code == 0, code
        self.is_resumed = flags.session_present

    def next(self, kind):
        got, args = self.events.get(timeout=PATIENCE)
        assert got == kind, (got, kind, [getattr(arg, 'payload', str(arg)) for arg in args])
        return args

    def ask(self, topic, qos=1, id=None, **options):
        if self.version == 3:
            self.client.subscribe(topic, qos)
        else:
            given = properties(PacketTypes.SUBSCRIBE, {'SubscriptionIdentifier': id} if id else {})
            self.client.subscribe(topic, options=SubscribeOptions(qos=qos, **options), properties=given)

    def subscribe(self, topic, qos=1, id=None, **options):
        self.ask(topic, qos, id, **options)
        codes = [code.value for code in self.next('subscribe')[1]]
        assert codes == [qos], codes

    def unsubscribe(self, topic):
        self.client.unsubscribe(topic)
        self.next('unsubscribe')

    def publish(self, topic, payload, qos=1, retain=False, **given):
        given = properties(PacketTypes.PUBLISH, given) if self.version == 5 else None
        self.client.publish(topic, payload, qos, retain, given)
        code = self.next('publish')[1].value
        assert code in (0, 0x10), code

    def message(self):
        return self.next('message')[0]

    def hears(self, *expected, retain=False):
        for payload in expected:
            message = self.message()
            got = (message.payload.decode(), message.retain)
            assert got == (payload, retain), (got, payload, retain)
        return message

    # A proper end. `expiry_s`: what MQTT 5 says last about its session.
    def leave(self, expiry_s=None):
        given = {} if expiry_s is None else {'properties': properties(PacketTypes.DISCONNECT, {'SessionExpiryInterval': expiry_s})}
        self.client.disconnect(**given)
        self.next('disconnect')
        self.client.loop_stop()

    # The connection is gone without a word.
    def breaks(self):
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.next('disconnect')
        self.client.loop_stop()


# A session that outlives its connection, in either version.
def lasting(client_id, version, **options):
    expiry = {'SessionExpiryInterval': 3600} if version == 5 else {}
    return Device(client_id, version, **{'clean': False, **expiry, **options})
