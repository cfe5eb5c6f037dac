//! Log events: one stream from either end, or a group through a filter.

use store::Entry;

use super::filter_pattern::FilterPattern;
use super::shapes::{
    FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent, GetLogEventsRequest, GetLogEventsResponse,
    OutputLogEvent,
};
use super::{Logs, group_missing, group_of, invalid, stream_missing};
use crate::{Error, Op};

/// `limit`: 1 to 10,000. (GetLogEvents, FilterLogEvents)
const LIMIT_MAX: usize = 10_000;

/// An answer is 1 MB at most. (GetLogEvents, FilterLogEvents)
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Entries that one question looks at; what is beyond it comes with the next token.
const SCANNED_MAX: usize = 50_000;

impl Logs {
    /// Tokens are `f/<sequence>` and `b/<sequence>`: the place after the last event answered, or before the first.
    pub async fn get_log_events(&self, op: &Op, input: GetLogEventsRequest) -> Result<GetLogEventsResponse, Error> {
        let group = group_of(
            self.group_arn("").as_str(),
            input.log_group_name.as_deref(),
            input.log_group_identifier.as_deref(),
        )?;
        let name = &input.log_stream_name;
        let resource = format!("{}:log-stream:{name}", self.group_arn(&group));
        self.authorize(op, "logs:GetLogEvents", &resource)?;
        let retained_from = self.retained_from(&group, op.now)?.ok_or_else(group_missing)?;
        if !self.stream_exists(&group, name)? {
            return Err(stream_missing());
        }
        let window = Window::of(input.start_time, input.end_time).since(retained_from);
        let limit = limit_of(input.limit);
        let place = input.next_token.as_deref().map(read_token).transpose()?;
        let entries = match place {
            Some(Place::After(after)) => self.forward(&group, name, after, limit, window),
            None if input.start_from_head == Some(true) => self.forward(&group, name, 0, limit, window),
            Some(Place::Before(before)) => self.backward(&group, name, before, limit, window),
            None => self.backward(&group, name, u64::MAX, limit, window),
        };
        let (entries, scanned) = entries;
        let (first, last) = match (entries.first(), entries.last(), place) {
            (Some(first), Some(last), _) => (first.sequence, last.sequence),
            // Nothing fits: the caller gets on past what was looked at.
            _ if scanned.is_some() => scanned.unwrap_or_default(),
            // Nothing there: the caller stays where it is.
            (_, _, Some(Place::After(after))) => (after.saturating_add(1), after),
            (_, _, Some(Place::Before(before))) => (before, before.saturating_sub(1)),
            _ => (0, 0),
        };
        let events = in_time(entries)
            .into_iter()
            .map(|entry| OutputLogEvent {
                timestamp: Some(entry.at_ms),
                ingestion_time: Some(entry.at_ms),
                message: Some(text_of(&entry)),
            })
            .collect();
        Ok(GetLogEventsResponse {
            events: Some(events),
            next_forward_token: Some(format!("f/{last:020}")),
            next_backward_token: Some(format!("b/{first:020}")),
        })
    }

    fn forward(
        &self,
        group: &str,
        stream: &str,
        after: u64,
        limit: usize,
        window: Window,
    ) -> (Vec<Entry>, Option<(u64, u64)>) {
        let journal = self.journal(group);
        let entries = journal.map(|journal| journal.read_stream(stream, after, SCANNED_MAX)).unwrap_or_default();
        let scanned = ends(entries.first(), entries.last());
        (bounded(entries.into_iter().filter(|entry| window.holds(entry.at_ms)), limit), scanned)
    }

    /// The newest that fit, oldest first.
    fn backward(
        &self,
        group: &str,
        stream: &str,
        before: u64,
        limit: usize,
        window: Window,
    ) -> (Vec<Entry>, Option<(u64, u64)>) {
        let journal = self.journal(group);
        let entries = journal.map(|journal| journal.read_stream_back(stream, before, SCANNED_MAX)).unwrap_or_default();
        let scanned = ends(entries.last(), entries.first());
        let mut found = bounded(entries.into_iter().filter(|entry| window.holds(entry.at_ms)), limit);
        found.reverse();
        (found, scanned)
    }

