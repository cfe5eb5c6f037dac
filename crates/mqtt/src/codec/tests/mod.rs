//! Tests of the codec: tables of bytes, random packets and bytes, and another codec's opinion.

mod any_packet;
mod bytes;
mod peer;
mod random;
mod refused;

use crate::packet::PacketId;
use crate::topic::{TopicFilter, TopicName};

fn id(value: u16) -> PacketId {
    PacketId::new(value).expect("not zero")
}

fn topic(text: &str) -> TopicName {
    TopicName::parse(text).expect("a topic name")
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect("a topic filter")
}
