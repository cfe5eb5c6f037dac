//! Dead letters: invocations that were given up, with the last answer. An operator lists, replays and drops them.

use std::collections::BTreeMap;

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Expect, Write};

use super::CHUNK;
use super::bounds::{DEAD_LETTER_BYTES_MAX, DEAD_LETTERS_MAX, RESPONSE_BYTES_MAX};
use super::row::InvocationRow;
use crate::authorization::DeniedAs;
use crate::record::{Committed, Found, Stored, decode, delete, encode};
use crate::{Error, Op, Services};

const PREFIX: &str = "dead-letter/";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct DeadLetterRecord {
    invocation: InvocationRow,
    at: Timestamp,
    condition: String,
    response: String,
}

impl Stored for DeadLetterRecord {
    const VERSION: u32 = 1;
}

/// One that was given up, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    pub id: String,
    pub function_arn: String,
    /// The rule that fired; none for an event of the Invoke operation or of another function.
    pub rule: Option<String>,
    pub request_id: String,
    /// When the event was accepted, and when it was given up.
    pub accepted_at: Timestamp,
    pub given_up_at: Timestamp,
    /// RetriesExhausted, EventAgeExceeded, or Impossible where trying again could not help.
    pub condition: String,
    /// The function's last answer, or why it was not reached.
    pub response: String,
    /// Attempts that the function itself failed.
    pub failures: usize,
    pub payload_bytes: usize,
    /// The event; only where one letter is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payload: Option<Value>,
}

/// A list's page, and the id to ask on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterPage {
    pub dead_letters: Vec<DeadLetter>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next: Option<String>,
}

/// Ids and sizes of the letters that are there, oldest first.
#[derive(Debug, Default)]
pub(super) struct Letters {
    bytes_of: BTreeMap<String, u64>,
    bytes: u64,
}

impl Letters {
    pub(super) fn len(&self) -> usize {
        self.bytes_of.len()
    }

    fn add(&mut self, id: String, bytes: u64) {
        self.bytes += bytes;
        if let Some(replaced) = self.bytes_of.insert(id, bytes) {
            self.bytes -= replaced;
        }
    }

    fn remove(&mut self, id: &str) {
        if let Some(bytes) = self.bytes_of.remove(id) {
            self.bytes -= bytes;
        }
    }

    /// The oldest, until there is room for one of so many bytes.
    fn make_room(&mut self, bytes: u64) -> Vec<(String, u64)> {
        let mut gone = Vec::new();
        while self.bytes_of.len() >= DEAD_LETTERS_MAX || self.bytes + bytes > DEAD_LETTER_BYTES_MAX {
            let Some((id, bytes)) = self.bytes_of.pop_first() else { break };
            self.bytes -= bytes;
            gone.push((id, bytes));
        }
        gone
    }
}

/// A letter that is about to be committed, and those that make room for it.
pub(super) struct Kept {
    id: String,
    gone: Vec<(String, u64)>,
}

impl Services {
    pub(super) fn reload_letters(&self) -> Result<(), Error> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let chunk = self.scan_chunk(PREFIX, after.as_deref(), CHUNK)?;
            for (key, record) in &chunk {
                self.inner.invocations.letters().add(id_of(key), record.value.len() as u64);
            }
            match chunk.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn keep_letter(
        &self,
        row: &InvocationRow,
        condition: &str,
        response: &str,
        now: Timestamp,
    ) -> (Kept, Vec<Write>) {
        let letter = DeadLetterRecord {
            invocation: row.clone(),
            at: now,
            condition: condition.to_owned(),
            response: cut(response).to_owned(),
        };
        let value = encode(&letter);
        let bytes = value.len() as u64;
        let key = format!("{PREFIX}{}", row.id).into_bytes();
        let mut writes = vec![Write { key, value: Some(value), expect: Expect::Anything }];
        let mut letters = self.inner.invocations.letters();
        let gone = letters.make_room(bytes);
        letters.add(row.id.clone(), bytes);
        for (id, _) in &gone {
            tracing::warn!(%id, kept = DEAD_LETTERS_MAX, "the oldest dead letter makes room for a new one");
            writes.push(delete(format!("{PREFIX}{id}"), Expect::Anything));
        }
        (Kept { id: row.id.clone(), gone }, writes)
    }

    /// The commit did not take place.
    pub(super) fn unkeep_letter(&self, kept: Option<Kept>) {
        let Some(kept) = kept else { return };
        let mut letters = self.inner.invocations.letters();
        letters.remove(&kept.id);
        for (id, bytes) in kept.gone {
            letters.add(id, bytes);
        }
    }

    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters { services: self.clone() }
    }
}

/// The verbs on dead letters. AWS has none of them: they are `landfall:` actions in a role's policy.
#[derive(Clone)]
pub struct DeadLetters {
    services: Services,
}

impl DeadLetters {
    fn authorize(&self, op: &Op, verb: &str, id: &str) -> Result<(), Error> {
        let resource = self.services.own_arn(&format!("dead-letter/{id}"));
        self.services.authorize(op, &format!("landfall:{verb}"), &resource, DeniedAs::AccessDeniedException)
    }

