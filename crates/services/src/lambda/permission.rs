//! Who may call a function: the statements of its resource policy.

use domain::iam::{Decision, Kind, Permission, PolicyDocument, Principal, Request, judge_resource};
use serde_json::{Value, json};
use store::Expect;

use super::Lambda;
use super::function::{PREFIX, invalid};
use super::function_name::{LATEST, not_found, parse};
use super::shapes::{AddPermissionRequest, AddPermissionResponse};
use crate::record::put;
use crate::{Error, Op, Services};

/// A function's resource policy. (Lambda quotas)
const POLICY_BYTES_MAX: usize = 20 * 1024;

impl Lambda {
    pub async fn add_permission(&self, op: &Op, input: AddPermissionRequest) -> Result<AddPermissionResponse, Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, input.qualifier.as_deref())?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:AddPermission", arn.as_str())?;
        let in_name = input.function_name.rsplit_once(':').map(|(_, qualifier)| qualifier);
        if input.qualifier.as_deref().or(in_name) == Some(LATEST) {
            return Err(invalid("We currently do not support adding policies for $LATEST."));
        }
        refuse_unserved(&input)?;
        let statement = statement_of(services, &input, arn.as_str())?;
        services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
                let mut record = found.value;
                if input.revision_id.as_deref().is_some_and(|expected| expected != record.revision_id()) {
                    let message = "The RevisionId provided does not match the latest RevisionId. Call the GetPolicy API to retrieve the latest RevisionId";
                    return Err(Error::new("PreconditionFailedException", message).with_member("Type", "User"));
                }
                if record.statements.iter().any(|other| other["Sid"] == statement["Sid"]) {
                    let message = format!(
                        "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                        input.statement_id
                    );
                    return Err(Error::new("ResourceConflictException", message).with_member("Type", "User"));
                }
                record.statements.push(statement.clone());
                if policy_document(&record.statements).len() > POLICY_BYTES_MAX {
                    let message = format!("The final policy size is bigger than the limit ({POLICY_BYTES_MAX}).");
                    return Err(Error::new("PolicyLengthExceededException", message).with_member("Type", "User"));
                }
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], ()))
            })
            .await?;
        Ok(AddPermissionResponse { statement: Some(statement.to_string()) })
    }

    /// May this rule call this function? Its resource policy decides.
    pub(crate) fn admits_rule(&self, function_arn: &str, rule_arn: &str) -> Result<(), Error> {
        let services = &self.services;
        let name = parse(services, function_arn, None)?;
        let arn = services.function_arn(&name);
        let record = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?.value;
        let denied = || {
            let message = format!(
                "The rule {rule_arn} may not call {arn}: no statement of the function's policy allows lambda:InvokeFunction to iot.amazonaws.com for this rule. Add one: aws lambda add-permission --function-name {name} --statement-id iot --action lambda:InvokeFunction --principal iot.amazonaws.com --source-arn {rule_arn}"
            );
            Error::new("AccessDeniedException", message)
        };
        if record.statements.is_empty() {
            return Err(denied());
        }
        let policy = PolicyDocument::parse(&policy_document(&record.statements), Kind::Resource)
            .map_err(|err| Error::internal(format!("the policy of function {name} cannot be read: {err:?}")))?;
        let account = services.config().account.as_str();
        let context = [("aws:SourceArn", rule_arn), ("aws:SourceAccount", account)];
        let request = Request { action: "lambda:InvokeFunction", resource: arn.as_str(), context: &context };
        match judge_resource(&policy, Principal::Service("iot.amazonaws.com"), &request) {
            Decision::Allowed => Ok(()),
            _ => Err(denied()),
        }
    }
}

pub(super) fn policy_document(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements }).to_string()
}

/// Conditions of the statement that are not written down would let in more callers than were meant.
fn refuse_unserved(input: &AddPermissionRequest) -> Result<(), Error> {
    let asked = [
        ("EventSourceToken", input.event_source_token.is_some()),
        ("FunctionUrlAuthType", input.function_url_auth_type.is_some()),
        ("InvokedViaFunctionUrl", input.invoked_via_function_url.is_some()),
        ("PrincipalOrgID", input.principal_org_id.is_some()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        None => Ok(()),
        Some((what, _)) => Err(invalid(&format!("{what} is not served yet; leave it out."))),
    }
}

fn statement_of(services: &Services, input: &AddPermissionRequest, function_arn: &str) -> Result<Value, Error> {
    let permission = Permission {
        statement_id: &input.statement_id,
        action: &input.action,
        principal: &input.principal,
        source_arn: input.source_arn.as_deref(),
        source_account: input.source_account.as_deref(),
    };
    permission.to_statement(function_arn, services.region().partition()).map_err(|err| {
        invalid(&format!("The provided principal was invalid. Please check the principal and try again. ({err})"))
    })
}
