//! A device's connection as the services see it: what it may do now, and when that changes.

use std::sync::Arc;

use domain::iot_policy::{CompiledPolicy, ConnectionFacts, Decision, IotAction};
use tokio::sync::watch;

use crate::Services;
use crate::admission::Refused;

/// What a connected certificate stands on. Replaced as a whole whenever its state or policies change.
#[derive(Clone, Debug)]
pub struct Standing {
    /// `Err` ends the connection: the sentence says why.
    pub active: Result<(), String>,
    pub policies: Arc<[Arc<CompiledPolicy>]>,
    /// Rises with each change; verdict caches are keyed by it.
    pub epoch: u64,
}

/// Asked on the CONNECT packet.
#[derive(Clone, Debug)]
pub struct Connecting {
    pub facts: ConnectionFacts,
    pub will_topic: Option<String>,
}

/// An admitted connection's rights.
pub struct Admitted {
    pub standing: watch::Receiver<Arc<Standing>>,
}

impl Services {
    /// On CONNECT: judges again; registers an unknown leaf as PENDING_ACTIVATION (certificate and outbox row in one
    /// commit), announces a pending one again, and checks `iot:Connect`. On `Err` the connection closes without CONNACK.
    pub async fn connect(&self, _connecting: &Connecting) -> Result<Admitted, Refused> {
        todo!()
    }

    /// Judges `action` on a topic or filter for a live connection; makes the ARN itself.
    pub fn judge(
        &self,
        _standing: &Standing,
        _facts: &ConnectionFacts,
        _action: IotAction,
        _subject: &str,
    ) -> Decision {
        todo!()
    }
}
