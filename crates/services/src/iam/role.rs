//! Roles: who may assume them (the trust policy). What they may do is in `role_policy` and `attached_policy`.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::document::percent_encoded;
use super::page::page_of;
use super::shapes::{
    CreateRoleRequest, CreateRoleResponse, DeleteRoleRequest, GetRoleRequest, GetRoleResponse, ListRolesRequest,
    ListRolesResponse, Role, Tag, UpdateAssumeRolePolicyRequest,
};
use super::unique_id::{IdKind, unique_id};
use super::{Iam, LISTED_ROLES};
use crate::authorization::DeniedAs;
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op, Services};

pub(super) const PREFIX: &str = "iam/role/";

/// Roles of an account. (IAM quotas)
const ROLES_MAX: usize = 1000;

/// The longest a session may last where CreateRole does not say.
const SESSION_S_DEFAULT: i32 = 3600;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    pub path: String,
    pub role_id: String,
    pub trust: String,
    pub description: Option<String>,
    pub max_session_s: i32,
    pub created_at: Timestamp,
    pub tags: Vec<(String, String)>,
    pub inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    #[serde(default)]
    pub attached: BTreeSet<String>,
}

impl Stored for RoleRecord {
    const VERSION: u32 = 1;
}

impl Iam {
    pub async fn create_role(&self, op: &Op, input: CreateRoleRequest) -> Result<CreateRoleResponse, Error> {
        let name = input.role_name;
        let path = input.path.unwrap_or_else(|| "/".to_owned());
        self.authorize(op, "iam:CreateRole", self.role_arn(&path, &name).as_str())?;
        if input.permissions_boundary.is_some() {
            return Err(Error::new("InvalidInput", "PermissionsBoundary is not served yet; leave it out."));
        }
        self.check_trust(&input.assume_role_policy_document)?;
        let record = RoleRecord {
            path,
            role_id: unique_id(IdKind::Role),
            trust: input.assume_role_policy_document,
            description: input.description,
            max_session_s: input.max_session_duration.unwrap_or(SESSION_S_DEFAULT),
            // IAM's dates have whole seconds.
            created_at: Timestamp::from_seconds(op.now.seconds()),
            tags: distinct_tags(input.tags)?,
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
        };
        self.services
            .transact(|| {
                let names = self.services.keys_below(PREFIX)?;
                // Names differ by more than case. (IAM identifiers, "Friendly names and paths")
                if names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                    let message = format!("Role with name {name} already exists.");
                    return Err(Error::new("EntityAlreadyExists", message));
                }
                if names.len() >= ROLES_MAX {
                    return Err(over_quota("RolesPerAccount", ROLES_MAX));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Absent)], ()))
            })
            .await?;
        Ok(CreateRoleResponse { role: Some(self.shape(name, record)) })
    }

    pub async fn get_role(&self, op: &Op, input: GetRoleRequest) -> Result<GetRoleResponse, Error> {
        self.authorize_on_role(op, "iam:GetRole", &input.role_name)?;
        let record = self.must_find_role(&input.role_name)?.value;
        Ok(GetRoleResponse { role: Some(self.shape(input.role_name, record)) })
    }

    /// Without tags, as AWS lists them.
    pub async fn list_roles(&self, op: &Op, input: ListRolesRequest) -> Result<ListRolesResponse, Error> {
        self.authorize(op, "iam:ListRoles", self.account_arn(LISTED_ROLES).as_str())?;
        let prefix = input.path_prefix.as_deref().unwrap_or("/");
        let roles = self.services.find_all::<RoleRecord>(PREFIX)?.into_iter();
        let listed = roles
            .filter(|(_, found)| found.value.path.starts_with(prefix))
            .map(|(name, found)| (name.clone(), Role { tags: None, ..self.shape(name, found.value) }))
            .collect();
        let page = page_of(listed, input.max_items, input.marker.as_deref())?;
        Ok(ListRolesResponse { is_truncated: Some(page.is_truncated()), marker: page.marker, roles: Some(page.items) })
    }

    /// Its policies must be gone first: what a role could do is not to be lost by a slip.
    pub async fn delete_role(&self, op: &Op, input: DeleteRoleRequest) -> Result<(), Error> {
        let name = &input.role_name;
        self.authorize_on_role(op, "iam:DeleteRole", name)?;
        self.services
            .transact(|| {
                let Found { value: record, revision } = self.must_find_role(name)?;
                if !record.attached.is_empty() {
                    let message = "Cannot delete entity, must detach all policies first.";
                    return Err(Error::new("DeleteConflict", message));
                }
                if !record.inline.is_empty() {
                    return Err(Error::new("DeleteConflict", "Cannot delete entity, must delete policies first."));
                }
                Ok((vec![delete(format!("{PREFIX}{name}"), Expect::Revision(revision))], ()))
            })
            .await
    }

    pub async fn update_assume_role_policy(&self, op: &Op, input: UpdateAssumeRolePolicyRequest) -> Result<(), Error> {
        self.authorize_on_role(op, "iam:UpdateAssumeRolePolicy", &input.role_name)?;
        self.check_trust(&input.policy_document)?;
        self.change_role(&input.role_name, |record| {
            record.trust.clone_from(&input.policy_document);
            Ok(Vec::new())
        })
        .await
    }

    /// Reads the role, lets `change` change it, and commits it with what else `change` writes.
    pub(super) async fn change_role(
        &self,
        name: &str,
        mut change: impl FnMut(&mut RoleRecord) -> Result<Vec<Write>, Error>,
    ) -> Result<(), Error> {
        self.services
            .transact(|| {
                let Found { value: mut record, revision } = self.must_find_role(name)?;
                let mut writes = change(&mut record)?;
                writes.push(put(format!("{PREFIX}{name}"), &record, Expect::Revision(revision)));
                Ok((writes, ()))
            })
            .await
    }

    /// A role that is not there has the ARN it would have without a path.
    pub(super) fn authorize_on_role(&self, op: &Op, action: &str, name: &str) -> Result<(), Error> {
        self.authorize_on_role_in_context(op, action, name, &[])
    }

    pub(super) fn authorize_on_role_in_context(
        &self,
        op: &Op,
        action: &str,
        name: &str,
        context: &[(&str, &str)],
    ) -> Result<(), Error> {
        let found = self.find_role(name)?;
        let path = found.as_ref().map_or("/", |found| &found.value.path);
        let arn = self.role_arn(path, name);
        self.services.authorize_in_context(op, action, arn.as_str(), context, DeniedAs::AccessDenied)
    }

    pub(crate) fn find_role(&self, name: &str) -> Result<Option<Found<RoleRecord>>, Error> {
        self.services.find(&format!("{PREFIX}{name}"))
    }

    pub(super) fn must_find_role(&self, name: &str) -> Result<Found<RoleRecord>, Error> {
        let missing = || Error::new("NoSuchEntity", format!("The role with name {name} cannot be found."));
        self.find_role(name)?.ok_or_else(missing)
    }

    pub(crate) fn find_role_by_arn(&self, arn: &str) -> Result<Option<RoleRecord>, Error> {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let found = self.find_role(name)?;
        Ok(found.map(|found| found.value).filter(|record| self.role_arn(&record.path, name).as_str() == arn))
    }

    pub(super) fn role_arn(&self, path: &str, name: &str) -> Arn {
        self.account_arn(&format!("role{path}{name}"))
    }

    fn shape(&self, name: String, record: RoleRecord) -> Role {
        let tags: Vec<Tag> = record.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
        Role {
            arn: Some(self.role_arn(&record.path, &name).to_string()),
            role_name: Some(name),
            role_id: Some(record.role_id),
            path: Some(record.path),
            create_date: Some(record.created_at.into()),
            assume_role_policy_document: Some(percent_encoded(&record.trust)),
            description: record.description,
            max_session_duration: Some(record.max_session_s),
            tags: (!tags.is_empty()).then_some(tags),
            ..Default::default()
        }
    }
}

