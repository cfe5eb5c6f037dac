//! Signature Version 4 of a request: whose key, for which region and service, and whether it is theirs.
//! What it refuses is worded as AWS words it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::sigv4::{self, Claim, SignatureError, SigningKey};
use domain::{Region, Timestamp};
use services::{Credential, InvalidCredentials, Services};

use crate::errors::Fault;
use crate::limits::SIGNING_KEYS_MAX;
use crate::message::Head;

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS \
                        Secret Access Key and signing method. Consult the service documentation for details.";

/// What the request says of itself. Nothing is proven yet.
pub fn claim(head: &Head) -> Result<Claim, Fault> {
    let headers = headers(head);
    sigv4::claim(&request(head, &headers, &[])).map_err(refusal)
}

/// Whose key it is that the claim names.
pub fn credential(services: &Services, claim: &Claim) -> Result<Credential, Fault> {
    services.credentials(&claim.access_key_id, claim.session_token.as_deref()).map_err(|refusal| match refusal {
        InvalidCredentials::Unknown => Fault::UnknownKey,
        InvalidCredentials::Expired => Fault::ExpiredToken,
        InvalidCredentials::Unreadable => Fault::Internal,
    })
}

pub fn check_scope(claim: &Claim, region: &Region, is_global: IsGlobal) -> Result<(), Fault> {
    let in_region = claim.region == region.as_str();
    let in_global = is_global == IsGlobal::Yes && claim.region == region.partition().global_region();
    if in_region || in_global {
        return Ok(());
    }
    let asked: String = claim.region.chars().take(64).collect();
    Err(Fault::BadSignature(format!("Credential should be scoped to a valid region, not '{asked}'. ")))
}

/// Whether a service's requests may be signed for the partition's global region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsGlobal {
    Yes,
    No,
}

/// Signing keys of requests that were good: deriving one costs more than the rest of the check.
#[derive(Default)]
pub struct SigningKeys(Mutex<HashMap<Scope, SigningKey>>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Scope {
    secret_access_key: String,
    date: String,
    region: String,
    service: String,
}

impl SigningKeys {
    /// The window, what is signed, and the signature itself.
    pub fn verify(
        &self,
        head: &Head,
        body: &[u8],
        claim: &Claim,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let scope = Scope {
            secret_access_key: credential.secret_access_key.clone(),
            date: claim.date.clone(),
            region: claim.region.clone(),
            service: claim.service.clone(),
        };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&scope).cloned();
        let key = known.clone().unwrap_or_else(|| {
            SigningKey::derive(&credential.secret_access_key, &claim.date, &claim.region, &claim.service)
        });
        let headers = headers(head);
        sigv4::verify_with_key(&request(head, &headers, body), claim, &key, now).map_err(refusal)?;
        if known.is_none() {
            self.keep(scope, key);
        }
        Ok(())
    }

    /// Only after a good signature: a stranger cannot push keys out.
    fn keep(&self, scope: Scope, key: SigningKey) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= SIGNING_KEYS_MAX {
            keys.clear();
        }
        keys.insert(scope, key);
    }
}

fn headers(head: &Head) -> Vec<(&str, &str)> {
    head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn request<'a>(head: &'a Head, headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> sigv4::Request<'a> {
    sigv4::Request { method: &head.method, path: &head.path, query: &head.query, headers, body }
}

fn refusal(error: SignatureError) -> Fault {
    match error {
        SignatureError::Missing => Fault::MissingToken,
        SignatureError::Incomplete(text) => Fault::IncompleteSignature(text),
        SignatureError::Skewed { message } => Fault::BadSignature(message),
        SignatureError::Mismatch => Fault::BadSignature(MISMATCH.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::sigv4::{Credentials, Request, sign};
    use services::{Caller, Credential};

    use super::{IsGlobal, SigningKeys, check_scope, claim};
    use crate::errors::Fault;
    use crate::message::Head;

    const NOW: Timestamp = Timestamp::from_seconds(1_763_000_000);

    fn signed(region: &str, token: Option<&str>, secret: &str) -> Head {
        let credentials = Credentials {
            access_key_id: "AKIAEXAMPLE".into(),
            secret_access_key: secret.into(),
            session_token: token.map(str::to_owned),
        };
        let headers = [("host", "localhost:4566")];
        let request = Request { method: "GET", path: "/endpoint", query: "", headers: &headers, body: b"" };
        let mut headers = vec![("host".to_owned(), "localhost:4566".to_owned())];
        headers.extend(sign(&request, &credentials, region, "iot", NOW));
        for (name, _) in &mut headers {
            name.make_ascii_lowercase();
        }
        Head { method: "GET".into(), path: "/endpoint".into(), query: String::new(), headers }
    }

    /// `fine`, or the fault.
    fn outcome(head: &Head, is_global: IsGlobal, now: Timestamp) -> String {
        let credential = Credential {
            secret_access_key: "secret".into(),
            caller: Caller::Root { access_key_id: "AKIAEXAMPLE".into() },
        };
        let region = "eu-central-1".parse().expect("a region");
        let checked = claim(head).and_then(|claim| {
            check_scope(&claim, &region, is_global)?;
            SigningKeys::default().verify(head, b"", &claim, &credential, now)
        });
        match checked {
            Ok(()) => "fine".to_owned(),
            Err(Fault::BadSignature(text)) => text,
            Err(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn signatures() {
        let good = signed("eu-central-1", None, "secret");
        let late = NOW.plus_millis(301_000);
        let early = NOW.plus_millis(-301_000);
        for (head, is_global, now, expected) in [
            (&good, IsGlobal::No, NOW, "fine"),
            (&signed("eu-central-1", Some("token"), "secret"), IsGlobal::No, NOW, "fine"),
            (&signed("us-east-1", None, "secret"), IsGlobal::Yes, NOW, "fine"),
            (&signed("us-east-1", None, "secret"), IsGlobal::No, NOW, "Credential should be scoped to a valid region"),
            (&signed("eu-central-1", None, "other"), IsGlobal::No, NOW, "The request signature we calculated"),
            (&good, IsGlobal::No, late, "Signature expired: "),
            (&good, IsGlobal::No, early, "Signature not yet current: "),
            (&Head { headers: Vec::new(), ..good.clone() }, IsGlobal::No, NOW, "MissingToken"),
        ] {
            let text = outcome(head, is_global, now);
            assert!(text.starts_with(expected), "{text} for {expected}");
        }
    }

    /// A header that an operation obeys and the signature does not cover could be added on the way.
    #[test]
    fn every_header_that_an_operation_reads_must_be_signed() {
        let members = crate::generated::SERVICES
            .iter()
            .flat_map(|service| service.operations)
            .flat_map(|operation| operation.input.map(crate::model::Shape::members).unwrap_or_default());
        let mut count = 0;
        for member in members {
            let crate::model::Location::Header(name) = member.location else { continue };
            let mut head = signed("eu-central-1", None, "secret");
            head.headers.push((name.to_owned(), "x".to_owned()));
            let text = outcome(&head, IsGlobal::No, NOW);
            assert!(text.contains("must be a 'SignedHeader'"), "{name}: {text}");
            count += 1;
        }
        assert!(count >= 5, "{count} headers were tried");
    }
}
