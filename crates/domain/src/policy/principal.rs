//! The Principal element: whom a trust or resource policy speaks of.

use super::json::{Member, Node, Value};
use super::malformed::Fault;
use super::statement;

#[derive(Clone, Debug, Default)]
pub(crate) struct Principals {
    is_everyone: bool,
    services: Vec<String>,
    /// Account ids and ARNs, as written.
    aws: Vec<String>,
}

impl Principals {
    pub(super) fn parse(node: &Node) -> Result<Self, Fault> {
        let mut principals = Self::default();
        match &node.value {
            Value::Text(text) if text == "*" => principals.is_everyone = true,
            Value::Object(members) if !members.is_empty() => {
                for member in members {
                    principals.add(member)?;
                }
            }
            _ => {
                let message =
                    "\"Principal\" must be \"*\" or an object such as {\"Service\": \"lambda.amazonaws.com\"}";
                return Err(Fault::new(node.at, message));
            }
        }
        Ok(principals)
    }

    fn add(&mut self, member: &Member) -> Result<(), Fault> {
        let names = statement::texts(&member.node, &member.name)?;
        match member.name.as_str() {
            "Service" => self.services.extend(names.into_iter().map(|(_, name)| service(name).to_owned())),
            "AWS" => {
                for (at, name) in names {
                    match name {
                        "*" => self.is_everyone = true,
                        _ if name.starts_with("arn:") || is_account_id(name) => self.aws.push(name.to_owned()),
                        _ => {
                            let message = format!("the principal \"{name}\" is neither an account id nor an ARN");
                            return Err(Fault::new(at, message));
                        }
                    }
                }
            }
            // Valid in AWS. Nobody calls this server in such a role, so they match nobody.
            "Federated" | "CanonicalUser" => {}
            other => {
                let message = format!("unknown kind of principal \"{other}\"; write \"Service\" or \"AWS\"");
                return Err(Fault::new(member.at, message));
            }
        }
        Ok(())
    }

    pub(crate) fn include_service(&self, name: &str) -> bool {
        self.is_everyone || self.services.iter().any(|listed| listed.eq_ignore_ascii_case(service(name)))
    }

    /// `arn` is the caller's: an account's root, a role, or a role's session. An account as principal stands for
    /// everybody in it, and a role for its sessions.
    pub(crate) fn include_arn(&self, arn: &str) -> bool {
        self.is_everyone || self.aws.iter().any(|listed| includes(listed, arn))
    }

    /// The account ids and ARNs, as written.
    pub(crate) fn aws(&self) -> impl Iterator<Item = &str> {
        self.aws.iter().map(String::as_str)
    }

    /// As [`Self::include_arn`], but not because the caller's whole account is named.
    pub(crate) fn name_arn(&self, arn: &str) -> bool {
        self.is_everyone || self.aws.iter().any(|listed| !is_account(listed) && includes(listed, arn))
    }
}

/// `123456789012`, or the ARN of that account's root: AWS turns the one into the other.
fn is_account(listed: &str) -> bool {
    is_account_id(listed) || crate::Arn::parse(listed).is_ok_and(|arn| arn.parts().resource == "root")
}

/// China's services are named `lambda.amazonaws.com.cn` by some and `lambda.amazonaws.com` by others; AWS takes both.
fn service(name: &str) -> &str {
    name.strip_suffix(".cn").filter(|name| name.ends_with(".amazonaws.com")).unwrap_or(name)
}

pub(crate) fn is_account_id(text: &str) -> bool {
    text.parse::<crate::AccountId>().is_ok()
}

fn includes(listed: &str, caller: &str) -> bool {
    let Ok(caller_arn) = crate::Arn::parse(caller) else { return false };
    let caller_parts = caller_arn.parts();
    if is_account_id(listed) {
        return caller_parts.account == listed;
    }
    if listed == caller {
        return true;
    }
    let Ok(listed_arn) = crate::Arn::parse(listed) else { return false };
    let listed_parts = listed_arn.parts();
    if listed_parts.partition != caller_parts.partition || listed_parts.account != caller_parts.account {
        return false;
    }
    if listed_parts.service == "iam" && listed_parts.resource == "root" {
        return true;
    }
    // A session's ARN leaves the role's path out.
    let role = listed_parts.resource.strip_prefix("role/").and_then(|role| role.rsplit('/').next());
    let session = caller_parts.resource.strip_prefix("assumed-role/").and_then(|session| session.split('/').next());
    listed_parts.service == "iam" && caller_parts.service == "sts" && role.is_some() && role == session
}
