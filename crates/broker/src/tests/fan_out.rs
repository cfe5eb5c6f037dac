//! What a delivery writes to its session, alone and as one of many; and publishers beside each other.

use std::thread;

use bytes::{Bytes, BytesMut};
use mqtt::packet::{Connect, Packet};
use mqtt::{Limits, Qos, Session, Version, Welcome, encode};

use super::{QOS0, QOS1, filter, message};
use crate::{Broker, Message};

/// A session that has accepted its client, with nothing to send.
fn connected() -> Session {
    let mut input = BytesMut::new();
    encode(&Packet::Connect(Box::new(Connect::new("id"))), Version::V311, &mut input).expect("encodable");
    let mut session = Session::new(Limits::STANDARD, 0);
    assert!(session.poll_action(&mut input, 0).is_some());
    session.accept_connect(Welcome::default(), 0);
    session.out().clear();
    session
}

fn written_to_each_of(receivers: usize, qos: Qos, retain: bool) -> Vec<Bytes> {
    let broker = Broker::new();
    let claims: Vec<_> = (0..receivers).map(|number| broker.claim(&number.to_string())).collect();
    for claim in &claims {
        claim.subscribe(filter("t"), qos);
    }
    broker.publish(Message { retain, ..message("t", "hey", QOS1) });
    let deliveries: Vec<_> = claims.iter().filter_map(|claim| claim.try_next_delivery()).collect();
    let written = deliveries.iter().map(|delivery| {
        let mut session = connected();
        assert_eq!(delivery.write_to(&mut session, 0), Ok(()));
        session.out().split().freeze()
    });
    written.collect()
}

#[test]
fn one_receiver_or_many_get_the_same_bytes() {
    let qos0 = Bytes::from_static(b"\x30\x06\x00\x01they");
    let qos1 = Bytes::from_static(b"\x32\x08\x00\x01t\x00\x01hey");
    for retain in [false, true] {
        for receivers in [1, 2, 5] {
            assert_eq!(written_to_each_of(receivers, QOS0, retain), vec![qos0.clone(); receivers]);
            assert_eq!(written_to_each_of(receivers, QOS1, retain), vec![qos1.clone(); receivers]);
        }
    }
}

#[test]
fn publishers_and_subscribers_may_come_and_go_at_once() {
    const ROUNDS: usize = 200;
    let broker = Broker::new();
    let steady = broker.claim("steady");
    steady.subscribe(filter("#"), QOS1);
    thread::scope(|scope| {
        for name in ["a", "b"] {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    broker.publish(message("t", "x", QOS1));
                }
            });
            let broker = &broker;
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let passing = broker.claim(name);
                    passing.subscribe(filter("t"), QOS1);
                    passing.subscribe(filter("$share/g/t"), QOS1);
                }
            });
        }
    });
    assert_eq!(steady.inbox_len(), 2 * ROUNDS);
    assert_eq!(broker.counters().published, 2 * ROUNDS as u64);
    assert_eq!(broker.connected(), 1);
    assert_eq!(broker.publish(message("t", "x", QOS0)), 1, "nothing is left of those that passed");
}
