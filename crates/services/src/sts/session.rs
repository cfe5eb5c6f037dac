//! Temporary credentials. What the server must know of a session is sealed into its token (AES-256-GCM, with a key that
//! the data directory keeps), so that sessions cost no storage, cannot pile up, and outlive a restart. A session ends when
//! it expires or its role is deleted; a copy of the data directory honours the sessions of the original.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::Expect;

use super::Sts;
use crate::record::{Stored, put};
use crate::{Caller, Credential, Error, InvalidCredentials, random};

const KEY: &str = "sts/sealing-key";
const KEY_BYTES: usize = 32;

/// Bound into every token, so that a later form cannot be taken for this one.
const FORM: &[u8] = b"landfall session 1";

/// AES-GCM's tag, at the end.
const TAG_BYTES: usize = 16;

/// A session of a role, made by AssumeRole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub role_arn: String,
    pub session_name: String,
    /// A role made anew under the same name is another one.
    pub(crate) role_id: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Session policies: with any of them, only what they allow as well as the role does.
    pub(crate) policy: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// Keys of the tags that a session made from this one has too.
    pub(crate) transitive_tags: Vec<String>,
    pub(crate) source_identity: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    access_key_id: String,
    secret_access_key: String,
    session: Session,
}

/// What AssumeRole hands out.
pub(super) struct TemporaryKey {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
}

#[derive(Serialize, Deserialize)]
struct SealingKeyRecord {
    hex: String,
}

impl Stored for SealingKeyRecord {
    const VERSION: u32 = 1;
}

impl Session {
    pub(crate) fn is_limited(&self) -> bool {
        self.policy.is_some() || !self.policy_arns.is_empty()
    }
}

impl Sts {
    pub(super) async fn seal(&self, session: &Session) -> Result<TemporaryKey, Error> {
        let access_key_id = random::access_key_id();
        let secret_access_key = STANDARD.encode(random::bytes::<30>());
        let sealed = Sealed {
            access_key_id: access_key_id.clone(),
            secret_access_key: secret_access_key.clone(),
            session: session.clone(),
        };
        let mut bytes = serde_json::to_vec(&sealed).map_err(|err| Error::internal(err.to_string()))?;
        let nonce = self
            .sealing_key()
            .await?
            .seal_in_place_append_tag(Aad::from(FORM), &mut bytes)
            .map_err(|_| Error::internal("the session token could not be sealed"))?;
        let token = [nonce.as_ref().as_slice(), &bytes].concat();
        Ok(TemporaryKey { access_key_id, secret_access_key, session_token: STANDARD.encode(token) })
    }

    /// Whose temporary key it is. The token must be ours, and the key's own.
    pub(crate) fn session_credential(
        &self,
        access_key_id: &str,
        session_token: &str,
        now: Timestamp,
    ) -> Result<Credential, InvalidCredentials> {
        let unreadable = |_| InvalidCredentials::Unreadable;
        let key = self.stored_key().map_err(unreadable)?.ok_or(InvalidCredentials::Unknown)?;
        let sealed = open(&key, session_token).ok_or(InvalidCredentials::Unknown)?;
        if sealed.access_key_id != access_key_id {
            return Err(InvalidCredentials::Unknown);
        }
        let session = sealed.session;
        if now >= session.expires_at {
            return Err(InvalidCredentials::Expired);
        }
        let role_id = self.services.iam().id_of_role(&session.role_arn).map_err(unreadable)?;
        if role_id.as_ref() != Some(&session.role_id) {
            return Err(InvalidCredentials::Unknown);
        }
        let caller = Caller::Session(Arc::new(session));
        Ok(Credential { secret_access_key: sealed.secret_access_key, caller })
    }

    /// Made with the first session of a data directory.
    async fn sealing_key(&self) -> Result<RandomizedNonceKey, Error> {
        if let Some(key) = self.stored_key()? {
            return Ok(key);
        }
        let fresh = SealingKeyRecord { hex: random::hex_of::<KEY_BYTES>() };
        self.services
            .transact(|| match self.stored_key()? {
                Some(_) => Ok((Vec::new(), ())),
                None => Ok((vec![put(KEY, &fresh, Expect::Absent)], ())),
            })
            .await?;
        self.stored_key()?.ok_or_else(|| Error::internal("the sealing key was written and is not there"))
    }

    fn stored_key(&self) -> Result<Option<RandomizedNonceKey>, Error> {
        let Some(found) = self.services.find::<SealingKeyRecord>(KEY)? else { return Ok(None) };
        let unreadable = || Error::internal(format!("the stored record {KEY} holds no key"));
        let bytes = hex::decode(&found.value.hex).map_err(|_| unreadable())?;
        RandomizedNonceKey::new(&AES_256_GCM, &bytes).map(Some).map_err(|_| unreadable())
    }
}

fn open(key: &RandomizedNonceKey, token: &str) -> Option<Sealed> {
    let mut bytes = STANDARD.decode(token).ok()?;
    let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
    if sealed.len() < TAG_BYTES {
        return None;
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let opened = key.open_in_place(nonce, Aad::from(FORM), sealed).ok()?;
    serde_json::from_slice(opened).ok()
}
