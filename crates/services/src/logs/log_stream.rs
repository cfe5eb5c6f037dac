//! Log streams: one for each environment of a function.

use store::StreamFacts;

use super::shapes::{DescribeLogStreamsRequest, DescribeLogStreamsResponse, LogStream};
use super::{Logs, group_missing, group_of, invalid, stream_name};
use crate::{Error, Op};

/// `limit`: 1 to 50. (DescribeLogStreams)
const LIMIT_MAX: usize = 50;

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
        let mut streams = self.journal().streams(&format!("{group}\n{prefix}"));
        if by_time {
            streams.sort_by(|left, right| (left.last_at_ms, &left.name).cmp(&(right.last_at_ms, &right.name)));
        }
        if input.descending == Some(true) {
            streams.reverse();
        }
        let limit = input.limit.map_or(LIMIT_MAX, |limit| usize::try_from(limit).unwrap_or(1).clamp(1, LIMIT_MAX));
        // The token is the name of the last stream answered.
        let from = match &input.next_token {
            None => 0,
            Some(token) => {
                let last = streams.iter().position(|stream| stream_name(&stream.name) == token);
                last.ok_or_else(|| invalid("The specified nextToken is invalid."))? + 1
            }
        };
        let page: Vec<&StreamFacts> = streams.iter().skip(from).take(limit).collect();
        let more = streams.len() > from + page.len();
        let next_token = page.last().filter(|_| more).map(|stream| stream_name(&stream.name).to_owned());
        let log_streams = page.into_iter().map(|facts| self.stream_shape(&group, facts)).collect();
        Ok(DescribeLogStreamsResponse { log_streams: Some(log_streams), next_token })
    }

    fn stream_shape(&self, group: &str, facts: &StreamFacts) -> LogStream {
        let name = stream_name(&facts.name);
        LogStream {
            log_stream_name: Some(name.to_owned()),
            creation_time: Some(facts.first_at_ms),
            first_event_timestamp: Some(facts.first_at_ms),
            last_event_timestamp: Some(facts.last_at_ms),
            last_ingestion_time: Some(facts.last_at_ms),
            upload_sequence_token: None,
            arn: Some(format!("{}:log-stream:{name}", self.group_arn(group))),
            // Always 0 on AWS since 2019.
            stored_bytes: Some(0),
        }
    }
}
