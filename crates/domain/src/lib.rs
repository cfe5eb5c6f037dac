//! Every AWS decision as a pure function. No I/O, no async, no clock, no randomness: `now`, ids and
//! look-ups come in as arguments, verdicts go out as values.

pub mod account;
pub mod admission;
pub mod arn;
pub mod certificate_id;
pub mod iam;
pub mod iot_policy;
pub mod json_bounds;
pub mod lifecycle_event;
pub mod partition;
mod policy;
pub mod quota;
pub mod rate;
pub mod registered_event;
pub mod sigv4;
pub mod sql;
pub mod timestamp;
pub mod topic;
pub mod x509;

pub use account::AccountId;
pub use arn::Arn;
pub use certificate_id::CertificateId;
pub use partition::{Partition, Region};
pub use timestamp::Timestamp;
