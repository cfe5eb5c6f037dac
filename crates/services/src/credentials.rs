//! Access keys: whose they are, and the secret that proves it.

use crate::{Caller, Services};

#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    pub secret_access_key: String,
    pub caller: Caller,
}

/// Never the secret.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("caller", &self.caller).finish_non_exhaustive()
    }
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

/// Why credentials prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidCredentials {
    /// No such key, not with this token, or a session whose role is gone.
    Unknown,
    Expired,
    /// The store does not answer.
    Unreadable,
}

impl Services {
    /// Keys of the root come without a session token, temporary ones with theirs.
    pub fn credentials(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
    ) -> Result<Credential, InvalidCredentials> {
        let root = &self.config().root;
        match session_token {
            Some(token) => self.sts().session_credential(access_key_id, token, self.now()),
            None if root.access_key_id == access_key_id => Ok(Credential {
                secret_access_key: root.secret_access_key.clone(),
                caller: Caller::Root { access_key_id: root.access_key_id.clone() },
            }),
            None => Err(InvalidCredentials::Unknown),
        }
    }
}
