//! "What may this device do, and why?", answered without a connection by the policies that live ones are judged by.

use std::sync::Arc;

use domain::iot_policy::{CompiledPolicy, IotAction, TestOutcome, TestedPrincipal, test};
use domain::quota::POLICIES_PER_TARGET_MAX;
use domain::{Arn, CertificateId};

use super::Iot;
use super::attachment::no_such_target;
use super::policy::missing;
use super::shapes::{
    Allowed, AuthInfo, AuthResult, Denied, EffectivePolicy, ExplicitDeny, GetEffectivePoliciesRequest,
    GetEffectivePoliciesResponse, ImplicitDeny, TestAuthorizationRequest, TestAuthorizationResponse,
};
use super::thing;
use crate::{Error, Op};

/// Resources of one call, over all its authInfos. AWS names no bound; each is judged by every policy.
const RESOURCES_MAX: usize = 100;

impl Iot {
    pub async fn test_authorization(
        &self,
        op: &Op,
        input: TestAuthorizationRequest,
    ) -> Result<TestAuthorizationResponse, Error> {
        let id =
            self.tested(op, "iot:TestAuthorization", input.principal.as_deref(), &input.cognito_identity_pool_id)?;
        let id = id.ok_or_else(|| invalid("A principal is needed: the ARN of a certificate.".to_owned()))?;
        check_resources(&input.auth_infos)?;
        let services = &self.services;
        let certificate = services.find_certificate(id)?.ok_or_else(|| self.no_such_principal(id))?;
        let (add, skip) =
            (input.policy_names_to_add.unwrap_or_default(), input.policy_names_to_skip.unwrap_or_default());
        let policies = self.tested_policies(id, &add, &skip)?;
        let things = services.attached_things(id)?;
        let certificate = Arc::new(certificate.value.certificate()?);
        let principal = TestedPrincipal { client_id: input.client_id, certificate_id: id, certificate };
        let mut results = Vec::with_capacity(input.auth_infos.len());
        for info in input.auth_infos {
            let action = action(info.action_type.as_deref())?;
            let try_one = |resource: &String| test(&policies, action, resource, &principal, &things);
            let outcomes: Vec<TestOutcome> = info.resources.iter().map(try_one).collect();
            results.push(self.auth_result(info, &outcomes));
        }
        Ok(TestAuthorizationResponse { auth_results: Some(results) })
    }

    /// Those of the certificate. Thing groups have none here, so a thing adds none.
    pub async fn get_effective_policies(
        &self,
        op: &Op,
        input: GetEffectivePoliciesRequest,
    ) -> Result<GetEffectivePoliciesResponse, Error> {
        let principal = input.principal.as_deref();
        let id = self.tested(op, "iot:GetEffectivePolicies", principal, &input.cognito_identity_pool_id)?;
        let services = &self.services;
        if let Some(name) = &input.thing_name {
            services.find_thing(name)?.ok_or_else(|| thing::missing(name))?;
        } else if id.is_none() {
            return Err(invalid("A principal or a thing name is needed.".to_owned()));
        }
        let mut effective = Vec::new();
        if let Some(id) = id {
            services.find_certificate(id)?.ok_or_else(|| self.no_such_principal(id))?;
            for name in services.attached_policies(id)? {
                let Some(found) = services.find_policy(&name)? else { continue };
                effective.push(EffectivePolicy {
                    policy_arn: Some(services.iot_policy_arn(&name).to_string()),
                    policy_name: Some(name),
                    policy_document: Some(found.value.default_document().to_owned()),
                });
            }
        }
        Ok(GetEffectivePoliciesResponse { effective_policies: Some(effective) })
    }

    /// Whom it is about, of callers who may ask. Principals that are not served are named in the refusal.
    fn tested(
        &self,
        op: &Op,
        action: &str,
        principal: Option<&str>,
        cognito_identity_pool_id: &Option<String>,
    ) -> Result<Option<CertificateId>, Error> {
        let id = principal.map(|principal| self.certificate_of_principal(principal)).transpose();
        let resource = match &id {
            Ok(Some(id)) => self.services.certificate_arn(*id).to_string(),
            _ => "*".to_owned(),
        };
        self.authorize(op, action, &resource)?;
        if cognito_identity_pool_id.is_some() {
            return Err(invalid("Cognito identities are not served: leave cognitoIdentityPoolId out.".to_owned()));
        }
        id
    }

