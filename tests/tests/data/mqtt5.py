# MQTT 5 with paho: what the server grants, reason codes, properties, request and response, aliases, ends that are named.
# PLACE says where the server is and with what to connect.
import json
import queue
import ssl

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE = 20


class Device:
    def __init__(self, client_id, protocol=mqtt.MQTTv5, keepalive=60):
        self.events = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False
        )
        tell = lambda kind: lambda client, userdata, *args: self.events.put((kind, args))
        self.client.on_connect = tell("connect")
        self.client.on_disconnect = tell("disconnect")
        self.client.on_subscribe = tell("subscribe")
        self.client.on_publish = tell("publish")
        self.client.on_message = tell("message")
        self.client.tls_set(PLACE["root"], PLACE["certificate"], PLACE["key"], tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.connect(PLACE["host"], PLACE["port"], keepalive)
        self.client.loop_start()
        flags, code, self.granted = self.next("connect")
        assert code == 0, code

    def next(self, kind):
        got, args = self.events.get(timeout=PATIENCE)
        assert got == kind, (got, kind, [str(arg) for arg in args])
        return args

    def subscribe(self, topic, **options):
        self.client.subscribe(topic, options=SubscribeOptions(**options))
        return [code.value for code in self.next("subscribe")[1]]

    def publish(self, topic, payload, qos=1, **given):
        properties = Properties(PacketTypes.PUBLISH)
        for name, value in given.items():
            setattr(properties, name, value)
        self.client.publish(topic, payload, qos, properties=properties)
        return self.next("publish")[1].value

    def message(self):
        return self.next("message")[0]

    def end(self, code):
        got = self.next("disconnect")[1]
        assert got.value == code, (got, code)


def has(properties, **expected):
    found = properties.json()
    assert all(found.get(name) == value for name, value in expected.items()), (expected, found)


def connack():
    assigned = Device("", keepalive=5)
    has(
        assigned.granted,
        ReceiveMaximum=100, TopicAliasMaximum=8, MaximumQoS=1, RetainAvailable=1, ServerKeepAlive=30,
        WildcardSubscriptionAvailable=1, SubscriptionIdentifierAvailable=0, SharedSubscriptionAvailable=1,
    )
    assert assigned.granted.AssignedClientIdentifier
    assigned.client.disconnect()


def codes():
    device = Device("codes")
    assert device.subscribe("ok/#", qos=1) == [1]
    assert device.subscribe("not/#", qos=1) == [0x87]
    assert device.publish("not/here", "x") == 0x87
    assert device.publish("$aws/x", "x") == 0x90
    assert device.publish("ok/here", "x") == 0
    assert device.message().topic == "ok/here"
    device.client.disconnect()


def properties():
    asks, answers, older = Device("asks"), Device("answers"), Device("older", protocol=mqtt.MQTTv311)
    older.client.subscribe("ok/question", 1)
    older.next("subscribe")
    assert answers.subscribe("ok/question", qos=1) == [1]
    assert asks.subscribe("ok/answer", qos=1, noLocal=True) == [1]
    user = [("b", "1"), ("a", "2"), ("b", "1")]
    assert asks.publish(
        "ok/question", "what?", UserProperty=user, ContentType="text/plain", PayloadFormatIndicator=1,
        ResponseTopic="ok/answer", CorrelationData=b"7", MessageExpiryInterval=60,
    ) == 0
    heard = answers.message()
    assert heard.payload == b"what?" and heard.properties.UserProperty == user, heard.properties
    has(heard.properties, ContentType="text/plain", PayloadFormatIndicator=1, MessageExpiryInterval=60)
    answer, data = heard.properties.ResponseTopic, heard.properties.CorrelationData
    assert answers.publish(answer, "that", CorrelationData=data) == 0
    heard = asks.message()
    assert (heard.topic, heard.payload, heard.properties.CorrelationData) == ("ok/answer", b"that", b"7")
    assert older.message().payload == b"what?"
    # No Local: it does not hear itself.
    assert asks.publish("ok/answer", "own") == 0
    assert answers.publish("ok/answer", "other") == 0
    assert asks.message().payload == b"other"
    # An alias in place of the topic.
    assert asks.publish("ok/question", "one", TopicAlias=8) == 0
    assert asks.publish("", "two", TopicAlias=8) == 0
    for expected in (b"one", b"two"):
        heard = answers.message()
        assert (heard.topic, heard.payload) == ("ok/question", expected)
    for device in (asks, answers, older):
        device.client.disconnect()


def ends():
    device = Device("ends")
    device.client.publish("not/here", "x", 0)
    device.next("publish")
    device.end(0x87)
    device = Device("ends")
    # The client would not send what CONNACK rules out; asking for it in SUBSCRIBE is as bad.
    device.client.subscribe("ok/#", options=SubscribeOptions(qos=2))
    device.end(0x9B)
    older = Device("ends")
    newer = Device("ends")
    older.end(0x8E)
    newer.client.disconnect()


for check in (connack, codes, properties, ends):
    check()
print(json.dumps({}))
