//! Log streams: one for each environment of a function, and those that somebody made by hand.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Expect, StreamFacts};

use super::shapes::{CreateLogStreamRequest, DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream};
use super::{Logs, group_missing, group_of, invalid};
use crate::record::{Stored, put};
use crate::{Error, Op};

/// `limit`: 1 to 50. (DescribeLogStreams)
const LIMIT_MAX: usize = 50;

/// Made by hand, of one group: they go with it in one commit.
const STREAMS_MAX: usize = 1000;

/// One that somebody made; those that functions write to are known by their events.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StreamRecord {
    name: String,
    created_at: Timestamp,
}

impl Stored for StreamRecord {
    const VERSION: u32 = 1;
}

struct Stream {
    name: String,
    created_at_ms: i64,
    facts: Option<StreamFacts>,
}

impl Stream {
    fn last_at_ms(&self) -> Option<i64> {
        self.facts.as_ref().map(|facts| facts.last_at_ms)
    }
}

impl Logs {
    pub async fn describe_log_streams(
        &self,
        op: &Op,
        input: DescribeLogStreamsRequest,
    ) -> Result<DescribeLogStreamsResponse, Error> {
        let group = group_of(
            self.group_arn("").as_str(),
            input.log_group_name.as_deref(),
            input.log_group_identifier.as_deref(),
        )?;
        self.authorize(op, "logs:DescribeLogStreams", &format!("{}:log-stream:", self.group_arn(&group)))?;
        if !self.group_exists(&group)? {
            return Err(group_missing());
        }
        let prefix = input.log_stream_name_prefix.as_deref().unwrap_or_default();
        let by_time = input.order_by.as_deref() == Some("LastEventTime");
        if by_time && !prefix.is_empty() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let mut streams = self.streams(&group, prefix)?;
        if by_time {
            streams.sort_by(|left, right| (left.last_at_ms(), &left.name).cmp(&(right.last_at_ms(), &right.name)));
        }
        if input.descending == Some(true) {
            streams.reverse();
        }
        let limit = input.limit.map_or(LIMIT_MAX, |limit| usize::try_from(limit).unwrap_or(1).clamp(1, LIMIT_MAX));
        // The token is the name of the last stream answered.
        let from = match &input.next_token {
            None => 0,
            Some(token) => {
                let last = streams.iter().position(|stream| stream.name == *token);
                last.ok_or_else(|| invalid("The specified nextToken is invalid."))? + 1
            }
        };
        let page: Vec<&Stream> = streams.iter().skip(from).take(limit).collect();
        let more = streams.len() > from + page.len();
        let next_token = page.last().filter(|_| more).map(|stream| stream.name.clone());
        let log_streams = page.into_iter().map(|facts| self.stream_shape(&group, facts)).collect();
        Ok(DescribeLogStreamsResponse { log_streams: Some(log_streams), next_token })
    }

    pub async fn create_log_stream(&self, op: &Op, input: CreateLogStreamRequest) -> Result<(), Error> {
        let (group, name) = (&input.log_group_name, &input.log_stream_name);
        let resource = format!("{}:log-stream:{name}", self.group_arn(group));
        self.authorize(op, "logs:CreateLogStream", &resource)?;
        let record = StreamRecord { name: name.clone(), created_at: op.now };
        self.services
            .transact(|| {
                if !self.group_exists(group)? {
                    return Err(group_missing());
                }
                if self.stream_exists(group, name)? {
                    return Err(Error::new(
                        "ResourceAlreadyExistsException",
                        "The specified log stream already exists",
                    ));
                }
                if self.stream_keys(group)?.len() >= STREAMS_MAX {
                    let message = format!("Resource limit exceeded: {STREAMS_MAX} log streams made by hand.");
                    return Err(Error::new("LimitExceededException", message));
                }
                Ok((vec![put(stream_key(group, name), &record, Expect::Absent)], ()))
            })
            .await
    }

    pub(super) fn stream_exists(&self, group: &str, name: &str) -> Result<bool, Error> {
        let has_events = self.journal(group).is_some_and(|journal| !journal.read_stream(name, 0, 1).is_empty());
        Ok(has_events || self.services.find::<StreamRecord>(&stream_key(group, name))?.is_some())
    }

    /// The keys of the streams that were made by hand.
    pub(super) fn stream_keys(&self, group: &str) -> Result<Vec<String>, Error> {
        let prefix = stream_prefix(group);
        let rest = self.services.keys_below(&prefix)?;
        Ok(rest.into_iter().map(|rest| format!("{prefix}{rest}")).collect())
    }

    /// Those that were made by hand and those that have events, by name.
    fn streams(&self, group: &str, prefix: &str) -> Result<Vec<Stream>, Error> {
        let mut streams = BTreeMap::new();
        for (_, found) in self.services.find_all::<StreamRecord>(&stream_prefix(group))? {
            let StreamRecord { name, created_at } = found.value;
            if name.starts_with(prefix) {
                let stream = Stream { name: name.clone(), created_at_ms: created_at.millis(), facts: None };
                streams.insert(name, stream);
            }
        }
        for facts in self.journal(group).map(|journal| journal.streams(prefix)).unwrap_or_default() {
            let name = facts.name.clone();
            let made = Stream { name: name.clone(), created_at_ms: facts.first_at_ms, facts: None };
            streams.entry(name).or_insert(made).facts = Some(facts);
        }
        Ok(streams.into_values().collect())
    }

    fn stream_shape(&self, group: &str, stream: &Stream) -> LogStream {
        let name = &stream.name;
        LogStream {
            log_stream_name: Some(name.to_owned()),
            creation_time: Some(stream.created_at_ms),
            first_event_timestamp: stream.facts.as_ref().map(|facts| facts.first_at_ms),
            last_event_timestamp: stream.facts.as_ref().map(|facts| facts.last_at_ms),
            last_ingestion_time: stream.facts.as_ref().map(|facts| facts.last_at_ms),
            upload_sequence_token: None,
            arn: Some(format!("{}:log-stream:{name}", self.group_arn(group))),
            // Always 0 on AWS since 2019.
            stored_bytes: Some(0),
        }
    }
}

/// Names may be longer than keys.
fn stream_prefix(group: &str) -> String {
    format!("logs/stream/{}/", hash(group))
}

fn stream_key(group: &str, stream: &str) -> String {
    format!("{}{}", stream_prefix(group), hash(stream))
}

fn hash(name: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, name.as_bytes()))
}
