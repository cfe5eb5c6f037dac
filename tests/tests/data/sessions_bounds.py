# What waits in memory for a connection, where the server's configuration allows seven messages: behind the one that is not
# answered seven wait, and the rest is dropped. PLACE says where the server is.
says, slow = Device('says', 3), Device('slow', is_manual=True, ReceiveMaximum=1)
slow.subscribe('ok/slow')
for number in range(20):
    says.publish('ok/slow', str(number))
heard = []
while len(heard) < 8:
    message = slow.message()
    heard.append(message.payload.decode())
    slow.client.ack(message.mid, 1)
says.publish('ok/slow', 'marker')
slow.hears('marker')
assert heard == [str(number) for number in range(8)], heard
# On the plain listener as many may be on their way.
has(Device('plain', plain=True).granted, ReceiveMaximum=7)
print('{}')
