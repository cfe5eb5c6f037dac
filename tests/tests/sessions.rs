//! Sessions that outlive their connections and the server, retained messages, shared subscriptions and wills, with the
//! clients that devices use, in MQTT 3.1.1 and 5. The scripts assert by themselves.

use std::net::SocketAddr;

use fleet::MqttClient;
use landfall_tests::{Aws, DataDir, FieldDevice, Mosquitto, Options, PATIENCE, Server};
use mqtt::Qos;
use serde_json::{Value, json};

const DEVICE: &str = include_str!("data/paho_device.py");
const AWAY: &str = include_str!("data/sessions_away.py");
const PAHO: &str = include_str!("data/sessions_paho.py");
const BOUNDS: &str = include_str!("data/sessions_bounds.py");
const SDK: &str = include_str!("data/sessions_sdk.py");
const JAVASCRIPT: &str = include_str!("data/sessions.js");

struct Place {
    server: Server,
    device: FieldDevice,
}

impl Place {
    async fn start() -> Self {
        Self::start_with(Server::start()).await
    }

    /// With a device that may do everything.
    async fn start_with(server: Server) -> Self {
        let statements = json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }]);
        let device = FieldDevice::active(&server, "device", &statements).await;
        Self { server, device }
    }

    /// SIGKILL, and a new server on the same directory.
    fn kill(mut self, data: &DataDir) -> Self {
        self.server.kill();
        Self { server: Server::start_on(data, &Options::default()), ..self }
    }

    fn aws(&self) -> Aws<'_> {
        self.server.aws()
    }

    fn place(&self) -> Value {
        self.device.place(&self.server)
    }

    /// With the plain listener, as a script has it.
    fn python_place(&self) -> String {
        let plain: SocketAddr = self.server.fact("plain_mqtt_addr").parse().expect("an address");
        format!("PLACE = {}\nPLACE['plain'] = {}", self.place(), plain.port())
    }

    fn mosquitto(&self, version: &str) -> Mosquitto {
        let version = ["-V", version];
        self.server.mosquitto().with_credential(&self.device.files(&self.server)).with_arguments(&version)
    }

    #[track_caller]
    fn python(&self, phase: &str) {
        let script = format!("PLACE = {}\nPHASE = '{phase}'\n{DEVICE}\n{AWAY}", self.place());
        assert_eq!(self.aws().python(&script), json!({}));
    }

    #[track_caller]
    fn javascript(&self, phase: &str) {
        let script = format!("const PLACE = {};\nconst PHASE = '{phase}';\n{JAVASCRIPT}", self.place());
        assert_eq!(self.aws().javascript(&script), json!({}));
    }
}

const MOSQUITTO: [(&str, &str, &[&str]); 2] =
    [("mosquitto-3", "mqttv311", &["-c"]), ("mosquitto-5", "mqttv5", &["-c", "-x", "3600"])];

/// Each client of each version hears, from publishers of both, what it has missed, though the server was killed meanwhile.
#[tokio::test]
async fn whoever_was_away_hears_what_was_said_though_the_server_was_killed() {
    let data = DataDir::new();
    let place = Place::start_with(Server::start_on(&data, &Options::default())).await;
    for (client_id, version, lasting) in MOSQUITTO {
        // -E: until the subscription is acknowledged.
        let mosquitto = place.mosquitto(version).with_arguments(lasting).with_arguments(&["-E"]);
        mosquitto.subscribe(client_id, "ok/away", 1).finish(PATIENCE).must_succeed();
    }
    place.javascript("away");
    place.python("away");
    for (name, version) in [("of mosquitto 3", "mqttv311"), ("of mosquitto 5", "mqttv5")] {
        place.mosquitto(version).publish("mosquitto-says", "ok/away", name).must_succeed();
    }
    let place = place.kill(&data);
    for (client_id, version, lasting) in MOSQUITTO {
        let mosquitto = place.mosquitto(version).with_arguments(lasting);
        let heard = mosquitto.subscribe(client_id, "ok/away", 4).finish(PATIENCE).must_succeed();
        let expected = ["of 3", "of 5", "of mosquitto 3", "of mosquitto 5"];
        assert_eq!(heard.stdout, expected.map(|payload| format!("ok/away {payload}\n")).concat(), "{client_id}");
    }
    place.javascript("back");
    place.python("back");
}

