//! Roles assumed: the trust policy lets a caller in, and temporary credentials come out.
//!
//! AWS lets no root credentials assume a role. This server has no IAM users, so the root is who starts: a trust policy
//! that names the account lets it in.

use std::collections::BTreeMap;

use domain::iam::{Kind, PolicyDocument, Request, Trust, judge_trust};

use super::shapes::{AssumeRoleRequest, AssumeRoleResponse, AssumedRoleUser, Credentials, Tag};
use super::{Session, Sts};
use crate::authorization::{PolicyKind, Verdict};
use crate::iam::{RoleRecord, malformed};
use crate::{Caller, Error, Op};

/// Where AssumeRole does not say.
const DURATION_S_DEFAULT: i32 = 3600;

/// Of a session that was made by a session. (IAM user guide, "Role chaining")
const CHAINED_DURATION_S_MAX: i32 = 3600;

/// Session policy and managed policies' ARNs together, and the ARNs alone. (AssumeRole, `Policy` and `PolicyArns`)
const SESSION_POLICY_CHARS_MAX: usize = 2048;
const SESSION_POLICY_ARNS_MAX: usize = 10;

/// Keys and values of session tags together: the token that holds them must fit in a header.
const TAG_BYTES_MAX: usize = 1024;

impl Sts {
    pub async fn assume_role(&self, op: &Op, input: AssumeRoleRequest) -> Result<AssumeRoleResponse, Error> {
        let role = self.services.iam().find_role_by_arn(&input.role_arn)?;
        let tags = session_tags(op, &input)?;
        let source_identity = source_identity(op, &input)?;
        let mut actions = vec!["sts:AssumeRole"];
        actions.extend((!tags.all.is_empty()).then_some("sts:TagSession"));
        actions.extend(source_identity.is_some().then_some("sts:SetSourceIdentity"));
        for action in actions {
            self.must_be_trusted(op, action, &input, role.as_ref(), &tags, source_identity.as_deref())?;
        }
        let role = role.ok_or_else(|| self.refused(op, "sts:AssumeRole", &input.role_arn))?;
        refuse_what_is_not_served(&input)?;
        let duration_s = duration_s(op, &input, &role)?;
        let policy_arns = self.session_policies(&input)?;
        let packed_policy_size = packed_size(&input, &policy_arns, &tags)?;
        let session = Session {
            role_arn: input.role_arn,
            session_name: input.role_session_name,
            role_id: role.role_id,
            issued_at: op.now,
            expires_at: domain::Timestamp::from_seconds(op.now.seconds() + i64::from(duration_s)),
            policy: input.policy,
            policy_arns,
            tags: tags.all,
            transitive_tags: tags.transitive,
            source_identity: source_identity.clone(),
        };
        let key = self.seal(&session).await?;
        Ok(AssumeRoleResponse {
            assumed_role_user: Some(AssumedRoleUser {
                assumed_role_id: Some(format!("{}:{}", session.role_id, session.session_name)),
                arn: Some(self.services.caller_arn(&Caller::Session(session.clone().into())).to_string()),
            }),
            credentials: Some(Credentials {
                access_key_id: Some(key.access_key_id),
                secret_access_key: Some(key.secret_access_key),
                session_token: Some(key.session_token),
                expiration: Some(session.expires_at.into()),
            }),
            packed_policy_size,
            source_identity,
        })
    }

