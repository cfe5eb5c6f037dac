//! Log groups.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::Expect;

use super::shapes::{DescribeLogGroupsRequest, DescribeLogGroupsResponse, LogGroup};
use super::{Logs, invalid};
use crate::record::{Stored, put};
use crate::{Error, Op};

const PREFIX: &str = "logs/group/";

/// `limit`: 1 to 50. (DescribeLogGroups)
const LIMIT_MAX: usize = 50;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LogGroupRecord {
    created_at: Timestamp,
    retention_days: Option<i32>,
}

impl Stored for LogGroupRecord {
    const VERSION: u32 = 1;
}

impl Logs {
    pub(super) async fn create_group_record(&self, group: &str, at: Timestamp) -> Result<(), Error> {
        let record = LogGroupRecord { created_at: at, retention_days: None };
        self.services.commit(vec![put(format!("{PREFIX}{group}"), &record, Expect::Absent)]).await?;
        Ok(())
    }

    pub(super) fn group_exists(&self, group: &str) -> Result<bool, Error> {
        let known = self.services.find::<LogGroupRecord>(&format!("{PREFIX}{group}"))?.is_some();
        // Its first line may be a moment ahead of its record.
        Ok(known || !self.journal().streams(&format!("{group}\n")).is_empty())
    }

    pub async fn describe_log_groups(
        &self,
        op: &Op,
        input: DescribeLogGroupsRequest,
    ) -> Result<DescribeLogGroupsResponse, Error> {
        // The group that is named is none, as in AWS's own refusals.
        self.authorize(op, "logs:DescribeLogGroups", &format!("{}:log-stream:", self.group_arn("")))?;
        if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
            return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
        }
        let limit = input.limit.map_or(LIMIT_MAX, |limit| usize::try_from(limit).unwrap_or(1).clamp(1, LIMIT_MAX));
        let fits = |name: &str| {
            let prefix = input.log_group_name_prefix.as_deref();
            let pattern = input.log_group_name_pattern.as_deref().map(str::to_lowercase);
            prefix.is_none_or(|prefix| name.starts_with(prefix))
                && pattern.is_none_or(|pattern| name.to_lowercase().contains(&pattern))
                && input.next_token.as_deref().is_none_or(|after| name > after)
        };
        let all = self.services.find_all::<LogGroupRecord>(PREFIX)?;
        let mut fitting = all.into_iter().filter(|(name, _)| fits(name));
        let page: Vec<_> = fitting.by_ref().take(limit).collect();
        let next_token = fitting.next().and_then(|_| page.last().map(|(name, _)| name.clone()));
        let log_groups = page.into_iter().map(|(name, found)| self.shape(name, &found.value)).collect();
        Ok(DescribeLogGroupsResponse { log_groups: Some(log_groups), next_token })
    }

    fn shape(&self, name: String, record: &LogGroupRecord) -> LogGroup {
        let arn = self.group_arn(&name);
        LogGroup {
            log_group_name: Some(name),
            creation_time: Some(record.created_at.millis()),
            retention_in_days: record.retention_days,
            metric_filter_count: Some(0),
            arn: Some(format!("{arn}:*")),
            log_group_arn: Some(arn.to_string()),
            log_group_class: Some("STANDARD".to_owned()),
            ..Default::default()
        }
    }
}
