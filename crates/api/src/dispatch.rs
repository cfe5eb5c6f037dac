//! Between a JSON object and a verb. The match from names to verbs is generated.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use services::{Error, Op, Services};
use tracing::Instrument as _;

use crate::catalog;
use crate::errors::{Fault, fault};
use crate::generated;
use crate::model::{Operation, Service};
use crate::validation;

/// Checks the input against the tables and calls the verb. HTTP requests and functions' calls meet here.
pub async fn call(
    services: &Services,
    op: &Op,
    service: &'static Service,
    operation: &'static Operation,
    input: Value,
) -> Result<Value, Error> {
    if let Some(shape) = operation.input {
        validation::check(service, shape, &input)?;
    }
    let (services, op) = (services.clone(), op.clone());
    // A task of its own: a caller who goes away in the middle does not leave a change half told, such as a right that is
    // taken away in the store and not yet from the connections that use it.
    let verb = async move { generated::dispatch::dispatch(&services, &op, service.name, operation.name, input).await };
    let verb = tokio::spawn(verb.in_current_span());
    match verb.await {
        Ok(answer) => answer.map_err(|error| match error.code {
            NOT_AN_INPUT => fault(service, Fault::Malformed(error.message)),
            _ => error,
        }),
        Err(error) => {
            tracing::error!(operation = operation.name, %error, "an operation ended unexpectedly");
            Err(fault(service, Fault::Internal))
        }
    }
}

/// Stands for the protocol's name of it, which only `call` knows.
const NOT_AN_INPUT: &str = "NotAnInput";

/// The object as the verb's input. What the tables let through and this does not is a number or blob out of form.
pub fn parsed<T: DeserializeOwned>(input: Value) -> Result<T, Error> {
    serde_json::from_value(input).map_err(|error| Error::new(NOT_AN_INPUT, error.to_string()))
}

/// The verb's answer as a JSON object; null for one without output.
pub fn answered<T: Serialize>(answer: Result<T, Error>) -> Result<Value, Error> {
    serde_json::to_value(answer?).map_err(|error| Error::new("InternalFailure", error.to_string()))
}

pub fn unserved(service: &'static str, operation: &'static str) -> Error {
    match catalog::service(service) {
        Some(service) => fault(service, Fault::NotServed(operation)),
        None => Error::new("InternalFailure", format!("no service {service}")),
    }
}
