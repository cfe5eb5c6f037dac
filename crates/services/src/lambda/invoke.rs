//! Invoke: wait for the answer, leave the event, or only ask whether one may.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use functions::{Invocation, InvokeError, LogSink};

use super::Lambda;
use super::function_name::{LATEST, parse};
use super::shapes::{InvocationRequest, InvocationResponse};
use crate::blob::Blob;
use crate::invocation::InvocationRow;
use crate::{Error, Op};

/// Payloads of synchronous and asynchronous invocations. (Invoke)
const SYNC_BYTES_MAX: usize = 6 << 20;
pub(crate) const ASYNC_BYTES_MAX: usize = 1 << 20;

/// `X-Amz-Log-Result` holds the last four kilobytes.
const LOG_TAIL_BYTES: usize = 4096;

impl Lambda {
    pub async fn invoke(&self, op: &Op, input: InvocationRequest) -> Result<InvocationResponse, Error> {
        let name = parse(&self.services, &input.function_name, input.qualifier.as_deref())?;
        let arn = self.services.function_arn(&name);
        self.authorize(op, "lambda:InvokeFunction", arn.as_str())?;
        let function = self.spec_of(arn.as_str())?;
        let event = event_of(input.payload)?;
        let too_large = |limit: usize| {
            let message =
                format!("{} byte payload is too large for the invocation type (limit {limit} bytes)", event.len());
            Err(Error::new("RequestTooLargeException", message).with_member("Type", "User"))
        };
        match input.invocation_type.as_deref() {
            Some("DryRun") => Ok(status(204)),
            Some("Event") if event.len() > ASYNC_BYTES_MAX => too_large(ASYNC_BYTES_MAX),
            Some("Event") => {
                let row = InvocationRow::new(arn.as_str(), &event, "", op.now);
                self.services.store_and_start(vec![row]).await.map_err(|err| match err.code {
                    "ThrottlingException" => not_run(InvokeError::Busy(err.message)),
                    _ => err,
                })?;
                Ok(status(202))
            }
            _ if event.len() > SYNC_BYTES_MAX => too_large(SYNC_BYTES_MAX),
            _ => {
                self.must_hold_role(&function)?;
                let tail = Tail::default();
                let logs = tail.beside(self.services.logs().sink_of_function(&name));
                let run = |function| Invocation {
                    function,
                    request_id: op.request_id.clone(),
                    event: event.clone(),
                    logs: logs.clone(),
                };
                let mut outcome = self.services.run_function(run(function.clone())).await;
                if matches!(outcome, Err(InvokeError::NoPackage(_))) {
                    // The code may have been replaced while the run began: the old package is gone, the new one is there.
                    let now = self.spec_of(arn.as_str())?;
                    if now.blob != function.blob {
                        outcome = self.services.run_function(run(now)).await;
                    }
                }
                let outcome = outcome.map_err(not_run)?;
                let (payload, function_error) = match outcome.result {
                    Ok(payload) => (payload, None),
                    Err(error) => (error, Some("Unhandled".to_owned())),
                };
                Ok(InvocationResponse {
                    status_code: Some(200),
                    payload: Some(Blob(payload)),
                    function_error,
                    log_result: (input.log_type.as_deref() == Some("Tail")).then(|| STANDARD.encode(tail.take())),
                    executed_version: Some(LATEST.to_owned()),
                    durable_execution_arn: None,
                })
            }
        }
    }
}

/// The event must be JSON; nothing at all is an empty object.
fn event_of(payload: Option<Blob>) -> Result<Bytes, Error> {
    let event = payload.map(|Blob(bytes)| bytes).filter(|bytes| !bytes.is_empty());
    let Some(event) = event else { return Ok(Bytes::from_static(b"{}")) };
    match serde_json::from_slice::<serde::de::IgnoredAny>(&event) {
        Ok(_) => Ok(event),
        Err(err) => {
            let message = format!("Could not parse request body into json: {err}");
            Err(Error::new("InvalidRequestContentException", message).with_member("Type", "User"))
        }
    }
}

fn status(code: i32) -> InvocationResponse {
    InvocationResponse { status_code: Some(code), ..Default::default() }
}

fn not_run(err: InvokeError) -> Error {
    match err {
        InvokeError::Busy(why) => Error::new("TooManyRequestsException", why).with_member("Type", "User"),
        InvokeError::UnsupportedRuntime(why) => Error::new("InvalidRuntimeException", why).with_member("Type", "User"),
        InvokeError::NoPackage(why) | InvokeError::Internal(why) => Error::new("ServiceException", why),
    }
}

/// Keeps the end of a function's log while it is written.
#[derive(Clone, Default)]
struct Tail(Arc<Mutex<String>>);

impl Tail {
    fn beside(&self, sink: LogSink) -> LogSink {
        let tail = self.clone();
        LogSink(Arc::new(move |line| {
            tail.push(&line.text);
            (sink.0)(line);
        }))
    }

    fn push(&self, text: &str) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_str(text.trim_end_matches('\n'));
        tail.push('\n');
        if tail.len() > 2 * LOG_TAIL_BYTES {
            let kept = last(&tail).to_owned();
            *tail = kept;
        }
    }

    fn take(&self) -> String {
        last(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).to_owned()
    }
}

/// The last bytes that make whole characters.
fn last(text: &str) -> &str {
    let mut from = text.len().saturating_sub(LOG_TAIL_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_json() {
        for (payload, expected) in [
            (None, Some("{}")),
            (Some(""), Some("{}")),
            (Some("null"), Some("null")),
            (Some("{\"a\": [1]}"), Some("{\"a\": [1]}")),
            (Some("{a: 1}"), None),
            (Some("1 2"), None),
        ] {
            let payload = payload.map(|text| Blob(Bytes::copy_from_slice(text.as_bytes())));
            let event = event_of(payload.clone()).ok();
            assert_eq!(event.as_deref(), expected.map(str::as_bytes), "{payload:?}");
        }
    }

    #[test]
    fn the_tail_is_the_end_in_whole_characters() {
        let tail = Tail::default();
        for _ in 0..5000 {
            tail.push("äöü");
        }
        let text = tail.take();
        assert!(text.len() <= LOG_TAIL_BYTES && text.len() > LOG_TAIL_BYTES - 8, "{}", text.len());
        assert!(text.ends_with("äöü\n"));
    }
}
