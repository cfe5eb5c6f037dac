//! Which services there are, and what their requests are signed for.

use crate::generated::SERVICES;
use crate::model::{Operation, Service};

/// By its name in `models/`.
pub fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().copied().find(|service| service.name == name)
}

/// By the service in a signature's scope. The data plane's is `iotdata` in older signers and `iotdevicegateway` in
/// newer ones; AWS IoT's models named `execute-api` for the control plane until 2023, and AWS takes it to this day.
pub fn signed_for(name: &str) -> Option<&'static Service> {
    match name {
        "iotdata" | "iotdevicegateway" => service("iot-data"),
        "execute-api" => service("iot"),
        "iot-data" => None,
        other => service(other),
    }
}

/// The SDKs sign calls to IAM for the partition's global region, and those to STS may be.
pub fn is_global(service: &Service) -> bool {
    matches!(service.name, "iam" | "sts")
}

impl Service {
    pub fn operation(&self, name: &str) -> Option<&'static Operation> {
        self.operations.iter().find(|operation| operation.name == name)
    }

    /// The name of an operation that AWS has and Landfall does not.
    pub fn other(&self, name: &str) -> Option<&'static str> {
        self.others.iter().find(|other| other.name == name).map(|other| other.name)
    }
}
