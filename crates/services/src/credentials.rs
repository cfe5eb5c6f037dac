//! Who holds which access key.

use crate::{Caller, Services};

/// What a request's signature is checked against, and who the signer then is.
#[derive(Clone)]
pub struct Credential {
    pub secret_access_key: String,
    /// A session's requests must carry it; the root's key has none.
    pub session_token: Option<String>,
    pub caller: Caller,
}

impl Services {
    /// Synchronous: root credentials and live sessions are in memory.
    pub fn credentials(&self, _access_key_id: &str) -> Option<Credential> {
        todo!()
    }
}