impl Services {
    /// Whoever gives a role to a service must be allowed to hand that role on.
    pub(crate) fn authorize_pass_role(&self, op: &Op, role_arn: &str, service: &str) -> Result<(), Error> {
        let context = [("iam:PassedToService", service)];
        self.authorize_in_context(op, "iam:PassRole", role_arn, &context, DeniedAs::AccessDeniedException)
    }
}

pub(super) fn over_quota(quota: &str, max: usize) -> Error {
    Error::new("LimitExceeded", format!("Cannot exceed quota for {quota}: {max}"))
}

/// Keys of tags compare without regard to case. (IAM user guide, "Tags for IAM resources")
pub(super) fn distinct_tags(tags: Option<Vec<Tag>>) -> Result<Vec<(String, String)>, Error> {
    let mut seen = BTreeSet::new();
    let mut distinct = Vec::new();
    for Tag { key, value } in tags.unwrap_or_default() {
        if !seen.insert(key.to_lowercase()) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Error::new("InvalidInput", message));
        }
        distinct.push((key, value));
    }
    Ok(distinct)
}

#[cfg(test)]
mod tests {
    use super::RoleRecord;

    /// Written before managed policies were served.
    #[test]
    fn a_role_without_attachments_is_read() {
        let record = r#"{"path":"/","role_id":"AROAAAAAAAAAAAAAAAAAA","trust":"{}","description":null,
            "max_session_s":3600,"created_at":1795000000000,"tags":[],"inline":{"p":"{}"}}"#;
        let record: RoleRecord = serde_json::from_str(record).expect("version 1");
        assert!(record.attached.is_empty() && record.inline.len() == 1);
    }
}
