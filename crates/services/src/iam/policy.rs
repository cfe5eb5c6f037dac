//! Managed policies: the account's own, with a name and a path, attached to roles. AWS's are in `aws_managed`.
//! A policy has one version, `v1`: CreatePolicyVersion is not served.

use std::collections::BTreeMap;

use domain::iam::{Kind, PolicyDocument};
use domain::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use store::Expect;

use super::aws_managed::{self, AwsManaged};
use super::document::{ink, malformed, percent_encoded};
use super::page::page_of;
use super::role::{self, RoleRecord, distinct_tags, over_quota};
use super::shapes::{
    CreatePolicyRequest, CreatePolicyResponse, DeletePolicyRequest, GetPolicyRequest, GetPolicyResponse,
    GetPolicyVersionRequest, GetPolicyVersionResponse, ListPoliciesRequest, ListPoliciesResponse, Policy,
    PolicyVersion, Tag,
};
use super::unique_id::{IdKind, unique_id};
use super::{Iam, LISTED_POLICIES};
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op};

pub(super) const PREFIX: &str = "iam/policy/";

/// Customer managed policies of an account. (IAM quotas)
const POLICIES_MAX: usize = 1500;

/// Characters of a managed policy, white space not counted. (IAM quotas)
const POLICY_CHARS_MAX: usize = 6144;

const FIRST_VERSION: &str = "v1";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    path: String,
    policy_id: String,
    description: Option<String>,
    document: String,
    created_at: Timestamp,
    tags: Vec<(String, String)>,
}

impl Stored for PolicyRecord {
    const VERSION: u32 = 1;
}

