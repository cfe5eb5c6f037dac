//! Amazon CloudWatch Logs: what the functions wrote.
//! One file per noun; the verbs are methods of [`Logs`], named as the operations are.

mod log_event;
mod log_group;
mod log_stream;
pub mod shapes;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Arn, Timestamp};
use functions::{LogLine, LogSink};
use store::{Journal, JournalBounds, Store};

use crate::authorization::DeniedAs;
use crate::{Error, Op, Services};

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    services: Services,
}

/// Every event of every group, in one journal; a stream's name in it is `<group>\n<stream>`.
pub(crate) struct LogJournal {
    journal: Journal,
    /// Groups whose record is known to be there, or on its way.
    known: Mutex<HashSet<String>>,
}

impl LogJournal {
    /// A laptop's worth of logs; a month is longer than anybody asks back without having set a retention.
    const BOUNDS: JournalBounds = JournalBounds { bytes_max: 64 << 20, age_max_ms: 30 * 24 * 3600 * 1000 };

    pub(crate) fn open(store: &Store) -> Result<Self, Error> {
        let journal = store
            .journal("logs", Self::BOUNDS)
            .map_err(|err| Error::internal(format!("the log journal cannot be opened: {err}")))?;
        Ok(Self { journal, known: Mutex::default() })
    }
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

    fn journal(&self) -> &Journal {
        &self.services.inner.logs.journal
    }

    fn group_arn(&self, group: &str) -> Arn {
        let config = self.services.config();
        Arn::new("logs", &config.region, &config.account, &format!("log-group:{group}"))
    }

    /// Writes a line for the server itself; makes the group where it is missing.
    pub(crate) fn append(&self, group: &str, stream: &str, at: Timestamp, text: &str) {
        self.know_group(group, at);
        let text = bytes::Bytes::copy_from_slice(text.trim_end_matches('\n').as_bytes());
        self.journal().append(&journal_stream(group, stream), at.millis(), text);
    }

    /// Where the lines of a function go: `/aws/lambda/<name>`, by the stream that each line names.
    pub(crate) fn sink_of_function(&self, function: &str) -> LogSink {
        let (logs, group) = (self.clone(), function_group(function));
        LogSink(Arc::new(move |line: LogLine| logs.append(&group, &line.stream, line.at, &line.text)))
    }

    /// The group's record is written beside the line, not before it: logging waits for nobody.
    fn know_group(&self, group: &str, at: Timestamp) {
        let mut known = self.services.inner.logs.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(group) {
            return;
        }
        known.insert(group.to_owned());
        drop(known);
        let (logs, group) = (self.clone(), group.to_owned());
        tokio::spawn(async move {
            if let Err(error) = logs.create_group_record(&group, at).await {
                tracing::error!(%group, %error, "a log group could not be recorded");
                let mut known = logs.services.inner.logs.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.remove(&group);
            }
        });
    }
}

pub(crate) fn function_group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

fn journal_stream(group: &str, stream: &str) -> String {
    format!("{group}\n{stream}")
}

/// The stream's own name; group names hold no line break.
fn stream_name(journal_stream: &str) -> &str {
    journal_stream.split_once('\n').map_or("", |(_, stream)| stream)
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