    /// The trust policy must let the caller in. Where it names only the account, the caller's own policies must too; where
    /// it names the caller, those must not forbid it.
    fn must_be_trusted(
        &self,
        op: &Op,
        action: &str,
        input: &AssumeRoleRequest,
        role: Option<&RoleRecord>,
        tags: &SessionTags,
        source_identity: Option<&str>,
    ) -> Result<(), Error> {
        let refused = || self.refused(op, action, &input.role_arn);
        let mut asked = vec![("sts:RoleSessionName".to_owned(), input.role_session_name.clone())];
        asked.extend(input.external_id.iter().map(|id| ("sts:ExternalId".to_owned(), id.clone())));
        asked.extend(source_identity.map(|name| ("sts:SourceIdentity".to_owned(), name.to_owned())));
        for (key, value) in &tags.all {
            asked.push((format!("aws:RequestTag/{key}"), value.clone()));
            asked.push(("aws:TagKeys".to_owned(), key.clone()));
        }
        asked.extend(tags.transitive.iter().map(|key| ("sts:TransitiveTagKeys".to_owned(), key.clone())));
        // AWS tells nobody whether it is the role that is missing.
        let trust = &role.ok_or_else(refused)?.trust;
        let trust = PolicyDocument::parse(trust, Kind::Resource)
            .map_err(|err| Error::internal(format!("a trust policy cannot be read: {err:?}")))?;
        let asked: Vec<(&str, &str)> = asked.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let facts = self.services.facts_of_caller(op)?;
        let mut context = asked.clone();
        context.extend(facts.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let caller = self.services.caller_arn(&op.caller);
        let request = Request { action, resource: &input.role_arn, context: &context };
        let trusted = judge_trust(&trust, caller.as_str(), &request);
        let own = self.services.judge_caller(op, action, &input.role_arn, &asked)?;
        match (trusted, own) {
            (Trust::ByAccount | Trust::ByName, Verdict::Allowed) => Ok(()),
            // What limits the session limits this too; the role's own policies need not speak of it.
            (Trust::ByName, Verdict::NotAllowedBy(PolicyKind::IdentityBased)) => Ok(()),
            _ => Err(refused()),
        }
    }

    fn refused(&self, op: &Op, action: &str, role_arn: &str) -> Error {
        let caller = self.services.caller_arn(&op.caller);
        tracing::info!(%caller, action, role_arn, "denied");
        let message = format!("User: {caller} is not authorized to perform: {action} on resource: {role_arn}");
        Error::new("AccessDenied", message)
    }

    /// The ARNs of the managed ones, each there; the one written out is checked as well.
    fn session_policies(&self, input: &AssumeRoleRequest) -> Result<Vec<String>, Error> {
        if let Some(policy) = &input.policy {
            PolicyDocument::parse(policy, Kind::Identity).map_err(malformed)?;
        }
        let listed = input.policy_arns.iter().flatten();
        let arns: Vec<String> = listed.filter_map(|descriptor| descriptor.arn.clone()).collect();
        if arns.len() > SESSION_POLICY_ARNS_MAX {
            return Err(invalid(format!("A session takes at most {SESSION_POLICY_ARNS_MAX} managed policies.")));
        }
        for arn in &arns {
            match self.services.iam().document_of(arn) {
                Ok(Some(_)) => {}
                Ok(None) => return Err(invalid(format!("Policy {arn} does not exist or is not attachable."))),
                Err(err) if err.code == "InvalidInput" => return Err(invalid(err.message)),
                Err(err) => return Err(err),
            }
        }
        Ok(arns)
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new("ValidationError", message)
}

fn refuse_what_is_not_served(input: &AssumeRoleRequest) -> Result<(), Error> {
    // There are no MFA devices, so no code is right.
    if input.serial_number.is_some() || input.token_code.is_some() {
        let message = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
        return Err(Error::new("AccessDenied", message));
    }
    if input.provided_contexts.as_ref().is_some_and(|contexts| !contexts.is_empty()) {
        return Err(invalid("ProvidedContexts is not served; leave it out."));
    }
    Ok(())
}

fn duration_s(op: &Op, input: &AssumeRoleRequest, role: &RoleRecord) -> Result<i32, Error> {
    let asked = input.duration_seconds.unwrap_or(DURATION_S_DEFAULT);
    if asked > CHAINED_DURATION_S_MAX && op.caller.role_arn().is_some() {
        let message =
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(invalid(message));
    }
    if asked > role.max_session_s {
        return Err(invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."));
    }
    Ok(asked)
}

/// Tags of the new session.
struct SessionTags {
    all: BTreeMap<String, String>,
    transitive: Vec<String>,
}

/// Those asked for, and those that the caller's session hands on. (IAM user guide, "Pass session tags in AWS STS")
fn session_tags(op: &Op, input: &AssumeRoleRequest) -> Result<SessionTags, Error> {
    let mut tags = SessionTags { all: BTreeMap::new(), transitive: Vec::new() };
    if let Caller::Session(session) = &op.caller {
        tags.transitive.clone_from(&session.transitive_tags);
        let handed_on = |(key, _): &(&String, &String)| session.transitive_tags.contains(key);
        tags.all.extend(session.tags.iter().filter(handed_on).map(|(key, value)| (key.clone(), value.clone())));
    }
    let inherited = tags.transitive.clone();
    for Tag { key, value } in input.tags.iter().flatten() {
        if inherited.iter().any(|tag| tag.eq_ignore_ascii_case(key)) {
            let message = "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag \
                           key from the calling session.";
            return Err(Error::new("InvalidParameterValue", message));
        }
        if tags.all.keys().any(|tag| tag.eq_ignore_ascii_case(key)) {
            let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
            return Err(Error::new("InvalidParameterValue", message));
        }
        tags.all.insert(key.clone(), value.clone());
    }
    for key in input.transitive_tag_keys.iter().flatten() {
        if !tags.all.contains_key(key) {
            let message = "The specified transitive tag key must be included in the requested tags.";
            return Err(Error::new("InvalidParameterValue", message));
        }
        if !tags.transitive.contains(key) {
            tags.transitive.push(key.clone());
        }
    }
    Ok(tags)
}

/// Once set it stays, through every further role.
fn source_identity(op: &Op, input: &AssumeRoleRequest) -> Result<Option<String>, Error> {
    let Caller::Session(session) = &op.caller else { return Ok(input.source_identity.clone()) };
    match (&session.source_identity, &input.source_identity) {
        (Some(held), Some(asked)) if held != asked => {
            Err(Error::new("AccessDenied", "The source identity of a session cannot be changed."))
        }
        (held, asked) => Ok(held.clone().or_else(|| asked.clone())),
    }
}

/// In percent of what is allowed; `None` where the request passed neither policies nor tags.
fn packed_size(input: &AssumeRoleRequest, arns: &[String], tags: &SessionTags) -> Result<Option<i32>, Error> {
    let policies = input.policy.as_ref().map_or(0, |policy| policy.chars().count());
    let policies = policies + arns.iter().map(|arn| arn.chars().count()).sum::<usize>();
    let tags: usize = tags.all.iter().map(|(key, value)| key.len() + value.len()).sum();
    if policies > SESSION_POLICY_CHARS_MAX {
        let message = format!(
            "The session policies have {policies} characters; together with the ARNs of the managed ones they may have \
             {SESSION_POLICY_CHARS_MAX}."
        );
        return Err(Error::new("PackedPolicyTooLarge", message));
    }
    let percent = |used: usize, max: usize| i32::try_from(used.saturating_mul(100).div_ceil(max)).unwrap_or(i32::MAX);
    let size = percent(policies, SESSION_POLICY_CHARS_MAX).max(percent(tags, TAG_BYTES_MAX));
    if size > 100 {
        return Err(Error::new("PackedPolicyTooLarge", "The session tags are too large."));
    }
    Ok((policies + tags > 0).then_some(size))
}
