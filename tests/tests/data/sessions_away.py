# paho's and the AWS IoT Device SDK's persistent sessions, before and after the server was killed: they subscribe and go
# away; somebody says something; they come back and hear it, in its order and with its properties. PHASE says which.
import json
from concurrent.futures import Future
from queue import Queue

from awscrt import mqtt as crt, mqtt5
from awsiot import mqtt5_client_builder, mqtt_connection_builder

FILES = {'cert_filepath': PLACE['certificate'], 'pri_key_filepath': PLACE['key'], 'ca_filepath': PLACE['root']}
WHERE = {'endpoint': PLACE['host'], 'port': PLACE['port'], **FILES}
AT_LEAST_ONCE = crt.QoS.AT_LEAST_ONCE


class Sdk3:
    def __init__(self):
        self.heard = Queue()
        self.client = mqtt_connection_builder.mtls_from_path(client_id='sdk-3', clean_session=False, **WHERE)
        self.client.on_message(lambda topic, payload, **_: self.heard.put((payload.decode(), None)))
        self.is_resumed = self.client.connect().result(PATIENCE)['session_present']

    def subscribe(self, topic):
        assert self.client.subscribe(topic, AT_LEAST_ONCE)[0].result(PATIENCE)['qos'] == AT_LEAST_ONCE

    def leave(self):
        self.client.disconnect().result(PATIENCE)


class Sdk5:
    def __init__(self):
        self.heard, connected, self.stopped = Queue(), Future(), Future()
        self.client = mqtt5_client_builder.mtls_from_path(
            client_id='sdk-5', session_expiry_interval_sec=3600,
            session_behavior=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
            on_lifecycle_connection_success=lambda data: connected.set_result(data.negotiated_settings),
            on_lifecycle_connection_failure=lambda data: connected.done() or connected.set_exception(data.exception),
            on_lifecycle_stopped=lambda data: self.stopped.set_result(None),
            on_publish_received=lambda data: self.heard.put((data.publish_packet.payload.decode(), data.publish_packet)),
            **WHERE)
        self.client.start()
        granted = connected.result(PATIENCE)
        assert granted.session_expiry_interval_sec == 3600, granted
        self.is_resumed = granted.rejoined_session

    def subscribe(self, topic):
        wanted = mqtt5.SubscribePacket([mqtt5.Subscription(topic, mqtt5.QoS.AT_LEAST_ONCE)])
        assert self.client.subscribe(wanted).result(PATIENCE).reason_codes[0] == 1

    def leave(self):
        self.client.stop()
        self.stopped.result(PATIENCE)


def paho(version):
    return lasting(f'paho-{version}', version)


def away():
    for device in (paho(3), paho(5), Sdk3(), Sdk5()):
        assert not device.is_resumed
        device.subscribe('ok/away')
        device.leave()
    # This one is away with a will that is not due for an hour.
    wills = lasting('wills', 5, will=('ok/away/will', 'my last', False), will_properties={'WillDelayInterval': 3600})
    wills.breaks()
    watches = lasting('watches', 3)
    watches.subscribe('ok/away/will')
    watches.leave()
    # And this one does not acknowledge what it hears.
    silent = lasting('silent', 5, is_manual=True)
    silent.subscribe('ok/unanswered')
    says = Device('says-3', 3)
    says.publish('ok/unanswered', 'one')
    silent.hears('one')
    silent.breaks()
    says.publish('ok/unanswered', 'two')
    says.publish('ok/away', 'of 3')
    says.publish('ok/away', 'of 3, and not kept', qos=0)
    says.leave()
    says = Device('says-5', 5)
    says.publish(
        'ok/away', 'of 5', UserProperty=[('b', '1'), ('a', '2'), ('b', '1')], ContentType='text/plain', PayloadFormatIndicator=1,
        ResponseTopic='ok/answer', CorrelationData=b'7', MessageExpiryInterval=3600)
    says.publish('ok/retained', 'kept', retain=True)
    says.leave()


def back():
    says = Device('says-3', 3)
    for version in (3, 5):
        device = paho(version)
        assert device.is_resumed
        device.hears('of 3')
        heard = device.hears('of 5')
        if version == 5:
            assert heard.properties.UserProperty == [('b', '1'), ('a', '2'), ('b', '1')], heard.properties
            assert heard.properties.CorrelationData == b'7', heard.properties
            assert 0 < heard.properties.MessageExpiryInterval <= 3600, heard.properties
            has(heard.properties, ContentType='text/plain', PayloadFormatIndicator=1, ResponseTopic='ok/answer')
        # Its subscription is still there, and nothing else was.
        device.hears('of mosquitto 3', 'of mosquitto 5')
        says.publish('ok/away', f'live {version}')
        device.hears(*{3: ['live 3'], 5: ['live 3', 'live 5']}[version])
        device.leave()
    for device in (Sdk3(), Sdk5()):
        assert device.is_resumed
        for expected in ('of 3', 'of 5', 'of mosquitto 3', 'of mosquitto 5', 'live 3', 'live 5'):
            payload, packet = device.heard.get(timeout=PATIENCE)
            assert payload == expected, (payload, expected)
            if packet and expected == 'of 5':
                found = [(each.name, each.value) for each in packet.user_properties]
                assert found == [('b', '1'), ('a', '2'), ('b', '1')], found
                assert (packet.content_type, packet.response_topic) == ('text/plain', 'ok/answer'), packet
        device.leave()
    # Unanswered is not lost, and comes before what was never sent.
    silent = lasting('silent', 5)
    assert silent.is_resumed
    silent.hears('one', 'two')
    silent.leave()
    # Its session ends before the hour is over, and the will with it.
    watches = lasting('watches', 3)
    Device('wills', 5).leave()
    watches.hears('my last')
    watches.leave()
    late = Device('late', 3)
    late.subscribe('ok/retained')
    late.hears('kept', retain=True)
    late.leave()


{'away': away, 'back': back}[PHASE]()
print(json.dumps({}))
