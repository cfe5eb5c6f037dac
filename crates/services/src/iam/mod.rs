//! IAM: the roles that functions run under and callers assume, and their policies.
//! One file per noun; the verbs are methods of [`Iam`], named as the operations are.

mod attached_policy;
mod aws_managed;
mod document;
mod page;
mod policy;
mod role;
mod role_policy;
pub mod shapes;
mod trust;
mod unique_id;

pub(crate) use document::malformed;
pub(crate) use role::RoleRecord;
pub(crate) use trust::RoleRights;

use domain::Arn;

use crate::authorization::DeniedAs;
use crate::{Error, Op, Services};

/// What ListRoles and ListPolicies are asked on, for a policy's Resource.
const LISTED_ROLES: &str = "role/";
const LISTED_POLICIES: &str = "policy/";

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Iam {
    services: Services,
}

impl Services {
    pub fn iam(&self) -> Iam {
        Iam { services: self.clone() }
    }
}

impl Iam {
    fn authorize(&self, op: &Op, action: &str, resource: &str) -> Result<(), Error> {
        self.services.authorize(op, action, resource, DeniedAs::AccessDenied)
    }

    fn account_arn(&self, resource: &str) -> Arn {
        let config = self.services.config();
        Arn::global("iam", config.region.partition(), &config.account, resource)
    }
}
