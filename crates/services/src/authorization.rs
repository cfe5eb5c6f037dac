//! May this caller do this? The first line of every verb.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::iam::{Decision, Kind, PolicyDocument, Request, judge_identity};
use domain::{Arn, Region};

use crate::iam::RoleRights;
use crate::sts::Session;
use crate::{Caller, Error, Op, Services};

/// The services differ in what they call the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeniedAs {
    /// iot, lambda, logs.
    AccessDeniedException,
    /// iam, sts.
    AccessDenied,
    /// iot-data.
    ForbiddenException,
}

/// What the policies of a caller come to, and which kind of them decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    DeniedBy(PolicyKind),
    NotAllowedBy(PolicyKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyKind {
    IdentityBased,
    Session,
}

impl PolicyKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IdentityBased => "identity-based policy",
            Self::Session => "session policy",
        }
    }
}

impl Services {
    /// `action` is `iot:CreatePolicy` and the like, `resource` a whole ARN or `*`.
    pub(crate) fn authorize(&self, op: &Op, action: &str, resource: &str, denied: DeniedAs) -> Result<(), Error> {
        self.authorize_in_context(op, action, resource, &[], denied)
    }

    /// `context` are the condition keys that this action has beside those of every request.
    pub(crate) fn authorize_in_context(
        &self,
        op: &Op,
        action: &str,
        resource: &str,
        context: &[(&str, &str)],
        denied: DeniedAs,
    ) -> Result<(), Error> {
        let why = match self.judge_caller(op, action, resource, context)? {
            Verdict::Allowed => return Ok(()),
            Verdict::DeniedBy(PolicyKind::IdentityBased) => {
                "with an explicit deny in an identity-based policy".to_owned()
            }
            Verdict::DeniedBy(PolicyKind::Session) => "with an explicit deny in a session policy".to_owned(),
            Verdict::NotAllowedBy(kind) => format!("because no {} allows the {action} action", kind.name()),
        };
        let caller = self.caller_arn(&op.caller);
        let message = format!("User: {caller} is not authorized to perform: {action} on resource: {resource} {why}");
        // Quoted: the resource may be the caller's own text, line breaks and all.
        tracing::info!(%caller, action, resource, "denied");
        Err(Error::new(
            match denied {
                DeniedAs::AccessDeniedException => "AccessDeniedException",
                DeniedAs::AccessDenied => "AccessDenied",
                DeniedAs::ForbiddenException => "ForbiddenException",
            },
            message,
        ))
    }

