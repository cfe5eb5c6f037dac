//! Which policies a certificate has. Two keys for each attachment, so that both sides can be listed.

use domain::quota::POLICIES_PER_TARGET_MAX;
use domain::{Arn, CertificateId, Timestamp};
use store::{Expect, Write};

use super::Iot;
use super::certificate::certificate_key;
use super::page::{Order, Page, PageMaker, page_of};
use super::policy::{missing, policy_key};
use super::shapes::{
    AttachPolicyRequest, AttachPrincipalPolicyRequest, DetachPolicyRequest, DetachPrincipalPolicyRequest,
    ListAttachedPoliciesRequest, ListAttachedPoliciesResponse, ListPolicyPrincipalsRequest,
    ListPolicyPrincipalsResponse, ListPrincipalPoliciesRequest, ListPrincipalPoliciesResponse,
    ListTargetsForPolicyRequest, ListTargetsForPolicyResponse, Policy,
};
use crate::record::{Stored, delete, put};
use crate::{Error, Op, Services};

/// Whose it is, is in the key.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct AttachmentRecord {
    /// For the lists in the order of attachment; attachments from before it was kept come first.
    #[serde(default)]
    at: Option<Timestamp>,
}

impl Stored for AttachmentRecord {
    const VERSION: u32 = 1;
}

fn by_target(id: CertificateId) -> String {
    format!("iot/attached/{id}/")
}

/// Below it are the ids of the certificates that have the policy.
pub(super) fn targets_prefix(policy: &str) -> String {
    format!("iot/target/{policy}/")
}

/// The keys of one attachment, from both sides.
fn keys(policy: &str, id: CertificateId) -> [String; 2] {
    [format!("{}{policy}", by_target(id)), format!("{}{id}", targets_prefix(policy))]
}

impl AttachmentRecord {
    /// Sorts by the time of attachment.
    fn order(&self, name: &str) -> String {
        format!("{:013}{name}", self.at.map_or(0, Timestamp::millis))
    }
}

impl Services {
    pub(crate) fn is_attached(&self, policy: &str, id: CertificateId) -> Result<bool, Error> {
        let [by_target, _] = keys(policy, id);
        Ok(self.find::<AttachmentRecord>(&by_target)?.is_some())
    }

    /// In the order of their names.
    pub(crate) fn attached_policies(&self, id: CertificateId) -> Result<Vec<String>, Error> {
        self.keys_below(&by_target(id))
    }

    /// The writes that take every policy from a certificate that goes.
    pub(super) fn detach_all(&self, id: CertificateId) -> Result<Vec<Write>, Error> {
        let policies = self.attached_policies(id)?;
        let both_sides = |policy: &String| {
            let keys = [format!("{}{policy}", by_target(id)), format!("iot/target/{policy}/{id}")];
            keys.map(|key| delete(key, Expect::Anything))
        };
        Ok(policies.iter().flat_map(both_sides).collect())
    }
}

impl Iot {
    pub async fn attach_policy(&self, op: &Op, input: AttachPolicyRequest) -> Result<(), Error> {
        self.authorize(op, "iot:AttachPolicy", &input.target)?;
        self.attach(&input.policy_name, &input.target, op.now).await
    }

    /// The older name of AttachPolicy, which just-in-time registration functions call to this day.
    pub async fn attach_principal_policy(&self, op: &Op, input: AttachPrincipalPolicyRequest) -> Result<(), Error> {
        self.authorize(op, "iot:AttachPrincipalPolicy", &input.principal)?;
        self.attach(&input.policy_name, &input.principal, op.now).await
    }

    async fn attach(&self, policy: &str, target: &str, now: Timestamp) -> Result<(), Error> {
        let id = self.certificate_of_target(target)?;
        let services = &self.services;
        services
            .transact(|| {
                let found = services.find_policy(policy)?.ok_or_else(missing)?;
                let certificate = services.find_certificate(id)?.ok_or_else(|| no_such_target(target))?;
                let attached = services.attached_policies(id)?;
                if attached.iter().any(|name| name == policy) {
                    return Ok((Vec::new(), ()));
                }
                if attached.len() >= POLICIES_PER_TARGET_MAX {
                    let message =
                        format!("A certificate can have {POLICIES_PER_TARGET_MAX} policies; detach one first.");
                    return Err(Error::new("LimitExceededException", message));
                }
                // The certificate is written back unchanged: no eleventh policy can come in between the looking and the
                // writing. On the policy the commit only leans: a fleet's functions attach the same one at once.
                let mut writes = vec![
                    Write::lean_on(policy_key(policy), found.revision),
                    put(certificate_key(id), &certificate.value, Expect::Revision(certificate.revision)),
                ];
                let record = AttachmentRecord { at: Some(now) };
                writes.extend(keys(policy, id).map(|key| put(key, &record, Expect::Absent)));
                Ok((writes, ()))
            })
            .await?;
        services.refresh_standing(id)
    }

    /// What is not attached is detached already, a policy that is not there included. The operation's model has no
    /// ResourceNotFoundException: AWS calls a target that is not there an invalid one.
    pub async fn detach_policy(&self, op: &Op, input: DetachPolicyRequest) -> Result<(), Error> {
        self.authorize(op, "iot:DetachPolicy", &input.target)?;
        self.detach(&input.policy_name, &input.target).await.map_err(|err| match err.code {
            "ResourceNotFoundException" => invalid(format!("Invalid Target: {}", err.message)),
            _ => err,
        })
    }

