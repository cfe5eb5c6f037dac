//! Stored forms: JSON in an envelope that carries the version of its noun. Old versions are upgraded as they are read.

use std::ops::ControlFlow;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{CommitError, Expect, Record, StoreError, Write};

use crate::{Error, Services};

/// How often a read-modify-write is tried when somebody else was faster, before it waits for its turn.
const EAGER_ATTEMPTS: usize = 4;
/// How often it is tried once it has its turn: only the eager ones are in its way then, each for a few attempts.
const PATIENT_ATTEMPTS_MAX: usize = 64;

/// The records of IAM.
const IAM_PREFIX: &[u8] = b"iam/";

/// Records read between two chances for other tasks to run.
const CHUNK: usize = 256;

/// A noun's stored form.
pub(crate) trait Stored: Serialize + DeserializeOwned {
    const VERSION: u32;

    /// Reads an older version; there is none before the first.
    fn upgrade(_version: u32, _record: &str) -> Option<Self> {
        None
    }
}

#[derive(Deserialize)]
struct EnvelopeIn<'a> {
    v: u32,
    #[serde(borrow)]
    r: &'a RawValue,
}

#[derive(Serialize)]
struct EnvelopeOut<'a, T> {
    v: u32,
    r: &'a T,
}

/// A decoded record and the revision that a later write may expect.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub value: T,
    pub revision: u64,
}

pub(crate) fn decode<T: Stored>(key: &[u8], record: &Record) -> Result<Found<T>, Error> {
    let corrupt = |what: String| {
        let key = String::from_utf8_lossy(key).into_owned();
        tracing::error!(%key, %what, "a stored record cannot be read");
        Error::internal(format!("the stored record {key} cannot be read: {what}"))
    };
    let envelope: EnvelopeIn<'_> = serde_json::from_slice(&record.value).map_err(|err| corrupt(err.to_string()))?;
    let value = if envelope.v == T::VERSION {
        serde_json::from_str(envelope.r.get()).map_err(|err| corrupt(err.to_string()))?
    } else {
        T::upgrade(envelope.v, envelope.r.get())
            .ok_or_else(|| corrupt(format!("version {} is not known to this server", envelope.v)))?
    };
    Ok(Found { value, revision: record.revision })
}

pub(crate) fn encode<T: Stored>(value: &T) -> Bytes {
    let envelope = EnvelopeOut { v: T::VERSION, r: value };
    serde_json::to_vec(&envelope).expect("stored forms have string keys and no failing serialiser").into()
}

pub(crate) fn put<T: Stored>(key: impl Into<Vec<u8>>, value: &T, expect: Expect) -> Write {
    Write { key: key.into(), value: Some(encode(value)), expect }
}

pub(crate) fn delete(key: impl Into<Vec<u8>>, expect: Expect) -> Write {
    Write { key: key.into(), value: None, expect }
}

/// What a commit came to, for those who can go on after a conflict.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    Done,
    Conflict,
}

impl Services {
    pub(crate) fn find<T: Stored>(&self, key: &str) -> Result<Option<Found<T>>, Error> {
        let record = self.store().get(key.as_bytes()).map_err(storage)?;
        record.map(|record| decode(key.as_bytes(), &record)).transpose()
    }

    /// Of a record whose value is of no interest.
    pub(crate) fn revision(&self, key: &str) -> Result<Option<u64>, Error> {
        Ok(self.store().get(key.as_bytes()).map_err(storage)?.map(|record| record.revision))
    }

    /// Records below `prefix` in key order, each with the part of its key after the prefix.
    pub(crate) fn find_all<T: Stored>(&self, prefix: &str) -> Result<Vec<(String, Found<T>)>, Error> {
        let mut all = Vec::new();
        for (key, record) in self.store().scan(prefix.as_bytes()).map_err(storage)? {
            let rest = key.get(prefix.len()..).unwrap_or_default();
            all.push((String::from_utf8_lossy(rest).into_owned(), decode(&key, &record)?));
        }
        Ok(all)
    }

