//! Many clients under a seed: they publish and subscribe with QoS 1 and 2, lose connections between any two packets, come
//! back, take over from themselves, and the server is started again under them. A naive model says what must arrive: with
//! QoS 1 everything at least once and in the order of its publisher, with QoS 2 everything exactly once.
//!
//! A seed that fails is printed; `BROKER_SIMULATION_SEED` repeats it, `BROKER_SIMULATION_SEEDS` says how many are
//! tried.

use std::collections::BTreeMap;

use mqtt::Qos;
use mqtt::packet::{Packet, Publish, Version};

use crate::clients::Connection;
use crate::random::Random;
use crate::world::{World, filter};

const SEEDS: u64 = 3;
/// 17: after a restart, messages that the client had acknowledged came again out of what had been read of the queue before.
const FOUND: [u64; 1] = [17];
const STEPS: u64 = 250;
const SUBSCRIBERS: usize = 3;
const PUBLISHERS: usize = 2;

struct Subscriber {
    name: String,
    qos: Qos,
    version: Version,
    connection: Option<Connection>,
    /// By topic: the numbers in the order of arrival.
    heard: BTreeMap<String, Vec<u32>>,
    /// QoS 2: identifiers that it has received and not released.
    received: Vec<u16>,
}

struct Publisher {
    name: String,
    qos: Qos,
    connection: Option<Connection>,
    /// The number of the message that is under way, and what the client has heard of it.
    number: u32,
    is_received: bool,
}

fn packet_id(number: u32) -> u16 {
    u16::try_from(number).expect("few messages")
}

impl Subscriber {
    /// Without chance nothing is lost.
    async fn turn(&mut self, world: &World, random: Option<&mut Random>) {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(world, &self.name, self.version).await);
        }
        let Some(connection) = &mut self.connection else { return };
        let packets = connection.turn(world).await;
        // What comes later may be lost with the connection.
        let all = packets.len() as u64;
        let mut random = random;
        let read = random.as_mut().map_or(all, |random| random.below(all + 2));
        for packet in packets.iter().take(usize::try_from(read).unwrap_or(0)) {
            Self::hear(&mut self.heard, &mut self.received, packet);
            connection.answer(packet);
        }
        if let (true, Some(random)) = (read < all, random) {
            self.lose(random);
        }
    }

    fn hear(heard: &mut BTreeMap<String, Vec<u32>>, received: &mut Vec<u16>, packet: &Packet) {
        match packet {
            Packet::Publish(Publish { topic, payload, qos, packet_id: Some(packet_id), .. }) => {
                if *qos == Qos::ExactlyOnce {
                    if received.contains(&packet_id.value()) {
                        return;
                    }
                    received.push(packet_id.value());
                }
                let number = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok()).expect("a number");
                heard.entry(topic.as_str().to_owned()).or_default().push(number);
            }
            Packet::PubRel(ack) => received.retain(|packet_id| *packet_id != ack.packet_id.value()),
            _ => {}
        }
    }

    fn lose(&mut self, random: &mut Random) {
        // Without a word to the server, which finds out when the client comes back, or at once.
        if let Some(connection) = self.connection.take()
            && random.below(2) == 0
        {
            connection.drop();
        }
    }
}

impl Publisher {
    async fn turn(&mut self, world: &World, random: &mut Random) {
        let is_new = self.connection.is_none();
        if is_new {
            self.connection = Some(Connection::open(world, &self.name, Version::V5).await);
        }
        let Some(connection) = &mut self.connection else { return };
        if self.is_received {
            connection.send(&Packet::PubRel(mqtt::packet::Ack::success(crate::clients::id(packet_id(self.number)))));
        } else {
            let number = self.number;
            connection.publish(packet_id(number), &self.name, &number.to_string(), self.qos, is_new);
        }
        let packets = connection.turn(world).await;
        if random.below(4) == 0 {
            // It never hears of it, and asks again over another connection.
            self.connection.take().map(Connection::drop).unwrap_or_default();
            return;
        }
        for packet in packets {
            match packet {
                Packet::PubAck(_) | Packet::PubComp(_) => {
                    self.number += 1;
                    self.is_received = false;
                }
                Packet::PubRec(_) => self.is_received = true,
                _ => {}
            }
        }
    }
}

async fn run(seed: u64) {
    let mut random = Random::new(seed);
    let mut world = World::new();
    let qos_of = |number: usize| if number.is_multiple_of(2) { Qos::AtLeastOnce } else { Qos::ExactlyOnce };
    let mut subscribers: Vec<Subscriber> = (0..SUBSCRIBERS)
        .map(|number| Subscriber {
            name: format!("subscriber-{number}"),
            qos: qos_of(number),
            version: if number == 2 { Version::V311 } else { Version::V5 },
            connection: None,
            heard: BTreeMap::new(),
            received: Vec::new(),
        })
        .collect();
    for subscriber in &mut subscribers {
        let connection = Connection::open(&world, &subscriber.name, subscriber.version).await;
        connection.claim.subscribe(filter("#"), subscriber.qos);
        connection.claim.save().await.expect("it is on disk");
        subscriber.connection = Some(connection);
    }
    let mut publishers: Vec<Publisher> = (0..PUBLISHERS)
        .map(|number| Publisher {
            name: format!("publisher-{number}"),
            qos: qos_of(number),
            connection: None,
            number: 1,
            is_received: false,
        })
        .collect();
    for _ in 0..STEPS {
        match random.below(20) {
            0 => {
                subscribers.iter_mut().for_each(|subscriber| drop(subscriber.connection.take()));
                publishers.iter_mut().for_each(|publisher| drop(publisher.connection.take()));
                world = world.restart().await;
            }
            1 => random.pick(&mut subscribers).lose(&mut random.fork()),
            2..=10 => random.pick(&mut publishers).turn(&world, &mut random.fork()).await,
            _ => random.pick(&mut subscribers).turn(&world, Some(&mut random.fork())).await,
        }
    }
    // In the end everybody hears everything.
    for subscriber in &mut subscribers {
        for _ in 0..STEPS {
            subscriber.turn(&world, None).await;
        }
    }
    for publisher in &publishers {
        subscribers.iter().for_each(|subscriber| check(subscriber, publisher));
    }
}

fn check(subscriber: &Subscriber, publisher: &Publisher) {
    let nothing = Vec::new();
    let heard = subscriber.heard.get(&publisher.name).unwrap_or(&nothing);
    let mut last = 0;
    for number in heard {
        assert!(*number <= last + 1, "{}: {number} came after {last}: lost, or out of order", subscriber.name);
        last = last.max(*number);
    }
    assert!(last + 1 >= publisher.number, "{} heard {last} of {}", subscriber.name, publisher.number - 1);
    if subscriber.qos.min(publisher.qos) == Qos::ExactlyOnce {
        assert_eq!(heard.len() as u32, last, "{}: exactly once", subscriber.name);
    }
}

#[tokio::test]
async fn nothing_is_lost_and_qos_2_comes_once() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let all = number("BROKER_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let only = number("BROKER_SIMULATION_SEED");
    let seeds = only.map_or_else(|| (1..=all).chain(FOUND).collect(), |seed| vec![seed]);
    for seed in seeds {
        println!("BROKER_SIMULATION_SEED={seed}");
        run(seed).await;
    }
}
