//! AWS Lambda: functions, their code, settings and resource policies.
//! One file per noun; the verbs are methods of [`Lambda`], named as the operations are.

mod code;
mod configuration;
pub(crate) mod event_invoke_config;
pub(crate) mod function;
mod function_name;
mod invoke;
mod permission;
mod settings;
pub mod shapes;

pub(crate) use function_name::LATEST;
pub(crate) use invoke::ASYNC_BYTES_MAX;

use crate::authorization::DeniedAs;
use crate::{Error, Op, Services};

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct Lambda {
    services: Services,
}

impl Services {
    pub fn lambda(&self) -> Lambda {
        Lambda { services: self.clone() }
    }
}

impl Lambda {
    fn authorize(&self, op: &Op, action: &str, resource: &str) -> Result<(), Error> {
        self.services.authorize(op, action, resource, DeniedAs::AccessDeniedException)
    }
}
