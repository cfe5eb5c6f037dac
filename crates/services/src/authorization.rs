//! May this caller do this? The first line of every verb.

use domain::iam::{Decision, Kind, PolicyDocument, Request, judge_identity};
use domain::{Arn, Region};

use crate::{Caller, Error, Op, Services};

/// The services differ in what they call the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeniedAs {
    /// iot, lambda, logs.
    AccessDeniedException,
    /// iam, sts.
    AccessDenied,
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
        let Caller::Role(session) = &op.caller else { return Ok(()) };
        let policies = self.iam().policies_of_role(&session.role_arn)?;
        let mut documents = Vec::with_capacity(policies.len());
        for (name, document) in &policies {
            // Left out, a document that denies would grant by its absence.
            let document = PolicyDocument::parse(document, Kind::Identity)
                .map_err(|err| Error::internal(format!("role policy {name} cannot be read: {err:?}")))?;
            documents.push(document);
        }
        let account = self.config().account.as_str();
        let mut context = context.to_vec();
        context.extend([
            ("aws:PrincipalArn", session.role_arn.as_str()),
            ("aws:PrincipalAccount", account),
            ("aws:RequestedRegion", self.region().as_str()),
        ]);
        let decision = judge_identity(&documents, &Request { action, resource, context: &context });
        if decision == Decision::Allowed {
            return Ok(());
        }
        let caller = self.caller_arn(&op.caller);
        let why = match decision {
            Decision::DeniedExplicitly => "with an explicit deny in an identity-based policy".to_owned(),
            _ => format!("because no identity-based policy allows the {action} action"),
        };
        let message = format!("User: {caller} is not authorized to perform: {action} on resource: {resource} {why}");
        tracing::info!(%caller, %action, %resource, "denied");
        Err(Error::new(
            match denied {
                DeniedAs::AccessDeniedException => "AccessDeniedException",
                DeniedAs::AccessDenied => "AccessDenied",
            },
            message,
        ))
    }

    /// The ARN under which AWS names a caller in its answers.
    pub fn caller_arn(&self, caller: &Caller) -> Arn {
        let (partition, account) = (self.config().region.partition(), &self.config().account);
        match caller {
            Caller::Root { .. } => Arn::global("iam", partition, account, "root"),
            Caller::Role(session) => {
                let role = session.role_arn.rsplit('/').next().unwrap_or_default();
                let resource = format!("assumed-role/{role}/{}", session.session_name);
                Arn::global("sts", partition, account, &resource)
            }
        }
    }

    pub(crate) fn region(&self) -> &Region {
        &self.config().region
    }
}
