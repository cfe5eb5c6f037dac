# What sessions, retained messages, shared subscriptions and wills are to paho, in MQTT 3.1.1 and 5. It asserts by itself and
# prints `{}`. That something does not come is told by what comes after it.
import json
import time


def retained():
    for version, other in ((3, 5), (5, 3)):
        topic = f'ok/retained/{version}'
        says, hears = Device('says', version), Device('hears', other)
        says.publish(topic, 'first', retain=True)
        hears.subscribe(topic)
        hears.hears('first', retain=True)
        says.publish(topic, 'second', retain=True)
        hears.hears('second')
        late = Device('late', other)
        late.subscribe(topic)
        late.hears('second', retain=True)
        # As on AWS wildcards and groups get none.
        for filter in ('ok/retained/+', f'$share/late/{topic}'):
            wild = Device('wild', other)
            wild.subscribe(filter)
            says.publish(topic, 'not kept')
            wild.hears('not kept')
            wild.leave()
            for device in (hears, late):
                device.hears('not kept')
        # Subscribers hear of the end of it.
        says.publish(topic, '', retain=True)
        for device in (hears, late):
            device.hears('')
        after = Device('after', other)
        after.subscribe(topic)
        says.publish(topic, 'live')
        for device in (after, hears, late):
            device.hears('live')
            device.leave()
        says.leave()


def retain_handling():
    says, hears = Device('says'), Device('hears')
    says.publish('ok/handling', 'kept', retain=True)
    hears.subscribe('ok/handling', retainHandling=2)
    hears.subscribe('ok/handling', retainHandling=1)
    says.publish('ok/handling', 'live')
    hears.hears('live')
    hears.subscribe('ok/handling', retainHandling=0)
    hears.hears('kept', retain=True)
    hears.unsubscribe('ok/handling')
    hears.subscribe('ok/handling', retainHandling=1)
    hears.hears('kept', retain=True)
    # As it was published, or as it is to a subscriber who has been there.
    hears.subscribe('ok/handling', retainHandling=2, retainAsPublished=True)
    says.publish('ok/handling', 'next', retain=True)
    hears.hears('next', retain=True)
    hears.subscribe('ok/handling', retainHandling=2, retainAsPublished=False)
    says.publish('ok/handling', 'last', retain=True)
    hears.hears('last')
    for device in (says, hears):
        device.leave()


# What members of a group have heard until each has heard the marker that is for it alone.
def heard_until(says, members, marker):
    heard = {}
    for name, member in members.items():
        says.publish(f'ok/only/{name}', marker)
        heard[name] = []
        while (payload := member.message().payload.decode()) != marker:
            heard[name].append(payload)
    return heard


def shared():
    says, alone = Device('says', 3), Device('alone')
    alone.subscribe('ok/shared')
    members = {name: Device(name, version) for name, version in (('a', 3), ('b', 5), ('c', 5))}
    for name, member in members.items():
        member.subscribe(f'ok/only/{name}')
        member.subscribe('$share/group/ok/shared')
    absent = lasting('absent', 5)
    absent.subscribe('$share/group/ok/shared')
    absent.leave()
    told = [str(number) for number in range(30)]
    for payload in told:
        says.publish('ok/shared', payload)
    alone.hears(*told)
    heard = heard_until(says, members, 'first marker')
    assert all(heard.values()), heard
    assert sorted(sum(heard.values(), []), key=int) == told, heard
    # One leaves: the others take its share.
    members.pop('a').leave()
    members['b'].unsubscribe('$share/group/ok/shared')
    for payload in told:
        says.publish('ok/shared', payload)
    assert heard_until(says, members, 'second marker') == {'b': [], 'c': told}
    alone.hears(*told)
    # With nobody there it waits for who has a session.
    for member in members.values():
        member.leave()
    says.publish('ok/shared', 'for later')
    absent = lasting('absent', 5)
    assert absent.is_resumed
    absent.hears('for later')
    alone.hears('for later')
    absent.leave(expiry_s=0)
    says.leave()
    alone.leave()


# A client that goes without having acknowledged leaves its share to the group, if its session ends with it.
def shared_in_flight():
    says = Device('says', 3)
    goes = Device('goes', 5, is_manual=True)
    goes.subscribe('$share/flight/ok/flight')
    says.publish('ok/flight', 'one')
    says.publish('ok/flight', 'two')
    goes.hears('one', 'two')
    stays = Device('stays', 3)
    stays.subscribe('$share/flight/ok/flight')
    goes.breaks()
    stays.hears('one', 'two')
    for device in (says, stays):
        device.leave()


def wills():
    hears = lasting('hears', 3)
    hears.subscribe('ok/will')
    will = ('ok/will', 'my last', False)
    # At once in 3.1.1, whether its session stays or not, and in 5 without a delay; not after a proper end.
    for version in (3, 5):
        Device('dies', version, will=will).breaks()
        hears.hears('my last')
        lasting('dies', version, will=will).breaks()
        hears.hears('my last')
        Device('dies', version, will=will).leave()
    # With a delay, in its time.
    delayed = lambda delay_s: lasting('dies', 5, will=will, will_properties={
        'WillDelayInterval': delay_s, 'ContentType': 'text/plain', 'UserProperty': [('of', 'will')]})
    delayed(1).breaks()
    hears.hears('my last')
    # Or when its session ends before. Its properties go with it.
    watches = Device('watches', 5)
    watches.subscribe('ok/will')
    delayed(3000).breaks()
    Device('dies', 5).leave()
    hears.hears('my last')
    heard = watches.hears('my last')
    has(heard.properties, ContentType='text/plain')
    assert heard.properties.UserProperty == [('of', 'will')], heard.properties
    # The client has come back: nothing comes of it, not even when its session ends.
    delayed(3000).breaks()
    again = lasting('dies', 5)
    assert again.is_resumed
    again.leave(expiry_s=0)
    # A will for those who come later.
    hears.subscribe('ok/will/kept')
    Device('dies', 5, will=('ok/will/kept', 'kept', True)).breaks()
    hears.hears('kept')
    late = Device('late', 3)
    late.subscribe('ok/will/kept')
    late.hears('kept', retain=True)
    for device in (late, watches, hears):
        device.leave()


