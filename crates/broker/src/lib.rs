//! Who is connected and who subscribes to what: deliver, take over, queue for the absent, retain. It knows no TLS, HTTP,
//! policy or AWS, and publishes nothing by itself.

mod broker;
mod claim;
mod clock;
mod due;
mod error;
mod group;
mod inbox;
mod limits;
mod loans;
mod message;
mod open;
mod owed;
mod publish;
mod queued;
mod reader;
mod retained;
mod room;
mod schedule;
mod seat;
mod session;
mod stored;
mod table;

#[cfg(test)]
mod tests;

pub use broker::{Broker, Counters};
pub use claim::{Claim, ClaimOptions, RetainedFor, WillAtEnd, WillFate};
pub use clock::WallClock;
pub use due::DueWill;
pub use error::BrokerError;
pub use inbox::{InboxLimits, InboxUsage};
pub use limits::{BrokerLimits, QueueLimits};
pub use message::{Delivery, Message, Published};
pub use mqtt::Qos;
pub use owed::Owed;
pub use publish::{Handed, Receipt, Settling, Source};
pub use retained::Retained;
pub use seat::{Ended, WillOnDisconnect};
pub use session::{KeptWill, SessionOnDisconnect, SessionRequest, Start};
