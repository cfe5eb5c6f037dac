//! Every door for devices, with the clients that people use: the port where ALPN decides, WebSocket on it and on the API's
//! port, HTTPS with a client certificate, and the plain listener.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet::MqttClient;
use landfall_tests::{DataDir, FieldDevice, MetricsPage, OpenSsl, Operator, Options, Server};
use mqtt::packet::{Connect, Property};
use mqtt::{Qos, Version};
use serde_json::{Value, json};

const HTTPS: &str = include_str!("data/doors_https.py");

/// JSON as Python reads it.
fn python(value: &Value) -> String {
    value.to_string().replace(":null", ":None")
}

/// A server with all doors, and a device that may do everything under ok/.
struct Place {
    server: Server,
    device: FieldDevice,
}

async fn place(more: &[&str]) -> Place {
    let mut words = vec!["--alpn-addr", "127.0.0.1:0", "--plain-mqtt-addr", "127.0.0.1:0"];
    words.extend(more);
    let server = Server::start_on(&DataDir::new(), &Options::with(&words));
    let operator = Operator::of(&server);
    let ca = operator.register_ca("factory").await;
    let device = FieldDevice::new(&ca, "device");
    device.must_be_dropped(device.connect(&server).await);
    let resource = |kind: &str| operator.arn("iot", &format!("{kind}/ok/*"));
    let statements = json!([
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": "*" },
        {
            "Effect": "Allow",
            "Action": ["iot:Publish", "iot:Receive", "iot:RetainPublish", "iot:GetRetainedMessage"],
            "Resource": [resource("topic")],
        },
        { "Effect": "Allow", "Action": "iot:Subscribe", "Resource": [resource("topicfilter")] },
    ]);
    operator.create_policy("Ok", &statements).await;
    operator.attach_policy("Ok", &device.id()).await;
    operator.update_certificate(&device.id(), "ACTIVE").await;
    Place { server, device }
}

impl Place {
    fn port(&self, name: &str) -> u16 {
        self.server.fact(name).parse::<SocketAddr>().expect("an address").port()
    }

    fn openssl(&self) -> OpenSsl {
        OpenSsl::in_dir(self.server.data_path().join("openssl"))
    }

    /// One `POST` of hello: status and answer; 0 where TLS refused.
    fn https(&self, alpn: &str, path: &str, device: Option<&FieldDevice>) -> (u64, Value) {
        let files = device.map(|device| device.files(&self.server));
        let files = files.map(|files| json!([files.certificate, files.key]));
        self.asked(&json!({ "files": files, "alpn": alpn, "path": path }))
    }

    /// By the device's certificate.
    fn of_device(&self, method: &str, path: &str, headers: &Value) -> (u64, Value) {
        let files = self.device.files(&self.server);
        self.asked(&json!({
            "files": [files.certificate, files.key],
            "alpn": "x-amzn-http-ca",
            "method": method,
            "path": path,
            "headers": headers,
        }))
    }

    fn asked(&self, asked: &Value) -> (u64, Value) {
        let script = format!("PLACE = {}\nASKED = {}\n{HTTPS}", self.facts(), python(asked));
        let answer = self.server.aws().python(&script);
        (answer[0].as_u64().expect("a status"), answer[1].clone())
    }

    /// For the scripts.
    fn facts(&self) -> Value {
        let (files, credentials) = (self.device.files(&self.server), self.server.credentials());
        json!({
            "host": self.server.fact("endpoint"),
            "mqtt": self.server.mqtt_addr().port(),
            "alpn": self.port("alpn_addr"),
            "plain": self.port("plain_mqtt_addr"),
            "api": self.server.api_addr().port(),
            "root": self.server.root_ca(),
            "certificate": files.certificate,
            "key": files.key,
            "region": self.server.region(),
            "account": self.server.account(),
            "id": credentials.access_key_id,
            "secret": credentials.secret_access_key,
        })
    }
}

#[tokio::test]
async fn paho_speaks_websocket_in_every_way() {
    let place = place(&[]).await;
    let script = format!("PLACE = {}\n{}", place.facts(), include_str!("data/doors_paho.py"));
    assert_eq!(place.server.aws().python(&script), json!({}));
    place.server.wait_for_record(&["--client-id", "other-name"], "IAM_DOES_NOT_ALLOW");
    place.server.wait_for_record(&["--client-id", "role-goes"], "RIGHT_LOST");
}

#[tokio::test]
async fn awss_device_sdk_connects_by_port_by_alpn_and_by_websocket() {
    let place = place(&[]).await;
    let script = format!("PLACE = {}\n{}", place.facts(), include_str!("data/doors_sdk.py"));
    assert_eq!(place.server.aws().python(&script), json!({}));
}

