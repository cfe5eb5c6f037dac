# The AWS IoT Device SDK for Python: retained messages, shared subscriptions, wills, request and response, in MQTT 3.1.1 and
# 5. PLACE says where the server is. It asserts by itself and prints `{}`.
import json
import os
from concurrent.futures import Future
from queue import Queue

from awscrt import mqtt as crt, mqtt5
from awsiot import mqtt5_client_builder, mqtt_connection_builder

FILES = {'cert_filepath': PLACE['certificate'], 'pri_key_filepath': PLACE['key'], 'ca_filepath': PLACE['root']}
WHERE = {'endpoint': PLACE['host'], 'port': PLACE['port'], **FILES}
PATIENCE = 20
QOS = mqtt5.QoS.AT_LEAST_ONCE


class Three:
    def __init__(self, client_id, **options):
        self.heard = Queue()
        self.client = mqtt_connection_builder.mtls_from_path(client_id=client_id, clean_session=True, **options, **WHERE)
        self.client.on_message(lambda topic, payload, retain, **_: self.heard.put((payload.decode(), retain)))
        self.client.connect().result(PATIENCE)

    def subscribe(self, topic):
        assert self.client.subscribe(topic, crt.QoS.AT_LEAST_ONCE)[0].result(PATIENCE)['qos'] == crt.QoS.AT_LEAST_ONCE

    def publish(self, topic, payload, retain=False):
        self.client.publish(topic, payload, crt.QoS.AT_LEAST_ONCE, retain)[0].result(PATIENCE)

    def message(self):
        return self.heard.get(timeout=PATIENCE)

    def leave(self):
        self.client.disconnect().result(PATIENCE)


class Five(Three):
    def __init__(self, client_id, **options):
        self.heard, connected, self.stopped = Queue(), Future(), Future()
        self.client = mqtt5_client_builder.mtls_from_path(
            client_id=client_id,
            on_lifecycle_connection_success=lambda data: connected.set_result(data.negotiated_settings),
            on_lifecycle_connection_failure=lambda data: connected.done() or connected.set_exception(data.exception),
            on_lifecycle_stopped=lambda data: self.stopped.set_result(None),
            on_publish_received=self.hear, **options, **WHERE)
        self.client.start()
        self.granted = connected.result(PATIENCE)

    def hear(self, data):
        self.last = data.publish_packet
        self.heard.put((self.last.payload.decode(), self.last.retain))

    def subscribe(self, topic, **options):
        wanted = mqtt5.SubscribePacket([mqtt5.Subscription(topic, QOS, **options)])
        assert self.client.subscribe(wanted).result(PATIENCE).reason_codes[0] == 1

    def publish(self, topic, payload, retain=False, **properties):
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=QOS, retain=retain, **properties)
        code = self.client.publish(packet).result(PATIENCE).puback.reason_code
        assert code in (0, 0x10), code

    def leave(self, code=0):
        self.client.stop(mqtt5.DisconnectPacket(reason_code=code))
        self.stopped.result(PATIENCE)


def retained():
    for number, (Says, Hears) in enumerate(((Three, Five), (Five, Three))):
        topic = f'ok/sdk/{number}'
        says, hears = Says('says'), Hears('hears')
        says.publish(topic, 'kept', retain=True)
        hears.subscribe(topic)
        assert hears.message() == ('kept', True)
        says.publish(topic, 'live', retain=True)
        assert hears.message() == ('live', False)
        says.publish(topic, '', retain=True)
        assert hears.message() == ('', False)
        for device in (says, hears):
            device.leave()


def shared():
    says, members = Three('says'), [Three('a'), Five('b')]
    told = [str(number) for number in range(20)]
    for name, member in zip('ab', members):
        member.subscribe(f'ok/only/{name}')
        member.subscribe('$share/sdk/ok/shared')
    for payload in told:
        says.publish('ok/shared', payload)
    heard = []
    for name, member in zip('ab', members):
        says.publish(f'ok/only/{name}', 'marker')
        before = len(heard)
        while (payload := member.message()[0]) != 'marker':
            heard.append(payload)
        assert len(heard) > before, 'each has its share'
    assert sorted(heard, key=int) == told, heard
    for device in (says, *members):
        device.leave()


# A goodbye that does not take the will along, at once and with a delay; and one that does.
def wills():
    hears = Five('hears')
    hears.subscribe('ok/sdk/will')
    will = mqtt5.PublishPacket(topic='ok/sdk/will', payload='my last', qos=QOS, content_type='text/plain')
    for delay in ({}, {'will_delay_interval_sec': 1, 'session_expiry_interval_sec': 60}):
        Five('dies', will=will, **delay).leave(mqtt5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE)
        assert hears.message() == ('my last', False)
        assert hears.last.content_type == 'text/plain', hears.last
    Five('dies', will=will).leave()
    last = crt.Will('ok/sdk/will', crt.QoS.AT_LEAST_ONCE, b'my last', False)
    Three('dies', will=last).leave()
    # A newer connection of the same client id takes its place, and the will is sent.
    older = Three('dies', will=last, reconnect_min_timeout_secs=60, reconnect_max_timeout_secs=60)
    newer = Five('dies')
    assert hears.message() == ('my last', False)
    for device in (newer, hears):
        device.leave()


def request_and_response():
    asks, answers = Five('asks'), Five('answers')
    asks.subscribe('ok/sdk/answer', no_local=True)
    answers.subscribe('ok/sdk/question')
    user = [mqtt5.UserProperty('b', '1'), mqtt5.UserProperty('a', '2'), mqtt5.UserProperty('b', '1')]
    asks.publish(
        'ok/sdk/question', 'what?', response_topic='ok/sdk/answer', correlation_data=b'7', user_properties=user,
        message_expiry_interval_sec=60)
    assert answers.message() == ('what?', False)
    question = answers.last
    assert [(each.name, each.value) for each in question.user_properties] == [('b', '1'), ('a', '2'), ('b', '1')]
    assert question.message_expiry_interval_sec <= 60, question
    asks.publish(question.response_topic, 'its own, which it does not hear')
    answers.publish(question.response_topic, 'that', correlation_data=question.correlation_data_bytes)
    assert asks.message() == ('that', False)
    assert asks.last.correlation_data_bytes == b'7', asks.last
    for device in (asks, answers):
        device.leave()


for check in (retained, shared, wills, request_and_response):
    try:
        check()
    except BaseException as error:
        raise AssertionError(check.__name__) from error
print(json.dumps({}), flush=True)
# The connection that was taken over tries again by and by, and would be waited for.
os._exit(0)
