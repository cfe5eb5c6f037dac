//! AWS Lambda: functions, their code, settings and resource policies.
//! One file per noun; the verbs are methods of [`Lambda`], named as the operations are.

pub mod shapes;

use crate::Services;

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Lambda {
    #[allow(dead_code, reason = "until the first verb")]
    services: Services,
}

impl Services {
    pub fn lambda(&self) -> Lambda {
        Lambda { services: self.clone() }
    }
}
