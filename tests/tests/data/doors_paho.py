# MQTT over WebSocket with paho, in both versions: presigned by boto3's signer, signed in headers, with a client
# certificate, and what is refused. PLACE says where the server is and whose keys there are.
import json
import queue
import ssl

import boto3
import paho.mqtt.client as mqtt
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from urllib.parse import quote

PATIENCE = 20
VERSIONS = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}


def root():
    return Credentials(PLACE["id"], PLACE["secret"])


def url(door):
    scheme = "https" if door == "alpn" else "http"
    return f"{scheme}://{PLACE['host']}:{PLACE[door]}/mqtt"


def path_of(request):
    return "/mqtt?" + request.url.split("?", 1)[1]


def presigned(door, credentials, service="iotdevicegateway", expires=300):
    request = AWSRequest("GET", url(door))
    SigV4QueryAuth(credentials, service, PLACE["region"], expires=expires).add_auth(request)
    return path_of(request)


def appended(door, credentials):
    """As AWS's own clients do: the token is put behind what was signed without it."""
    bare = Credentials(credentials.access_key, credentials.secret_key)
    return presigned(door, bare) + "&X-Amz-Security-Token=" + quote(credentials.token, safe="")


def signed_headers(door, credentials):
    request = AWSRequest("GET", url(door))
    SigV4Auth(credentials, "iotdevicegateway", PLACE["region"]).add_auth(request)
    return dict(request.headers.items())


class Client:
    def __init__(self, door, client_id, path="/mqtt", headers=None, certificate=False, protocol=mqtt.MQTTv311):
        self.events = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id,
            protocol=protocol,
            transport="websockets",
            reconnect_on_failure=False,
        )
        tell = lambda kind: lambda client, userdata, *args: self.events.put((kind, args))
        self.client.on_connect = tell("connect")
        self.client.on_disconnect = tell("disconnect")
        self.client.on_subscribe = tell("subscribe")
        self.client.on_publish = tell("publish")
        self.client.on_message = tell("message")
        add = (lambda own: {**own, **headers}) if headers else None
        self.client.ws_set_options(path, add)
        if door == "alpn":
            files = (PLACE["certificate"], PLACE["key"]) if certificate else (None, None)
            self.client.tls_set(PLACE["root"], *files, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.connect(PLACE["host"], PLACE[door])
        self.client.loop_start()

    def next(self, kind):
        got, args = self.events.get(timeout=PATIENCE)
        assert got == kind, (got, kind, [str(arg) for arg in args])
        return args

    def connected(self):
        assert self.next("connect")[1] == 0
        return self

    def subscribe(self, topic):
        self.client.subscribe(topic, 1)
        return [code.value for code in self.next("subscribe")[1]]

    def publish(self, topic, payload):
        self.client.publish(topic, payload, 1)
        self.next("publish")

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def talks(client):
    """There and back, small and as large as AWS allows: more than one frame, and more than one read."""
    topic = "ok/doors"
    assert client.subscribe(topic) == [1]
    for payload in [b"small", bytes(range(256)) * 512]:
        client.client.publish(topic, payload, 1)
        kinds = [client.events.get(timeout=PATIENCE) for _ in range(2)]
        heard = [args[0].payload for kind, args in kinds if kind == "message"]
        assert heard == [payload], [kind for kind, _ in kinds]
    client.end()


def refused(open):
    """Without 101 paho says that it is no WebSocket."""
    try:
        client = open()
    except mqtt.WebsocketConnectionError:
        return
    got, args = client.events.get(timeout=PATIENCE)
    assert got in ("disconnect", "connect") and args[1] != 0, (got, args)


for door in ["alpn", "api"]:
    for name, protocol in VERSIONS.items():
        talks(Client(door, f"presigned-{door}-{name}", presigned(door, root()), protocol=protocol).connected())
    talks(Client(door, f"signed-{door}", headers=signed_headers(door, root())).connected())

talks(Client("alpn", "with-certificate", certificate=True).connected())
talks(Client("alpn", "with-certificate", certificate=True, protocol=mqtt.MQTTv5).connected())

wrong = Credentials(PLACE["id"], "wrong")
refused(lambda: Client("api", "forger", presigned("api", wrong)))
refused(lambda: Client("api", "forger", presigned("api", root(), service="iot")))
refused(lambda: Client("api", "nobody"))
refused(lambda: Client("alpn", "nobody"))

# A role's session: what its policies allow, and only as long as they do.
iam, sts = boto3.client("iam"), boto3.client("sts")
account = PLACE["account"]
trust = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"},
    ],
}
role = iam.create_role(RoleName="talker", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
arn = lambda kind: f"arn:aws:iot:{PLACE['region']}:{account}:{kind}"


def allow(*statements):
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": action, "Resource": arn(kind)} for action, kind in statements],
    }
    iam.put_role_policy(RoleName="talker", PolicyName="talk", PolicyDocument=json.dumps(document))


everything = [
    ("iot:Connect", "client/role-*"),
    ("iot:Publish", "topic/ok/*"),
    ("iot:Receive", "topic/ok/*"),
    ("iot:Subscribe", "topicfilter/ok/*"),
]
allow(*everything)
given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session")["Credentials"]
session = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
talks(Client("api", "role-inside", presigned("api", session)).connected())
talks(Client("alpn", "role-appended", appended("alpn", session)).connected())

five = Client("alpn", "other-name", appended("alpn", session), protocol=mqtt.MQTTv5)
assert five.next("connect")[1].value == 0x87
stays = Client("api", "role-stays", presigned("api", session), protocol=mqtt.MQTTv5).connected()
assert stays.subscribe("elsewhere") == [0x87]
assert stays.subscribe("ok/live") == [1]
publisher = Client("api", "publishes", presigned("api", root())).connected()
publisher.publish("ok/live", "heard")
assert stays.next("message")[0].payload == b"heard"
# Taken away on the live connection, right by right.
allow(("iot:Connect", "client/role-*"), ("iot:Publish", "topic/ok/*"))
publisher.publish("ok/live", "not heard")
stays.client.publish("ok/said", "still", 1)
stays.next("publish")
allow(("iot:Publish", "topic/ok/*"))
assert stays.next("disconnect")[1].value == 0x87
refused(lambda: Client("api", "role-again", presigned("api", session)))
allow(*everything)
goes = Client("api", "role-goes", presigned("api", session), protocol=mqtt.MQTTv5).connected()
iam.delete_role_policy(RoleName="talker", PolicyName="talk")
iam.delete_role(RoleName="talker")
assert goes.next("disconnect")[1].value == 0x87
publisher.end()
print("{}")
