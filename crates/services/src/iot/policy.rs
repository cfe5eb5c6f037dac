//! IoT policies: a name, versions of a document, one of them the default.

use domain::iot_policy::CompiledPolicy;
use domain::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use store::Expect;

use super::Iot;
use super::shapes::{CreatePolicyRequest, CreatePolicyResponse, GetPolicyRequest, GetPolicyResponse};
use crate::record::{Found, Stored, put};
use crate::{Error, Op, Services, random};

const PREFIX: &str = "iot/policy/";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    versions: Vec<PolicyVersion>,
    default_version: u32,
    created_at: Timestamp,
    modified_at: Timestamp,
    generation_id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PolicyVersion {
    version: u32,
    document: String,
    created_at: Timestamp,
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
        self.find(&format!("{PREFIX}{name}"))
    }

    pub(crate) fn iot_policy_arn(&self, name: &str) -> Arn {
        Arn::new("iot", self.region(), &self.config().account, &format!("policy/{name}"))
    }
}

impl Iot {
    pub async fn create_policy(&self, op: &Op, input: CreatePolicyRequest) -> Result<CreatePolicyResponse, Error> {
        let name = input.policy_name;
        let arn = self.services.iot_policy_arn(&name);
        self.authorize(op, "iot:CreatePolicy", arn.as_str())?;
        if input.tags.is_some_and(|tags| !tags.is_empty()) {
            return Err(Error::new("InvalidRequestException", "Tags on policies are not served yet."));
        }
        CompiledPolicy::parse(&name, &input.policy_document).map_err(|err| {
            let place = format!("line {}, column {}", err.line, err.column);
            Error::new("MalformedPolicyException", format!("Policy document is malformed: {} ({place})", err.message))
        })?;
        let record = PolicyRecord {
            versions: vec![PolicyVersion { version: 1, document: input.policy_document.clone(), created_at: op.now }],
            default_version: 1,
            created_at: op.now,
            modified_at: op.now,
            generation_id: random::uuid(),
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
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Absent)], ()))
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
}

pub(super) fn missing() -> Error {
    Error::new("ResourceNotFoundException", "Policy not found")
}