    /// The older name of DetachPolicy.
    pub async fn detach_principal_policy(&self, op: &Op, input: DetachPrincipalPolicyRequest) -> Result<(), Error> {
        self.authorize(op, "iot:DetachPrincipalPolicy", &input.principal)?;
        self.services.find_policy(&input.policy_name)?.ok_or_else(missing)?;
        self.detach(&input.policy_name, &input.principal).await
    }

    /// Live connections feel it before the caller has its answer.
    async fn detach(&self, policy: &str, target: &str) -> Result<(), Error> {
        let id = self.certificate_of_target(target)?;
        let services = &self.services;
        services.find_certificate(id)?.ok_or_else(|| no_such_target(target))?;
        if !services.is_attached(policy, id)? {
            return Ok(());
        }
        services.commit(keys(policy, id).map(|key| delete(key, Expect::Anything)).to_vec()).await?;
        services.refresh_standing(id)
    }

    pub async fn list_attached_policies(
        &self,
        op: &Op,
        input: ListAttachedPoliciesRequest,
    ) -> Result<ListAttachedPoliciesResponse, Error> {
        self.authorize(op, "iot:ListAttachedPolicies", &input.target)?;
        let id = self.certificate_of_target(&input.target)?;
        self.services.find_certificate(id)?.ok_or_else(|| no_such_target(&input.target))?;
        let names = self.services.attached_policies(id)?.into_iter().map(|name| (name.clone(), name)).collect();
        let Page { items, next } = page_of(names, input.page_size, input.marker.as_deref(), Order::Ascending)?;
        let policies = items.into_iter().map(|name| self.policy_shape(name)).collect();
        Ok(ListAttachedPoliciesResponse { policies: Some(policies), next_marker: next })
    }

    /// The older name of ListAttachedPolicies, in the order in which they were attached.
    pub async fn list_principal_policies(
        &self,
        op: &Op,
        input: ListPrincipalPoliciesRequest,
    ) -> Result<ListPrincipalPoliciesResponse, Error> {
        self.authorize(op, "iot:ListPrincipalPolicies", &input.principal)?;
        let id = self.certificate_of_target(&input.principal)?;
        self.services.find_certificate(id)?.ok_or_else(|| no_such_target(&input.principal))?;
        let order = Order::of(input.ascending_order);
        let page = PageMaker::new(input.page_size, input.marker.as_deref(), order)?;
        let Page { items, next } = self.attachments(&by_target(id), page).await?;
        let policies: Vec<Policy> = items.into_iter().map(|name| self.policy_shape(name)).collect();
        Ok(ListPrincipalPoliciesResponse { policies: Some(policies), next_marker: next })
    }

    pub async fn list_targets_for_policy(
        &self,
        op: &Op,
        input: ListTargetsForPolicyRequest,
    ) -> Result<ListTargetsForPolicyResponse, Error> {
        let policy = &input.policy_name;
        self.authorize(op, "iot:ListTargetsForPolicy", self.services.iot_policy_arn(policy).as_str())?;
        self.services.find_policy(policy)?.ok_or_else(missing)?;
        let page = PageMaker::new(input.page_size, input.marker.as_deref(), Order::Ascending)?;
        let Page { items, next } = self.attachments(&targets_prefix(policy), page).await?;
        Ok(ListTargetsForPolicyResponse { targets: Some(self.certificate_arns(items)), next_marker: next })
    }

    /// The older name of ListTargetsForPolicy.
    pub async fn list_policy_principals(
        &self,
        op: &Op,
        input: ListPolicyPrincipalsRequest,
    ) -> Result<ListPolicyPrincipalsResponse, Error> {
        let policy = &input.policy_name;
        self.authorize(op, "iot:ListPolicyPrincipals", self.services.iot_policy_arn(policy).as_str())?;
        self.services.find_policy(policy)?.ok_or_else(missing)?;
        let order = Order::of(input.ascending_order);
        let page = PageMaker::new(input.page_size, input.marker.as_deref(), order)?;
        let Page { items, next } = self.attachments(&targets_prefix(policy), page).await?;
        Ok(ListPolicyPrincipalsResponse { principals: Some(self.certificate_arns(items)), next_marker: next })
    }

    /// The names below `prefix`, in the order in which they were attached.
    async fn attachments(&self, prefix: &str, mut page: PageMaker<String>) -> Result<Page<String>, Error> {
        let offer = |name: String, record: AttachmentRecord| page.offer(record.order(&name), name);
        self.services.each_record(prefix, offer).await?;
        Ok(page.finish())
    }

    fn certificate_arns(&self, ids: Vec<String>) -> Vec<String> {
        let ids = ids.into_iter().filter_map(|id| id.parse().ok());
        ids.map(|id| self.services.certificate_arn(id).to_string()).collect()
    }

    /// Certificates are the targets served; thing groups and Cognito identities are named in the refusal.
    pub(super) fn certificate_of_target(&self, target: &str) -> Result<CertificateId, Error> {
        let arn = Arn::parse(target).map_err(|_| invalid(format!("The target {target} is not an ARN.")))?;
        let parts = arn.parts();
        let Some(id) = parts.resource.strip_prefix("cert/").filter(|_| parts.service == "iot") else {
            let why = "Only certificates are served as targets: arn:<partition>:iot:<region>:<account>:cert/<id>.";
            return Err(invalid(why.to_owned()));
        };
        let id: CertificateId = id.parse().map_err(|_| no_such_target(target))?;
        if self.services.certificate_arn(id).as_str() != target {
            return Err(no_such_target(target));
        }
        Ok(id)
    }
}

pub(super) fn no_such_target(target: &str) -> Error {
    Error::new("ResourceNotFoundException", format!("The certificate {target} does not exist."))
}

fn invalid(why: String) -> Error {
    Error::new("InvalidRequestException", why)
}
