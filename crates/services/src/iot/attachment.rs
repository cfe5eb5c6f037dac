//! Which policies a certificate has. Two keys for each attachment, so that both sides can be listed.

use domain::{Arn, CertificateId};
use store::{Expect, Write};

use super::Iot;
use super::certificate::certificate_key;
use super::page::{Order, Page, page_of};
use super::policy::missing;
use super::shapes::{
    AttachPolicyRequest, AttachPrincipalPolicyRequest, ListAttachedPoliciesRequest, ListAttachedPoliciesResponse,
    Policy,
};
use crate::record::{Stored, put};
use crate::{Error, Op, Services};

/// Policies of one certificate. (AWS IoT Core quotas)
const POLICIES_MAX: usize = 10;

/// Everything that there is to say is in the key.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct AttachmentRecord {}

impl Stored for AttachmentRecord {
    const VERSION: u32 = 1;
}

fn by_target(id: CertificateId) -> String {
    format!("iot/attached/{id}/")
}

impl Services {
    /// In the order of their names.
    pub(crate) fn attached_policies(&self, id: CertificateId) -> Result<Vec<String>, Error> {
        self.keys_below(&by_target(id))
    }
}

impl Iot {
    pub async fn attach_policy(&self, op: &Op, input: AttachPolicyRequest) -> Result<(), Error> {
        self.authorize(op, "iot:AttachPolicy", &input.target)?;
        self.attach(&input.policy_name, &input.target).await
    }

    /// The older name of AttachPolicy, which just-in-time registration functions call to this day.
    pub async fn attach_principal_policy(&self, op: &Op, input: AttachPrincipalPolicyRequest) -> Result<(), Error> {
        self.authorize(op, "iot:AttachPrincipalPolicy", &input.principal)?;
        self.attach(&input.policy_name, &input.principal).await
    }

    async fn attach(&self, policy: &str, target: &str) -> Result<(), Error> {
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
                if attached.len() >= POLICIES_MAX {
                    let message = format!("A certificate can have {POLICIES_MAX} policies; detach one first.");
                    return Err(Error::new("LimitExceededException", message));
                }
                // The certificate is written back unchanged: no eleventh policy can come in between the looking and the
                // writing. On the policy the commit only leans: a fleet's functions attach the same one at once.
                let writes = vec![
                    Write::lean_on(format!("iot/policy/{policy}"), found.revision),
                    put(certificate_key(id), &certificate.value, Expect::Revision(certificate.revision)),
                    put(format!("{}{policy}", by_target(id)), &AttachmentRecord {}, Expect::Absent),
                    put(format!("iot/target/{policy}/{id}"), &AttachmentRecord {}, Expect::Absent),
                ];
                Ok((writes, ()))
            })
            .await?;
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
        let policies = items
            .into_iter()
            .map(|name| Policy {
                policy_arn: Some(self.services.iot_policy_arn(&name).to_string()),
                policy_name: Some(name),
            })
            .collect();
        Ok(ListAttachedPoliciesResponse { policies: Some(policies), next_marker: next })
    }

    /// Certificates are the targets served; thing groups and Cognito identities are named in the refusal.
    fn certificate_of_target(&self, target: &str) -> Result<CertificateId, Error> {
        let invalid = |why: String| Error::new("InvalidRequestException", why);
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

fn no_such_target(target: &str) -> Error {
    Error::new("ResourceNotFoundException", format!("The certificate {target} does not exist."))
}
