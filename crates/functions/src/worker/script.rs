//! What the host knows of an environment's script while it runs: its deadline, its log, its outcome.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Timestamp;
use serde_json::value::RawValue;

use super::{Outbox, Setup};
use crate::frames::{AwsCall, Ending, FromWorker};
use crate::limits::{AWS_CALLS_MAX, PAYLOAD_BYTES_MAX};
use crate::log::LogBudget;
use crate::package::Package;
use crate::report;

pub(super) struct Script {
    environment: u32,
    setup: Arc<Setup>,
    outbox: Outbox,
    started: Instant,
    deadline: Cell<Instant>,
    is_interrupted: Cell<bool>,
    is_stopped: Cell<bool>,
    is_loaded: Cell<bool>,
    calls_open: Cell<usize>,
    request_id: RefCell<String>,
    budget: RefCell<LogBudget>,
    ending: RefCell<Option<Ending>>,
}

impl Script {
    pub(super) fn new(environment: u32, setup: Arc<Setup>, outbox: Outbox) -> Self {
        let now = Instant::now();
        Self {
            environment,
            setup,
            outbox,
            started: now,
            deadline: Cell::new(now),
            is_interrupted: Cell::new(false),
            is_stopped: Cell::new(false),
            is_loaded: Cell::new(false),
            calls_open: Cell::new(0),
            // What Node's runtime prints while it loads a module, when there is no request yet.
            request_id: RefCell::new("undefined".to_owned()),
            budget: RefCell::new(LogBudget::new()),
            ending: RefCell::new(None),
        }
    }

    pub(super) fn begin_load(&self, wait_max: Duration) {
        self.deadline.set(Instant::now() + wait_max);
    }

    pub(super) fn begin_invocation(&self, request_id: &str, wait_max: Duration) {
        request_id.clone_into(&mut self.request_id.borrow_mut());
        self.deadline.set(Instant::now() + wait_max);
    }

    pub(super) fn end_invocation(&self) {
        *self.budget.borrow_mut() = LogBudget::new();
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(super) fn package(&self) -> &Package {
        &self.setup.package
    }

    /// Asked by the engine every few thousand steps; `true` ends the script, and it cannot catch that.
    pub(super) fn interrupts(&self) -> bool {
        if self.is_stopped.get() {
            return true;
        }
        let is_late = Instant::now() >= self.deadline.get();
        if is_late {
            self.is_interrupted.set(true);
        }
        is_late
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.is_interrupted.get()
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    pub(super) fn remaining_ms(&self) -> f64 {
        self.deadline.get().saturating_duration_since(Instant::now()).as_secs_f64() * 1000.0
    }

    pub(super) fn monotonic_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1000.0
    }

    pub(super) fn set_loaded(&self) {
        self.is_loaded.set(true);
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.is_loaded.get()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ending.borrow().is_some()
    }

    pub(super) fn take_ending(&self) -> Option<Ending> {
        self.ending.borrow_mut().take()
    }

    /// The first ending counts.
    pub(super) fn end(&self, ending: Ending) {
        let mut slot = self.ending.borrow_mut();
        if slot.is_none() {
            *slot = Some(ending);
        }
    }

    pub(super) fn succeed(&self, json: String) {
        if json.len() > PAYLOAD_BYTES_MAX {
            return self.end(Ending::Error(report::response_too_large(json.len())));
        }
        match RawValue::from_string(json) {
            Ok(value) => self.end(Ending::Value(value)),
            Err(error) => self.end(Ending::Error(report::failure("Runtime.MarshalError", &error.to_string()))),
        }
    }

    pub(super) fn fail(&self, json: String) {
        self.end(Ending::Error(bounded_failure(json)));
    }

    pub(super) fn fail_uncaught(&self, json: String) {
        self.end(Ending::Uncaught(bounded_failure(json)));
    }

    pub(super) fn out_of_memory(&self) {
        self.end(Ending::OutOfMemory);
        self.is_stopped.set(true);
    }

    pub(super) fn exit(&self, status: i32) {
        self.end(Ending::Exited { status });
        self.is_stopped.set(true);
    }

    /// A line in the form of Lambda's Node.js runtime: time, request, level, text, with tabs between.
    pub(super) fn log(&self, level: &str, text: &str) {
        let line = format!("{}\t{}\t{level}\t{text}", report::iso_time(now()), self.request_id.borrow());
        self.write(line);
    }

    pub(super) fn write(&self, line: String) {
        let kept = self.budget.borrow_mut().take(line);
        if let Some(text) = kept {
            self.outbox.send(&FromWorker::Log { environment: self.environment, text });
        }
    }

    pub(super) fn call_aws(&self, call: u32, service: String, operation: String, input: String) -> Result<(), String> {
        if self.calls_open.get() >= AWS_CALLS_MAX {
            return Err(format!("more than {AWS_CALLS_MAX} calls to AWS are waiting for their answers"));
        }
        if input.len() > PAYLOAD_BYTES_MAX {
            return Err(format!("the parameters of {operation} have more than {PAYLOAD_BYTES_MAX} bytes"));
        }
        let input = RawValue::from_string(input).map_err(|error| error.to_string())?;
        self.calls_open.set(self.calls_open.get() + 1);
        let call = AwsCall { environment: self.environment, call, service, operation, input };
        self.outbox.send(&FromWorker::AwsCall(call));
        Ok(())
    }

    pub(super) fn close_call(&self) {
        self.calls_open.set(self.calls_open.get().saturating_sub(1));
    }

    pub(super) fn calls_open(&self) -> usize {
        self.calls_open.get()
    }
}

pub(super) fn now() -> Timestamp {
    report::now()
}

fn bounded_failure(json: String) -> Box<RawValue> {
    if json.len() > PAYLOAD_BYTES_MAX {
        return report::response_too_large(json.len());
    }
    RawValue::from_string(json).unwrap_or_else(|error| report::failure("Error", &error.to_string()))
}