    /// An ARN, or the bare id, which AWS's older clients send.
    fn certificate_of_principal(&self, principal: &str) -> Result<CertificateId, Error> {
        if let Ok(id) = principal.parse() {
            return Ok(id);
        }
        if Arn::parse(principal).is_err() && principal.contains(':') {
            let why = "Cognito identities are not served as principals; certificates are: \
                       arn:<partition>:iot:<region>:<account>:cert/<id>.";
            return Err(invalid(why.to_owned()));
        }
        self.certificate_of_target(principal)
    }

    fn no_such_principal(&self, id: CertificateId) -> Error {
        no_such_target(self.services.certificate_arn(id).as_str())
    }

    /// What is attached, without what is to be skipped, and what is to be added.
    fn tested_policies(
        &self,
        id: CertificateId,
        add: &[String],
        skip: &[String],
    ) -> Result<Vec<Arc<CompiledPolicy>>, Error> {
        if add.len() > POLICIES_PER_TARGET_MAX {
            let message =
                format!("At most {POLICIES_PER_TARGET_MAX} policies can be added; a certificate can have no more.");
            return Err(Error::new("LimitExceededException", message));
        }
        let mut policies = Vec::new();
        let mut names = self.services.attached_policies(id)?;
        names.retain(|name| !skip.contains(name) && !add.contains(name));
        for name in &names {
            policies.extend(self.services.compiled(name)?);
        }
        for name in add {
            policies.push(self.services.compiled(name)?.ok_or_else(missing)?);
        }
        Ok(policies)
    }

    /// Of several resources each must be allowed.
    fn auth_result(&self, info: AuthInfo, outcomes: &[TestOutcome]) -> AuthResult {
        let each = |of: fn(&TestOutcome) -> &[Arc<str>]| {
            let mut names: Vec<&str> = outcomes.iter().flat_map(of).map(|name| &**name).collect();
            names.sort_unstable();
            names.dedup();
            Some(names.into_iter().map(|name| self.policy_shape(name.to_owned())).collect())
        };
        let is_denied = outcomes.iter().any(|outcome| !outcome.denied_by.is_empty());
        let is_allowed = outcomes.iter().all(|outcome| !outcome.allowed_by.is_empty());
        let decision = match (is_denied, is_allowed) {
            (true, _) => "EXPLICIT_DENY",
            (false, true) => "ALLOWED",
            (false, false) => "IMPLICIT_DENY",
        };
        let mut missing: Vec<String> = outcomes.iter().flat_map(|outcome| outcome.missing.iter().cloned()).collect();
        missing.sort_unstable();
        missing.dedup();
        AuthResult {
            auth_info: Some(info),
            allowed: Some(Allowed { policies: each(|outcome| &outcome.allowed_by) }),
            denied: Some(Denied {
                implicit_deny: Some(ImplicitDeny { policies: each(|outcome| &outcome.silent) }),
                explicit_deny: Some(ExplicitDeny { policies: each(|outcome| &outcome.denied_by) }),
            }),
            auth_decision: Some(decision.to_owned()),
            missing_context_values: Some(missing),
        }
    }
}

fn check_resources(infos: &[AuthInfo]) -> Result<(), Error> {
    if infos.iter().map(|info| info.resources.len()).sum::<usize>() > RESOURCES_MAX {
        let message = format!("A call can ask about {RESOURCES_MAX} resources at most.");
        return Err(Error::new("LimitExceededException", message));
    }
    for info in infos {
        if info.resources.is_empty() {
            return Err(invalid("An authInfo names no resource.".to_owned()));
        }
        if let Some(resource) = info.resources.iter().find(|resource| Arn::parse(resource).is_err()) {
            return Err(invalid(format!("The resource {resource} is not an ARN.")));
        }
    }
    Ok(())
}

fn action(action_type: Option<&str>) -> Result<IotAction, Error> {
    match action_type {
        Some("CONNECT") => Ok(IotAction::Connect),
        Some("PUBLISH") => Ok(IotAction::Publish),
        Some("SUBSCRIBE") => Ok(IotAction::Subscribe),
        Some("RECEIVE") => Ok(IotAction::Receive),
        _ => Err(invalid("An authInfo needs an actionType: CONNECT, PUBLISH, SUBSCRIBE or RECEIVE.".to_owned())),
    }
}

fn invalid(why: String) -> Error {
    Error::new("InvalidRequestException", why)
}