#[tokio::test]
async fn mqtt_js_speaks_through_every_door() {
    let place = place(&[]).await;
    let script = format!("const PLACE = {};\n{}", place.facts(), include_str!("data/doors_mqtt.js"));
    assert_eq!(place.server.aws().javascript(&script), json!({}));
}

#[tokio::test]
async fn mosquitto_offers_alpn() {
    let place = place(&[]).await;
    let mut listening = place.device.connect_as(&place.server, "listens").await.expect("CONNACK");
    listening.subscribe("ok/#", Qos::AtLeastOnce).await.expect("SUBACK");
    let mosquitto = place.server.mosquitto().with_credential(&place.device.files(&place.server));
    let by_alpn = mosquitto.with_port(place.port("alpn_addr"));
    by_alpn
        .clone()
        .with_arguments(&["--tls-alpn", "x-amzn-mqtt-ca"])
        .publish("says", "ok/alpn", "hello")
        .must_succeed();
    let heard = listening.next_message().await.expect("a message");
    assert_eq!((heard.topic.as_str(), &heard.payload[..]), ("ok/alpn", &b"hello"[..]));
    for name in ["mqtt", "smtp"] {
        let refused = by_alpn.clone().with_arguments(&["--tls-alpn", name]).publish("says", "ok/alpn", "hello");
        assert_ne!(refused.code, Some(0), "{}", refused.text());
        let record = place.server.wait_for_record(&[], "ALPN_REFUSED");
        assert_eq!(record["alpn"], name);
    }
}

/// openssl's view: what is negotiated, and the alert.
#[tokio::test]
async fn alpn_decides() {
    let place = place(&[]).await;
    let openssl = place.openssl();
    let port = place.port("alpn_addr");
    for (offered, said) in [
        ("x-amzn-http-ca", "ALPN protocol: x-amzn-http-ca"),
        ("x-amzn-mqtt-ca", "ALPN protocol: x-amzn-mqtt-ca"),
        ("h2,http/1.1", "ALPN protocol: http/1.1"),
        ("mqtt", "no application protocol"),
        ("h2", "no application protocol"),
    ] {
        let finished = openssl.s_client(port, &format!("-alpn {offered}"), b"Q\n");
        assert!(finished.text().contains(said), "{offered}: {}", finished.text());
    }
}

/// A place at the devices' port is not for those who only ask and ask.
#[tokio::test]
async fn who_is_refused_by_https_is_let_go() {
    let place = place(&[]).await;
    for asked in ["POST /topics/ok/t", "GET /mqtt", "GET /_landfall/health", "GET /"] {
        let twice = format!("{asked} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n").repeat(2);
        let finished = place.openssl().s_client(place.port("alpn_addr"), "-quiet", twice.as_bytes());
        let said = finished.text().to_ascii_lowercase();
        assert_eq!(said.matches("http/1.1 4").count(), 1, "{asked}: {said}");
        assert!(said.contains("connection: close"), "{asked}: {said}");
    }
}

#[tokio::test]
async fn https_with_a_client_certificate_publishes() {
    let place = place(&[]).await;
    let mut listening = place.device.connect_as(&place.server, "listens").await.expect("CONNACK");
    listening.subscribe("ok/#", Qos::AtLeastOnce).await.expect("SUBACK");
    for (alpn, topic, status) in [
        ("x-amzn-http-ca", "ok/https", 200),
        ("http/1.1", "ok/https", 200),
        ("x-amzn-http-ca", "elsewhere", 403),
        ("x-amzn-http-ca", "%24aws%2Fevents%2Fx", 403),
    ] {
        let (found, body) = place.https(alpn, &format!("/topics/{topic}?qos=1"), Some(&place.device));
        assert_eq!(found, status, "{alpn} {topic}: {body}");
        if status == 200 {
            assert!(body["traceId"].is_string() && body["message"] == "OK", "{body}");
            let heard = listening.next_message().await.expect("a message");
            assert_eq!((heard.topic.as_str(), &heard.payload[..]), ("ok/https", &b"hello"[..]));
        } else {
            assert_eq!(body["message"], "Forbidden", "{body}");
        }
    }
    place.server.wait_for_record(&["--certificate", &place.device.id()], "POLICY_DOES_NOT_ALLOW");
    // Without a certificate and without a signature nobody is anybody, and this is no port for the API.
    assert_eq!(place.https("http/1.1", "/topics/ok/https", None).0, 403);
    assert_eq!(place.https("http/1.1", "/_landfall/health", None).0, 404);
    assert_eq!(place.https("http/1.1", "/mqtt", None).0, 405);
    place.server.wait_for_record(&[], "WEBSOCKET_REFUSED");
    // Only CONNECT registers.
    let stranger = FieldDevice::new(place.device.issuer(), "stranger");
    assert_eq!(place.https("x-amzn-http-ca", "/topics/ok/https", Some(&stranger)).0, 403);
    place.server.wait_for_record(&["--certificate", &stranger.id()], "CERTIFICATE_NOT_ACTIVE");
    let operator = Operator::of(&place.server);
    assert_eq!(
        operator.call("iot", fleet::Method::GET, &format!("/certificates/{}", stranger.id()), None).await.status,
        404
    );
    operator.update_certificate(&place.device.id(), "REVOKED").await;
    let revoked = place.https("x-amzn-http-ca", "/topics/ok/https", Some(&place.device));
    assert_eq!(revoked.0, 0, "TLS refuses it: {}", revoked.1);
    place.server.wait_for_record(&["--certificate", &place.device.id()], "CERTIFICATE_REVOKED");
}

