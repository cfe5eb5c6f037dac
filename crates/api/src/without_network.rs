//! The door without a network and without signatures, for the fuzz targets: what a request is read as, and a call by name.

use domain::sigv4::Request;
use serde_json::Value;
use services::{Caller, Error, Services};

use crate::errors::{Fault, fault};
use crate::message::{Answer, Head};
use crate::{catalog, dispatch, door, server, validation};

/// What the door makes of a request before a verb is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    Input { operation: &'static str, input: Value },
    Refused(Answer),
}

/// `service` is the one in the signature's scope. `None` if nothing is signed for it here, or the Host header is refused.
pub fn read(service: &str, request: &Request<'_>) -> Option<Reading> {
    let service = catalog::signed_for(service)?;
    let headers = request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let head = Head {
        method: request.method.to_owned(),
        path: request.path.to_owned(),
        query: request.query.to_owned(),
        headers: headers.collect(),
    };
    if !server::is_host_allowed(&head, &[]) {
        return None;
    }
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
