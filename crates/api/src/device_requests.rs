//! HTTP on the devices' port: AWS's data plane, by those who sign and by those who show a client certificate, and the
//! opening of WebSockets.

use std::time::Instant;

use bytes::Bytes;
use domain::admission::Refusal;
use serde::de::DeserializeOwned;
use serde_json::Value;
use services::Error;
use services::admission::Refused;
use services::iot_data::{DeviceRefused, HttpsDevice, IotData};
use services::signed_connection::Signer;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::authentication::{self, IsGlobal};
use crate::door::{answered, failed, read, target};
use crate::entrance::{Entrance, Holder, Kind, Knock};
use crate::errors::{Fault, fault};
use crate::message::{Answer, Head};
use crate::model::{Operation, Service};
use crate::websocket::{self, Handshake};
use crate::{Api, dispatch, generated, validation};

pub(crate) const DATA_PLANE: &Service = &generated::iot_data::SERVICE;

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

    /// Without a signature: the client's certificate says who asks.
    pub(crate) async fn device_request(
        &self,
        device: &HttpsDevice,
        entrance: &Entrance,
        head: &Head,
        body: &[u8],
        request_id: &str,
    ) -> Answer {
        let begun = Instant::now();
        let (operation, answer) = match called(head, body) {
            Ok((operation, input)) => {
                (Some(operation), self.answer_device(device, entrance, operation, input, request_id).await)
            }
            Err(error) => (None, failed(DATA_PLANE, &error, request_id)),
        };
        self.count(DATA_PLANE, operation, answer.status, begun);
        answer
    }

    async fn answer_device(
        &self,
        device: &HttpsDevice,
        entrance: &Entrance,
        operation: &'static Operation,
        input: Value,
        request_id: &str,
    ) -> Answer {
        // A task of its own, as with a signature: a caller who goes away does not leave it half done.
        let verb = tokio::spawn({
            let (data, device, request_id) = (self.inner.services.iot_data(), device.clone(), request_id.to_owned());
            async move { of_device(&data, &device, &request_id, operation, input).await }.in_current_span()
        });
        let error = match verb.await {
            Ok(Ok(output)) => return answered(DATA_PLANE, operation, output, request_id),
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

/// What is asked for, in its shape.
pub(crate) fn called(head: &Head, body: &[u8]) -> Result<(&'static Operation, Value), Error> {
    let head = &with_topic_in_one_segment(head);
    let target = target(DATA_PLANE, head);
    let (operation, input) = read(DATA_PLANE, target, head, body).map_err(|refusal| fault(DATA_PLANE, refusal))?;
    if let Some(shape) = operation.input {
        validation::check(DATA_PLANE, shape, &input)?;
    }
    Ok((operation, input))
}

async fn of_device(
    data: &IotData,
    device: &HttpsDevice,
    request_id: &str,
    operation: &Operation,
    input: Value,
) -> Result<Value, DeviceRefused> {
    let output = match operation.name {
        "Publish" => dispatch::answered(Ok(data.publish_of_device(device, request_id, parsed(input)?).await?)),
        "GetRetainedMessage" => dispatch::answered(Ok(data.get_retained_message_of_device(device, &parsed(input)?)?)),
        "ListRetainedMessages" => {
            dispatch::answered(Ok(data.list_retained_messages_of_device(device, &parsed(input)?)?))
        }
        name => {
            let text = format!("{name} is not served to a client certificate; sign the request.");
            Err(Error::new("ForbiddenException", text))
        }
    };
    Ok(output?)
}

fn parsed<T: DeserializeOwned>(input: Value) -> Result<T, Error> {
    dispatch::parsed(input).map_err(|error| fault(DATA_PLANE, Fault::Malformed(error.message)))
}

fn unregistered(refusal: Refusal) -> Refused {
    Refused { refusal, ca: None, status: None }
}
