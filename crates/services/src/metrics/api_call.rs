//! Calls of AWS operations, over HTTP and from functions.

use std::time::Duration;

use super::bounds::QUICK_US;
use super::exposition::{Exposition, Measure};
use super::outcome::{Outcome, Outcomes};
use super::tally::{Tally, Times};

#[derive(Debug)]
pub struct ApiMetrics {
    calls: Tally<4>,
    times: Times,
}

/// One call that was answered.
#[derive(Clone, Copy, Debug)]
pub struct ApiCall {
    pub service: &'static str,
    /// `None` where the request was refused before its operation was known.
    pub operation: Option<&'static str>,
    pub status: u16,
    pub from: CalledFrom,
    pub time: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledFrom {
    Http,
    Function,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        Self { calls: Tally::of([]), times: Times::of(QUICK_US, []) }
    }
}

impl ApiMetrics {
    pub fn answered(&self, call: &ApiCall) {
        let from = match call.from {
            CalledFrom::Http => "http",
            CalledFrom::Function => "function",
        };
        self.calls.add([call.service, call.operation.unwrap_or("unknown"), status(call.status), from]);
        self.times.observe(call.service, call.time);
    }

    /// `iot-data`'s Publish, by outcome.
    pub(super) fn publishes(&self) -> Outcomes {
        let outcomes = Outcomes::default();
        for ([service, operation, status, _], count) in self.calls.counts() {
            if service == "iot-data" && operation == "Publish" {
                outcomes.add(Outcome::of_status(status), count);
            }
        }
        outcomes
    }

    pub(super) fn show(&self, page: &mut Exposition) {
        page.counter("landfall_api_calls_total", "Calls of AWS operations, by status.")
            .tally(["service", "operation", "status", "from"], &self.calls);
        let mut family =
            page.histogram("landfall_api_call_seconds", "Calls of AWS operations, from their whole body on.");
        for (service, times) in self.times.distributions() {
            family.distribution(&[("service", service)], &times, Measure::Microseconds);
        }
    }
}

/// Those that AWS's models have; any other would be a mistake of ours.
fn status(status: u16) -> &'static str {
    match status {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        409 => "409",
        410 => "410",
        412 => "412",
        413 => "413",
        415 => "415",
        429 => "429",
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        _ => "other",
    }
}
