//! The texts that Lambda itself writes: START, END and REPORT lines, and the error objects of runs that ended badly.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use domain::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::frames::{Done, Ending};
use crate::limits::PAYLOAD_BYTES_MAX;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// JavaScript's form, always with three digits of milliseconds.
pub(crate) fn iso_time(at: Timestamp) -> String {
    match at.to_utc() {
        Some(moment) => format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            moment.millisecond()
        ),
        None => at.to_rfc3339(),
    }
}

/// `2026/11/23/[$LATEST]8a3f...`: one stream per environment.
pub(crate) fn log_stream(at: Timestamp, version: &str, id: [u8; 16]) -> String {
    let date = iso_time(at).get(..10).unwrap_or_default().replace('-', "/");
    format!("{date}/[{version}]{}", hex::encode(id))
}

/// The first line of an environment. AWS names its own build of the runtime; here it is this server's engine, under an ARN
/// of the same form.
pub(crate) fn init_line(runtime: &str, region: &str, function_arn: &str) -> String {
    let partition = function_arn.split(':').nth(1).unwrap_or("aws");
    let version = format!("{}.landfall-{}", runtime.replacen("nodejs", "nodejs:", 1), env!("CARGO_PKG_VERSION"));
    let hash = digest::digest(&digest::SHA256, version.as_bytes());
    format!(
        "INIT_START Runtime Version: {version}\tRuntime Version ARN: arn:{partition}:lambda:{region}::runtime:{}",
        hex::encode(hash)
    )
}

pub(crate) fn start_line(request_id: &str, version: &str) -> String {
    format!("START RequestId: {request_id} Version: {version}")
}

pub(crate) fn end_line(request_id: &str) -> String {
    format!("END RequestId: {request_id}")
}

/// The lines that stand between the function's own and END for a run that did not end by itself.
pub(crate) fn ending_line(request_id: &str, at: Timestamp, memory_mb: u32, ending: &Ending) -> Option<String> {
    match ending {
        Ending::TimedOut { after_ms } => {
            Some(format!("{} {request_id} Task timed out after {} seconds", iso_time(at), seconds(*after_ms)))
        }
        Ending::OutOfMemory => Some(format!(
            "RequestId: {request_id} Error: Runtime exited with error: signal: killed (the script needed more than {memory_mb} MB)\nRuntime.ExitError"
        )),
        Ending::Exited { status } => {
            Some(format!("RequestId: {request_id} Error: {}\nRuntime.ExitError", exit_reason(*status)))
        }
        Ending::Value(_) | Ending::Error(_) | Ending::Uncaught(_) => None,
    }
}

/// Fields are separated, and the line ended, by tabs.
pub(crate) fn report_line(done: &Done, memory_mb: u32, memory_used_bytes: u64) -> String {
    let duration = Duration::from_micros(done.duration_us);
    let init = done.init_us.map(Duration::from_micros);
    let whole = duration + init.unwrap_or_default();
    let billed_ms = whole.as_micros().div_ceil(1000);
    let used_mb = memory_used_bytes.div_ceil(1024 * 1024).clamp(1, u64::from(memory_mb).max(1));
    let mut line = format!(
        "REPORT RequestId: {}\tDuration: {} ms\tBilled Duration: {billed_ms} ms\tMemory Size: {memory_mb} MB\tMax Memory Used: {used_mb} MB\t",
        done.request_id,
        millis(duration),
    );
    if let Some(init) = init {
        line.push_str(&format!("Init Duration: {} ms\t", millis(init)));
    }
    match &done.ending {
        Ending::TimedOut { .. } => line.push_str("Status: timeout\t"),
        Ending::OutOfMemory => line.push_str("Status: error\tError Type: Runtime.OutOfMemory\t"),
        Ending::Exited { .. } => line.push_str("Status: error\tError Type: Runtime.ExitError\t"),
        Ending::Value(_) | Ending::Error(_) | Ending::Uncaught(_) => {}
    }
    line
}

fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}

fn seconds(millis: u64) -> String {
    format!("{}.{:02}", millis / 1000, millis % 1000 / 10)
}

fn exit_reason(status: i32) -> String {
    match status {
        0 => "Runtime exited without providing a reason".to_owned(),
        status => format!("Runtime exited with error: exit status {status}"),
    }
}

/// The payload of the invocation's answer.
pub(crate) fn result(request_id: &str, ending: Ending) -> Result<Box<RawValue>, Box<RawValue>> {
    match ending {
        Ending::Value(value) => Ok(value),
        Ending::Error(error) | Ending::Uncaught(error) => Err(error),
        Ending::TimedOut { after_ms } => Err(failure(
            "Sandbox.Timedout",
            &format!("RequestId: {request_id} Error: Task timed out after {} seconds", seconds(after_ms)),
        )),
        Ending::OutOfMemory => Err(failure(
            "Runtime.ExitError",
            &format!("RequestId: {request_id} Error: Runtime exited with error: signal: killed"),
        )),
        Ending::Exited { status } => {
            Err(failure("Runtime.ExitError", &format!("RequestId: {request_id} Error: {}", exit_reason(status))))
        }
    }
}

pub(crate) fn response_too_large(bytes: usize) -> Box<RawValue> {
    failure(
        "Function.ResponseSizeTooLarge",
        &format!(
            "Response payload size ({bytes} bytes) exceeded maximum allowed payload size ({PAYLOAD_BYTES_MAX} bytes)."
        ),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    error_type: &'a str,
    error_message: &'a str,
}

pub(crate) fn failure(error_type: &str, error_message: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(&Failure { error_type, error_message })
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}
