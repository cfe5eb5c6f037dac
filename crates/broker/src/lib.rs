//! Who is connected and who subscribes to what: deliver, take over. It knows no TLS, HTTP, policy or AWS, and
//! publishes nothing by itself.

mod broker;
mod claim;
mod inbox;
mod message;
mod table;

#[cfg(test)]
mod tests;

pub use broker::{Broker, Counters};
pub use claim::{Claim, ClaimOptions};
pub use inbox::InboxLimits;
pub use message::{Delivery, Message, Published};
pub use mqtt::Qos;
