//! AWS IoT's control plane: CAs, certificates, policies, things, topic rules.
//! One file per noun; the verbs are methods of [`Iot`], named as the operations are.

mod attachment;
mod authorization_test;
pub(crate) mod ca_certificate;
pub(crate) mod ca_index;
pub(crate) mod certificate;
mod certificate_deletion;
mod certificate_issue;
mod certificate_order;
mod certificate_registration;
mod endpoint;
pub(crate) mod issuer;
mod page;
mod policy;
mod policy_version;
mod registration_code;
pub(crate) mod rule_action;
pub mod shapes;
mod tag;
mod thing;
mod thing_principal;
pub(crate) mod topic_rule;

use crate::authorization::DeniedAs;
use crate::{Error, Op, Services};

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Iot {
    services: Services,
}

impl Services {
    pub fn iot(&self) -> Iot {
        Iot { services: self.clone() }
    }
}

impl Iot {
    fn authorize(&self, op: &Op, action: &str, resource: &str) -> Result<(), Error> {
        self.services.authorize(op, action, resource, DeniedAs::AccessDeniedException)
    }
}
