//! The one place where exceptions meet HTTP: the names of what the door itself refuses, and every status.

use services::Error;

use crate::model::{ErrorShape, Protocol, Service};

/// What the door refuses before a verb is asked. The same thing has another name in each protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    MissingToken,
    IncompleteSignature(String),
    UnknownKey,
    ExpiredToken,
    BadSignature(String),
    UnknownOperation(String),
    NotServed(&'static str),
    /// A value of the wrong type, or a body that does not parse.
    Malformed(String),
    Invalid(String),
    TooLarge(String),
    Busy,
    Internal,
}

pub fn fault(service: &Service, fault: Fault) -> Error {
    let query = service.protocol == Protocol::Query;
    let named = |in_query: &'static str, elsewhere: &'static str| if query { in_query } else { elsewhere };
    match fault {
        Fault::MissingToken => Error::new(
            named("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
            named("Request is missing Authentication Token", "Missing Authentication Token"),
        ),
        Fault::IncompleteSignature(text) => {
            Error::new(named("IncompleteSignature", "IncompleteSignatureException"), text)
        }
        Fault::UnknownKey => Error::new(
            named("InvalidClientTokenId", "UnrecognizedClientException"),
            "The security token included in the request is invalid.",
        ),
        Fault::ExpiredToken => Error::new(
            named("ExpiredToken", "ExpiredTokenException"),
            "The security token included in the request is expired",
        ),
        Fault::BadSignature(text) => Error::new(named("SignatureDoesNotMatch", "InvalidSignatureException"), text),
        Fault::UnknownOperation(text) => Error::new(named("InvalidAction", "UnknownOperationException"), text),
        Fault::NotServed(operation) => Error::new(
            named("NotImplemented", "NotImplementedException"),
            format!("Landfall does not serve {}:{operation} yet.", service.name),
        ),
        Fault::Malformed(text) => Error::new(named("MalformedInput", "SerializationException"), text),
        Fault::Invalid(text) => Error::new(invalid_code(service), text),
        Fault::Busy => Error::new(
            named("ServiceUnavailable", "ServiceUnavailableException"),
            "Too many large requests at once; try again in a moment.",
        ),
        Fault::TooLarge(text) => Error::new(named("RequestEntityTooLarge", "RequestEntityTooLargeException"), text),
        Fault::Internal => {
            Error::new(named("InternalFailure", "InternalFailureException"), "An internal failure has occurred.")
        }
    }
}

/// What a service calls an input against its model's constraints.
fn invalid_code(service: &Service) -> &'static str {
    match service.name {
        "iot" | "iot-data" => "InvalidRequestException",
        "logs" => "InvalidParameterException",
        "iam" | "sts" => "ValidationError",
        _ => "ValidationException",
    }
}

/// Names that the models do not list, with their status; json-1.1 services answer 400 to what is the caller's fault.
const COMMON: &[(&str, u16)] = &[
    ("AccessDenied", 403),
    ("AccessDeniedException", 403),
    ("ExpiredToken", 403),
    ("ExpiredTokenException", 403),
    ("ForbiddenException", 403),
    ("IncompleteSignature", 403),
    ("IncompleteSignatureException", 403),
    ("InternalFailure", 500),
    ("InternalFailureException", 500),
    ("InvalidAction", 400),
    ("InvalidClientTokenId", 403),
    ("InvalidParameterValue", 400),
    ("InvalidRequestException", 400),
    ("InvalidSignatureException", 403),
    ("MalformedInput", 400),
    ("MissingAuthenticationToken", 403),
    ("MissingAuthenticationTokenException", 403),
    ("NotImplemented", 501),
    ("NotImplementedException", 501),
    ("RequestEntityTooLarge", 413),
    ("RequestEntityTooLargeException", 413),
    ("SerializationException", 400),
    ("ServiceUnavailable", 503),
    ("ServiceUnavailableException", 503),
    ("SignatureDoesNotMatch", 403),
    ("Throttling", 400),
    ("ThrottlingException", 400),
    ("UnknownOperationException", 404),
    ("UnrecognizedClientException", 403),
    ("ValidationError", 400),
    ("ValidationException", 400),
];

/// Our own faults, by the name that `services::Error::internal` gives them.
fn is_internal(error: &Error) -> bool {
    matches!(error.code, "InternalFailureException" | "InternalFailure")
}

