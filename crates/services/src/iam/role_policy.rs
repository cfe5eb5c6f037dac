//! Inline policies: written into one role, gone with it.

use domain::iam::{Kind, PolicyDocument};

use super::Iam;
use super::document::{ink, malformed, percent_encoded};
use super::page::page_of;
use super::shapes::{
    DeleteRolePolicyRequest, GetRolePolicyRequest, GetRolePolicyResponse, ListRolePoliciesRequest,
    ListRolePoliciesResponse, PutRolePolicyRequest,
};
use crate::{Error, Op};

/// Characters of all inline policies of a role, white space not counted. (IAM quotas)
const INLINE_CHARS_MAX: usize = 10_240;

impl Iam {
    pub async fn put_role_policy(&self, op: &Op, input: PutRolePolicyRequest) -> Result<(), Error> {
        let name = &input.role_name;
        self.authorize_on_role(op, "iam:PutRolePolicy", name)?;
        PolicyDocument::parse(&input.policy_document, Kind::Identity).map_err(malformed)?;
        self.change_role(name, |record| {
            record.inline.insert(input.policy_name.clone(), input.policy_document.clone());
            if record.inline.values().map(|document| ink(document)).sum::<usize>() > INLINE_CHARS_MAX {
                let message = format!("Maximum policy size of {INLINE_CHARS_MAX} bytes exceeded for role {name}");
                return Err(Error::new("LimitExceeded", message));
            }
            Ok(Vec::new())
        })
        .await
    }

    pub async fn get_role_policy(&self, op: &Op, input: GetRolePolicyRequest) -> Result<GetRolePolicyResponse, Error> {
        self.authorize_on_role(op, "iam:GetRolePolicy", &input.role_name)?;
        let record = self.must_find_role(&input.role_name)?.value;
        let document = record.inline.get(&input.policy_name).ok_or_else(|| missing(&input.policy_name))?;
        Ok(GetRolePolicyResponse {
            policy_document: Some(percent_encoded(document)),
            policy_name: Some(input.policy_name),
            role_name: Some(input.role_name),
        })
    }

    pub async fn list_role_policies(
        &self,
        op: &Op,
        input: ListRolePoliciesRequest,
    ) -> Result<ListRolePoliciesResponse, Error> {
        self.authorize_on_role(op, "iam:ListRolePolicies", &input.role_name)?;
        let record = self.must_find_role(&input.role_name)?.value;
        let names = record.inline.into_keys().map(|name| (name.clone(), name)).collect();
        let page = page_of(names, input.max_items, input.marker.as_deref())?;
        Ok(ListRolePoliciesResponse {
            is_truncated: Some(page.is_truncated()),
            marker: page.marker,
            policy_names: Some(page.items),
        })
    }

    pub async fn delete_role_policy(&self, op: &Op, input: DeleteRolePolicyRequest) -> Result<(), Error> {
        self.authorize_on_role(op, "iam:DeleteRolePolicy", &input.role_name)?;
        self.change_role(&input.role_name, |record| {
            record.inline.remove(&input.policy_name).ok_or_else(|| missing(&input.policy_name))?;
            Ok(Vec::new())
        })
        .await
    }
}

fn missing(name: &str) -> Error {
    Error::new("NoSuchEntity", format!("The role policy with name {name} cannot be found."))
}
