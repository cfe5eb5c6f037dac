//! AWS IoT's control plane: CAs, certificates, policies, topic rules.
//! One file per noun; the verbs are methods of [`Iot`], named as the operations are.

pub mod shapes;

use crate::Services;

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Iot {
    #[allow(dead_code, reason = "until the first verb")]
    services: Services,
}

impl Services {
    pub fn iot(&self) -> Iot {
        Iot { services: self.clone() }
    }
}
