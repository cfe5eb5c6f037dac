//! Who may call a function: the statements of its resource policy.

use domain::iam::{Decision, Kind, Permission, PolicyDocument, Principal, Request, judge_resource};
use serde_json::{Value, json};
use store::Expect;

use super::Lambda;
use super::function::{PREFIX, invalid};
use super::function_name::{LATEST, not_found, parse};
use super::shapes::{
    AddPermissionRequest, AddPermissionResponse, GetPolicyRequest, GetPolicyResponse, RemovePermissionRequest,
};
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
        if input.qualifier.as_deref().or(qualifier_in(&input.function_name)) == Some(LATEST) {
            return Err(invalid("We currently do not support adding policies for $LATEST."));
        }
        refuse_unserved(&input)?;
        let statement = statement_of(services, &input, arn.as_str())?;
        services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
                let mut record = found.value;
                record.must_be_at(input.revision_id.as_deref(), "GetPolicy")?;
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
                record.touch_policy();
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], ()))
            })
            .await?;
        Ok(AddPermissionResponse { statement: Some(statement.to_string()) })
    }

    pub async fn remove_permission(&self, op: &Op, input: RemovePermissionRequest) -> Result<(), Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, input.qualifier.as_deref())?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:RemovePermission", arn.as_str())?;
        services
            .transact(|| {
                let found = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?;
                let mut record = found.value;
                if record.statements.is_empty() {
                    return Err(missing("No policy is associated with the given resource."));
                }
                let before = record.statements.len();
                record.statements.retain(|statement| statement["Sid"] != input.statement_id.as_str());
                if record.statements.len() == before {
                    let message = format!("Statement {} is not found in resource policy.", input.statement_id);
                    return Err(missing(&message));
                }
                record.must_be_at(input.revision_id.as_deref(), "GetFunction/GetAlias")?;
                record.touch_policy();
                Ok((vec![put(format!("{PREFIX}{name}"), &record, Expect::Revision(found.revision))], ()))
            })
            .await
    }

    /// The policy's revision is the function's: adding a permission changes both, on AWS too.
    pub async fn get_policy(&self, op: &Op, input: GetPolicyRequest) -> Result<GetPolicyResponse, Error> {
        let services = &self.services;
        let name = parse(services, &input.function_name, input.qualifier.as_deref())?;
        let arn = services.function_arn(&name);
        self.authorize(op, "lambda:GetPolicy", arn.as_str())?;
        let record = services.find_function(&name)?.ok_or_else(|| not_found(arn.as_str()))?.value;
        // The policy of a version, $LATEST among them, is another one, and nobody can add to it.
        let is_qualified = input.qualifier.is_some() || qualifier_in(&input.function_name).is_some();
        if record.statements.is_empty() || is_qualified {
            return Err(missing("The resource you requested does not exist."));
        }
        Ok(GetPolicyResponse {
            policy: Some(policy_document(&record.statements)),
            revision_id: Some(record.revision_id),
        })
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

/// `$LATEST` is the only qualifier that a function's name can end in here.
fn qualifier_in(function_name: &str) -> Option<&str> {
    function_name.rsplit_once(':').map(|(_, qualifier)| qualifier).filter(|qualifier| *qualifier == LATEST)
}

fn missing(message: &str) -> Error {
    Error::new("ResourceNotFoundException", message).with_member("Type", "User")
}

fn policy_document(statements: &[Value]) -> String {
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
