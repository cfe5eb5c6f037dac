//! Publish by HTTPS with a client certificate: the certificate's IoT policies judge it, as they judge its MQTT messages.

use std::net::IpAddr;
use std::sync::Arc;

use domain::admission::{CertificateStatus, Refusal, ServerName};
use domain::iot_policy::{ConnectionFacts, IotAction};
use domain::x509::Certificate;

use super::IotData;
use super::publish::Published;
use super::shapes::PublishRequest;
use crate::Error;
use crate::admission::Refused;

/// Who holds the key of a certificate and speaks HTTPS.
#[derive(Clone, Debug)]
pub struct HttpsDevice {
    pub certificate: Arc<Certificate>,
    pub server_name: ServerName,
    /// The server's name, as the device gave it in TLS.
    pub domain_name: Option<String>,
    pub source_ip: IpAddr,
}

/// What the device is told, and what the operator is.
#[derive(Debug)]
pub struct DeviceRefused {
    pub error: Error,
    /// `None` where the message is at fault, and not the device's rights.
    pub refused: Option<Refused>,
}

impl IotData {
    pub async fn publish_of_device(
        &self,
        device: &HttpsDevice,
        request_id: &str,
        input: PublishRequest,
    ) -> Result<Published, DeviceRefused> {
        self.judge_device(device, &input).map_err(|refused| DeviceRefused {
            // AWS gives nothing of the policies away.
            error: Error::new("ForbiddenException", "Forbidden"),
            refused: Some(refused),
        })?;
        let principal = device.certificate.id().to_string();
        let published = self.publish_authorized(input, principal, request_id).await;
        published.map_err(|error| DeviceRefused { error, refused: None })
    }

    fn judge_device(&self, device: &HttpsDevice, input: &PublishRequest) -> Result<(), Refused> {
        self.services.judge_request(&device.certificate, device.server_name)?;
        let certificate = device.certificate.id();
        let refused = |refusal| Refused { refusal, ca: None, status: Some(CertificateStatus::Active) };
        let standing = self.services.read_standing(certificate);
        let standing = standing.map_err(|err| refused(Refusal::Internal(err.message)))?;
        if let Err(why) = &standing.active {
            return Err(refused(Refusal::RightLost(why.clone())));
        }
        if standing.policies.is_empty() {
            return Err(refused(Refusal::NoPolicy { certificate }));
        }
        // There is no client and no connection that policies could ask about.
        let facts = ConnectionFacts {
            client_id: String::new(),
            certificate_id: certificate,
            certificate: device.certificate.clone(),
            source_ip: Some(device.source_ip.to_canonical()),
            domain_name: device.domain_name.clone(),
            connect_attributes: Vec::new(),
            last_will_topic_arn: None,
        };
        let permissions = standing.permissions(&facts);
        let must_allow = |action| self.services.must_allow(&permissions, action, &input.topic).map_err(refused);
        must_allow(IotAction::Publish)?;
        if input.retain == Some(true) {
            must_allow(IotAction::RetainPublish)?;
        }
        Ok(())
    }
}
