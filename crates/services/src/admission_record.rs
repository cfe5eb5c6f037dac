//! Admission records: what stays of refused and ended connections, for whoever asks why.

use std::collections::HashSet;
use std::iter::Peekable;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{CertificateId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Entry, Journal, JournalBounds, Store};
use tokio::sync::watch;

use crate::admission_flood::{Decision, Destination, Flood, Repeats, Written};
use crate::{Error, Services};

/// What stays of a refused or ended connection: a log line, an API answer, a console page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRecord {
    pub at: Timestamp,
    /// When the last of those happened that the record stands for, where it stands for several.
    #[serde(default)]
    pub last_at: Option<Timestamp>,
    /// How many identical refusals it stands for.
    #[serde(default = "one")]
    pub count: u64,
    pub source: String,
    pub listener: String,
    pub sni: Option<String>,
    pub alpn: Option<String>,
    pub tls_version: Option<String>,
    /// By a ticket of an earlier connection.
    #[serde(default)]
    pub tls_resumed: bool,
    /// The chain as sent, leaf first, base64 DER; bounded by the gateway.
    pub chain: Vec<String>,
    pub certificate_id: Option<CertificateId>,
    pub certificate_subject: Option<String>,
    pub certificate_issuer: Option<String>,
    pub certificate_status: Option<String>,
    pub ca_certificate_id: Option<CertificateId>,
    pub client_id: Option<String>,
    /// `policy:statement` that decided, where one did.
    pub policy_statement: Option<String>,
    /// `Refusal::code`.
    pub reason: String,
    /// `Refusal::sentence`.
    pub sentence: String,
}

fn one() -> u64 {
    1
}

impl AdmissionRecord {
    fn newest_at(&self) -> Timestamp {
        self.last_at.unwrap_or(self.at)
    }
}

/// Whether a record was written for a refusal, or it was counted with those that are like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Written,
    Counted,
}

/// Which records are asked for. Everything given must fit.
#[derive(Clone, Debug, Default)]
pub struct AdmissionFilter {
    pub certificate_id: Option<CertificateId>,
    pub client_id: Option<String>,
    /// An address; the port does not count.
    pub source: Option<String>,
}

impl AdmissionFilter {
    fn fits(&self, record: &AdmissionRecord) -> bool {
        self.certificate_id.is_none_or(|id| record.certificate_id == Some(id))
            && self.client_id.as_ref().is_none_or(|id| record.client_id.as_ref() == Some(id))
            && self.source.as_ref().is_none_or(|source| same_address(&record.source, source))
    }
}

pub(crate) struct Admissions {
    main: Journal,
    overflow: Journal,
    flood: Mutex<Flood>,
}

/// Records looked at to answer one question, newest first.
const RECORDS_SCANNED_MAX: usize = 50_000;

/// Between two looks at what was counted. The shortest window is longer.
const LOOK_EVERY: Duration = Duration::from_secs(15);

impl Admissions {
    /// Some 30,000 records with a chain of two certificates; a week is longer than anybody asks back.
    const MAIN: JournalBounds = JournalBounds { bytes_max: 64 << 20, age_max_ms: 7 * 24 * 3600 * 1000 };
    const OVERFLOW: JournalBounds = JournalBounds { bytes_max: 16 << 20, ..Self::MAIN };

    pub(crate) fn open(store: &Store) -> Result<Self, Error> {
        let journal = |name, bounds| {
            let journal = store.journal(name, bounds);
            journal.map_err(|err| Error::internal(format!("the journal of admission records cannot be opened: {err}")))
        };
        let (main, overflow) = (journal("admission", Self::MAIN)?, journal("admission-overflow", Self::OVERFLOW)?);
        Ok(Self { main, overflow, flood: Mutex::default() })
    }

    /// Records of sources that had written their share, since the server started.
    pub(crate) fn dropped(&self) -> u64 {
        self.flood().dropped()
    }

