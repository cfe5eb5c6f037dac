//! The door without a network and without signatures, for the fuzz targets: what a request is read as, and a call by name.

use domain::sigv4::Request;
use serde_json::Value;
use services::{Caller, Error, Services};

use crate::errors::{Fault, fault};
use crate::message::{Answer, Head};
use crate::{catalog, device_requests, dispatch, door, server, validation, websocket};

/// What the door makes of a request before a verb is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    Input { operation: &'static str, input: Value },
    Refused(Answer),
}

/// `service` is the one in the signature's scope. `None` if nothing is signed for it here, or the Host header is refused.
pub fn read(service: &str, request: &Request<'_>) -> Option<Reading> {
    let service = catalog::signed_for(service)?;
    let head = head(request)?;
    let refused = |error: &Error| Reading::Refused(door::failed(service, error, "request-id"));
    let read = door::read(service, door::target(service, &head), &head, request.body);
    let (operation, input) = match read {
        Ok(read) => read,
        Err(refusal) => return Some(refused(&fault(service, refusal))),
    };
    let checked = operation.input.map_or(Ok(()), |shape| validation::check(service, shape, &input));
    Some(match checked {
        Ok(()) => Reading::Input { operation: operation.name, input },
        Err(error) => refused(&error),
    })
}

/// The same of a request that comes with a client certificate, at the devices' port.
pub fn read_of_device(request: &Request<'_>) -> Option<Reading> {
    Some(match device_requests::called(&head(request)?, request.body) {
        Ok((operation, input)) => Reading::Input { operation: operation.name, input },
        Err(error) => Reading::Refused(door::failed(device_requests::DATA_PLANE, &error, "request-id")),
    })
}

/// What a request that is to become a WebSocket is answered, its signature aside. `None` also for any other path.
pub fn open_websocket(request: &Request<'_>) -> Option<Answer> {
    let head = head(request).filter(websocket::is_asked)?;
    Some(websocket::handshake(&head).map_or_else(|(answer, _)| answer, |handshake| handshake.answer()))
}

/// `None` if the Host header is refused.
fn head(request: &Request<'_>) -> Option<Head> {
    let headers = request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let head = Head {
        method: request.method.to_owned(),
        path: request.path.to_owned(),
        query: request.query.to_owned(),
        headers: headers.collect(),
    };
    server::is_host_allowed(&head, &[]).then_some(head)
}

/// One operation by its names in `models/`, with its input as one JSON object.
pub async fn call(
    services: &Services,
    caller: Caller,
    service: &str,
    operation: &str,
    input: Value,
) -> Result<Value, Error> {
    let service = catalog::service(service).ok_or_else(|| Error::internal(format!("no service {service}")))?;
    let Some(operation) = service.operation(operation) else {
        return Err(fault(service, Fault::UnknownOperation(operation.to_owned())));
    };
    dispatch::call(services, &services.op(caller), service, operation, input).await
}
