//! Roles: who may assume them (the trust policy) and what they may do (inline policies).

use std::collections::BTreeMap;

use domain::iam::{Decision, Kind, PolicyDocument, Principal, Request, judge_resource};
use domain::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use store::Expect;

use super::Iam;
use super::shapes::{
    CreateRoleRequest, CreateRoleResponse, GetRoleRequest, GetRoleResponse, PutRolePolicyRequest, Role, Tag,
};
use crate::authorization::DeniedAs;
use crate::record::{Found, Stored, put};
use crate::{Error, Op, Services, random};

const PREFIX: &str = "iam/role/";

/// Characters of all inline policies of a role, white space not counted. (IAM quotas)
const INLINE_CHARS_MAX: usize = 10_240;

/// Characters of a trust policy, white space not counted. (IAM quotas)
const TRUST_CHARS_MAX: usize = 2048;

/// The longest a session may last where CreateRole does not say.
const SESSION_S_DEFAULT: i32 = 3600;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    path: String,
    role_id: String,
    trust: String,
    description: Option<String>,
    max_session_s: i32,
    created_at: Timestamp,
    tags: Vec<(String, String)>,
    inline: BTreeMap<String, String>,
}

impl Stored for RoleRecord {
    const VERSION: u32 = 1;
}

impl Iam {
    pub async fn create_role(&self, op: &Op, input: CreateRoleRequest) -> Result<CreateRoleResponse, Error> {
        let name = input.role_name;
        let path = input.path.unwrap_or_else(|| "/".to_owned());
        let arn = self.role_arn(&path, &name);
        self.authorize(op, "iam:CreateRole", arn.as_str())?;
        if input.permissions_boundary.is_some() {
            return Err(Error::new("InvalidInput", "PermissionsBoundary is not served yet; leave it out."));
        }
        PolicyDocument::parse(&input.assume_role_policy_document, Kind::Resource).map_err(malformed)?;
        if ink(&input.assume_role_policy_document) > TRUST_CHARS_MAX {
            let message = format!("Cannot exceed quota for ACLSizePerRole: {TRUST_CHARS_MAX}");
            return Err(Error::new("LimitExceeded", message));
        }
        let record = RoleRecord {
            path,
            role_id: role_id(),
            trust: input.assume_role_policy_document,
            description: input.description,
            max_session_s: input.max_session_duration.unwrap_or(SESSION_S_DEFAULT),
            // IAM's dates have whole seconds.
            created_at: Timestamp::from_seconds(op.now.seconds()),
            tags: input.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
            inline: BTreeMap::new(),
        };
        let services = &self.services;
        services
            .transact(|| {
                if self.find_role(&name)?.is_some() {
                    let message = format!("Role with name {name} already exists.");
                    return Err(Error::new("EntityAlreadyExists", message));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Absent)], ()))
            })
            .await?;
        Ok(CreateRoleResponse { role: Some(self.shape(name, record)) })
    }

    pub async fn get_role(&self, op: &Op, input: GetRoleRequest) -> Result<GetRoleResponse, Error> {
        let found = self.find_role(&input.role_name)?;
        let path = found.as_ref().map_or("/", |found| &found.value.path);
        self.authorize(op, "iam:GetRole", self.role_arn(path, &input.role_name).as_str())?;
        let record = found.ok_or_else(|| missing(&input.role_name))?.value;
        Ok(GetRoleResponse { role: Some(self.shape(input.role_name, record)) })
    }

    pub async fn put_role_policy(&self, op: &Op, input: PutRolePolicyRequest) -> Result<(), Error> {
        let name = &input.role_name;
        let found = self.find_role(name)?;
        let path = found.as_ref().map_or("/", |found| &found.value.path);
        self.authorize(op, "iam:PutRolePolicy", self.role_arn(path, name).as_str())?;
        PolicyDocument::parse(&input.policy_document, Kind::Identity).map_err(malformed)?;
        self.services
            .transact(|| {
                let Found { value: mut record, revision } = self.find_role(name)?.ok_or_else(|| missing(name))?;
                record.inline.insert(input.policy_name.clone(), input.policy_document.clone());
                if record.inline.values().map(|document| ink(document)).sum::<usize>() > INLINE_CHARS_MAX {
                    let message = format!("Maximum policy size of {INLINE_CHARS_MAX} bytes exceeded for role {name}");
                    return Err(Error::new("LimitExceeded", message));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(revision))], ()))
            })
            .await
    }

    /// Names and documents of everything that gives the role rights. A role that is not there has none.
    pub(crate) fn policies_of_role(&self, role_arn: &str) -> Result<Vec<(String, String)>, Error> {
        let found = self.find_role_by_arn(role_arn)?;
        Ok(found.map(|record| record.inline.into_iter().collect()).unwrap_or_default())
    }

    /// `AROA...`, the role's id, which a session's user id begins with.
    pub(crate) fn id_of_role(&self, role_arn: &str) -> Result<Option<String>, Error> {
        Ok(self.find_role_by_arn(role_arn)?.map(|record| record.role_id))
    }

    /// That the role exists and that its trust policy lets `service` take it.
    pub(crate) fn must_be_assumable(&self, role_arn: &str, service: &str) -> Result<(), Error> {
        let refused = || {
            let message = format!("{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
            Error::new("AccessDenied", message)
        };
        let record = self.find_role_by_arn(role_arn)?.ok_or_else(refused)?;
        let trust = PolicyDocument::parse(&record.trust, Kind::Resource)
            .map_err(|err| Error::internal(format!("the trust policy of {role_arn} cannot be read: {err:?}")))?;
        let account = self.services.config().account.as_str();
        let context = [("aws:SourceAccount", account)];
        let request = Request { action: "sts:AssumeRole", resource: role_arn, context: &context };
        match judge_resource(&trust, Principal::Service(service), &request) {
            Decision::Allowed => Ok(()),
            _ => Err(refused()),
        }
    }

    fn find_role(&self, name: &str) -> Result<Option<Found<RoleRecord>>, Error> {
        self.services.find(&format!("{PREFIX}{name}"))
    }

    fn find_role_by_arn(&self, arn: &str) -> Result<Option<RoleRecord>, Error> {
        let name = arn.rsplit('/').next().unwrap_or_default();
        let found = self.find_role(name)?;
        Ok(found.map(|found| found.value).filter(|record| self.role_arn(&record.path, name).as_str() == arn))
    }

    fn role_arn(&self, path: &str, name: &str) -> Arn {
        let config = self.services.config();
        Arn::global("iam", config.region.partition(), &config.account, &format!("role{path}{name}"))
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

/// Characters as IAM counts them.
fn ink(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// `AROA` and seventeen characters of base 32, as AWS makes them.
fn role_id() -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random = random::bytes::<17>();
    let tail: String = random.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect();
    format!("AROA{tail}")
}

/// Policy documents come back from IAM percent-encoded (RFC 3986).
fn percent_encoded(document: &str) -> String {
    let mut encoded = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn malformed(err: domain::iam::MalformedPolicy) -> Error {
    let message = format!("{} (line {}, column {})", err.message, err.line, err.column);
    Error::new("MalformedPolicyDocument", message)
}

fn missing(name: &str) -> Error {
    Error::new("NoSuchEntity", format!("The role with name {name} cannot be found."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_percent_encoded() {
        assert_eq!(percent_encoded("{\"a\": \"b-c*\"}"), "%7B%22a%22%3A%20%22b-c%2A%22%7D");
    }

    #[test]
    fn role_ids_have_the_form_of_awss() {
        let id = role_id();
        assert!(id.len() == 21 && id.starts_with("AROA"), "{id}");
    }
}
