//! AWS IAM: roles and their policies.
//! One file per noun; the verbs are methods of [`Iam`], named as the operations are.

pub mod shapes;

use crate::Services;

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Iam {
    #[allow(dead_code, reason = "until the first verb")]
    services: Services,
}

impl Services {
    pub fn iam(&self) -> Iam {
        Iam { services: self.clone() }
    }
}
