# The AWS IoT Device SDK for Python v2, as its samples use it: by certificate on 8883's port, by certificate with ALPN, and
# by WebSocket with a signature; MQTT 5 and 3.1.1. PLACE says where the server is.
from concurrent.futures import Future

from awscrt import auth, io, mqtt, mqtt5
from awsiot import mqtt5_client_builder, mqtt_connection_builder

PATIENCE = 20
ROOT = open(PLACE["root"], "rb").read()
FILES = {"cert_filepath": PLACE["certificate"], "pri_key_filepath": PLACE["key"]}
provider = lambda: auth.AwsCredentialsProvider.new_static(PLACE["id"], PLACE["secret"])


def five(make, client_id, **options):
    connected, stopped, heard = Future(), Future(), Future()

    def failed(data):
        if not connected.done():
            connected.set_exception(data.exception)

    client = make(
        endpoint=PLACE["host"],
        ca_bytes=ROOT,
        client_id=client_id,
        on_lifecycle_connection_success=lambda data: connected.set_result(data.negotiated_settings),
        on_lifecycle_connection_failure=failed,
        on_lifecycle_stopped=lambda data: stopped.set_result(None),
        on_publish_received=lambda data: heard.set_result(data.publish_packet.payload),
        **options,
    )
    client.start()
    assert connected.result(PATIENCE).maximum_qos == 1
    topic = f"ok/{client_id}"
    at_least_once = mqtt5.QoS.AT_LEAST_ONCE
    wanted = mqtt5.SubscribePacket([mqtt5.Subscription(topic, at_least_once)])
    assert client.subscribe(wanted).result(PATIENCE).reason_codes[0] == 1
    sent = client.publish(mqtt5.PublishPacket(topic=topic, payload=b"hello", qos=at_least_once))
    assert sent.result(PATIENCE).puback.reason_code == 0
    assert heard.result(PATIENCE) == b"hello"
    client.stop()
    stopped.result(PATIENCE)


def three(make, client_id, **options):
    connection = make(endpoint=PLACE["host"], ca_bytes=ROOT, client_id=client_id, **options)
    connection.connect().result(PATIENCE)
    heard = Future()
    topic = f"ok/{client_id}"
    subscribed, _ = connection.subscribe(topic, mqtt.QoS.AT_LEAST_ONCE, lambda topic, payload, **_: heard.set_result(payload))
    assert subscribed.result(PATIENCE)["qos"] == mqtt.QoS.AT_LEAST_ONCE
    connection.publish(topic, "hello", mqtt.QoS.AT_LEAST_ONCE)[0].result(PATIENCE)
    assert heard.result(PATIENCE) == b"hello"
    connection.disconnect().result(PATIENCE)


# The builder offers x-amzn-mqtt-ca by itself on 443; elsewhere it is told so, or the port decides.
def by_alpn(builder):
    def make(**options):
        return builder(**options)

    return make


five(mqtt5_client_builder.mtls_from_path, "five-8883", port=PLACE["mqtt"], **FILES)
three(mqtt_connection_builder.mtls_from_path, "three-8883", port=PLACE["mqtt"], **FILES)

# What the SDK does by itself on port 443, it is told here: the port is another one.
original = io.TlsContextOptions.create_client_with_mtls_from_path


def with_alpn(*args):
    options = original(*args)
    options.alpn_list = ["x-amzn-mqtt-ca"]
    return options


io.TlsContextOptions.create_client_with_mtls_from_path = staticmethod(with_alpn)
five(mqtt5_client_builder.mtls_from_path, "five-alpn", port=PLACE["alpn"], **FILES)
three(mqtt_connection_builder.mtls_from_path, "three-alpn", port=PLACE["alpn"], **FILES)
io.TlsContextOptions.create_client_with_mtls_from_path = original

signed = {"region": PLACE["region"], "credentials_provider": provider(), "port": PLACE["alpn"]}
five(mqtt5_client_builder.websockets_with_default_aws_signing, "five-websocket", **signed)
three(mqtt_connection_builder.websockets_with_default_aws_signing, "three-websocket", **signed)
print("{}")
