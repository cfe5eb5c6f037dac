# Sessions on the plain listener that a data directory is kept with, and what is to be found of them. PHASE says which.
NEVER = 0xFFFFFFFF


def kept(client_id, version, **options):
    return lasting(client_id, version, plain=True, **({'SessionExpiryInterval': NEVER} if version == 5 else {}), **options)


def leave():
    for version in (3, 5):
        device = kept(f'kept-{version}', version)
        device.subscribe('kept/queue')
        device.leave()
    member = kept('kept-member', 5)
    member.subscribe('$share/group/kept/shared', id=7)
    member.leave()
    says = Device('says', plain=True)
    # What it was sent and did not answer: a message, and the end of one with QoS 2.
    silent = kept('kept-silent', 5, is_manual=True)
    silent.subscribe('kept/silent', qos=2)
    says.publish('kept/silent', 'unanswered')
    says.publish('kept/silent', 'half answered', qos=2)
    silent.hears('unanswered', 'half answered')
    silent.breaks()
    says.publish('kept/silent', 'never sent', qos=2)
    says.publish('kept/queue', 'short')
    says.publish(
        'kept/queue', 'long ' * 100, UserProperty=[('a', '1'), ('a', '2')], ContentType='text/plain', ResponseTopic='answer',
        CorrelationData=b'\0\1')
    says.publish('kept/shared', 'for one of them')
    for number in range(3):
        says.publish(f'kept/retained/{number}', f'retained {number}', retain=True, UserProperty=[('number', str(number))])
    says.publish('kept/retained/1', '', retain=True)
    kept('kept-will', 5, will=('kept/will', 'the last', True), will_properties={'WillDelayInterval': NEVER}).breaks()
    says.leave()


def back():
    for version in (3, 5):
        device = kept(f'kept-{version}', version)
        assert device.is_resumed
        device.hears('short')
        heard = device.hears('long ' * 100)
        if version == 5:
            assert heard.properties.UserProperty == [('a', '1'), ('a', '2')], heard.properties
            assert heard.properties.CorrelationData == b'\0\1', heard.properties
            has(heard.properties, ContentType='text/plain', ResponseTopic='answer')
        says = Device('says', plain=True)
        says.publish('kept/queue', 'live')
        device.hears('live')
        Device(f'kept-{version}', version, plain=True).leave()
        says.leave()
    silent = kept('kept-silent', 5)
    assert silent.is_resumed
    again = silent.hears('unanswered')
    assert again.dup
    silent.hears('never sent')
    silent.leave()
    member = kept('kept-member', 5)
    heard = member.hears('for one of them')
    assert heard.properties.SubscriptionIdentifier == [7], heard.properties
    member.leave()
    late = Device('late', plain=True)
    late.subscribe('kept/retained/+')
    found = sorted((each.topic, each.payload.decode(), each.properties.UserProperty) for each in (late.message(), late.message()))
    assert found == [(f'kept/retained/{each}', f'retained {each}', [('number', str(each))]) for each in (0, 2)], found
    late.subscribe('kept/will')
    # Its session ends, and the will is due.
    Device('kept-will', plain=True).leave()
    late.hears('the last')
    late.leave()


{'leave': leave, 'back': back}[PHASE]()
print('{}')
