//! `GET /_landfall/metrics`, in Prometheus' text format. Anybody who reaches the port may read it, as health: a monitor
//! cannot sign for a service of ours, and there are numbers on it and nobody's names.

use std::sync::{Mutex, PoisonError};

use services::metrics::{CONTENT_TYPE, Exposition};
use tokio::time::{Duration, Instant};

use crate::Api;
use crate::message::Answer;

/// Anybody may ask, any number of times; the answer is made once in this time.
const KEPT: Duration = Duration::from_secs(1);

/// The answer that was made last.
#[derive(Default)]
pub(crate) struct MetricsPage(Mutex<Option<(Instant, Answer)>>);

impl Api {
    pub(crate) fn metrics_page(&self) -> Answer {
        let mut last = self.inner.metrics_page.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < KEPT
        {
            return answer.clone();
        }
        let mut page = Exposition::default();
        self.inner.services.show_metrics(&mut page);
        (self.inner.settings.surroundings.metrics)(&mut page);
        let answer = Answer::new(200, CONTENT_TYPE, page.into_text());
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}