#[tokio::test]
async fn https_with_a_client_certificate_carries_properties_and_reads_what_is_retained() {
    let place = place(&[]).await;
    let connect = Connect { version: Version::V5, ..Connect::new("listens") };
    let tls = place.device.tls(&place.server);
    let mut listening =
        MqttClient::connect(place.server.mqtt_addr(), &tls, connect, Duration::from_secs(20)).await.expect("CONNACK");
    listening.subscribe("ok/#", Qos::AtLeastOnce).await.expect("SUBACK");
    let user_properties = STANDARD.encode(r#"[{"site": "7"}]"#);
    let headers = json!({
        "x-amz-mqtt5-user-properties": user_properties,
        "x-amz-mqtt5-payload-format-indicator": "UTF8_DATA",
    });
    let path = "/topics/ok/kept?qos=1&retain=true&contentType=text%2Fplain&responseTopic=ok%2Freply&messageExpiry=600";
    assert_eq!(place.of_device("POST", path, &headers).0, 200);
    let heard = listening.next_message().await.expect("a message");
    let found = |wanted: &Property| heard.properties.iter().any(|property| property == wanted);
    assert!(found(&Property::ContentType("text/plain".to_owned())), "{:?}", heard.properties);
    assert!(found(&Property::UserProperty(("site".to_owned(), "7".to_owned()))), "{:?}", heard.properties);

    let none = json!({});
    let (status, kept) = place.of_device("GET", "/retainedMessage/ok%2Fkept", &none);
    assert_eq!((status, &kept["topic"]), (200, &json!("ok/kept")), "{kept}");
    assert_eq!(kept["payload"], STANDARD.encode("hello"), "{kept}");
    assert_eq!(place.of_device("GET", "/retainedMessage/ok%2Fother", &none).0, 404);
    // Each right for itself.
    assert_eq!(place.of_device("GET", "/retainedMessage/elsewhere", &none).0, 403);
    assert_eq!(place.of_device("GET", "/retainedMessage", &none).0, 403);
    let operator = Operator::of(&place.server);
    let list = json!([{ "Effect": "Allow", "Action": "iot:ListRetainedMessages", "Resource": "*" }]);
    operator.create_policy("Lists", &list).await;
    operator.attach_policy("Lists", &place.device.id()).await;
    let (status, listed) = place.of_device("GET", "/retainedMessage", &none);
    assert_eq!((status, &listed["retainedTopics"][0]["topic"]), (200, &json!("ok/kept")), "{listed}");
    // What is not for devices wants a signature.
    assert_eq!(place.of_device("DELETE", "/connections/listens", &none).0, 403);
    let calls =
        r#"landfall_api_calls_total{service="iot-data",operation="ListRetainedMessages",status="200",from="http"}"#;
    MetricsPage::wait(&place.server, |page| page.value(calls) == 1.0);
    let accepted = MetricsPage::of(&place.server).value(r#"landfall_connections_accepted_total{listener="alpn"}"#);
    assert!(accepted >= 1.0, "{accepted}");
}

/// boto3 against the devices' port: signed, as AWS's data endpoint is.
#[tokio::test]
async fn the_data_plane_is_served_to_signatures_on_the_devices_port() {
    let place = place(&[]).await;
    let script = format!(
        r#"
import boto3, botocore.exceptions, json
PLACE = {}
url = f"https://{{PLACE['host']}}:{{PLACE['alpn']}}"
data = boto3.client("iot-data", endpoint_url=url, verify=PLACE["root"])
data.publish(topic="ok/signed", qos=1, payload=b"hello")
control = boto3.client("iot", endpoint_url=url, verify=PLACE["root"])
try:
    control.list_things()
    said = "served"
except botocore.exceptions.ClientError as error:
    said = error.response["Error"]["Code"]
print(json.dumps(said))
"#,
        place.facts()
    );
    assert_eq!(place.server.aws().python(&script), json!("UnknownOperationException"));
}

#[test]
fn the_plain_listener_is_for_this_machine() {
    let said = Server::refusal(&DataDir::new(), &Options::with(&["--plain-mqtt-addr", "0.0.0.0:0"]));
    assert!(said.contains("plain_mqtt_addr") && said.contains("loopback"), "{said}");
}