#[tokio::test]
async fn paho_finds_sessions_retained_messages_groups_and_wills() {
    let data = DataDir::new();
    let options = Options::with(&["--plain-mqtt-addr", "127.0.0.1:0"]);
    let place = Place::start_with(Server::start_on(&data, &options)).await;
    assert_eq!(place.aws().python(&format!("{}\n{DEVICE}\n{PAHO}", place.python_place())), json!({}));
}

#[tokio::test]
async fn the_device_sdk_finds_retained_messages_groups_and_wills() {
    let place = Place::start().await;
    assert_eq!(place.aws().python(&format!("PLACE = {}\n{SDK}", place.place())), json!({}));
}

/// mosquitto is killed: its will comes, in 3.1.1 at once, in 5 after its delay or when its session ends, and not at all when
/// it is back before.
#[tokio::test]
async fn mosquittos_wills_come_at_their_time() {
    let place = Place::start().await;
    let will = ["--will-topic", "ok/will", "--will-payload", "my last", "--will-qos", "1"];
    let three = place.mosquitto("mqttv311");
    let five = place.mosquitto("mqttv5").with_arguments(&["-c", "-x", "3600"]);
    let delayed =
        |s: &str| five.clone().with_arguments(&will).with_arguments(&["-D", "will", "will-delay-interval", s]);
    let kept = |mosquitto: &Mosquitto, count| mosquitto.subscribe("hears", "ok/will", count);
    let hears = three.clone().with_arguments(&["-c"]);
    kept(&hears.clone().with_arguments(&["-E"]), 1).finish(PATIENCE).must_succeed();
    let mut watches = place.device.connect(&place.server).await.expect("CONNACK");
    watches.subscribe("$aws/events/presence/connected/dies", Qos::AtLeastOnce).await.expect("SUBACK");
    for (what, mosquitto) in
        [("3.1.1", three.clone().with_arguments(&will)), ("at once", delayed("0")), ("delayed", delayed("1"))]
    {
        println!("{what}");
        dies(&mosquitto, &mut watches).await;
        let heard = kept(&hears, 1).finish(PATIENCE).must_succeed();
        assert_eq!(heard.stdout, "ok/will my last\n");
    }
    dies(&delayed("3000"), &mut watches).await;
    // Its session goes on without a will; when it ends, nothing comes.
    five.clone().with_arguments(&["-E"]).subscribe("dies", "ok/dies", 1).finish(PATIENCE).must_succeed();
    let clean = place.mosquitto("mqttv5").with_arguments(&["-E"]);
    clean.subscribe("dies", "ok/dies", 1).finish(PATIENCE).must_succeed();
    three.publish("says", "ok/will", "none before").must_succeed();
    assert_eq!(kept(&hears, 1).finish(PATIENCE).must_succeed().stdout, "ok/will none before\n");
    for _ in ["came back", "ended its session"] {
        watches.next_message().await.expect("an event");
    }
    dies(&delayed("3000"), &mut watches).await;
    clean.subscribe("dies", "ok/dies", 1).finish(PATIENCE).must_succeed();
    assert_eq!(kept(&hears, 1).finish(PATIENCE).must_succeed().stdout, "ok/will my last\n");
}

/// SIGKILL, once it is connected: what it prints comes late.
async fn dies(mosquitto: &Mosquitto, watches: &mut MqttClient) {
    let running = mosquitto.subscribe("dies", "ok/dies", 1);
    watches.next_message().await.expect("an event");
    drop(running);
}

