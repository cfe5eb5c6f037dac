//! One request from head to answer: who asks, what for, the body, the verb, the protocol's words.

use std::time::Instant;

use bytes::Bytes;
use domain::sigv4::Claim;
use serde_json::Value;
use services::metrics::{ApiCall, CalledFrom};
use services::{Credential, Error, Op, Via};

use crate::authentication::{self, IsGlobal};
use crate::errors::{Fault, fault};
use crate::limits::{BODY_BYTES_MAX, INVOKE_BODY_BYTES_MAX, PACKAGE_BODY_BYTES_MAX};
use crate::message::{Answer, Head};
use crate::model::{Operation, Protocol, Service};
use crate::query::Form;
use crate::route::Found;
use crate::{Api, catalog, dispatch, generated, json_1_1, query, rest_json, route};

/// What the head alone decides: a request that goes no further costs no body.
pub(crate) struct Opened {
    service: &'static Service,
    claim: Claim,
    credential: Credential,
    target: Target,
}

pub(crate) enum Target {
    Operation(&'static Operation, Vec<(&'static str, String)>),
    /// The query protocol names its operation in the body.
    InForm,
    /// Refused, but not before the signature is known to be good: what is served is not a stranger's business.
    Refused(Fault),
}

impl Opened {
    pub(crate) fn is_of_data_plane(&self) -> bool {
        self.service.name == "iot-data"
    }

    pub(crate) fn body_bytes_max(&self) -> usize {
        match &self.target {
            Target::Operation(operation, _) => match operation.name {
                "CreateFunction" | "UpdateFunctionCode" => PACKAGE_BODY_BYTES_MAX,
                "Invoke" | "PutLogEvents" => INVOKE_BODY_BYTES_MAX,
                _ => BODY_BYTES_MAX,
            },
            Target::InForm | Target::Refused(_) => BODY_BYTES_MAX,
        }
    }

    /// AWS's sentence for it, with Invoke under its older name.
    pub(crate) fn too_large(&self, request_id: &str) -> Answer {
        let name = match &self.target {
            Target::Operation(operation, _) if operation.name == "Invoke" => "InvokeFunction",
            Target::Operation(operation, _) => operation.name,
            _ => "requested",
        };
        let limit = self.body_bytes_max();
        let text = format!("Request must be smaller than {limit} bytes for the {name} operation");
        refused(self.service, Fault::TooLarge(text), request_id)
    }

    pub(crate) fn busy(&self, request_id: &str) -> Answer {
        refused(self.service, Fault::Busy, request_id)
    }

    pub(crate) fn unreadable(&self, request_id: &str) -> Answer {
        let text = "The request body could not be read to its end.".to_owned();
        refused(self.service, Fault::Malformed(text), request_id)
    }
}

impl Api {
    /// `Err` is the answer already.
    pub(crate) fn open(&self, head: &Head, request_id: &str) -> Result<Opened, Box<Answer>> {
        let begun = Instant::now();
        let refuse = |service: &'static Service, fault| {
            let answer = refused(service, fault, request_id);
            self.count(service, None, answer.status, begun);
            Box::new(answer)
        };
        let claim = authentication::claim(head).map_err(|fault| refuse(guessed(head), fault))?;
        let credential = authentication::credential(&self.inner.services, &claim);
        let Some(service) = catalog::signed_for(&claim.service) else {
            let fault = credential.err().unwrap_or_else(|| Fault::BadSignature(served_scopes()));
            return Err(refuse(guessed(head), fault));
        };
        let is_global = if catalog::is_global(service) { IsGlobal::Yes } else { IsGlobal::No };
        let region = &self.inner.services.config().region;
        let credential = credential.map_err(|fault| refuse(service, fault))?;
        authentication::check_scope(&claim, region, is_global).map_err(|fault| refuse(service, fault))?;
        Ok(Opened { service, claim, credential, target: target(service, head) })
    }

    pub(crate) async fn finish(&self, opened: Opened, head: &Head, body: Bytes, request_id: &str, via: Via) -> Answer {
        let begun = Instant::now();
        let service = opened.service;
        let (operation, answer) = self.called(opened, head, body, request_id, via).await;
        self.count(service, operation, answer.status, begun);
        answer
    }

    pub(crate) fn count(&self, service: &Service, operation: Option<&Operation>, status: u16, begun: Instant) {
        self.inner.services.metrics().api.answered(&ApiCall {
            service: service.name,
            operation: operation.map(|operation| operation.name),
            status,
            from: CalledFrom::Http,
            time: begun.elapsed(),
        });
    }

    /// The operation, where the request is good enough to have one.
    async fn called(
        &self,
        opened: Opened,
        head: &Head,
        body: Bytes,
        request_id: &str,
        via: Via,
    ) -> (Option<&'static Operation>, Answer) {
        let Opened { service, claim, credential, target } = opened;
        let op = Op {
            caller: credential.caller.clone(),
            now: self.inner.services.now(),
            request_id: request_id.to_owned(),
            via: Some(via),
        };
        if let Err(fault) = self.inner.keys.verify(head, &body, &claim, &credential, op.now) {
            return (None, refused(service, fault, request_id));
        }
        let (operation, input) = match read(service, target, head, &body) {
            Ok(read) => read,
            Err(fault) => return (None, refused(service, fault, request_id)),
        };
        drop(body);
        let answer = match dispatch::call(&self.inner.services, &op, service, operation, input).await {
            Ok(output) => answered(service, operation, output, request_id),
            Err(error) => failed(service, &error, request_id),
        };
        (Some(operation), answer)
    }

    /// For a request whose head is out of form: there is no operation, and no signature was looked at.
    pub(crate) fn malformed(head: &Head, text: &str, request_id: &str) -> Answer {
        refused(guessed(head), Fault::Malformed(text.to_owned()), request_id)
    }
}

