//! Access keys: whose they are, and the secret that proves it.

use crate::{Caller, Services};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub secret_access_key: String,
    pub session_token: Option<String>,
    pub caller: Caller,
}

/// The account's root key, made at first start by the binary.
#[derive(Clone, PartialEq, Eq)]
pub struct RootCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl std::fmt::Debug for RootCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootCredentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Services {
    pub fn credentials(&self, access_key_id: &str) -> Option<Credential> {
        let root = &self.config().root;
        (root.access_key_id == access_key_id).then(|| Credential {
            secret_access_key: root.secret_access_key.clone(),
            session_token: None,
            caller: Caller::Root { access_key_id: root.access_key_id.clone() },
        })
    }
}
