//! AWS calls of functions: the same operations, inputs and checks as over HTTP, without HTTP.

use std::sync::{Arc, OnceLock, Weak};

use serde_json::Value;
use services::{AwsCall, AwsCallError, AwsCalls, Caller, Error, Step};

use crate::errors::{self, Fault, fault};
use crate::model::Service;
use crate::{Api, Inner, catalog, dispatch};

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
        let Some(service) = catalog::service(&call.service).or_else(|| catalog::signed_for(&call.service)) else {
            return Err(AwsCallError {
                code: "UnknownEndpoint".to_owned(),
                message: format!("Landfall does not serve the service {}.", call.service),
                status: 501,
                request_id: op.request_id,
            });
        };
        let outcome = match service.operation(&call.operation) {
            Some(operation) => dispatch::call(&self.inner.services, &op, service, operation, call.input).await,
            None => Err(fault(service, unknown(service, &call.operation))),
        };
        self.inner.services.config().checkpoints.pass(Step::FunctionCalled, &call.operation);
        outcome.map_err(|error| failure(service, &error, op.request_id))
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
