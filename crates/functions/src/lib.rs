//! Keeps function packages and runs them. Grants itself no rights: what a function may call is asked of `AwsCalls`.

mod aws_calls;
mod frames;
mod invocation;
pub mod limits;
mod log;
mod package;
mod pool;
mod process;
mod report;
mod runner;
mod worker;
mod worker_link;

pub use aws_calls::{AwsCall, AwsCallError, AwsCalls, RoleSession};
pub use invocation::{FunctionSpec, Invocation, InvokeError, Outcome};
pub use log::{LogLine, LogSink};
pub use package::{Package, PackageError};
pub use runner::{Config, Functions};
pub use worker::worker_main;
