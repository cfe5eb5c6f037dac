//! AWS STS: who is calling, and temporary credentials for a role.
//! One file per noun; the verbs are methods of [`Sts`], named as the operations are.

mod assumed_role;
mod caller_identity;
mod session;
pub mod shapes;

pub use session::Session;

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
