//! AWS STS: who is calling.
//! One file per noun; the verbs are methods of [`Sts`], named as the operations are.

mod caller_identity;
pub mod shapes;

use crate::Services;

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Sts {
    services: Services,
}

impl Services {
    pub fn sts(&self) -> Sts {
        Sts { services: self.clone() }
    }
}
