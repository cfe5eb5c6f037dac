//! AWS calls of functions: the same operations, inputs and checks as over HTTP, without HTTP.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use serde_json::{Value, json};
use services::metrics::{ApiCall, CalledFrom};
use services::{AwsCall, AwsCallError, AwsCalls, Caller, Error, Op, Step};
use tracing::Instrument as _;

use crate::errors::{self, Fault, fault};
use crate::model::{Service, Shape};
use crate::{Api, Inner, catalog, dispatch, log};

/// Where the door will be. The services need the functions, these need their `AwsCalls`, which need the door, which
/// needs the services: the binary makes the cell first and sets it last. It holds the door weakly, so that the circle
/// can be freed.
#[derive(Clone, Default)]
pub struct ApiCell(Arc<OnceLock<Weak<Inner>>>);

impl ApiCell {
    /// Once; later calls change nothing.
    pub fn set(&self, api: &Api) {
        let _ = self.0.set(Arc::downgrade(&api.inner));
    }

    pub fn aws_calls(&self) -> AwsCalls {
        let cell = self.clone();
        AwsCalls(Arc::new(move |call| {
            let door = cell.0.get().and_then(Weak::upgrade).map(|inner| Api { inner });
            Box::pin(async move {
                match door {
                    Some(api) => api.call_for_function(call).await,
                    None => Err(AwsCallError {
                        code: "ServiceUnavailable".to_owned(),
                        message: "Landfall is starting or shutting down.".to_owned(),
                        status: 503,
                        request_id: services::uuid(),
                    }),
                }
            })
        }))
    }
}

impl Api {
    async fn call_for_function(&self, call: AwsCall) -> Result<Value, AwsCallError> {
        let op = self.inner.services.op(Caller::Role(call.session));
        let span = log::request(&op.request_id);
        self.call_as(op, call.service, call.operation, call.input).instrument(span).await
    }

    async fn call_as(&self, op: Op, service: String, operation: String, input: Value) -> Result<Value, AwsCallError> {
        let Some(service) = catalog::service(&service).or_else(|| catalog::signed_for(&service)) else {
            return Err(AwsCallError {
                code: "UnknownEndpoint".to_owned(),
                message: format!("Landfall does not serve the service {service}."),
                status: 501,
                request_id: op.request_id,
            });
        };
        let begun = Instant::now();
        let outcome = match service.operation(&operation) {
            Some(found) => {
                let answer = dispatch::call(&self.inner.services, &op, service, found, input).await;
                answer.map(|output| found.output.map_or(Value::Null, |shape| marked(shape, output)))
            }
            None => Err(fault(service, unknown(service, &operation))),
        };
        self.inner.services.config().checkpoints.pass(Step::FunctionCalled, &operation);
        let outcome = outcome.map_err(|error| failure(service, &error, op.request_id));
        self.inner.services.metrics().api.answered(&ApiCall {
            service: service.name,
            operation: service.operation(&operation).map(|operation| operation.name),
            status: outcome.as_ref().map_or_else(|failure| failure.status, |_| 200),
            from: CalledFrom::Function,
            time: begun.elapsed(),
        });
        outcome
    }
}

/// Moments and binary members as objects with one member, whose name no AWS text can have: the SDKs in the functions make
/// their dates and bytes of them.
fn marked(shape: &Shape, value: Value) -> Value {
    match (shape, value) {
        (Shape::Timestamp, Value::Number(seconds)) => json!({ "\u{0}date": seconds }),
        (Shape::Blob(_), Value::String(base64)) => json!({ "\u{0}bytes": base64 }),
        (Shape::Structure(structure), Value::Object(mut members)) => {
            for member in structure.members {
                if let Some(value) = members.get_mut(member.name) {
                    *value = marked(member.shape, value.take());
                }
            }
            Value::Object(members)
        }
        (Shape::List(list), Value::Array(elements)) => {
            elements.into_iter().map(|element| marked(list.member, element)).collect()
        }
        (Shape::Map(map), Value::Object(entries)) => {
            Value::Object(entries.into_iter().map(|(key, value)| (key, marked(map.value, value))).collect())
        }
        (_, value) => value,
    }
}

fn unknown(service: &Service, operation: &str) -> Fault {
    match service.other(operation) {
        Some(name) => Fault::NotServed(name),
        None => Fault::UnknownOperation(format!("{} has no operation {operation}.", service.name)),
    }
}

fn failure(service: &Service, error: &Error, request_id: String) -> AwsCallError {
    AwsCallError {
        code: errors::public_code(service, error).to_owned(),
        message: errors::public_message(error, &request_id),
        status: errors::status(service, error),
        request_id,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::marked;
    use crate::catalog;

    #[test]
    fn moments_and_bytes_are_marked_by_their_shapes() {
        for (service, operation, output, expected) in [
            (
                "iot",
                "ListCertificates",
                json!({ "certificates": [{ "certificateId": "a", "creationDate": 1.5 }] }),
                json!({ "certificates": [{ "certificateId": "a", "creationDate": { "\u{0}date": 1.5 } }] }),
            ),
            (
                "lambda",
                "Invoke",
                json!({ "StatusCode": 200, "Payload": "e30=" }),
                json!({ "StatusCode": 200, "Payload": { "\u{0}bytes": "e30=" } }),
            ),
            (
                "logs",
                "DescribeLogGroups",
                json!({ "logGroups": [{ "creationTime": 1 }] }),
                json!({ "logGroups": [{ "creationTime": 1 }] }),
            ),
        ] {
            let service = catalog::service(service).expect("a service");
            let shape = service.operation(operation).and_then(|operation| operation.output).expect("an output");
            assert_eq!(marked(shape, output), expected, "{operation}");
        }
    }
}