/// What went wrong inside is for the log, under the request's id, and not for the caller.
pub fn public_message(error: &Error, request_id: &str) -> String {
    if is_internal(error) {
        tracing::error!(request_id, error.message, "internal failure");
        return "An internal failure has occurred. The server's log has the cause under the request's id.".to_owned();
    }
    error.message.clone()
}

/// The models' names for a fault of the service.
fn internal_code(service: &Service) -> &'static str {
    match service.name {
        "iam" => "ServiceFailureException",
        "lambda" => "ServiceException",
        "logs" => "ServiceUnavailableException",
        "sts" => "InternalFailure",
        _ => "InternalFailureException",
    }
}

/// The shape in the service's model, by its name or by the query protocol's code.
pub fn shape(service: &Service, code: &str) -> Option<&'static ErrorShape> {
    service.errors.iter().find(|shape| shape.name == code || shape.code == code)
}

fn model_code(service: &Service, error: &Error) -> &'static str {
    if is_internal(error) { internal_code(service) } else { error.code }
}

pub fn status(service: &Service, error: &Error) -> u16 {
    if let Some(shape) = shape(service, model_code(service, error)) {
        return shape.status;
    }
    // A name that neither the model nor the list has is a mistake of ours, and is answered as one.
    let status = COMMON.iter().find(|(code, _)| *code == error.code).map_or(500, |(_, status)| *status);
    match service.protocol {
        Protocol::Json if (401..=404).contains(&status) => 400,
        _ => status,
    }
}

/// The name as it goes out: the query protocol has codes where the others have the names of exceptions.
pub fn public_code(service: &Service, error: &Error) -> &'static str {
    let code = model_code(service, error);
    match (shape(service, code), service.protocol) {
        (Some(shape), Protocol::Query) => shape.code,
        (Some(shape), _) => shape.name,
        (None, Protocol::Query) if code == "AccessDeniedException" => "AccessDenied",
        (None, _) => code,
    }
}

#[cfg(test)]
mod tests {
    use services::Error;

    use super::{Fault, fault, public_code, status};
    use crate::catalog;

    #[test]
    fn names_and_statuses() {
        for (service, code, public, expected) in [
            ("iot", "ResourceNotFoundException", "ResourceNotFoundException", 404),
            ("iot", "LimitExceededException", "LimitExceededException", 410),
            ("iot", "ThrottlingException", "ThrottlingException", 400),
            ("iot", "CertificateStateException", "CertificateStateException", 406),
            ("iot", "AccessDeniedException", "AccessDeniedException", 403),
            ("iam", "NoSuchEntityException", "NoSuchEntity", 404),
            ("iam", "NoSuchEntity", "NoSuchEntity", 404),
            ("iam", "AccessDeniedException", "AccessDenied", 403),
            ("logs", "ResourceNotFoundException", "ResourceNotFoundException", 400),
            ("logs", "AccessDeniedException", "AccessDeniedException", 400),
            ("logs", "UnrecognizedClientException", "UnrecognizedClientException", 400),
            ("logs", "UnknownOperationException", "UnknownOperationException", 400),
            ("lambda", "ResourceConflictException", "ResourceConflictException", 409),
            ("lambda", "InternalFailureException", "ServiceException", 500),
            ("iam", "InternalFailureException", "ServiceFailure", 500),
            ("sts", "InternalFailureException", "InternalFailure", 500),
            ("lambda", "NoSuchName", "NoSuchName", 500),
        ] {
            let service = catalog::service(service).expect("a service of the catalog");
            let error = Error::new(code, "");
            assert_eq!((public_code(service, &error), status(service, &error)), (public, expected), "{code}");
        }
    }

    #[test]
    fn every_fault_has_a_status() {
        for service in crate::generated::SERVICES {
            for kind in [
                Fault::MissingToken,
                Fault::IncompleteSignature(String::new()),
                Fault::UnknownKey,
                Fault::ExpiredToken,
                Fault::BadSignature(String::new()),
                Fault::UnknownOperation(String::new()),
                Fault::NotServed("CreateJob"),
                Fault::Malformed(String::new()),
                Fault::Invalid(String::new()),
                Fault::TooLarge(String::new()),
            ] {
                let error = fault(service, kind);
                assert_ne!(status(service, &error), 500, "{} {}", service.name, error.code);
            }
        }
    }
}