def ends_of_sessions():
    watches = Device('watches')
    watches.subscribe('ok/will')
    # No more than the server keeps; it says so.
    most = Device('most', clean=False, SessionExpiryInterval=7200)
    has(most.granted, SessionExpiryInterval=3600)
    most.leave(expiry_s=0)
    # It ends in its time: the will that would have come later comes then.
    brief = Device(
        'brief', clean=False, SessionExpiryInterval=1, will=('ok/will', 'it has ended', False),
        will_properties={'WillDelayInterval': 3000})
    brief.subscribe('ok/brief')
    brief.breaks()
    watches.hears('it has ended')
    again = Device('brief', clean=False)
    assert not again.is_resumed
    again.leave()
    # Or with the last word of the client; clean ones with their connection; one version's is not the other's.
    for first, last, version in (
        (lambda: lasting('short', 5), {'expiry_s': 0}, 5), (lambda: lasting('short', 5), {}, 3),
        (lambda: lasting('short', 3), {}, 5), (lambda: Device('short', 5), {}, 5), (lambda: Device('short', 3), {}, 3)):
        device = first()
        device.subscribe('ok/short')
        device.leave(**last)
        again = lasting('short', version)
        assert not again.is_resumed, (last, version)
        again.leave()
        Device('short', version).leave()
    # Otherwise it goes on.
    lasting('long', 5).leave()
    again = lasting('long', 5)
    assert again.is_resumed
    again.leave(expiry_s=0)
    watches.leave()


def expiring_messages():
    says = Device('says')
    devices = {version: lasting(f'expiring-{version}', version) for version in (3, 5)}
    for device in devices.values():
        device.subscribe('ok/expiring')
        device.leave()
    says.publish('ok/expiring', 'too old', MessageExpiryInterval=1)
    says.publish('ok/expiring', 'in time', MessageExpiryInterval=3600)
    says.publish('ok/expiring', 'any time')
    says.publish('ok/expiring/retained', 'too old', retain=True, MessageExpiryInterval=1)
    # That time passes is what it is about.
    time.sleep(1.5)
    for version in devices:
        device = lasting(f'expiring-{version}', version)
        heard = device.hears('in time')
        if version == 5:
            assert 0 < heard.properties.MessageExpiryInterval < 3600, heard.properties
        device.hears('any time')
        device.subscribe('ok/expiring/retained')
        says.publish('ok/expiring/retained', 'live')
        device.hears('live')
        device.leave()
        Device(f'expiring-{version}', version).leave()
    says.leave()


def receive_maximum():
    says = Device('says')
    slow = Device('slow', is_manual=True, ReceiveMaximum=2)
    slow.subscribe('ok/slow')
    for number in range(5):
        says.publish('ok/slow', str(number))
    heard = [slow.message(), slow.message()]
    # Others than messages go on: the third would have come before this answer.
    slow.subscribe('ok/other')
    for number in range(2, 5):
        slow.client.ack(heard[number - 2].mid, 1)
        heard.append(slow.message())
    assert [message.payload.decode() for message in heard] == ['0', '1', '2', '3', '4'], heard
    assert len({heard[0].mid, heard[1].mid}) == 2
    slow.leave()
    says.leave()


# On the plain listener: what AWS leaves out of the standards.
def plain():
    says = Device('plain-says', plain=True)
    hears = lasting('plain-hears', 5, plain=True)
    has(hears.granted, SubscriptionIdentifierAvailable=1, MaximumQoS=None)
    says.publish('kept/a', 'kept', retain=True)
    hears.subscribe('kept/+', qos=2, id=1)
    kept = hears.hears('kept', retain=True)
    assert kept.properties.SubscriptionIdentifier == [1], kept.properties
    hears.subscribe('kept/#', qos=2, id=268435455, retainHandling=2)
    says.publish('kept/b', 'both', qos=2)
    heard = hears.hears('both')
    assert heard.qos == 2 and sorted(heard.properties.SubscriptionIdentifier) == [1, 268435455], heard.properties
    # They are part of the session.
    hears.leave()
    says.publish('kept/c', 'later', qos=2)
    hears = lasting('plain-hears', 5, plain=True)
    assert hears.is_resumed
    heard = hears.hears('later')
    assert heard.qos == 2 and sorted(heard.properties.SubscriptionIdentifier) == [1, 268435455], heard.properties
    hears.leave(expiry_s=0)
    says.leave()


for check in (retained, retain_handling, shared, shared_in_flight, wills, ends_of_sessions, expiring_messages, receive_maximum, plain):
    try:
        check()
    except BaseException as error:
        raise AssertionError(check.__name__) from error
print(json.dumps({}))
