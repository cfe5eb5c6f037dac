//! The statement that Lambda's AddPermission adds to a function's resource policy.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::{AccountId, Partition};

/// AddPermission's parameters, as far as the statement holds them.
#[derive(Clone, Copy, Debug)]
pub struct Permission<'a> {
    pub statement_id: &'a str,
    /// `lambda:InvokeFunction`.
    pub action: &'a str,
    /// A service (`iot.amazonaws.com`), an account id, an ARN or `*`.
    pub principal: &'a str,
    pub source_arn: Option<&'a str>,
    pub source_account: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPrincipal;

impl Permission<'_> {
    /// `partition` is the function's: an account id becomes the ARN of its root there.
    pub fn to_statement(&self, function_arn: &str, partition: Partition) -> Result<Value, InvalidPrincipal> {
        let mut statement = json!({
            "Sid": self.statement_id,
            "Effect": "Allow",
            "Principal": self.principal_element(partition)?,
            "Action": self.action,
            "Resource": function_arn,
        });
        let mut condition = Map::new();
        if let Some(account) = self.source_account {
            condition.insert("StringEquals".to_owned(), json!({ "AWS:SourceAccount": account }));
        }
        if let Some(arn) = self.source_arn {
            condition.insert("ArnLike".to_owned(), json!({ "AWS:SourceArn": arn }));
        }
        if let (Some(members), false) = (statement.as_object_mut(), condition.is_empty()) {
            members.insert("Condition".to_owned(), Value::Object(condition));
        }
        Ok(statement)
    }

    fn principal_element(&self, partition: Partition) -> Result<Value, InvalidPrincipal> {
        let name = self.principal;
        if name == "*" {
            Ok(json!("*"))
        } else if let Ok(account) = name.parse::<AccountId>() {
            Ok(json!({ "AWS": format!("arn:{partition}:iam::{account}:root") }))
        } else if crate::Arn::parse(name).is_ok() {
            Ok(json!({ "AWS": name }))
        } else if name.ends_with(".amazonaws.com") || name.ends_with(".amazonaws.com.cn") {
            Ok(json!({ "Service": name }))
        } else {
            Err(InvalidPrincipal)
        }
    }
}

impl fmt::Display for InvalidPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the principal must be a service such as iot.amazonaws.com, an account id of twelve digits, an ARN, or *",
        )
    }
}

impl std::error::Error for InvalidPrincipal {}