/// A managed policy, whoever wrote it.
pub(super) enum Managed {
    Aws(&'static AwsManaged),
    Own(String, Found<PolicyRecord>),
}

impl Iam {
    pub async fn create_policy(&self, op: &Op, input: CreatePolicyRequest) -> Result<CreatePolicyResponse, Error> {
        let name = input.policy_name;
        let path = input.path.unwrap_or_else(|| "/".to_owned());
        self.authorize(op, "iam:CreatePolicy", self.policy_arn(&path, &name).as_str())?;
        PolicyDocument::parse(&input.policy_document, Kind::Identity).map_err(malformed)?;
        if ink(&input.policy_document) > POLICY_CHARS_MAX {
            return Err(over_quota("PolicySize", POLICY_CHARS_MAX));
        }
        let record = PolicyRecord {
            path,
            policy_id: unique_id(IdKind::ManagedPolicy),
            description: input.description,
            document: input.policy_document,
            created_at: Timestamp::from_seconds(op.now.seconds()),
            tags: distinct_tags(input.tags)?,
        };
        self.services
            .transact(|| {
                let names = self.services.keys_below(PREFIX)?;
                if names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                    let message = format!("A policy called {name} already exists. Duplicate names are not allowed.");
                    return Err(Error::new("EntityAlreadyExists", message));
                }
                if names.len() >= POLICIES_MAX {
                    return Err(over_quota("PoliciesPerAccount", POLICIES_MAX));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Absent)], ()))
            })
            .await?;
        // CreatePolicy answers no description.
        let policy = Policy { description: None, ..self.policy_shape(&name, &record, 0) };
        Ok(CreatePolicyResponse { policy: Some(policy) })
    }

    pub async fn get_policy(&self, op: &Op, input: GetPolicyRequest) -> Result<GetPolicyResponse, Error> {
        let arn = &input.policy_arn;
        self.authorize(op, "iam:GetPolicy", arn)?;
        let managed = self.find_managed(arn)?.ok_or_else(|| missing(arn))?;
        let count = self.attachment_counts()?.get(arn.as_str()).copied().unwrap_or_default();
        Ok(GetPolicyResponse { policy: Some(self.managed_shape(&managed, count)) })
    }

    pub async fn get_policy_version(
        &self,
        op: &Op,
        input: GetPolicyVersionRequest,
    ) -> Result<GetPolicyVersionResponse, Error> {
        let (arn, asked) = (&input.policy_arn, &input.version_id);
        self.authorize(op, "iam:GetPolicyVersion", arn)?;
        let managed = self.find_managed(arn)?.ok_or_else(|| missing(arn))?;
        let (document, created_at) = match &managed {
            Managed::Aws(policy) => (self.in_partition(policy.document), policy.created_at()),
            Managed::Own(_, found) => (found.value.document.clone(), found.value.created_at),
        };
        if asked != FIRST_VERSION {
            let message = format!("Policy {arn} version {asked} does not exist or is not attachable.");
            return Err(Error::new("NoSuchEntity", message));
        }
        let version = PolicyVersion {
            create_date: Some(created_at.into()),
            document: Some(percent_encoded(&document)),
            is_default_version: Some(true),
            version_id: Some(FIRST_VERSION.to_owned()),
        };
        Ok(GetPolicyVersionResponse { policy_version: Some(version) })
    }

    /// Without descriptions and tags, as AWS lists them.
    pub async fn list_policies(&self, op: &Op, input: ListPoliciesRequest) -> Result<ListPoliciesResponse, Error> {
        self.authorize(op, "iam:ListPolicies", self.account_arn(LISTED_POLICIES).as_str())?;
        let scope = input.scope.as_deref().unwrap_or("All");
        let prefix = input.path_prefix.as_deref().unwrap_or("/");
        let counts = self.attachment_counts()?;
        let mut listed = Vec::new();
        if scope != "Local" {
            listed.extend(aws_managed::all().iter().map(|policy| self.aws_shape(policy, 0)));
        }
        if scope != "AWS" {
            let own = self.services.find_all::<PolicyRecord>(PREFIX)?;
            listed.extend(own.iter().map(|(name, found)| self.policy_shape(name, &found.value, 0)));
        }
        // Nothing here is a permissions boundary.
        let is_of_boundaries = input.policy_usage_filter.as_deref() == Some("PermissionsBoundary");
        let only_attached = input.only_attached == Some(true) || input.policy_usage_filter.is_some();
        let mut kept = Vec::new();
        for policy in listed {
            let (arn, path) = (policy.arn.clone().unwrap_or_default(), policy.path.clone().unwrap_or_default());
            let count = counts.get(&arn).copied().unwrap_or_default();
            if is_of_boundaries || !path.starts_with(prefix) || (only_attached && count == 0) {
                continue;
            }
            let policy = Policy { description: None, tags: None, attachment_count: Some(count), ..policy };
            kept.push((format!("{} {arn}", policy.policy_name.clone().unwrap_or_default()), policy));
        }
        let page = page_of(kept, input.max_items, input.marker.as_deref())?;
        Ok(ListPoliciesResponse {
            is_truncated: Some(page.is_truncated()),
            marker: page.marker,
            policies: Some(page.items),
        })
    }

    pub async fn delete_policy(&self, op: &Op, input: DeletePolicyRequest) -> Result<(), Error> {
        let arn = &input.policy_arn;
        self.authorize(op, "iam:DeletePolicy", arn)?;
        self.services
            .transact(|| {
                let (name, found) = match self.find_managed(arn)?.ok_or_else(|| missing(arn))? {
                    Managed::Own(name, found) => (name, found),
                    Managed::Aws(_) => return Err(Error::new("AccessDenied", "Policy is outside your own account.")),
                };
                // Attaching moves the policy's revision: one made after this count fails the commit.
                if self.attachment_counts()?.contains_key(arn.as_str()) {
                    return Err(Error::new("DeleteConflict", "Cannot delete a policy attached to entities."));
                }
                Ok((vec![delete(format!("{PREFIX}{name}"), Expect::Revision(found.revision))], ()))
            })
            .await
    }

    pub(super) fn find_managed(&self, arn: &str) -> Result<Option<Managed>, Error> {
        let parsed = Arn::parse(arn).ok().filter(|arn| {
            let parts = arn.parts();
            parts.service == "iam" && parts.region.is_empty() && parts.resource.starts_with("policy/")
        });
        let invalid = || Error::new("InvalidInput", format!("ARN {arn} is not valid."));
        let parsed = parsed.ok_or_else(invalid)?;
        let (parts, config) = (parsed.parts(), self.services.config());
        if parts.partition != config.region.partition().to_string() {
            return Ok(None);
        }
        if parts.account == "aws" {
            return Ok(aws_managed::find(parts.resource).map(Managed::Aws));
        }
        let name = parts.resource.rsplit('/').next().unwrap_or_default();
        let found = self.services.find::<PolicyRecord>(&format!("{PREFIX}{name}"))?;
        let found = found.filter(|found| self.policy_arn(&found.value.path, name).as_str() == arn);
        Ok(found.map(|found| Managed::Own(name.to_owned(), found)))
    }

    /// The document that is in force; `None` where there is no such policy.
    pub(crate) fn document_of(&self, arn: &str) -> Result<Option<String>, Error> {
        Ok(self.find_managed(arn)?.map(|managed| match managed {
            Managed::Aws(policy) => self.in_partition(policy.document),
            Managed::Own(_, found) => found.value.document,
        }))
    }

    /// How many roles each managed policy is attached to, by its ARN.
    fn attachment_counts(&self) -> Result<BTreeMap<String, i32>, Error> {
        let mut counts = BTreeMap::new();
        for (_, role) in self.services.find_all::<RoleRecord>(role::PREFIX)? {
            for arn in role.value.attached {
                *counts.entry(arn).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn policy_arn(&self, path: &str, name: &str) -> Arn {
        self.account_arn(&format!("policy{path}{name}"))
    }

    /// AWS's documents, where they name ARNs, name those of the partition.
    fn in_partition(&self, document: &str) -> String {
        document.replace("\"arn:aws:", &format!("\"arn:{}:", self.services.config().region.partition()))
    }

    fn managed_shape(&self, managed: &Managed, attachments: i32) -> Policy {
        match managed {
            Managed::Aws(policy) => self.aws_shape(policy, attachments),
            Managed::Own(name, found) => self.policy_shape(name, &found.value, attachments),
        }
    }

    fn aws_shape(&self, policy: &AwsManaged, attachments: i32) -> Policy {
        let partition = self.services.config().region.partition();
        Policy {
            arn: Some(format!("arn:{partition}:iam::aws:{}", policy.resource())),
            policy_name: Some(policy.name.to_owned()),
            policy_id: Some(policy.id()),
            path: Some(policy.path.to_owned()),
            default_version_id: Some(FIRST_VERSION.to_owned()),
            description: Some(policy.description.to_owned()),
            create_date: Some(policy.created_at().into()),
            update_date: Some(policy.created_at().into()),
            ..attachable(attachments)
        }
    }

    fn policy_shape(&self, name: &str, record: &PolicyRecord, attachments: i32) -> Policy {
        let tags: Vec<Tag> = record.tags.iter().cloned().map(|(key, value)| Tag { key, value }).collect();
        Policy {
            arn: Some(self.policy_arn(&record.path, name).to_string()),
            policy_name: Some(name.to_owned()),
            policy_id: Some(record.policy_id.clone()),
            path: Some(record.path.clone()),
            default_version_id: Some(FIRST_VERSION.to_owned()),
            description: record.description.clone(),
            create_date: Some(record.created_at.into()),
            update_date: Some(record.created_at.into()),
            tags: (!tags.is_empty()).then_some(tags),
            ..attachable(attachments)
        }
    }
}

fn attachable(attachments: i32) -> Policy {
    Policy {
        attachment_count: Some(attachments),
        is_attachable: Some(true),
        permissions_boundary_usage_count: Some(0),
        ..Default::default()
    }
}

fn missing(arn: &str) -> Error {
    Error::new("NoSuchEntity", format!("Policy {arn} was not found."))
}