    pub async fn filter_log_events(
        &self,
        op: &Op,
        input: FilterLogEventsRequest,
    ) -> Result<FilterLogEventsResponse, Error> {
        let group = group_of(
            self.group_arn("").as_str(),
            input.log_group_name.as_deref(),
            input.log_group_identifier.as_deref(),
        )?;
        self.authorize(op, "logs:FilterLogEvents", &format!("{}:log-stream:", self.group_arn(&group)))?;
        let retained_from = self.retained_from(&group, op.now)?.ok_or_else(group_missing)?;
        if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
            return Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters."));
        }
        let pattern = FilterPattern::parse(input.filter_pattern.as_deref().unwrap_or_default())?;
        // Here the end of the time is within. (FilterLogEvents)
        let end = input.end_time.map(|end| end.saturating_add(1));
        let window = Window::of(input.start_time, end).since(retained_from);
        let after = match input.next_token.as_deref().map(read_token).transpose()? {
            Some(Place::After(after)) => after,
            Some(Place::Before(_)) => return Err(invalid("The specified nextToken is invalid.")),
            None => 0,
        };
        let wanted = |entry: &Entry| {
            let name = entry.stream.as_str();
            input.log_stream_names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
                && input.log_stream_name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && window.holds(entry.at_ms)
                && pattern.matches(&text_of(entry))
        };
        let scanned = self.journal(&group).map(|journal| journal.read(after, SCANNED_MAX)).unwrap_or_default();
        let (scanned_all, end) = (scanned.len() < SCANNED_MAX, scanned.last().map_or(after, |entry| entry.sequence));
        let mut fitting = scanned.into_iter().filter(wanted).peekable();
        let found = bounded(std::iter::from_fn(|| fitting.next()), limit_of(input.limit));
        let next = match (fitting.peek().is_some(), found.last()) {
            (true, Some(last)) => Some(last.sequence),
            _ if scanned_all => None,
            _ => Some(end),
        };
        let events = in_time(found)
            .into_iter()
            .map(|entry| FilteredLogEvent {
                log_stream_name: Some(entry.stream.clone()),
                timestamp: Some(entry.at_ms),
                message: Some(text_of(&entry)),
                ingestion_time: Some(entry.at_ms),
                event_id: Some(format!("{:056}", entry.sequence)),
            })
            .collect();
        Ok(FilterLogEventsResponse {
            events: Some(events),
            searched_log_streams: Some(Vec::new()),
            next_token: next.map(|sequence| format!("f/{sequence:020}")),
        })
    }
}

/// The first and last sequence of what was looked at.
fn ends(oldest: Option<&Entry>, newest: Option<&Entry>) -> Option<(u64, u64)> {
    Some((oldest?.sequence, newest?.sequence))
}

/// `startTime` is within, `endTime` is not. (GetLogEvents)
#[derive(Clone, Copy, Debug)]
struct Window {
    from_ms: i64,
    to_ms: i64,
}

impl Window {
    fn of(start: Option<i64>, end: Option<i64>) -> Self {
        Self { from_ms: start.unwrap_or(i64::MIN), to_ms: end.unwrap_or(i64::MAX) }
    }

    /// Not before that moment.
    fn since(self, from_ms: i64) -> Self {
        Self { from_ms: self.from_ms.max(from_ms), ..self }
    }

    fn holds(self, at_ms: i64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }
}

fn limit_of(limit: Option<i32>) -> usize {
    limit.map_or(LIMIT_MAX, |limit| usize::try_from(limit).unwrap_or(1).clamp(1, LIMIT_MAX))
}

/// As many as an answer holds; at least one, so that a caller gets on.
fn bounded(entries: impl Iterator<Item = Entry>, limit: usize) -> Vec<Entry> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        bytes += entry.value.len() + 26;
        taken.push(entry);
        if taken.len() >= limit || bytes >= ANSWER_BYTES_MAX {
            break;
        }
    }
    taken
}

/// A page in the order of the events' own times: batches may come later than what they tell.
fn in_time(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.at_ms);
    entries
}

fn text_of(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.value).into_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    After(u64),
    Before(u64),
}

fn read_token(token: &str) -> Result<Place, Error> {
    let number = |text: &str| text.parse::<u64>().ok();
    let place = match token.split_once('/') {
        Some(("f", text)) => number(text).map(Place::After),
        Some(("b", text)) => number(text).map(Place::Before),
        _ => None,
    };
    place.ok_or_else(|| invalid("The specified nextToken is invalid."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        assert_eq!(read_token("f/00000000000000000042"), Ok(Place::After(42)));
        assert_eq!(read_token("b/7"), Ok(Place::Before(7)));
        for bad in ["", "f", "x/1", "f/-1", "f/one"] {
            assert!(read_token(bad).is_err(), "{bad:?}");
        }
    }
}
