//! Managed policies attached to roles.

use store::Expect;

use super::Iam;
use super::page::page_of;
use super::policy::{self, Managed};
use super::role::over_quota;
use super::shapes::{
    AttachRolePolicyRequest, AttachedPolicy, DetachRolePolicyRequest, ListAttachedRolePoliciesRequest,
    ListAttachedRolePoliciesResponse,
};
use crate::record::put;
use crate::{Error, Op};

/// Managed policies attached to a role. (IAM quotas, the default)
const ATTACHED_MAX: usize = 10;

impl Iam {
    /// Attaching what is attached already changes nothing.
    pub async fn attach_role_policy(&self, op: &Op, input: AttachRolePolicyRequest) -> Result<(), Error> {
        let arn = &input.policy_arn;
        let context = [("iam:PolicyARN", arn.as_str())];
        self.authorize_on_role_in_context(op, "iam:AttachRolePolicy", &input.role_name, &context)?;
        self.change_role(&input.role_name, |record| {
            let managed = self.find_managed(arn)?.ok_or_else(|| {
                let message = format!("Policy {arn} does not exist or is not attachable.");
                Error::new("NoSuchEntity", message)
            })?;
            if record.attached.len() >= ATTACHED_MAX && !record.attached.contains(arn) {
                return Err(over_quota("PoliciesPerRole", ATTACHED_MAX));
            }
            record.attached.insert(arn.clone());
            Ok(match managed {
                Managed::Aws(_) => Vec::new(),
                // Written as it is: whoever deletes the policy meanwhile meets another revision.
                Managed::Own(name, found) => {
                    let key = format!("{}{name}", policy::PREFIX);
                    vec![put(key, &found.value, Expect::Revision(found.revision))]
                }
            })
        })
        .await
    }

    pub async fn detach_role_policy(&self, op: &Op, input: DetachRolePolicyRequest) -> Result<(), Error> {
        let arn = &input.policy_arn;
        let context = [("iam:PolicyARN", arn.as_str())];
        self.authorize_on_role_in_context(op, "iam:DetachRolePolicy", &input.role_name, &context)?;
        self.change_role(&input.role_name, |record| {
            if record.attached.remove(arn) {
                return Ok(Vec::new());
            }
            Err(Error::new("NoSuchEntity", format!("Policy {arn} was not found.")))
        })
        .await
    }

    pub async fn list_attached_role_policies(
        &self,
        op: &Op,
        input: ListAttachedRolePoliciesRequest,
    ) -> Result<ListAttachedRolePoliciesResponse, Error> {
        self.authorize_on_role(op, "iam:ListAttachedRolePolicies", &input.role_name)?;
        let prefix = input.path_prefix.as_deref().unwrap_or("/");
        let record = self.must_find_role(&input.role_name)?.value;
        let mut listed = Vec::new();
        for arn in record.attached {
            let path_and_name = arn.split_once(":policy").map_or("", |(_, rest)| rest);
            let Some((path, name)) = path_and_name.rsplit_once('/') else { continue };
            if format!("{path}/").starts_with(prefix) {
                let policy = AttachedPolicy { policy_name: Some(name.to_owned()), policy_arn: Some(arn.clone()) };
                listed.push((format!("{name} {arn}"), policy));
            }
        }
        let page = page_of(listed, input.max_items, input.marker.as_deref())?;
        Ok(ListAttachedRolePoliciesResponse {
            attached_policies: Some(page.items),
            is_truncated: Some(page.marker.is_some()),
            marker: page.marker,
        })
    }
}
