//! PutLogEvents: a batch from whoever writes logs of their own.

use bytes::Bytes;
use domain::Timestamp;

use super::shapes::{InputLogEvent, PutLogEventsRequest, PutLogEventsResponse, RejectedLogEventsInfo};
use super::{Logs, group_missing, invalid, stream_missing};
use crate::{Error, Op};

/// A batch: its events' bytes, and 26 for each. (PutLogEvents)
const BATCH_BYTES_MAX: usize = 1_048_576;
const EVENT_OVERHEAD_BYTES: usize = 26;

const HOUR_MS: i64 = 3600 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
const SPAN_MAX_MS: i64 = DAY_MS;
const TOO_NEW_MS: i64 = 2 * HOUR_MS;
const TOO_OLD_MS: i64 = 14 * DAY_MS;

impl Logs {
    /// Sequence tokens are ignored, as on AWS since 2023.
    pub async fn put_log_events(&self, op: &Op, input: PutLogEventsRequest) -> Result<PutLogEventsResponse, Error> {
        let (group, stream) = (&input.log_group_name, &input.log_stream_name);
        let resource = format!("{}:log-stream:{stream}", self.group_arn(group));
        self.authorize(op, "logs:PutLogEvents", &resource)?;
        let record = self.find_group(group)?.ok_or_else(group_missing)?.value;
        let journals = self.journals();
        journals.ensure(group, record.retention_days)?;
        if !self.stream_exists(group, stream)? {
            return Err(stream_missing());
        }
        let bytes = check_batch(&input.log_events)?;
        if !journals.may_take(group, bytes as u64, op.now) {
            return Err(Error::new("ThrottlingException", "Rate exceeded"));
        }
        let (taken, rejected) = sort_out(&input.log_events, record.retention_days, op.now);
        for event in taken {
            let at = Timestamp::from_millis(event.timestamp);
            journals.append(group, stream, at, Bytes::copy_from_slice(event.message.as_bytes()), op.now);
        }
        Ok(PutLogEventsResponse {
            next_sequence_token: Some(format!("{:056}", op.now.millis())),
            rejected_entity_info: None,
            rejected_log_events_info: rejected,
        })
    }
}

/// The bytes of a batch that may be taken.
fn check_batch(events: &[InputLogEvent]) -> Result<usize, Error> {
    let bytes: usize = events.iter().map(|event| event.message.len() + EVENT_OVERHEAD_BYTES).sum();
    if bytes > BATCH_BYTES_MAX {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES_MAX}")));
    }
    if events.is_sorted_by_key(|event| event.timestamp) {
        let span_ms = events.last().zip(events.first()).map_or(0, |(last, first)| last.timestamp - first.timestamp);
        if span_ms > SPAN_MAX_MS {
            let message = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.";
            return Err(invalid(message));
        }
        return Ok(bytes);
    }
    Err(invalid("Log events in a single PutLogEvents request must be in chronological order."))
}

/// Those that are kept, and which are not: they are in order, so the old are at the beginning and the new at the end.
fn sort_out(
    events: &[InputLogEvent],
    retention_days: Option<i32>,
    now: Timestamp,
) -> (&[InputLogEvent], Option<RejectedLogEventsInfo>) {
    let before = |at_ms: i64| events.partition_point(|event| event.timestamp < at_ms);
    let old = before(now.millis() - TOO_OLD_MS);
    let expired = retention_days.map_or(0, |days| before(now.millis() - i64::from(days) * DAY_MS));
    let new = events.partition_point(|event| event.timestamp <= now.millis() + TOO_NEW_MS);
    let index = |index: usize| i32::try_from(index).ok();
    let rejected = RejectedLogEventsInfo {
        too_old_log_event_end_index: index(old).filter(|_| old > 0),
        expired_log_event_end_index: index(expired).filter(|_| expired > old),
        too_new_log_event_start_index: index(new).filter(|_| new < events.len()),
    };
    let is_any = rejected != RejectedLogEventsInfo::default();
    (events.get(old.max(expired)..new).unwrap_or_default(), is_any.then_some(rejected))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn event(at_ms: i64) -> InputLogEvent {
        InputLogEvent { message: "x".to_owned(), timestamp: at_ms }
    }

    #[test]
    fn batches_are_bounded_and_in_order() {
        let long = InputLogEvent { message: "x".repeat(BATCH_BYTES_MAX - 26), timestamp: 0 };
        for (events, expected) in [
            (vec![event(1), event(1), event(2)], Ok(81)),
            (vec![long.clone()], Ok(BATCH_BYTES_MAX)),
            (vec![long, event(1)], Err("Upload too large")),
            (vec![event(2), event(1)], Err("chronological")),
            (vec![event(0), event(SPAN_MAX_MS)], Ok(54)),
            (vec![event(0), event(SPAN_MAX_MS + 1)], Err("24 hours")),
        ] {
            let answer = check_batch(&events).map_err(|err| err.message);
            match (&answer, expected) {
                (Ok(bytes), Ok(expected)) => assert_eq!(*bytes, expected),
                (Err(message), Err(words)) => assert!(message.contains(words), "{message}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_too_old_too_new_or_expired_is_named() {
        let at = |offset_ms: i64| event(NOW.millis() + offset_ms);
        let old = [at(-TOO_OLD_MS - 1), at(-TOO_OLD_MS), at(-TOO_OLD_MS + 1)];
        let new = [at(0), at(TOO_NEW_MS), at(TOO_NEW_MS + 1)];
        for (events, days, kept, expected) in [
            (&old[..], None, 2, (Some(1), None, None)),
            (&old[..], Some(1), 0, (Some(1), Some(3), None)),
            (&new[..], None, 2, (None, None, Some(2))),
            (&new[..1], Some(1), 1, (None, None, None)),
        ] {
            let (taken, rejected) = sort_out(events, days, NOW);
            let rejected = rejected.unwrap_or_default();
            let found = (
                rejected.too_old_log_event_end_index,
                rejected.expired_log_event_end_index,
                rejected.too_new_log_event_start_index,
            );
            assert_eq!((taken.len(), found), (kept, expected), "{days:?}");
        }
    }
}
