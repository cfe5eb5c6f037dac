//! Black-box tests: real clients against the real binary. This crate holds what the scenarios under `tests/` share: the
//! server as a child process, and the clients, each as a person or a device would use it.

mod aws;
mod field_device;
mod kept;
mod metrics_page;
mod mosquitto;
mod openssl;
mod operator;
mod package;
mod program;
mod server;

pub use aws::Aws;
pub use field_device::FieldDevice;
pub use kept::{Inhabitants, LOG_GROUP, fill, kept_options, sessions};
pub use metrics_page::MetricsPage;
pub use mosquitto::{Credential, Mosquitto};
pub use openssl::{KeyKind, OpenSsl};
pub use operator::{Operator, actions_on_all};
pub use package::{package, package_of, unzip_folder, zip_folder};
pub use program::{Finished, Running, finish, start};
pub use server::{DataDir, Options, Server};

use std::time::Duration;

/// For whatever has to happen, but not at once: generous, because machines that test are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The walkthrough's function: it activates what just-in-time registration left pending.
pub const ACTIVATE: &str = include_str!("../tests/data/activate.js");