    /// As `find_all`, at most `size` of them and only those after `after`; with it where the next page begins.
    pub(crate) fn find_page<T: Stored>(
        &self,
        prefix: &str,
        after: Option<&str>,
        size: usize,
    ) -> Result<(Vec<(String, Found<T>)>, Option<String>), Error> {
        let after = after.map(|after| format!("{prefix}{after}"));
        let after = after.as_deref().map(str::as_bytes);
        let found = self.store().scan_after(prefix.as_bytes(), after, size.saturating_add(1)).map_err(storage)?;
        let mut page = Vec::new();
        for (key, record) in found.iter().take(size) {
            let rest = key.get(prefix.len()..).unwrap_or_default();
            page.push((String::from_utf8_lossy(rest).into_owned(), decode(key, record)?));
        }
        let next = page.last().filter(|_| found.len() > size).map(|(rest, _)| rest.clone());
        Ok((page, next))
    }

    /// Every record below `prefix`, a few at a time: a registry of a million certificates is neither copied into memory
    /// nor read without letting others run.
    pub(crate) async fn each_record<T: Stored>(
        &self,
        prefix: &str,
        mut each: impl FnMut(String, T),
    ) -> Result<(), Error> {
        self.each_record_after(prefix, None, |rest, record| {
            each(rest, record);
            ControlFlow::Continue(())
        })
        .await
    }

    /// From the first key beyond `prefix` and `after`, until `each` has enough.
    pub(crate) async fn each_record_after<T: Stored>(
        &self,
        prefix: &str,
        after: Option<&str>,
        mut each: impl FnMut(String, T) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = after.map(|after| format!("{prefix}{after}").into());
        loop {
            let chunk = self.store().scan_after(prefix.as_bytes(), after.as_deref(), CHUNK).map_err(storage)?;
            let is_last = chunk.len() < CHUNK;
            for (key, record) in &chunk {
                let rest = key.get(prefix.len()..).unwrap_or_default();
                if each(String::from_utf8_lossy(rest).into_owned(), decode(key, record)?.value).is_break() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
            after = chunk.into_iter().last().map(|(key, _)| key);
            tokio::task::yield_now().await;
        }
    }

    /// Records as they are, at most `size` of them and only those after the key `after`.
    pub(crate) fn scan_chunk(
        &self,
        prefix: &str,
        after: Option<&[u8]>,
        size: usize,
    ) -> Result<Vec<(Vec<u8>, Record)>, Error> {
        self.store().scan_after(prefix.as_bytes(), after, size).map_err(storage)
    }

    /// The keys below `prefix`, without the prefix.
    pub(crate) fn keys_below(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let records = self.store().scan(prefix.as_bytes()).map_err(storage)?;
        let rest = |key: &[u8]| String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        Ok(records.iter().map(|(key, _)| rest(key)).collect())
    }

    pub(crate) fn has_any_below(&self, prefix: &str) -> Result<bool, Error> {
        Ok(!self.store().scan_after(prefix.as_bytes(), None, 1).map_err(storage)?.is_empty())
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Committed, Error> {
        let touches_iam = writes.iter().any(|write| write.key.starts_with(IAM_PREFIX));
        match self.store().commit(writes).await {
            Ok(_) => {
                if touches_iam {
                    self.inner.iam_changes.send_modify(|changes| *changes = changes.wrapping_add(1));
                }
                Ok(Committed::Done)
            }
            Err(CommitError::Conflict { .. }) => Ok(Committed::Conflict),
            Err(CommitError::Store(err)) => Err(storage(err)),
        }
    }

    /// Reads, decides and commits; decides again on what is there now if somebody else was faster. Where many change one
    /// record at once, each comes to its turn.
    pub(crate) async fn transact<T>(
        &self,
        mut decide: impl FnMut() -> Result<(Vec<Write>, T), Error>,
    ) -> Result<T, Error> {
        let mut turn = None;
        for attempt in 0..EAGER_ATTEMPTS + PATIENT_ATTEMPTS_MAX {
            if attempt == EAGER_ATTEMPTS {
                turn = Some(self.inner.contended.lock().await);
            }
            let (writes, answer) = decide()?;
            if writes.is_empty() || self.commit(writes).await? == Committed::Done {
                return Ok(answer);
            }
        }
        drop(turn);
        Err(Error::internal("other callers kept changing the same record; try again"))
    }
}

fn storage(err: StoreError) -> Error {
    tracing::error!(error = ?err, "the store refused");
    Error::internal(format!("the store refused: {err:?}"))
}
