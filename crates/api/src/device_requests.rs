//! HTTP on the devices' port: AWS's data plane, by those who sign and by those who show a client certificate, and the
//! opening of WebSockets.

use bytes::Bytes;
use domain::admission::Refusal;
use services::Error;
use services::admission::Refused;
use services::iot_data::HttpsDevice;
use services::iot_data::shapes::PublishRequest;
use services::signed_connection::Signer;
use tokio::sync::watch;

use crate::authentication::{self, IsGlobal};
use crate::door::{Target, failed, read, target};
use crate::entrance::{Entrance, Holder, Kind, Knock};
use crate::errors::{Fault, fault};
use crate::message::{Answer, Head};
use crate::websocket::{self, Handshake};
use crate::{Api, dispatch, generated, validation};

const DATA_PLANE: &crate::model::Service = &generated::iot_data::SERVICE;

/// What signatures of WebSockets are scoped to.
const WEBSOCKET_SCOPE: &str = "iotdevicegateway";

/// Whether a request says of itself that it is signed.
pub(crate) fn is_signed(head: &Head) -> bool {
    !matches!(authentication::claim(head), Err(Fault::MissingToken))
}

impl Api {
    /// `Err` is the answer, and is recorded.
    pub(crate) async fn open_websocket(
        &self,
        head: &Head,
        entrance: &Entrance,
        request_id: &str,
    ) -> Result<(Handshake, Holder), Answer> {
        let handshake = match websocket::handshake(head) {
            Ok(handshake) => handshake,
            Err((answer, why)) => {
                self.tell_refused(entrance, unregistered(Refusal::WebSocketRefused(why))).await;
                return Err(answer);
            }
        };
        match self.websocket_holder(head, entrance) {
            Ok(holder) => Ok((handshake, holder)),
            Err(refusal) => {
                let error = fault(DATA_PLANE, refusal);
                let why = Refusal::SignatureRefused(error.message.clone());
                self.tell_refused(entrance, unregistered(why)).await;
                Err(failed(DATA_PLANE, &error, request_id))
            }
        }
    }

    /// A signature counts before a certificate: whoever shows both has signed on purpose.
    fn websocket_holder(&self, head: &Head, entrance: &Entrance) -> Result<Holder, Fault> {
        let claim = match (authentication::claim(head), &entrance.kind) {
            (Err(Fault::MissingToken), Kind::Devices(Some(device))) => return Ok(Holder::Device(device.clone())),
            (claim, _) => claim?,
        };
        let services = &self.inner.services;
        let credential = authentication::credential(services, &claim)?;
        authentication::check_scope(&claim, &services.config().region, IsGlobal::No)?;
        if claim.service != WEBSOCKET_SCOPE {
            let text = format!("Credential should be scoped to correct service: '{WEBSOCKET_SCOPE}'. ");
            return Err(Fault::BadSignature(text));
        }
        self.inner.keys.verify(head, &Bytes::new(), &claim, &credential, services.now())?;
        Ok(Holder::Signer(Signer { caller: credential.caller, via: entrance.via }))
    }

    /// Without a signature: the client's certificate says who asks. Of the data plane, Publish is served so.
    pub(crate) async fn device_request(
        &self,
        device: &HttpsDevice,
        entrance: &Entrance,
        head: &Head,
        body: &[u8],
        request_id: &str,
    ) -> Answer {
        let input = match publish_request(head, body) {
            Ok(input) => input,
            Err(error) => return failed(DATA_PLANE, &error, request_id),
        };
        let verb = tokio::spawn({
            let (data, device, request_id) = (self.inner.services.iot_data(), device.clone(), request_id.to_owned());
            async move { data.publish_of_device(&device, &request_id, input).await }
        });
        let error = match verb.await {
            Ok(Ok(published)) => {
                return match dispatch::answered(Ok(published)) {
                    Ok(output) => Answer::new(200, "application/json", output.to_string()),
                    Err(error) => failed(DATA_PLANE, &error, request_id),
                };
            }
            Ok(Err(refused)) => {
                if let Some(why) = refused.refused {
                    self.tell_refused(entrance, why).await;
                }
                refused.error
            }
            Err(error) => {
                tracing::error!(%error, "a device's request ended unexpectedly");
                fault(DATA_PLANE, Fault::Internal)
            }
        };
        failed(DATA_PLANE, &error, request_id)
    }

    async fn tell_refused(&self, entrance: &Entrance, refused: Refused) {
        // It records, and has no connection to serve.
        let (_never, shutdown) = watch::channel(false);
        (entrance.mqtt.0)(Knock::Refused(refused), shutdown).await;
    }

    /// What this port does not serve: everything but the data plane.
    pub(crate) fn not_of_devices(&self, head: &Head, request_id: &str) -> Answer {
        let text = format!("Unknown operation: {} on the devices' port; the API has its own.", head.method);
        failed(DATA_PLANE, &fault(DATA_PLANE, Fault::UnknownOperation(text)), request_id)
    }
}

const TOPICS: &str = "/topics/";

/// AWS's own example for Python puts the topic into the path as it is, slashes and all; the model has them encoded.
/// (AWS IoT developer guide, "HTTPS")
fn with_topic_in_one_segment(head: &Head) -> Head {
    let path = match head.path.strip_prefix(TOPICS) {
        Some(topic) => format!("{TOPICS}{}", topic.replace('/', "%2F")),
        None => head.path.clone(),
    };
    Head { path, ..head.clone() }
}

fn publish_request(head: &Head, body: &[u8]) -> Result<PublishRequest, Error> {
    let head = &with_topic_in_one_segment(head);
    let target = target(DATA_PLANE, head);
    if let Target::Operation(operation, _) = &target
        && operation.name != "Publish"
    {
        let text = "With a client certificate, HTTPS serves Publish alone; sign the request.";
        return Err(Error::new("ForbiddenException", text));
    }
    let (operation, input) = read(DATA_PLANE, target, head, body).map_err(|refusal| fault(DATA_PLANE, refusal))?;
    if let Some(shape) = operation.input {
        validation::check(DATA_PLANE, shape, &input)?;
    }
    dispatch::parsed(input).map_err(|error| fault(DATA_PLANE, Fault::Malformed(error.message)))
}

fn unregistered(refusal: Refusal) -> Refused {
    Refused { refusal, ca: None, status: None }
}
