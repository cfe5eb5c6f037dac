//! Amazon CloudWatch Logs: what the functions wrote.
//! One file per noun; the verbs are methods of [`Logs`], named as the operations are.

pub mod shapes;

use crate::Services;

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    #[allow(dead_code, reason = "until the first verb")]
    services: Services,
}

impl Services {
    pub fn logs(&self) -> Logs {
        Logs { services: self.clone() }
    }
}

impl Logs {
    /// Writes a line for the server itself; makes the group and the stream where they are missing.
    pub(crate) fn append(&self, _group: &str, _stream: &str, _at: domain::Timestamp, _text: &str) {
        todo!()
    }

    /// Where the lines of a function go: `/aws/lambda/<name>`, by the stream that each line names.
    pub(crate) fn sink_of_function(&self, _function: &str) -> functions::LogSink {
        todo!()
    }
}
