//! AWS IoT's data plane over HTTPS: messages from those who sign their requests.
//! One file per verb; the verbs are methods of [`IotData`], named as the operations are.

mod connection;
mod of_device;
mod publish;
mod retained_message;
pub mod shapes;

pub use of_device::{DeviceRefused, HttpsDevice};

use crate::authorization::DeniedAs;
use crate::{Error, Op, Services};

/// The verbs of this service. Cheap to clone.
#[derive(Clone)]
pub struct IotData {
    services: Services,
}

impl Services {
    pub fn iot_data(&self) -> IotData {
        IotData { services: self.clone() }
    }
}

impl IotData {
    fn authorize(&self, op: &Op, action: &str, resource: &str) -> Result<(), Error> {
        self.services.authorize(op, action, resource, DeniedAs::ForbiddenException)
    }
}