/// mosquitto's own view of retained messages and groups.
#[tokio::test]
async fn mosquitto_finds_retained_messages_and_groups() {
    let place = Place::start().await;
    for version in ["mqttv311", "mqttv5"] {
        let mosquitto = place.mosquitto(version);
        let topic = format!("ok/retained/{version}");
        let retaining = mosquitto.clone().with_arguments(&["-r"]);
        retaining.publish("says", &topic, "older").must_succeed();
        retaining.publish("says", &topic, "kept").must_succeed();
        let printing = mosquitto.clone().with_arguments(&["-F", "%t %p %q %r"]);
        let heard = printing.subscribe("hears", &topic, 1).finish(PATIENCE).must_succeed();
        assert_eq!(heard.stdout, format!("{topic} kept 1 1\n"));

        // A group that is there only with a session: each message waits for one of its members.
        let lasting: &[&str] = if version == "mqttv5" { &["-c", "-x", "3600"] } else { &["-c"] };
        let member = mosquitto.clone().with_arguments(lasting);
        let group = format!("$share/{version}/ok/shared");
        for client_id in ["one", "other"] {
            let joins = member.clone().with_arguments(&["-E"]);
            joins.subscribe(&format!("{client_id}-{version}"), &group, 1).finish(PATIENCE).must_succeed();
        }
        for payload in ["1", "2", "3", "4"] {
            mosquitto.publish("says", "ok/shared", payload).must_succeed();
        }
        let mut heard = String::new();
        for client_id in ["one", "other"] {
            let client_id = format!("{client_id}-{version}");
            heard += &member.subscribe(&client_id, &group, 2).finish(PATIENCE).must_succeed().stdout;
        }
        let mut heard: Vec<&str> = heard.lines().collect();
        heard.sort_unstable();
        assert_eq!(heard, ["ok/shared 1", "ok/shared 2", "ok/shared 3", "ok/shared 4"]);
    }
}

/// The configuration's bounds hold: what finds no room is not kept, and what is there stays.
#[tokio::test]
async fn what_is_kept_has_the_bounds_of_the_configuration() {
    let options = Options {
        config: "[limits]\ndevice_inbox_messages = 7\nplain_in_flight = 7\n\
                 [broker]\nsessions = 1\nqueued_messages_per_session = 2\nretained_messages = 1\n",
        ..Options::with(&["--plain-mqtt-addr", "127.0.0.1:0"])
    };
    let place = Place::start_with(Server::start_on(&DataDir::new(), &options)).await;
    assert_eq!(place.aws().python(&format!("{}\n{DEVICE}\n{BOUNDS}", place.python_place())), json!({}));
    let mosquitto = place.mosquitto("mqttv311");
    let member = mosquitto.clone().with_arguments(&["-c"]);
    member.clone().with_arguments(&["-E"]).subscribe("kept", "ok/kept", 1).finish(PATIENCE).must_succeed();
    let refused = member.subscribe("one-too-many", "ok/kept", 1).finish(PATIENCE);
    assert!(!refused.is_success(), "{}", refused.text());
    for payload in ["1", "2", "3"] {
        mosquitto.publish("says", "ok/kept", payload).must_succeed();
    }
    let heard = member.subscribe("kept", "ok/kept", 2).finish(PATIENCE).must_succeed();
    assert_eq!(heard.stdout, "ok/kept 1\nok/kept 2\n");
    mosquitto.publish("says", "ok/kept", "4").must_succeed();
    let heard = member.subscribe("kept", "ok/kept", 1).finish(PATIENCE).must_succeed();
    assert_eq!(heard.stdout, "ok/kept 4\n", "the third found no room");

    let five = place.mosquitto("mqttv5").with_arguments(&["-r"]);
    five.publish("says", "ok/first", "kept").must_succeed();
    let refused = five.publish("says", "ok/second", "not kept");
    assert!(refused.text().contains("RC:151"), "Quota exceeded: {}", refused.text());
    five.publish("says", "ok/first", "replaced").must_succeed();
    let heard = mosquitto.subscribe("hears", "ok/first", 1).finish(PATIENCE).must_succeed();
    assert_eq!(heard.stdout, "ok/first replaced\n");
}
