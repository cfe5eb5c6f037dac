//! IoT policies: a name, versions of a document, one of them the default.

use domain::iot_policy::{CompiledPolicy, MalformedPolicy};
use domain::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Expect, Write};

use super::Iot;
use super::attachment::targets_prefix;
use super::page::{Order, Page, PageMaker};
use super::shapes::{
    CreatePolicyRequest, CreatePolicyResponse, DeletePolicyRequest, GetPolicyRequest, GetPolicyResponse,
    ListPoliciesRequest, ListPoliciesResponse, Policy,
};
use super::tag::{Tags, untagged};
use crate::record::{Found, Stored, delete, put};
use crate::{Error, Op, Services, random};

const PREFIX: &str = "iot/policy/";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    pub versions: Vec<VersionRecord>,
    pub default_version: u32,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub generation_id: String,
    /// Ids rise and are not given again, though the version with the highest one may be gone.
    #[serde(default)]
    pub highest_version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VersionRecord {
    pub version: u32,
    pub document: String,
    pub created_at: Timestamp,
}

pub(super) fn policy_key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

impl Stored for PolicyRecord {
    const VERSION: u32 = 1;
}

impl PolicyRecord {
    /// What the document in force is known by.
    pub(crate) fn default_key(&self) -> (String, u32) {
        (self.generation_id.clone(), self.default_version)
    }

    /// The document in force.
    pub(crate) fn default_document(&self) -> &str {
        let default = self.versions.iter().find(|version| version.version == self.default_version);
        default.map(|version| version.document.as_str()).unwrap_or_default()
    }
}

impl Services {
    pub(crate) fn find_policy(&self, name: &str) -> Result<Option<Found<PolicyRecord>>, Error> {
        self.find(&policy_key(name))
    }

    pub(crate) fn iot_policy_arn(&self, name: &str) -> Arn {
        Arn::new("iot", self.region(), &self.config().account, &format!("policy/{name}"))
    }
}

impl Iot {
    pub async fn create_policy(&self, op: &Op, input: CreatePolicyRequest) -> Result<CreatePolicyResponse, Error> {
        let name = input.policy_name;
        let arn = self.services.iot_policy_arn(&name);
        let tags = Tags::of_new(input.tags);
        let context = tags.as_ref().map(Tags::context).unwrap_or_default();
        self.authorize_with_tags(op, "iot:CreatePolicy", arn.as_str(), &context)?;
        let tags = tags?;
        self.check_document(&name, &input.policy_document)?;
        let record = PolicyRecord {
            versions: vec![VersionRecord { version: 1, document: input.policy_document.clone(), created_at: op.now }],
            default_version: 1,
            created_at: op.now,
            modified_at: op.now,
            generation_id: random::uuid(),
            highest_version: 1,
        };
        let services = &self.services;
        services
            .transact(|| {
                if services.find_policy(&name)?.is_some() {
                    let message = format!("Policy cannot be created - name already exists (name={name})");
                    return Err(Error::new("ResourceAlreadyExistsException", message)
                        .with_member("resourceId", &name)
                        .with_member("resourceArn", arn.as_str()));
                }
                let mut writes = vec![put(policy_key(&name), &record, Expect::Absent)];
                writes.extend(tags.write(&format!("policy/{name}")));
                Ok((writes, ()))
            })
            .await?;
        Ok(CreatePolicyResponse {
            policy_name: Some(name),
            policy_arn: Some(arn.to_string()),
            policy_document: Some(input.policy_document),
            policy_version_id: Some("1".to_owned()),
        })
    }

    pub async fn get_policy(&self, op: &Op, input: GetPolicyRequest) -> Result<GetPolicyResponse, Error> {
        let arn = self.services.iot_policy_arn(&input.policy_name);
        self.authorize(op, "iot:GetPolicy", arn.as_str())?;
        let record = self.services.find_policy(&input.policy_name)?.ok_or_else(missing)?.value;
        Ok(GetPolicyResponse {
            policy_document: Some(record.default_document().to_owned()),
            default_version_id: Some(record.default_version.to_string()),
            creation_date: Some(record.created_at.into()),
            last_modified_date: Some(record.modified_at.into()),
            generation_id: Some(record.generation_id),
            policy_arn: Some(arn.to_string()),
            policy_name: Some(input.policy_name),
        })
    }

    /// In the order in which they were made.
    pub async fn list_policies(&self, op: &Op, input: ListPoliciesRequest) -> Result<ListPoliciesResponse, Error> {
        self.authorize(op, "iot:ListPolicies", "*")?;
        let order = Order::of(input.ascending_order);
        let mut page = PageMaker::new(input.page_size, input.marker.as_deref(), order)?;
        let offer = |name: String, record: PolicyRecord| {
            page.offer(format!("{:013}{name}", record.created_at.millis()), name);
        };
        self.services.each_record(PREFIX, offer).await?;
        let Page { items, next } = page.finish();
        let policies = items.into_iter().map(|name| self.policy_shape(name)).collect();
        Ok(ListPoliciesResponse { policies: Some(policies), next_marker: next })
    }

    /// Only a policy that nobody has, and that has no version but its default.
    pub async fn delete_policy(&self, op: &Op, input: DeletePolicyRequest) -> Result<(), Error> {
        let (name, services) = (input.policy_name, &self.services);
        self.authorize(op, "iot:DeletePolicy", services.iot_policy_arn(&name).as_str())?;
        services
            .transact(|| {
                let found = services.find_policy(&name)?.ok_or_else(missing)?;
                let conflict = |why: &str| {
                    let message = format!("Cannot delete the policy because it {why} (name={name})");
                    Err(Error::new("DeleteConflictException", message))
                };
                if services.has_any_below(&targets_prefix(&name))? {
                    return conflict("is attached to one or more principals; detach it first");
                }
                if found.value.versions.len() > 1 {
                    return conflict("has one or more versions beside the default; delete them first");
                }
                // Attaching only leans on the policy: that nobody has it must hold when it goes.
                let writes = vec![
                    delete(policy_key(&name), Expect::Revision(found.revision)),
                    untagged(&format!("policy/{name}")),
                    Write::nothing_below(targets_prefix(&name)),
                ];
                Ok((writes, ()))
            })
            .await
    }

    pub(super) fn check_document(&self, name: &str, document: &str) -> Result<(), Error> {
        let malformed = |err: MalformedPolicy| {
            let place = format!("line {}, column {}", err.line, err.column);
            Error::new("MalformedPolicyException", format!("Policy document is malformed: {} ({place})", err.message))
        };
        CompiledPolicy::parse(name, document, &self.services.inner.resource_scope).map(drop).map_err(malformed)
    }

    pub(super) fn policy_shape(&self, name: String) -> Policy {
        Policy { policy_arn: Some(self.services.iot_policy_arn(&name).to_string()), policy_name: Some(name) }
    }
}

pub(super) fn missing() -> Error {
    Error::new("ResourceNotFoundException", "Policy not found")
}
