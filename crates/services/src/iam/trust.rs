//! What the rest of the server asks of a role: its rights, its id, and who may take it; and what a trust policy must be.

use domain::Arn;
use domain::iam::{Decision, Kind, PolicyDocument, Principal, Request, judge_resource};

use super::Iam;
use super::document::{ink, malformed};
use super::role::over_quota;
use crate::Error;

/// Characters of a trust policy, white space not counted. (IAM quotas)
const TRUST_CHARS_MAX: usize = 2048;

/// What a caller in a role has of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleRights {
    pub role_id: String,
    pub tags: Vec<(String, String)>,
    /// Names and documents of everything that gives the role rights.
    pub policies: Vec<(String, String)>,
}

impl Iam {
    /// `None` where there is no such role: its sessions then have no rights left.
    pub(crate) fn rights_of_role(&self, role_arn: &str) -> Result<Option<RoleRights>, Error> {
        let Some(record) = self.find_role_by_arn(role_arn)? else { return Ok(None) };
        let mut policies: Vec<(String, String)> = record.inline.into_iter().collect();
        for arn in record.attached {
            let document = self.document_of(&arn)?.ok_or_else(|| {
                Error::internal(format!("{role_arn} has the policy {arn} attached, which is not there"))
            })?;
            policies.push((arn, document));
        }
        Ok(Some(RoleRights { role_id: record.role_id, tags: record.tags, policies }))
    }

    /// `AROA...`, the role's id, which a session's user id begins with.
    pub(crate) fn id_of_role(&self, role_arn: &str) -> Result<Option<String>, Error> {
        Ok(self.find_role_by_arn(role_arn)?.map(|record| record.role_id))
    }

    /// That the role exists and that its trust policy lets `service` take it.
    pub(crate) fn must_be_assumable(&self, role_arn: &str, service: &str) -> Result<(), Error> {
        self.must_be_assumable_by(role_arn, service, None)
    }

    /// As `must_be_assumable`, on behalf of a resource that trust policies may name as `aws:SourceArn`.
    pub(crate) fn must_be_assumable_by(
        &self,
        role_arn: &str,
        service: &str,
        source_arn: Option<&str>,
    ) -> Result<(), Error> {
        let refused = || {
            let message = format!("{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}");
            Error::new("AccessDenied", message)
        };
        let record = self.find_role_by_arn(role_arn)?.ok_or_else(refused)?;
        let documents = &self.services.inner.policy_documents;
        let trust = documents.compiled(role_arn, &record.trust, Kind::Resource)?;
        let account = self.services.config().account.as_str();
        let mut context = vec![("aws:SourceAccount", account)];
        context.extend(source_arn.map(|arn| ("aws:SourceArn", arn)));
        let request = Request { action: "sts:AssumeRole", resource: role_arn, context: &context };
        match judge_resource(&trust, Principal::Service(service), &request) {
            Decision::Allowed => Ok(()),
            _ => Err(refused()),
        }
    }

    /// A trust policy must be one, be short enough, and name nobody of this account who is not there.
    pub(super) fn check_trust(&self, document: &str) -> Result<(), Error> {
        let trust = PolicyDocument::parse(document, Kind::Resource).map_err(malformed)?;
        if ink(document) > TRUST_CHARS_MAX {
            return Err(over_quota("ACLSizePerRole", TRUST_CHARS_MAX));
        }
        for principal in trust.aws_principals() {
            if !self.may_exist(principal)? {
                let message = format!("Invalid principal in policy: \"AWS\":\"{principal}\"");
                return Err(Error::new("MalformedPolicyDocument", message));
            }
        }
        Ok(())
    }

    /// Of other accounts nothing is known. This one has a root and roles, and no users.
    fn may_exist(&self, principal: &str) -> Result<bool, Error> {
        let Ok(arn) = Arn::parse(principal) else { return Ok(true) };
        let (parts, config) = (arn.parts(), self.services.config());
        if parts.partition != config.region.partition().as_str() {
            return Ok(false);
        }
        if parts.account != config.account.as_str() {
            return Ok(true);
        }
        match (parts.service, parts.resource.split_once('/')) {
            ("iam", Some(("role", _))) => Ok(self.find_role_by_arn(principal)?.is_some()),
            ("sts", Some(("assumed-role", session))) => {
                let role = session.split('/').next().unwrap_or_default();
                Ok(self.find_role(role)?.is_some())
            }
            ("iam", None) => Ok(parts.resource == "root"),
            _ => Ok(false),
        }
    }
}