    /// Oldest first. One that cannot be read is left out; the server's log names it.
    pub async fn list(&self, op: &Op, after: Option<&str>, limit: usize) -> Result<DeadLetterPage, Error> {
        self.authorize(op, "ListDeadLetters", "*")?;
        let mut page = DeadLetterPage { dead_letters: Vec::new(), next: None };
        let mut after = after.map(|after| format!("{PREFIX}{after}").into_bytes());
        while page.dead_letters.len() < limit {
            let chunk = self.services.scan_chunk(PREFIX, after.as_deref(), CHUNK)?;
            if chunk.is_empty() {
                return Ok(page);
            }
            for (key, record) in chunk {
                if page.dead_letters.len() < limit
                    && let Ok(found) = decode::<DeadLetterRecord>(&key, &record)
                {
                    page.dead_letters.push(shape(id_of(&key), &found.value));
                }
                if page.dead_letters.len() >= limit {
                    page.next = Some(id_of(&key));
                    break;
                }
                after = Some(key);
            }
            tokio::task::yield_now().await;
        }
        Ok(page)
    }

    /// One letter with its event.
    pub async fn describe(&self, op: &Op, id: &str) -> Result<DeadLetter, Error> {
        self.authorize(op, "DescribeDeadLetter", id)?;
        let letter = self.find(id)?.value;
        let event = letter.invocation.event()?;
        let payload = serde_json::from_slice(&event)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&event).into_owned()));
        Ok(DeadLetter { payload: Some(payload), ..shape(id.to_owned(), &letter) })
    }

    /// The event is tried again from the beginning, under a new id, which it answers.
    pub async fn replay(&self, op: &Op, id: &str) -> Result<String, Error> {
        self.authorize(op, "ReplayDeadLetter", id)?;
        let services = &self.services;
        let found = self.find(id)?;
        let row = found.value.invocation.anew(op.now);
        services.take_places(std::slice::from_ref(&row))?;
        let writes = vec![delete(format!("{PREFIX}{id}"), Expect::Revision(found.revision)), row.write()];
        let committed = services.commit(writes).await;
        if !matches!(committed, Ok(Committed::Done)) {
            services.give_places_back(std::slice::from_ref(&row));
        }
        if committed? == Committed::Conflict {
            return Err(missing(id));
        }
        services.inner.invocations.letters().remove(id);
        services.start_stored(std::slice::from_ref(&row));
        Ok(row.id)
    }

    pub async fn drop_one(&self, op: &Op, id: &str) -> Result<(), Error> {
        self.authorize(op, "DropDeadLetter", id)?;
        let services = &self.services;
        let key = format!("{PREFIX}{id}");
        // Not `find`: one that cannot be read may go as well.
        let record = services.store().get(key.as_bytes()).map_err(|err| Error::internal(format!("{err:?}")))?;
        let revision = record.ok_or_else(|| missing(id))?.revision;
        if services.commit(vec![delete(key, Expect::Revision(revision))]).await? == Committed::Conflict {
            return Err(missing(id));
        }
        services.inner.invocations.letters().remove(id);
        Ok(())
    }

    fn find(&self, id: &str) -> Result<Found<DeadLetterRecord>, Error> {
        self.services.find::<DeadLetterRecord>(&format!("{PREFIX}{id}"))?.ok_or_else(|| missing(id))
    }
}

fn shape(id: String, letter: &DeadLetterRecord) -> DeadLetter {
    let row = &letter.invocation;
    DeadLetter {
        id,
        function_arn: row.function_arn.clone(),
        rule: Some(row.rule.clone()).filter(|rule| !rule.is_empty()),
        request_id: row.request_id.clone(),
        accepted_at: row.created_at,
        given_up_at: letter.at,
        condition: letter.condition.clone(),
        response: letter.response.clone(),
        failures: row.failures,
        payload_bytes: row.event_bytes(),
        payload: None,
    }
}

fn missing(id: &str) -> Error {
    Error::new("ResourceNotFoundException", format!("There is no dead letter {id}."))
}

fn id_of(key: &[u8]) -> String {
    String::from_utf8_lossy(key.get(PREFIX.len()..).unwrap_or_default()).into_owned()
}

/// As much of an answer as is kept.
pub(super) fn cut(response: &str) -> &str {
    &response[..response.floor_char_boundary(RESPONSE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_by_number_and_by_bytes() {
        let mut letters = Letters::default();
        for n in 0..DEAD_LETTERS_MAX {
            assert!(letters.make_room(1).is_empty());
            letters.add(format!("{n:05}"), 1);
        }
        let gone =
            |letters: &mut Letters, bytes| letters.make_room(bytes).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(gone(&mut letters, 1), ["00000"]);
        letters.add("99999".into(), DEAD_LETTER_BYTES_MAX - 999);
        assert_eq!(gone(&mut letters, 1), ["00001"], "the number is one below its bound, the bytes one above");
        letters.remove("00500");
        assert_eq!(gone(&mut letters, 1), Vec::<String>::new());
        assert_eq!(gone(&mut letters, DEAD_LETTER_BYTES_MAX).len(), 998);
        assert_eq!(letters.bytes, 0);
    }
}
