# Lifecycle events and Basic Ingest with paho and boto3: a rule hears who comes and goes, another gets what is sent to it by
# name. PLACE says where the server is and with what to connect. It asserts by itself and prints `{}`.
import json
import queue
import ssl

import boto3
import paho.mqtt.client as mqtt
from botocore.config import Config

PATIENCE = 20
iam, iot, sts, data = (
    boto3.client(name, config=Config(retries={'total_max_attempts': 1})) for name in ('iam', 'iot', 'sts', 'iot-data'))
account = sts.get_caller_identity()['Account']


class Device:
    def __init__(self, client_id, protocol):
        self.events = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, reconnect_on_failure=False)
        tell = lambda kind: lambda client, userdata, *args: self.events.put((kind, args))
        self.client.on_connect = tell('connect')
        self.client.on_disconnect = tell('disconnect')
        self.client.on_subscribe = tell('subscribe')
        self.client.on_unsubscribe = tell('unsubscribe')
        self.client.on_publish = tell('publish')
        self.client.on_message = tell('message')
        self.client.tls_set(PLACE['root'], PLACE['certificate'], PLACE['key'], tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.connect(PLACE['host'], PLACE['port'], 60)
        self.client.loop_start()
        self.next('connect')

    def next(self, kind):
        got, args = self.events.get(timeout=PATIENCE)
        assert got == kind, (got, kind, [str(arg) for arg in args])
        return args

    def subscribe(self, topic):
        self.client.subscribe(topic, qos=1)
        return [code.value for code in self.next('subscribe')[1]]

    def unsubscribe(self, topic):
        self.client.unsubscribe(topic)
        self.next('unsubscribe')

    def publish(self, topic, payload):
        self.client.publish(topic, payload, 1)
        self.next('publish')

    def hears(self, *expected):
        got = self.message()
        assert got == expected, (got, expected)

    def message(self):
        message = self.next('message')[0]
        return message.topic, json.loads(message.payload)


def rule(name, sql, topic):
    iot.create_topic_rule(ruleName=name, topicRulePayload={
        'sql': sql, 'awsIotSqlVersion': '2016-03-23',
        'actions': [{'republish': {'roleArn': role, 'topic': topic, 'qos': 1}}]})


role = iam.create_role(RoleName='relay', AssumeRolePolicyDocument=json.dumps({
    'Version': '2012-10-17', 'Statement': [{
        'Effect': 'Allow', 'Principal': {'Service': 'iot.amazonaws.com'}, 'Action': 'sts:AssumeRole'}]}))['Role']['Arn']
iam.put_role_policy(RoleName='relay', PolicyName='out', PolicyDocument=json.dumps({
    'Version': '2012-10-17', 'Statement': [{
        'Effect': 'Allow', 'Action': 'iot:Publish',
        'Resource': f'arn:aws:iot:{iot.meta.region_name}:{account}:topic/out/*'}]}))
rule('presence', "SELECT eventType AS e, disconnectReason AS r, versionNumber AS v, principal() AS p, clientid() AS c "
     "FROM '$aws/events/presence/+/paho'", 'out/presence')
rule('subscriptions', "SELECT eventType AS e, topics FROM '$aws/events/subscriptions/+/paho'", 'out/subscriptions')
rule('ingest', 'SELECT *, topic() AS t, topic(1) AS first', 'out/ingest')

listener = Device('listener', mqtt.MQTTv5)
assert listener.subscribe('out/#') == [1]
assert listener.subscribe('$aws/events/presence/+/watched') == [1]
for refused in ('$aws/rules/ingest/#', '$SYS/#'):
    assert listener.subscribe(refused) == [0x8F], refused

for version, protocol in enumerate((mqtt.MQTTv311, mqtt.MQTTv5)):
    device = Device('paho', protocol)
    expected = {'e': 'connected', 'v': version, 'p': PLACE['principal'], 'c': 'paho'}
    listener.hears('out/presence', expected)
    assert device.subscribe('some/topic') == [1]
    listener.hears('out/subscriptions', {'e': 'subscribed', 'topics': ['some/topic']})
    device.unsubscribe('some/topic')
    listener.hears('out/subscriptions', {'e': 'unsubscribed', 'topics': ['some/topic']})
    device.publish('$aws/rules/ingest/a/b', json.dumps({'n': version}))
    listener.hears('out/ingest', {'n': version, 't': 'a/b', 'first': 'a'})
    # Of a rule that is not there nobody hears, the publisher included.
    device.publish('$aws/rules/missing/a/b', '{}')
    device.client.disconnect()
    device.next('disconnect')
    expected = {**expected, 'e': 'disconnected', 'r': 'CLIENT_INITIATED_DISCONNECT'}
    listener.hears('out/presence', expected)

data.publish(topic='$aws/rules/ingest/of/boto3', qos=1, payload='{}')
listener.hears('out/ingest', {'t': 'of/boto3', 'first': 'of'})

# A newer connection takes over: both events, in either order.
older, newer = Device('watched', mqtt.MQTTv311), None
_, event = listener.message()
assert (event['eventType'], event['clientId'], event['versionNumber']) == ('connected', 'watched', 0), event
assert event['principalIdentifier'] == PLACE['principal'] and event['ipAddress'] == '127.0.0.1', event
newer = Device('watched', mqtt.MQTTv311)
events = {event['eventType']: event for _, event in (listener.message(), listener.message())}
assert events['connected']['versionNumber'] == 1, events
assert events['disconnected']['versionNumber'] == 0, events
assert events['disconnected']['disconnectReason'] == 'DUPLICATE_CLIENTID', events
assert events['disconnected']['sessionIdentifier'] == event['sessionIdentifier'], events
assert events['connected']['sessionIdentifier'] != event['sessionIdentifier'], events
print('{}')
