//! Where the outcome of an asynchronous invocation goes: another function, by an invocation of its own.

use bytes::Bytes;
use domain::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::attempt::Next;
use super::row::InvocationRow;
use crate::lambda::event_invoke_config::EventInvokeRecord;
use crate::lambda::{ASYNC_BYTES_MAX, LATEST};
use crate::{Error, Services};

/// Two functions may be each other's destination. AWS stops what it finds running in a circle after about so many rounds.
const HOPS_MAX: u32 = 16;

/// The invocation record. (Lambda: adding a destination)
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InvocationRecord<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    request_payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<ResponseContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: &'a str,
    function_arn: String,
    condition: &'a str,
    approximate_invoke_count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    status_code: u16,
    executed_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

impl Services {
    /// The row that takes the outcome to the function's destination, where it has one that may be called.
    pub(super) fn handed_on(
        &self,
        row: &InvocationRow,
        next: &Next,
        config: &EventInvokeRecord,
        now: Timestamp,
    ) -> Option<InvocationRow> {
        let destination = match next {
            Next::Again => None,
            Next::Gone { .. } => config.on_success.as_deref(),
            Next::GivenUp { .. } => config.on_failure.as_deref(),
        }?;
        let refused = |err: Error| {
            tracing::warn!(function = %row.function_arn, %destination, error = %err, "an outcome could not be handed on");
        };
        if row.hops >= HOPS_MAX {
            refused(Error::internal(format!(
                "the event has been handed on {HOPS_MAX} times: a circle of destinations"
            )));
            return None;
        }
        self.lambda().may_hand_on(&row.function_arn, destination).map_err(refused).ok()?;
        let record = record(row, next, now)?;
        Some(InvocationRow { hops: row.hops + 1, ..InvocationRow::new(destination, &record, "", now) })
    }
}

/// What does not fit an asynchronous event is left out, the response first.
fn record(row: &InvocationRow, next: &Next, now: Timestamp) -> Option<Bytes> {
    let (condition, response, function_error, attempts) = match next {
        Next::Again => return None,
        Next::Gone { response } => ("Success", Some(response.clone()), None, row.failures + 1),
        Next::GivenUp { condition, response, is_function_error: true } => {
            (*condition, Some(Bytes::from(response.clone())), Some("Unhandled"), row.failures)
        }
        Next::GivenUp { condition: "EventAgeExceeded", .. } => ("EventAgeExceeded", None, None, row.failures),
        Next::GivenUp { .. } => ("RetriesExhausted", None, None, row.failures),
    };
    let json = |bytes: &[u8]| serde_json::from_slice::<Box<RawValue>>(bytes).ok();
    let mut record = InvocationRecord {
        version: "1.0",
        timestamp: now.to_rfc3339(),
        request_context: RequestContext {
            request_id: &row.request_id,
            function_arn: format!("{}:{LATEST}", row.function_arn),
            condition,
            approximate_invoke_count: attempts,
        },
        request_payload: row.event().ok().and_then(|event| json(&event)),
        response_context: response.is_some().then_some(ResponseContext {
            status_code: 200,
            executed_version: LATEST,
            function_error,
        }),
        response_payload: response.and_then(|response| json(&response)),
    };
    for _ in 0..2 {
        let bytes = serde_json::to_vec(&record).ok()?;
        if bytes.len() <= ASYNC_BYTES_MAX {
            return Some(bytes.into());
        }
        if record.response_payload.take().is_none() {
            record.request_payload = None;
        }
    }
    record.request_payload = None;
    serde_json::to_vec(&record).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn recorded(payload: &str, next: &Next) -> Value {
        let start = Timestamp::from_seconds(1_000_000);
        let mut row = InvocationRow::new("arn", &Bytes::copy_from_slice(payload.as_bytes()), "", start);
        row.failures = usize::from(matches!(next, Next::GivenUp { .. }));
        let bytes = record(&row, next, start).expect("a record");
        assert!(bytes.len() <= ASYNC_BYTES_MAX, "{}", bytes.len());
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[test]
    fn records_have_lambdas_form() {
        let success = recorded("{\"a\":1}", &Next::Gone { response: Bytes::from_static(b"[1.10]") });
        let context = &success["requestContext"];
        assert_eq!(context["condition"], "Success");
        assert_eq!((&context["functionArn"], &context["approximateInvokeCount"]), (&json!("arn:$LATEST"), &json!(1)));
        assert_eq!(success["responseContext"], json!({ "statusCode": 200, "executedVersion": "$LATEST" }));
        assert_eq!((&success["requestPayload"], &success["responsePayload"]), (&json!({ "a": 1 }), &json!([1.1])));

        let given_up = |condition, is_function_error| {
            recorded("1", &Next::GivenUp { condition, response: "{\"errorType\":\"E\"}".into(), is_function_error })
        };
        let failure = given_up("RetriesExhausted", true);
        assert_eq!(failure["responseContext"]["functionError"], "Unhandled");
        assert_eq!(failure["responsePayload"], json!({ "errorType": "E" }));
        let old = given_up("EventAgeExceeded", false);
        assert_eq!(old["requestContext"]["condition"], "EventAgeExceeded");
        assert_eq!((old.get("responseContext"), old.get("responsePayload")), (None, None));
        assert_eq!(given_up("Impossible", false)["requestContext"]["condition"], "RetriesExhausted");
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let long = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
        let large = Next::Gone { response: Bytes::from(long(ASYNC_BYTES_MAX)) };
        let record = recorded("1", &large);
        assert_eq!((&record["requestPayload"], record.get("responsePayload")), (&json!(1), None));
        let record = recorded(&long(ASYNC_BYTES_MAX - 2), &large);
        assert_eq!((&record["requestPayload"], record.get("responsePayload")), (&Value::Null, None));
    }
}
