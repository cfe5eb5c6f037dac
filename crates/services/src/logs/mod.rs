//! Amazon CloudWatch Logs: what the functions wrote.
//! One file per noun; the verbs are methods of [`Logs`], named as the operations are.

pub mod shapes;

use crate::Services;

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    #[allow(dead_code, reason = "until the first verb")]
    services: Services,
}

impl Services {
    pub fn logs(&self) -> Logs {
        Logs { services: self.clone() }
    }
}
