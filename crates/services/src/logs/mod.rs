//! Amazon CloudWatch Logs: what the functions wrote.
//! One file per noun; the verbs are methods of [`Logs`], named as the operations are.

mod filter_pattern;
mod journals;
mod log_event;
mod log_group;
mod log_stream;
mod put_log_events;
pub mod shapes;

use std::sync::Arc;
use std::time::Duration;

use domain::{Arn, Timestamp};
use functions::{LogLine, LogSink};
use store::Journal;
use tokio::sync::watch;

pub(crate) use journals::LogJournals;

use crate::authorization::DeniedAs;
use crate::{Error, Op, Services};

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    services: Services,
}

impl Services {
    pub fn logs(&self) -> Logs {
        Logs { services: self.clone() }
    }
}

impl Logs {
    fn authorize(&self, op: &Op, action: &str, resource: &str) -> Result<(), Error> {
        self.services.authorize(op, action, resource, DeniedAs::AccessDeniedException)
    }

    fn journals(&self) -> &LogJournals {
        &self.services.inner.logs
    }

    /// The events of a group that is there; `None` where it has none yet.
    fn journal(&self, group: &str) -> Option<Journal> {
        self.journals().of(group)
    }

    fn group_arn(&self, group: &str) -> Arn {
        let config = self.services.config();
        Arn::new("logs", &config.region, &config.account, &format!("log-group:{group}"))
    }

    /// Writes a line for the server itself; makes the group where it is missing. What is over the group's rate is dropped,
    /// and said in the group.
    pub(crate) fn append(&self, group: &str, stream: &str, at: Timestamp, text: &str) {
        self.know_group(group, at);
        let text = bytes::Bytes::copy_from_slice(text.trim_end_matches('\n').as_bytes());
        self.journals().append(group, stream, at, text, self.services.now());
    }

    /// Where the lines of a function go: `/aws/lambda/<name>`, by the stream that each line names.
    pub(crate) fn sink_of_function(&self, function: &str) -> LogSink {
        let (logs, group) = (self.clone(), function_group(function));
        LogSink(Arc::new(move |line: LogLine| logs.append(&group, &line.stream, line.at, &line.text)))
    }

    /// The group's record is written beside the line, not before it: logging waits for no commit.
    fn know_group(&self, group: &str, at: Timestamp) {
        match self.journals().ensure(group, None) {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => return tracing::error!(%group, %error, "a log group's journal could not be opened"),
        }
        let (logs, group) = (self.clone(), group.to_owned());
        tokio::spawn(async move {
            if let Err(error) = logs.create_group_record(&group, at).await {
                tracing::error!(%group, %error, "a log group could not be recorded");
            }
        });
    }
}

/// How often what is past its group's retention is forgotten; reads do not show it meanwhile.
const RETENTION_LOOK: Duration = Duration::from_secs(60);

impl Services {
    pub(crate) async fn run_log_retention(&self, mut shutdown: watch::Receiver<bool>) {
        while !*shutdown.borrow() {
            self.logs().forget_expired();
            tokio::select! {
                () = tokio::time::sleep(RETENTION_LOOK) => {}
                _ = shutdown.changed() => {}
            }
        }
    }
}

pub(crate) fn function_group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new("InvalidParameterException", message)
}

/// A group is named in one of two ways: by name, or by name or ARN in the identifier. `own` is how the ARNs of this
/// account and region begin.
fn group_of(own: &str, name: Option<&str>, identifier: Option<&str>) -> Result<String, Error> {
    match (name, identifier) {
        (Some(_), Some(_)) => Err(invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")),
        (Some(name), None) => Ok(name.to_owned()),
        (None, Some(identifier)) => {
            let named = match identifier.starts_with("arn:") {
                true => identifier.strip_prefix(own).ok_or_else(group_missing)?,
                false => identifier,
            };
            Ok(named.strip_suffix(":*").unwrap_or(named).to_owned())
        }
        (None, None) => Err(invalid("Either the LogGroup name or the LogGroup ARN is required.")),
    }
}

fn group_missing() -> Error {
    Error::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn stream_missing() -> Error {
    Error::new("ResourceNotFoundException", "The specified log stream does not exist.")
}