pub(crate) fn target(service: &'static Service, head: &Head) -> Target {
    let unknown = || Fault::UnknownOperation(format!("Unknown operation: {} {}", head.method, shown(&head.path)));
    match service.protocol {
        Protocol::Query => Target::InForm,
        Protocol::RestJson => match route::find(service, &head.method, &head.path, &head.query) {
            Some(Found::Operation { operation, labels }) => Target::Operation(operation, labels),
            Some(Found::Other(name)) => Target::Refused(Fault::NotServed(name)),
            None => Target::Refused(unknown()),
        },
        Protocol::Json => {
            let name = head.header("x-amz-target").and_then(|target| json_1_1::operation(service, target));
            match name.map(|name| named(service, name)) {
                Some(Ok(operation)) => Target::Operation(operation, Vec::new()),
                Some(Err(fault)) => Target::Refused(fault),
                None => Target::Refused(unknown()),
            }
        }
    }
}

fn named(service: &Service, name: &str) -> Result<&'static Operation, Fault> {
    match (service.operation(name), service.other(name)) {
        (Some(operation), _) => Ok(operation),
        (None, Some(other)) => Err(Fault::NotServed(other)),
        (None, None) => Err(Fault::UnknownOperation(format!("Unknown operation: {}", shown(name)))),
    }
}

/// The operation and its input as one JSON object.
pub(crate) fn read(
    service: &Service,
    target: Target,
    head: &Head,
    body: &[u8],
) -> Result<(&'static Operation, Value), Fault> {
    match target {
        Target::Refused(fault) => Err(fault),
        Target::Operation(operation, labels) => {
            let input = match service.protocol {
                Protocol::RestJson => rest_json::input(operation, &labels, head, body),
                _ => json_1_1::input(body),
            };
            Ok((operation, input.map_err(Fault::Malformed)?))
        }
        Target::InForm => {
            let form = Form::read(head, body).map_err(Fault::Malformed)?;
            let action = form.action().unwrap_or_default();
            let operation = named(service, action).map_err(|fault| match fault {
                Fault::UnknownOperation(_) => Fault::UnknownOperation(format!(
                    "Could not find operation {} for version {}",
                    shown(action),
                    shown(form.version())
                )),
                other => other,
            })?;
            Ok((operation, form.input(operation).map_err(Fault::Malformed)?))
        }
    }
}

pub(crate) fn answered(service: &Service, operation: &Operation, output: Value, request_id: &str) -> Answer {
    match service.protocol {
        Protocol::Query => query::answer(service, operation, &output, request_id),
        Protocol::Json => json_1_1::answer(&output),
        Protocol::RestJson => match rest_json::answer(operation, output) {
            Ok(answer) => answer,
            Err(text) => {
                tracing::error!(operation = operation.name, text, "an output is not in its shape");
                refused(service, Fault::Internal, request_id)
            }
        },
    }
}

fn refused(service: &Service, refusal: Fault, request_id: &str) -> Answer {
    failed(service, &fault(service, refusal), request_id)
}

pub(crate) fn failed(service: &Service, error: &Error, request_id: &str) -> Answer {
    match service.protocol {
        Protocol::Query => query::error(service, error, request_id),
        Protocol::Json => json_1_1::error(service, error, request_id),
        Protocol::RestJson => rest_json::error(service, error, request_id),
    }
}

/// Whose words an answer is in when no signature says for whom the request is.
fn guessed(head: &Head) -> &'static Service {
    let form = head.header("content-type").is_some_and(|text| text.starts_with("application/x-www-form-urlencoded"));
    if head.header("x-amz-target").is_some() {
        &generated::logs::SERVICE
    } else if form || head.query.split('&').any(|part| part.starts_with("Action=")) {
        &generated::iam::SERVICE
    } else {
        &generated::iot::SERVICE
    }
}

fn served_scopes() -> String {
    "Credential should be scoped to correct service: one of 'iot', 'iotdata', 'iotdevicegateway', 'lambda', 'iam', \
     'sts', 'logs'. "
        .to_owned()
}

fn shown(text: &str) -> String {
    text.chars().take(crate::limits::ECHO_CHARACTERS_MAX).collect()
}
