//! Log groups.

use domain::Timestamp;
use serde::{Deserialize, Serialize};
use store::Expect;

use super::shapes::{
    CreateLogGroupRequest, DeleteLogGroupRequest, DescribeLogGroupsRequest, DescribeLogGroupsResponse, LogGroup,
    PutRetentionPolicyRequest,
};
use super::{Logs, group_missing, invalid};
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op, Services};

const PREFIX: &str = "logs/group/";

/// `limit`: 1 to 50. (DescribeLogGroups)
const LIMIT_MAX: usize = 50;

/// Each has a journal of its own. AWS allows a million.
const GROUPS_MAX: usize = 10_000;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// (PutRetentionPolicy)
const RETENTION_DAYS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LogGroupRecord {
    created_at: Timestamp,
    pub retention_days: Option<i32>,
}

impl Stored for LogGroupRecord {
    const VERSION: u32 = 1;
}

impl Services {
    /// At start: the groups that have journals, and their retention.
    pub(crate) fn log_groups(&self) -> Result<Vec<(String, Option<i32>)>, Error> {
        let groups = self.find_all::<LogGroupRecord>(PREFIX)?;
        Ok(groups.into_iter().map(|(name, found)| (name, found.value.retention_days)).collect())
    }
}

impl Logs {
    pub(super) async fn create_group_record(&self, group: &str, at: Timestamp) -> Result<(), Error> {
        let record = LogGroupRecord { created_at: at, retention_days: None };
        self.services.commit(vec![put(format!("{PREFIX}{group}"), &record, Expect::Absent)]).await?;
        Ok(())
    }

    pub(super) fn find_group(&self, group: &str) -> Result<Option<Found<LogGroupRecord>>, Error> {
        self.services.find(&format!("{PREFIX}{group}"))
    }

    pub(super) fn group_exists(&self, group: &str) -> Result<bool, Error> {
        // Its first line may be a moment ahead of its record.
        Ok(self.find_group(group)?.is_some() || self.journals().has(group))
    }

    /// The moment before which the group shows nothing; `None` where there is no such group.
    pub(super) fn retained_from(&self, group: &str, now: Timestamp) -> Result<Option<i64>, Error> {
        if !self.group_exists(group)? {
            return Ok(None);
        }
        let days = self.find_group(group)?.and_then(|found| found.value.retention_days);
        Ok(Some(days.map_or(i64::MIN, |days| now.millis() - i64::from(days) * DAY_MS)))
    }

    pub(super) fn forget_expired(&self) {
        let groups = self.services.log_groups().unwrap_or_default();
        for (group, days) in groups {
            if let (Some(days), Some(journal)) = (days, self.journal(&group)) {
                journal.forget_before(self.services.now().millis() - i64::from(days) * DAY_MS);
            }
        }
    }

    pub async fn create_log_group(&self, op: &Op, input: CreateLogGroupRequest) -> Result<(), Error> {
        let group = &input.log_group_name;
        self.authorize(op, "logs:CreateLogGroup", &format!("{}:log-stream:", self.group_arn(group)))?;
        for (what, is_asked) in [
            ("kmsKeyId", input.kms_key_id.is_some()),
            ("deletionProtectionEnabled", input.deletion_protection_enabled == Some(true)),
            ("logGroupClass", input.log_group_class.as_deref().is_some_and(|class| class != "STANDARD")),
            ("tags", input.tags.as_ref().is_some_and(|tags| !tags.is_empty())),
        ] {
            if is_asked {
                return Err(invalid(format!("{what} is not served yet; leave it out.")));
            }
        }
        if group.starts_with("aws/") {
            return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
        }
        let services = &self.services;
        let record = LogGroupRecord { created_at: op.now, retention_days: None };
        services
            .transact(|| {
                if self.group_exists(group)? {
                    return Err(Error::new("ResourceAlreadyExistsException", "The specified log group already exists"));
                }
                if services.keys_below(PREFIX)?.len() >= GROUPS_MAX {
                    let message = format!("Resource limit exceeded: {GROUPS_MAX} log groups.");
                    return Err(Error::new("LimitExceededException", message));
                }
                Ok((vec![put(format!("{PREFIX}{group}"), &record, Expect::Absent)], ()))
            })
            .await?;
        self.journals().ensure(group, None).map(drop)
    }

    /// Its streams and events go with it, from memory and from the disk.
    pub async fn delete_log_group(&self, op: &Op, input: DeleteLogGroupRequest) -> Result<(), Error> {
        let group = &input.log_group_name;
        self.authorize(op, "logs:DeleteLogGroup", &format!("{}:log-stream:", self.group_arn(group)))?;
        if !self.group_exists(group)? {
            return Err(group_missing());
        }
        let mut writes = vec![delete(format!("{PREFIX}{group}"), Expect::Anything)];
        for key in self.stream_keys(group)? {
            writes.push(delete(key, Expect::Anything));
        }
        self.services.commit(writes).await?;
        self.journals().remove(group)
    }

    pub async fn put_retention_policy(&self, op: &Op, input: PutRetentionPolicyRequest) -> Result<(), Error> {
        let (group, days) = (&input.log_group_name, input.retention_in_days);
        self.authorize(op, "logs:PutRetentionPolicy", &format!("{}:log-stream:", self.group_arn(group)))?;
        if !RETENTION_DAYS.contains(&days) {
            let days: Vec<String> = RETENTION_DAYS.iter().map(ToString::to_string).collect();
            let message = format!(
                "1 validation error detected: Value '{}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
                input.retention_in_days,
                days.join(", ")
            );
            return Err(invalid(message));
        }
        let services = &self.services;
        services
            .transact(|| {
                let found = self.find_group(group)?.ok_or_else(group_missing)?;
                let record = LogGroupRecord { retention_days: Some(days), ..found.value };
                Ok((vec![put(format!("{PREFIX}{group}"), &record, Expect::Revision(found.revision))], ()))
            })
            .await?;
        self.journals().retain(group, Some(days));
        self.forget_expired();
        Ok(())
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
        let usage = self.journal(&name).map(|journal| journal.usage());
        // As AWS counts them: 26 bytes for each event beside its own.
        let stored_bytes = usage.map_or(0, |usage| usage.value_bytes + 26 * usage.entries as u64);
        LogGroup {
            stored_bytes: i64::try_from(stored_bytes).ok(),
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
