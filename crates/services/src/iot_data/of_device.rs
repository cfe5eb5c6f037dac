//! HTTPS with a client certificate: the certificate's IoT policies judge it, as they judge its MQTT.

use std::net::IpAddr;
use std::sync::Arc;

use domain::admission::{CertificateStatus, Refusal, ServerName};
use domain::iot_policy::{ConnectionFacts, IotAction, judge};
use domain::x509::Certificate;

use super::IotData;
use super::publish::Published;
use super::shapes::{
    GetRetainedMessageRequest, GetRetainedMessageResponse, ListRetainedMessagesRequest, ListRetainedMessagesResponse,
    PublishRequest,
};
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
    /// `None` where the request is at fault, and not the device's rights.
    pub refused: Option<Refused>,
}

impl From<Error> for DeviceRefused {
    fn from(error: Error) -> Self {
        Self { error, refused: None }
    }
}

impl IotData {
    pub async fn publish_of_device(
        &self,
        device: &HttpsDevice,
        request_id: &str,
        input: PublishRequest,
    ) -> Result<Published, DeviceRefused> {
        let actions: &[IotAction] = match input.retain {
            Some(true) => &[IotAction::Publish, IotAction::RetainPublish],
            _ => &[IotAction::Publish],
        };
        self.authorize_device(device, actions, &input.topic)?;
        let principal = device.certificate.id().to_string();
        Ok(self.publish_authorized(input, principal, request_id).await?)
    }

    pub fn get_retained_message_of_device(
        &self,
        device: &HttpsDevice,
        input: &GetRetainedMessageRequest,
    ) -> Result<GetRetainedMessageResponse, DeviceRefused> {
        self.authorize_device(device, &[IotAction::GetRetainedMessage], &input.topic)?;
        Ok(self.retained_message(input)?)
    }

    pub fn list_retained_messages_of_device(
        &self,
        device: &HttpsDevice,
        input: &ListRetainedMessagesRequest,
    ) -> Result<ListRetainedMessagesResponse, DeviceRefused> {
        self.authorize_device(device, &[IotAction::ListRetainedMessages], "")?;
        Ok(self.retained_messages(input)?)
    }

    fn authorize_device(&self, device: &HttpsDevice, actions: &[IotAction], topic: &str) -> Result<(), DeviceRefused> {
        self.judge_device(device, actions, topic).map_err(|refused| DeviceRefused {
            // AWS gives nothing of the policies away.
            error: Error::new("ForbiddenException", "Forbidden"),
            refused: Some(refused),
        })
    }

    /// By the policies as they are: a request is no connection, and nothing of it is worked out beforehand.
    fn judge_device(&self, device: &HttpsDevice, actions: &[IotAction], topic: &str) -> Result<(), Refused> {
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
        for action in actions {
            let resource = self.services.inner.resource_scope.arn(*action, topic);
            let decision = judge(&standing.policies, *action, &resource, &facts, &standing.things);
            if let Some(refusal) = self.services.refusal(decision, *action, topic) {
                return Err(refused(refusal));
            }
        }
        Ok(())
    }
}
