//! MQTT 3.1.1 and 5.0 without I/O: packets, topics and filters, the subscription tree, and one client's session
//! as a state machine. No async, no sockets, no clock; nothing of AWS.

pub mod codec;
pub mod packet;
pub mod session;
pub mod topic;
pub mod tree;

pub use codec::{DecodeError, Decoder, EncodeError, encode};
pub use packet::{Packet, PacketId, Qos, Version};
pub use session::{Action, Closed, Delivery, Limits, Session, Welcome};
pub use topic::{TopicFilter, TopicName};
pub use tree::SubscriptionTree;
