//! The server's own issuing key: made once, when the first certificate is asked for, and kept in the store, which only
//! the operator's account can read. All work with RSA keys is done here, off the threads that serve.

use std::sync::Arc;
use std::thread::available_parallelism;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use domain::x509::Certificate;
use domain::x509::issuing::{self, Statement};
use serde::{Deserialize, Serialize};
use store::Expect;
use tokio::sync::{OnceCell, Semaphore};

use crate::record::{Committed, Stored, put};
use crate::{Error, Services, random};

const KEY: &str = "iot/issuer";

/// Callers that wait for their turn. A key takes a tenth of a second or two: this many wait for seconds, and more would
/// have given up by then.
const WAITING_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
struct IssuerRecord {
    /// PKCS #8 in base64.
    private_key: String,
    created_at: Timestamp,
}

impl Stored for IssuerRecord {
    const VERSION: u32 = 1;
}

/// The issuing key once it has been needed, and the bound on what is done at once.
pub(crate) struct Issuer {
    key: OnceCell<Arc<IssuingKey>>,
    waiting: Semaphore,
    turns: Arc<Semaphore>,
}

impl Default for Issuer {
    fn default() -> Self {
        // Half of the cores, so that devices are served beside it.
        let turns = available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        Self { key: OnceCell::new(), waiting: Semaphore::new(WAITING_MAX), turns: Arc::new(Semaphore::new(turns)) }
    }
}

/// An RSA key of 2048 bits.
pub(super) struct RsaKey {
    pair: KeyPair,
    spki: Vec<u8>,
}

pub(super) struct IssuingKey(RsaKey);

impl RsaKey {
    pub(super) fn generate() -> Result<Self, Error> {
        Self::of(KeyPair::generate(KeySize::Rsa2048).map_err(|_| broken("could not be made"))?)
    }

    fn of(pair: KeyPair) -> Result<Self, Error> {
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| broken("has no public form"))?;
        Ok(Self { spki: spki.as_ref().to_vec(), pair })
    }

    fn pkcs8(&self) -> Result<Pkcs8V1Der<'static>, Error> {
        self.pair.as_der().map_err(|_| broken("has no private form"))
    }

    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    pub(super) fn private_pem(&self) -> Result<String, Error> {
        issuing::rsa_private_key_pem(self.pkcs8()?.as_ref()).ok_or_else(|| broken("has no private form"))
    }
}

impl IssuingKey {
    fn of_record(record: &IssuerRecord) -> Result<Self, Error> {
        let stored = |err: &dyn std::fmt::Display| Error::internal(format!("the stored issuing key: {err}"));
        let pkcs8 = STANDARD.decode(&record.private_key).map_err(|err| stored(&err))?;
        let pair = KeyPair::from_pkcs8(&pkcs8).map_err(|err| stored(&err))?;
        RsaKey::of(pair).map(Self)
    }

    /// A new certificate for this name and key.
    pub(super) fn issue(&self, subject: &[u8], spki: &[u8], now: Timestamp) -> Result<Certificate, Error> {
        let statement = Statement { serial: random::bytes(), subject, spki, issuer_spki: self.0.spki(), now };
        let signed = statement.signed_part().ok_or_else(|| broken("cannot sign what has no date"))?;
        let mut signature = vec![0; self.0.pair.public_modulus_len()];
        let randomness = SystemRandom::new();
        let outcome = self.0.pair.sign(&RSA_PKCS1_SHA256, &randomness, &signed, &mut signature);
        outcome.map_err(|_| broken("could not sign"))?;
        Certificate::from_der(&issuing::certificate(&signed, &signature))
            .map_err(|err| Error::internal(format!("a certificate that was just issued: {err}")))
    }
}

impl Services {
    /// Does `work` with the issuing key on a thread that may block. Few at once, and a bounded number waiting.
    pub(super) async fn with_issuing_key<T: Send + 'static>(
        &self,
        work: impl FnOnce(&IssuingKey) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let issuer = &self.inner.issuer;
        let Ok(_waiting) = issuer.waiting.try_acquire() else {
            let message = "Rate exceeded: too many keys and certificates are being made; try again in a moment.";
            return Err(Error::new("ThrottlingException", message));
        };
        let turn = issuer.turns.clone().acquire_owned().await.map_err(|_| broken("is closed"))?;
        let key = issuer.key.get_or_try_init(|| self.issuing_key()).await?.clone();
        off_the_workers(move || {
            // Given back when the work is done, even if nobody waits for it any more.
            let _turn = turn;
            work(&key)
        })
        .await
    }

    async fn issuing_key(&self) -> Result<Arc<IssuingKey>, Error> {
        loop {
            if let Some(found) = self.find::<IssuerRecord>(KEY)? {
                return Ok(Arc::new(IssuingKey::of_record(&found.value)?));
            }
            let key = off_the_workers(RsaKey::generate).await?;
            let record = IssuerRecord { private_key: STANDARD.encode(key.pkcs8()?.as_ref()), created_at: self.now() };
            if self.commit(vec![put(KEY, &record, Expect::Absent)]).await? == Committed::Done {
                return Ok(Arc::new(IssuingKey(key)));
            }
        }
    }
}

async fn off_the_workers<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|err| Err(Error::internal(format!("issuing ended: {err}"))))
}

fn broken(why: &str) -> Error {
    Error::internal(format!("an RSA key {why}"))
}