    fn flood(&self) -> MutexGuard<'_, Flood> {
        self.flood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self, destination: Destination) -> &Journal {
        match destination {
            Destination::Main => &self.main,
            Destination::Overflow => &self.overflow,
        }
    }

    fn record(&self, mut record: AdmissionRecord) -> Recorded {
        let mut flood = self.flood();
        match flood.judge(&record) {
            Decision::Count => Recorded::Counted,
            Decision::Write { kind, repeats } => {
                let now = record.at;
                if let Some(repeats) = repeats {
                    record.count = repeats.count.saturating_add(1);
                    (record.at, record.last_at) = (repeats.first_at, Some(now));
                }
                if let Some(written) = self.write(&mut flood, &record) {
                    flood.written(kind, written, now);
                }
                Recorded::Written
            }
        }
    }

    fn write(&self, flood: &mut Flood, record: &AdmissionRecord) -> Option<Written> {
        let stream = record.certificate_id.map(|id| id.to_string()).unwrap_or_default();
        let json = match serde_json::to_vec(record) {
            Ok(json) => json,
            Err(err) => {
                tracing::error!(%err, "an admission record could not be written");
                return None;
            }
        };
        let destination = flood.destination(record, json.len() as u64)?;
        let sequence = self.journal(destination).append(&stream, record.newest_at().millis(), json.into());
        Some(Written { destination, sequence })
    }

    /// What was counted for long enough becomes a record.
    fn settle(&self, now: Timestamp) {
        let mut flood = self.flood();
        for (kind, repeats) in flood.due(now) {
            match self.repeated(&repeats).and_then(|record| self.write(&mut flood, &record)) {
                Some(written) => flood.written(kind, written, now),
                None => flood.forget(kind),
            }
        }
        let dropped = flood.take_dropped();
        if dropped > 0 {
            tracing::warn!(dropped, "admission records were dropped: their sources have written more than their share");
        }
    }

    fn settle_all(&self) {
        let mut flood = self.flood();
        for repeats in flood.take_all() {
            if let Some(record) = self.repeated(&repeats) {
                self.write(&mut flood, &record);
            }
        }
    }

    /// The record that was written first, for those that were counted after it.
    fn repeated(&self, repeats: &Repeats) -> Option<AdmissionRecord> {
        let (_, record) = self.find(repeats.of)?;
        Some(AdmissionRecord { at: repeats.first_at, last_at: Some(repeats.last_at), count: repeats.count, ..record })
    }

    fn find(&self, written: Written) -> Option<(Written, AdmissionRecord)> {
        let entries = self.journal(written.destination).read(written.sequence.saturating_sub(1), 1);
        let entry = entries.into_iter().find(|entry| entry.sequence == written.sequence)?;
        Some((written, serde_json::from_slice(&entry.value).ok()?))
    }

    /// Those of which more were counted than was written, with the count, newest first.
    fn counted(&self) -> Vec<(Written, AdmissionRecord)> {
        let repeats = self.flood().repeats();
        let mut counted: Vec<(Written, AdmissionRecord)> = repeats
            .iter()
            .filter_map(|repeats| {
                let (written, record) = self.find(repeats.of)?;
                let count = record.count.saturating_add(repeats.count);
                Some((written, AdmissionRecord { count, last_at: Some(repeats.last_at), ..record }))
            })
            .collect();
        counted.sort_by_key(|(_, record)| std::cmp::Reverse(record.newest_at().millis()));
        counted
    }

    fn find_last(&self, filter: &AdmissionFilter, last: usize) -> Vec<AdmissionRecord> {
        let counted = self.counted();
        let is_counted: HashSet<Written> = counted.iter().map(|(written, _)| *written).collect();
        let of = |destination: Destination| {
            let entries = self.journal(destination).last(RECORDS_SCANNED_MAX).into_iter();
            entries.map(move |entry| (Written { destination, sequence: entry.sequence }, entry))
        };
        let newer = |one: &(Written, Entry), other: &(Written, Entry)| one.1.at_ms >= other.1.at_ms;
        let written =
            Merged { one: of(Destination::Main).peekable(), other: of(Destination::Overflow).peekable(), newer };
        let written = written
            .filter(|(written, _)| !is_counted.contains(written))
            .filter_map(|(_, entry)| serde_json::from_slice::<AdmissionRecord>(&entry.value).ok())
            .filter(|record| filter.fits(record));
        let counted = counted.iter().map(|(_, record)| record.clone()).filter(|record| filter.fits(record));
        let newer = |one: &AdmissionRecord, other: &AdmissionRecord| one.newest_at().since(other.newest_at()) >= 0;
        Merged { one: counted.peekable(), other: written.peekable(), newer }.take(last).collect()
    }
}

/// Two that are in order as one that is.
struct Merged<I: Iterator, J: Iterator<Item = I::Item>, F: Fn(&I::Item, &I::Item) -> bool> {
    one: Peekable<I>,
    other: Peekable<J>,
    /// Whether the first comes before the second.
    newer: F,
}

impl<I: Iterator, J: Iterator<Item = I::Item>, F: Fn(&I::Item, &I::Item) -> bool> Iterator for Merged<I, J, F> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        match (self.one.peek(), self.other.peek()) {
            (Some(one), Some(other)) if (self.newer)(one, other) => self.one.next(),
            (Some(_), None) => self.one.next(),
            _ => self.other.next(),
        }
    }
}

impl Services {
    /// Of identical refusals the first is a record at once, the others are counted.
    pub fn record_admission(&self, record: AdmissionRecord) -> Recorded {
        self.inner.admissions.record(record)
    }

    /// The newest records that fit, newest first.
    pub fn admission_records(&self, filter: &AdmissionFilter, last: usize) -> Vec<AdmissionRecord> {
        self.inner.admissions.find_last(filter, last)
    }

    pub(crate) async fn run_admissions(&self, mut shutdown: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => self.inner.admissions.settle(self.now()),
                _ = shutdown.wait_for(|down| *down) => break,
            }
        }
        self.inner.admissions.settle_all();
    }
}

/// `source` is `address:port`, the question may leave the port out.
fn same_address(source: &str, asked: &str) -> bool {
    let bare = |text: &str| text.trim_matches(['[', ']']).to_owned();
    source == asked || source.rsplit_once(':').is_some_and(|(address, _)| bare(address) == bare(asked))
}
