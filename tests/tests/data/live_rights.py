# What connected devices (paho, both versions of MQTT) feel of changes that an operator makes with boto3. Every wait is for
# the event itself. PLACE says where the server is, with what to connect and the certificate's ARN.
import json
import queue
import ssl

import boto3
import paho.mqtt.client as mqtt
from botocore.config import Config

PATIENCE = 20
NOT_AUTHORIZED = 0x87
CERTIFICATE = PLACE['arn']
ID = CERTIFICATE.split('/')[1]
iot = boto3.client('iot', config=Config(retries={'total_max_attempts': 1}))


class Device:
    def __init__(self, version):
        self.version = version
        self.events = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, 'pump', protocol=version, reconnect_on_failure=False
        )
        tell = lambda kind: lambda client, userdata, *args: self.events.put((kind, args))
        self.client.on_connect = tell('connect')
        self.client.on_disconnect = tell('disconnect')
        self.client.on_subscribe = tell('subscribe')
        self.client.on_publish = tell('publish')
        self.client.on_message = tell('message')
        self.client.tls_set(PLACE['root'], PLACE['certificate'], PLACE['key'], tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.connect(PLACE['host'], PLACE['port'], 60)
        self.client.loop_start()
        assert self.next('connect')[1] == 0
        self.client.subscribe('#', 1)
        assert self.next('subscribe')[1][0].value == 1

    def next(self, kind):
        got, args = self.events.get(timeout=PATIENCE)
        assert got == kind, (got, kind, [str(arg) for arg in args])
        return args

    # What comes of these topics: the last one must, and the acknowledgements of all.
    def hears(self, *topics):
        for topic in topics:
            self.client.publish(topic, 'x', 1)
        heard, acknowledged = [], 0
        while topics[-1] not in heard or acknowledged < len(topics):
            kind, args = self.events.get(timeout=PATIENCE)
            assert kind in ('message', 'publish'), (kind, [str(arg) for arg in args])
            if kind == 'message':
                heard.append(args[0].topic)
            else:
                acknowledged += 1
        return heard

    def ends(self):
        code = self.next('disconnect')[1]
        assert self.version == mqtt.MQTTv311 or code.value == NOT_AUTHORIZED, code
        self.client.loop_stop()

    def leaves(self):
        self.client.disconnect()
        self.next('disconnect')
        self.client.loop_stop()


def document(*statements):
    return json.dumps({'Version': '2012-10-17', 'Statement': [
        {'Effect': effect, 'Action': action, 'Resource': resource, 'Condition': condition}
        for effect, action, resource, condition in statements
    ]})


def allow(action, resource='*', **condition):
    return ('Allow', action, resource, condition)


def deny(action, resource='*', **condition):
    return ('Deny', action, resource, condition)


def attach(name):
    iot.attach_policy(policyName=name, target=CERTIFICATE)


def detach(name):
    iot.detach_policy(policyName=name, target=CERTIFICATE)


def edit(name, *statements):
    version = iot.create_policy_version(policyName=name, policyDocument=document(*statements), setAsDefault=True)
    return version['policyVersionId']


def back(name):
    iot.set_default_policy_version(policyName=name, policyVersionId='1')
    for version in iot.list_policy_versions(policyName=name)['policyVersions']:
        if not version['isDefaultVersion']:
            iot.delete_policy_version(policyName=name, policyVersionId=version['versionId'])


def status(status):
    iot.update_certificate(certificateId=ID, newStatus=status)


def thing(hall):
    iot.update_thing(thingName='pump', attributePayload={'attributes': {'hall': hall}})


def join():
    iot.attach_thing_principal(thingName='pump', principal=CERTIFICATE)


def part():
    iot.detach_thing_principal(thingName='pump', principal=CERTIFICATE)


PREFIX = CERTIFICATE.split('cert/')[0]
BY_NAME = allow('iot:Connect', PREFIX + 'client/${iot:Connection.Thing.ThingName}')
BY_HALL = allow('iot:Connect', StringEquals={'iot:Connection.Thing.Attributes[hall]': '7'})
UNATTACHED = [allow('iot:Connect'), deny('iot:Connect', Bool={'iot:Connection.Thing.IsAttached': 'true'})]

iot.create_policy(policyName='Connect', policyDocument=document(allow('iot:Connect')))
iot.create_policy(policyName='Use', policyDocument=document(allow(['iot:Publish', 'iot:Subscribe'])))
iot.create_policy(policyName='Hear', policyDocument=document(allow('iot:Receive')))
iot.create_policy(policyName='Nobody', policyDocument=document(deny('iot:Connect')))
iot.create_thing(thingName='pump', attributePayload={'attributes': {'hall': '7'}})
for name in ['Connect', 'Use', 'Hear']:
    attach(name)
status('ACTIVE')


def older_default():
    edit('Connect', allow('iot:Publish'))
    iot.set_default_policy_version(policyName='Connect', policyVersionId='1')
    return lambda: iot.set_default_policy_version(policyName='Connect', policyVersionId=highest('Connect'))


def highest(name):
    return max(iot.list_policy_versions(policyName=name)['policyVersions'], key=lambda v: int(v['versionId']))['versionId']


# What is so before the device connects, what ends its connection, and what undoes both.
ENDS = [
    (lambda: None, lambda: status('INACTIVE'), lambda: status('ACTIVE')),
    (lambda: None, lambda: detach('Connect'), lambda: attach('Connect')),
    (lambda: None, lambda: attach('Nobody'), lambda: detach('Nobody')),
    (lambda: None, lambda: edit('Connect', allow('iot:Publish')), lambda: back('Connect')),
    (lambda: edit('Connect', BY_NAME) and join(), part, lambda: back('Connect')),
    (lambda: edit('Connect', BY_HALL) and join(), lambda: thing('8'), lambda: (thing('7'), part(), back('Connect'))),
    (lambda: edit('Connect', *UNATTACHED), join, lambda: (part(), back('Connect'))),
]

for version in [mqtt.MQTTv311, mqtt.MQTTv5]:
    for before, change, after in ENDS:
        before()
        device = Device(version)
        assert device.hears('a', 'b') == ['a', 'b']
        change()
        device.ends()
        after()

    # An older version comes back into force: the device is let in by the one and thrown out by the other.
    change = older_default()
    device = Device(version)
    change()
    device.ends()
    back('Connect')

    # Receiving stops and begins again; the connection stays through all of it.
    device = Device(version)
    detach('Hear')
    iot.create_policy(policyName='End', policyDocument=document(allow('iot:Receive', PREFIX + 'topic/end')))
    attach('End')
    assert device.hears('a', 'end') == ['end']
    attach('Hear')
    assert device.hears('a', 'end') == ['a', 'end']
    edit('Hear', allow('iot:Receive'), deny('iot:Receive', PREFIX + 'topic/secret/*'))
    assert device.hears('secret/a', 'a', 'end') == ['a', 'end']
    edit('Hear', allow('iot:Receive', PREFIX + 'topic/${iot:Connection.Thing.Attributes[hall]}/*'))
    assert device.hears('7/a', 'end') == ['end']
    join()
    assert device.hears('7/a', '8/a', 'end') == ['7/a', 'end']
    thing('8')
    assert device.hears('7/a', '8/a', 'end') == ['8/a', 'end']
    # A version that is not in force is nobody's: the connection does not notice that it goes.
    iot.delete_policy_version(policyName='Hear', policyVersionId='1')
    assert device.hears('8/a', 'end') == ['8/a', 'end']
    part()
    iot.delete_thing(thingName='pump')
    assert device.hears('8/a', 'end') == ['end']
    # The right to subscribe is asked on SUBSCRIBE; a subscription that was granted goes on.
    edit('Use', allow('iot:Publish'))
    assert device.hears('a', 'end') == ['end']
    edit('End', allow('iot:Receive'))
    assert device.hears('a', 'end') == ['a', 'end']
    device.client.subscribe('more', 1)
    assert device.next('subscribe')[1][0].value >= 0x80
    device.leaves()
    detach('End')
    back('End')
    iot.delete_policy(policyName='End')
    back('Use')
    detach('Hear')
    for policy_version in iot.list_policy_versions(policyName='Hear')['policyVersions']:
        if not policy_version['isDefaultVersion']:
            iot.delete_policy_version(policyName='Hear', policyVersionId=policy_version['versionId'])
    iot.delete_policy(policyName='Hear')
    iot.create_policy(policyName='Hear', policyDocument=document(allow('iot:Receive')))
    attach('Hear')
    iot.create_thing(thingName='pump', attributePayload={'attributes': {'hall': '7'}})

# A revoked certificate is the end of its connections; deleting one needs it inactive, which ends them before.
device = Device(mqtt.MQTTv5)
status('REVOKED')
device.ends()
print('{}')
