//! Log events: one stream from either end, or a group through a filter.

use store::Entry;

use super::shapes::{
    FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent, GetLogEventsRequest, GetLogEventsResponse,
    OutputLogEvent,
};
use super::{Logs, group_missing, group_of, invalid, journal_stream, stream_name};
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
        if !self.group_exists(&group)? {
            return Err(group_missing());
        }
        let stream = journal_stream(&group, name);
        if self.journal().streams(&stream).iter().all(|facts| facts.name != stream) {
            return Err(Error::new("ResourceNotFoundException", "The specified log stream does not exist."));
        }
        let window = Window::of(input.start_time, input.end_time);
        let limit = limit_of(input.limit);
        let place = input.next_token.as_deref().map(read_token).transpose()?;
        let entries = match place {
            Some(Place::After(after)) => self.forward(&stream, after, limit, window),
            None if input.start_from_head == Some(true) => self.forward(&stream, 0, limit, window),
            Some(Place::Before(before)) => self.backward(&stream, before, limit, window),
            None => self.backward(&stream, u64::MAX, limit, window),
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
        let events = entries
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

    fn forward(&self, stream: &str, after: u64, limit: usize, window: Window) -> (Vec<Entry>, Option<(u64, u64)>) {
        let entries = self.journal().read_stream(stream, after, SCANNED_MAX);
        let scanned = ends(entries.first(), entries.last());
        (bounded(entries.into_iter().filter(|entry| window.holds(entry.at_ms)), limit), scanned)
    }

    /// The newest that fit, oldest first.
    fn backward(&self, stream: &str, before: u64, limit: usize, window: Window) -> (Vec<Entry>, Option<(u64, u64)>) {
        let entries = self.journal().read_stream_back(stream, before, SCANNED_MAX);
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
        if !self.group_exists(&group)? {
            return Err(group_missing());
        }
        if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
            return Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters."));
        }
        let pattern = Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default())?;
        let window = Window::of(input.start_time, input.end_time);
        let after = match input.next_token.as_deref().map(read_token).transpose()? {
            Some(Place::After(after)) => after,
            Some(Place::Before(_)) => return Err(invalid("The specified nextToken is invalid.")),
            None => 0,
        };
        let of_group = format!("{group}\n");
        let wanted = |entry: &Entry| {
            let name = stream_name(&entry.stream);
            entry.stream.starts_with(&of_group)
                && input.log_stream_names.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
                && input.log_stream_name_prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
                && window.holds(entry.at_ms)
                && pattern.matches(&text_of(entry))
        };
        let scanned = self.journal().read(after, SCANNED_MAX);
        let (scanned_all, end) = (scanned.len() < SCANNED_MAX, scanned.last().map_or(after, |entry| entry.sequence));
        let mut fitting = scanned.into_iter().filter(wanted).peekable();
        let found = bounded(std::iter::from_fn(|| fitting.next()), limit_of(input.limit));
        let next = match (fitting.peek().is_some(), found.last()) {
            (true, Some(last)) => Some(last.sequence),
            _ if scanned_all => None,
            _ => Some(end),
        };
        let events = found
            .into_iter()
            .map(|entry| FilteredLogEvent {
                log_stream_name: Some(stream_name(&entry.stream).to_owned()),
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

/// Terms that must all be there, `-term` that must not, `?term` of which one must, quotes around words with spaces.
/// JSON and space-delimited patterns are refused by name. (CloudWatch Logs: filter and pattern syntax)
#[derive(Debug, Default, PartialEq, Eq)]
struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, Error> {
        let mut pattern = Self::default();
        let mut rest = text.trim();
        if rest.starts_with(['{', '[', '%']) {
            return Err(invalid(
                "filterPattern: JSON, space-delimited and regular expression patterns are not served yet; use terms.",
            ));
        }
        while !rest.is_empty() {
            let (sign, unsigned) = match rest.strip_prefix(['-', '?']) {
                Some(unsigned) => (rest.chars().next(), unsigned),
                None => (None, rest),
            };
            let (term, after) = match unsigned.strip_prefix('"') {
                Some(quoted) => {
                    quoted.split_once('"').ok_or_else(|| invalid("Invalid filter pattern: a quote is not closed."))?
                }
                None => unsigned.split_once(char::is_whitespace).unwrap_or((unsigned, "")),
            };
            match sign {
                Some('-') => pattern.none.push(term.to_owned()),
                Some(_) => pattern.any.push(term.to_owned()),
                None => pattern.all.push(term.to_owned()),
            }
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    fn matches(&self, text: &str) -> bool {
        self.all.iter().all(|term| text.contains(term))
            && !self.none.iter().any(|term| text.contains(term))
            && (self.any.is_empty() || self.any.iter().any(|term| text.contains(term)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_terms() {
        let line = "2026-11-23T00:00:00Z\tid\tERROR\tAccess denied for iot:CreatePolicy";
        for (pattern, expected) in [
            ("", Some(true)),
            ("ERROR", Some(true)),
            ("error", Some(false)),
            ("ERROR iot:CreatePolicy", Some(true)),
            ("ERROR iot:AttachPolicy", Some(false)),
            ("\"Access denied\"", Some(true)),
            ("\"denied Access\"", Some(false)),
            ("ERROR -denied", Some(false)),
            ("?WARN ?ERROR", Some(true)),
            ("?WARN ?FATAL", Some(false)),
            ("{ $.level = \"ERROR\" }", None),
            ("\"open", None),
        ] {
            let matches = Pattern::parse(pattern).ok().map(|pattern| pattern.matches(line));
            assert_eq!(matches, expected, "{pattern}");
        }
    }

    #[test]
    fn tokens_come_back() {
        assert_eq!(read_token("f/00000000000000000042"), Ok(Place::After(42)));
        assert_eq!(read_token("b/7"), Ok(Place::Before(7)));
        for bad in ["", "f", "x/1", "f/-1", "f/one"] {
            assert!(read_token(bad).is_err(), "{bad:?}");
        }
    }
}
