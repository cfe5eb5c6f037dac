//! IAM: the roles that functions run under, and their policies.
//! One file per noun; the verbs are methods of [`Iam`], named as the operations are.

mod role;
pub mod shapes;

use crate::authorization::DeniedAs;
use crate::{Error, Op, Services};

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
}
