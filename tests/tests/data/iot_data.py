# Retained messages and DeleteConnection with boto3 and paho. PLACE says where the server is and with what to connect. It
# asserts by itself and prints `{}`.
import json
import queue
import ssl

import boto3
import paho.mqtt.client as mqtt
from botocore.config import Config
from botocore.exceptions import ClientError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 20
iot_data = boto3.client('iot-data', config=Config(retries={'total_max_attempts': 1}))


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response
        found = (answer['Error']['Code'], answer['ResponseMetadata']['HTTPStatusCode'])
        assert found == (code, status) and answer['Error']['Message'], (call, arguments, answer)
        return
    raise AssertionError(f'{call} {arguments} was not refused')


class Device:
    def __init__(self, client_id, will=None, expiry_s=0):
        self.events = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
        tell = lambda kind: lambda client, userdata, *args: self.events.put((kind, args))
        self.client.on_connect = tell('connect')
        self.client.on_disconnect = tell('disconnect')
        self.client.on_subscribe = tell('subscribe')
        self.client.on_publish = tell('publish')
        self.client.on_message = tell('message')
        self.client.tls_set(PLACE['root'], PLACE['certificate'], PLACE['key'], tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if will:
            self.client.will_set(will, 'gone', 1)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry_s
        self.client.connect(PLACE['host'], PLACE['port'], 60, clean_start=False, properties=properties)
        self.client.loop_start()
        flags = self.next('connect')[0]
        self.is_resumed = flags.session_present

    def next(self, kind):
        got, args = self.events.get(timeout=PATIENCE)
        assert got == kind, (got, kind, [str(arg) for arg in args])
        return args

    def subscribe(self, topic):
        self.client.subscribe(topic, qos=1)
        assert [code.value for code in self.next('subscribe')[1]] == [1]

    def message(self):
        message = self.next('message')[0]
        return message.topic, message.payload, message.retain


# Retained over HTTPS and over MQTT, read by both.
iot_data.publish(topic='r/https', qos=1, retain=True, payload=b'one')
device = Device('retains')
device.client.publish('r/mqtt', b'two', 1, retain=True)
device.next('publish')
device.subscribe('r/https')
assert device.message() == ('r/https', b'one', True)
found = iot_data.get_retained_message(topic='r/mqtt')
assert (found['topic'], found['payload'], found['qos']) == ('r/mqtt', b'two', 1), found
pages = list(iot_data.get_paginator('list_retained_messages').paginate(PaginationConfig={'PageSize': 1}))
topics = [summary['topic'] for page in pages for summary in page['retainedTopics']]
assert topics == ['r/https', 'r/mqtt'] and len(pages) >= 2, pages
iot_data.publish(topic='r/https', retain=True, payload=b'')
refused('ResourceNotFoundException', 404, iot_data.get_retained_message, topic='r/https')
refused('InvalidRequestException', 400, iot_data.publish, topic='$aws/rules/r/a', retain=True)

# DeleteConnection: with and without will, with and without the session.
watcher = Device('watcher')
watcher.subscribe('wills/+')
watcher.subscribe('$aws/events/presence/disconnected/+')
refused('ResourceNotFoundException', 404, iot_data.delete_connection, clientId='nobody')


def ended(client_id):
    topic, payload, _ = watcher.message()
    event = json.loads(payload)
    assert topic == f'$aws/events/presence/disconnected/{client_id}', topic
    assert (event['disconnectReason'], event['clientInitiatedDisconnect']) == ('API_INITIATED_DISCONNECT', False), event


target = Device('target', will='wills/target', expiry_s=600)
target.subscribe('t')
iot_data.delete_connection(clientId='target')
target.next('disconnect')
assert watcher.message() == ('wills/target', b'gone', False)
ended('target')
target = Device('target', will='wills/target', expiry_s=600)
assert target.is_resumed
iot_data.delete_connection(clientId='target', cleanSession=True, preventWillMessage=True)
target.next('disconnect')
ended('target')
assert not Device('target').is_resumed
print('{}')