    /// The root may do everything; a role what its policies allow; a session what its own allow besides.
    pub(crate) fn judge_caller(
        &self,
        op: &Op,
        action: &str,
        resource: &str,
        context: &[(&str, &str)],
    ) -> Result<Verdict, Error> {
        let Some(role_arn) = op.caller.role_arn() else { return Ok(Verdict::Allowed) };
        let rights = self.iam().rights_of_role(role_arn)?.unwrap_or_default();
        let facts = self.caller_facts(op, &rights);
        let mut context = context.to_vec();
        context.extend(facts.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let request = Request { action, resource, context: &context };
        let identity = judge_identity(&self.documents(&rights.policies)?, &request);
        let session = match &op.caller {
            Caller::Session(session) if session.is_limited() => {
                judge_identity(&self.documents(&self.policies_of_session(session)?)?, &request)
            }
            _ => Decision::Allowed,
        };
        Ok(match (identity, session) {
            (Decision::DeniedExplicitly, _) => Verdict::DeniedBy(PolicyKind::IdentityBased),
            (_, Decision::DeniedExplicitly) => Verdict::DeniedBy(PolicyKind::Session),
            (Decision::NotAllowed, _) => Verdict::NotAllowedBy(PolicyKind::IdentityBased),
            (_, Decision::NotAllowed) => Verdict::NotAllowedBy(PolicyKind::Session),
            (Decision::Allowed, Decision::Allowed) => Verdict::Allowed,
        })
    }

    /// Left out, a document that denies would grant by its absence.
    fn documents(&self, policies: &[(String, String)]) -> Result<Vec<Arc<PolicyDocument>>, Error> {
        let documents = &self.inner.policy_documents;
        policies.iter().map(|(name, document)| documents.compiled(name, document, Kind::Identity)).collect()
    }

    /// A managed policy that was deleted since allows nothing any more.
    fn policies_of_session(&self, session: &Session) -> Result<Vec<(String, String)>, Error> {
        let mut policies = Vec::new();
        for arn in &session.policy_arns {
            policies.extend(self.iam().document_of(arn)?.map(|document| (arn.clone(), document)));
        }
        policies.extend(session.policy.iter().map(|document| ("of the session".to_owned(), document.clone())));
        Ok(policies)
    }

    pub(crate) fn facts_of_caller(&self, op: &Op) -> Result<Vec<(String, String)>, Error> {
        let rights = op.caller.role_arn().map(|role_arn| self.iam().rights_of_role(role_arn)).transpose()?;
        Ok(self.caller_facts(op, &rights.flatten().unwrap_or_default()))
    }

    /// The condition keys that speak of the caller and the moment.
    /// (IAM user guide, "AWS global condition context keys")
    fn caller_facts(&self, op: &Op, rights: &RoleRights) -> Vec<(String, String)> {
        let principal_arn = match op.caller.role_arn() {
            Some(role_arn) => role_arn.to_owned(),
            None => self.caller_arn(&op.caller).to_string(),
        };
        let principal_type = if op.caller.role_arn().is_some() { "AssumedRole" } else { "Account" };
        let account = self.config().account.to_string();
        let user_id = match op.caller.session_name() {
            Some(session) => format!("{}:{session}", rights.role_id),
            None => account.clone(),
        };
        let mut facts = vec![
            ("aws:PrincipalArn".to_owned(), principal_arn),
            ("aws:PrincipalAccount".to_owned(), account),
            ("aws:PrincipalType".to_owned(), principal_type.to_owned()),
            ("aws:userid".to_owned(), user_id),
            ("aws:RequestedRegion".to_owned(), self.region().to_string()),
            ("aws:CurrentTime".to_owned(), op.now.to_rfc3339()),
            ("aws:EpochTime".to_owned(), op.now.seconds().to_string()),
        ];
        if let Some(via) = &op.via {
            facts.push(("aws:SourceIp".to_owned(), via.source_ip.to_canonical().to_string()));
            facts.push(("aws:SecureTransport".to_owned(), via.is_tls.to_string()));
        }
        // A session's tag stands before the role's of the same key.
        let session_tags = match &op.caller {
            Caller::Session(session) => session.tags.clone(),
            _ => BTreeMap::new(),
        };
        for (key, value) in &rights.tags {
            if !session_tags.keys().any(|tag| tag.eq_ignore_ascii_case(key)) {
                facts.push((format!("aws:PrincipalTag/{key}"), value.clone()));
            }
        }
        facts.extend(session_tags.into_iter().map(|(key, value)| (format!("aws:PrincipalTag/{key}"), value)));
        if let Caller::Session(session) = &op.caller {
            facts.push(("aws:TokenIssueTime".to_owned(), session.issued_at.to_rfc3339()));
            facts.push(("aws:MultiFactorAuthPresent".to_owned(), "false".to_owned()));
            facts.extend(session.source_identity.iter().map(|name| ("aws:SourceIdentity".to_owned(), name.clone())));
        }
        facts
    }

    /// What AWS has no ARN for, in the form of one.
    pub(crate) fn own_arn(&self, resource: &str) -> String {
        Arn::new("landfall", self.region(), &self.config().account, resource).to_string()
    }

    /// The ARN under which AWS names a caller in its answers.
    pub fn caller_arn(&self, caller: &Caller) -> Arn {
        let (partition, account) = (self.config().region.partition(), &self.config().account);
        match (caller.role_arn(), caller.session_name()) {
            (Some(role_arn), Some(session)) => {
                let role = role_arn.rsplit('/').next().unwrap_or_default();
                Arn::global("sts", partition, account, &format!("assumed-role/{role}/{session}"))
            }
            _ => Arn::global("iam", partition, account, "root"),
        }
    }

    /// The caller's unique id: the account's for its root, the role's and the session's name for a session.
    pub(crate) fn caller_id(&self, caller: &Caller) -> Result<String, Error> {
        match (caller.role_arn(), caller.session_name()) {
            (Some(role_arn), Some(session)) => {
                let role_id = self.iam().id_of_role(role_arn)?.unwrap_or_default();
                Ok(format!("{role_id}:{session}"))
            }
            _ => Ok(self.config().account.to_string()),
        }
    }

    pub(crate) fn region(&self) -> &Region {
        &self.config().region
    }
}
