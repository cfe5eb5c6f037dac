//! The server is killed fifty times at random while publishers publish with QoS 1 and subscribers with persistent
//! sessions come and go: no message that was acknowledged is lost, each publisher's messages arrive in their order, and
//! one comes twice only where the publisher sent it twice or the server had to send it again over another connection.
//!
//! The seed of the moments is printed; `SESSIONS_CRASH_SEED` repeats it, as far as a race can be repeated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet::{ClientTls, MqttClient};
use landfall_tests::{DataDir, FieldDevice, Operator, Options, PATIENCE, Server};
use mqtt::Qos;
use mqtt::packet::Connect;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

const KILLS: u32 = 50;
const PUBLISHERS: usize = 3;
const SUBSCRIBERS: usize = 2;
/// Of the clients: a killed server answers no more.
const DEADLINE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(10);

/// What all clients know.
#[derive(Clone)]
struct Place {
    tls: ClientTls,
    address: watch::Receiver<SocketAddr>,
    stop: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Said {
    acknowledged: u32,
    /// How often each was sent.
    times: BTreeMap<u32, u32>,
}

/// Of one subscriber and one publisher, in the order of arrival: the message, and by which connection.
type Heard = Vec<(u32, u32)>;

impl Place {
    async fn connect(&self, client_id: &str) -> Option<MqttClient> {
        let connect = Connect { clean: false, ..Connect::new(client_id) };
        let address = *self.address.borrow();
        match MqttClient::connect(address, &self.tls, connect, DEADLINE).await {
            Ok(client) => Some(client),
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                None
            }
        }
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }
}

async fn publish(place: Place, number: usize) -> Said {
    let topic = format!("ok/{number}");
    let mut said = Said::default();
    while !place.is_stopped() {
        let Some(mut client) = place.connect(&format!("publisher-{number}")).await else { continue };
        while !place.is_stopped() {
            let next = said.acknowledged + 1;
            *said.times.entry(next).or_default() += 1;
            if client.publish_at_least_once(&topic, next.to_string()).await.is_err() {
                break;
            }
            said.acknowledged = next;
        }
    }
    said
}

/// Until it has heard the last word of each publisher, once those are known.
async fn listen(place: Place, number: usize, mut last: watch::Receiver<Option<Vec<u32>>>) -> Vec<Heard> {
    let mut random = Random(number as u64 + 1);
    let mut heard = vec![Heard::new(); PUBLISHERS];
    let mut connection = 0;
    loop {
        let Some(mut client) = place.connect(&format!("subscriber-{number}")).await else { continue };
        connection += 1;
        // It goes without a word, and comes back to its session.
        for _ in 0..random.below(200) + 1 {
            let is_complete = |heard: &[Heard]| {
                let last = last.borrow();
                let arrived = |(heard, last): (&Heard, &u32)| heard.iter().any(|(message, _)| message == last);
                last.as_ref().is_some_and(|last| heard.iter().zip(last).all(arrived))
            };
            if is_complete(&heard) {
                return heard;
            }
            let message = tokio::select! {
                message = client.next_message() => message,
                _ = last.changed() => continue,
            };
            let Ok(message) = message else { break };
            let publisher: usize = message.topic.as_str()["ok/".len()..].parse().expect("a number");
            let text = std::str::from_utf8(&message.payload).expect("a number");
            heard[publisher].push((text.parse().expect("a number"), connection));
        }
    }
}

async fn prepare(server: &Server) -> FieldDevice {
    let operator = Operator::of(server);
    let ca = operator.register_ca("factory").await;
    let device = FieldDevice::new(&ca, "device");
    device.must_be_dropped(device.connect(server).await);
    operator.create_policy("All", &json!([{ "Effect": "Allow", "Action": "iot:*", "Resource": "*" }])).await;
    operator.attach_policy("All", &device.id()).await;
    operator.update_certificate(&device.id(), "ACTIVE").await;
    device
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_fifty_times() {
    let seed = std::env::var("SESSIONS_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_nanos()) + 1)
    });
    println!("SESSIONS_CRASH_SEED={seed}");
    let mut random = Random(seed);
    let data = DataDir::new();
    let mut server = Server::start_on(&data, &Options::default());
    let device = prepare(&server).await;
    let (address, addresses) = watch::channel(server.mqtt_addr());
    let (stop, stopped) = watch::channel(false);
    let (tell_last, last) = watch::channel(None);
    let place = Place { tls: device.tls(&server), address: addresses, stop: stopped };
    for number in 0..SUBSCRIBERS {
        let mut client = place.connect(&format!("subscriber-{number}")).await.expect("CONNACK");
        client.subscribe("ok/#", Qos::AtLeastOnce).await.expect("SUBACK");
    }
    let mut subscribers = JoinSet::new();
    for number in 0..SUBSCRIBERS {
        subscribers.spawn(listen(place.clone(), number, last.clone()));
    }
    let publishers: Vec<_> = (0..PUBLISHERS).map(|number| tokio::spawn(publish(place.clone(), number))).collect();
    for _ in 0..KILLS {
        // When it dies is what the test is about.
        tokio::time::sleep(Duration::from_millis(random.below(250))).await;
        server.kill();
        server = Server::start_on(&data, &Options::default());
        address.send_replace(server.mqtt_addr());
    }
    stop.send_replace(true);
    let mut said = Vec::new();
    for publisher in publishers {
        said.push(publisher.await.expect("a publisher"));
    }
    println!("{:?} acknowledged", said.iter().map(|said| said.acknowledged).collect::<Vec<_>>());
    tell_last.send_replace(Some(said.iter().map(|said| said.acknowledged).collect()));
    let heard = tokio::time::timeout(PATIENCE, subscribers.join_all()).await.expect("all that was said arrives");
    for (said, publisher) in said.iter().zip(0..) {
        assert!(said.acknowledged > KILLS, "it had the time to say something");
        heard.iter().for_each(|heard| check(said, &heard[publisher]));
    }
}

fn check(said: &Said, heard: &Heard) {
    let mut first = 0;
    let mut by_connection: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for (message, connection) in heard {
        if *message > first {
            assert_eq!(*message, first + 1, "lost, or out of order");
            first = *message;
        }
        let times = by_connection.entry((*connection, *message)).or_default();
        *times += 1;
        assert!(*times <= said.times[message], "{message} came more often than it was sent");
    }
    assert!(first >= said.acknowledged, "{first} was the last of {}", said.acknowledged);
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}
