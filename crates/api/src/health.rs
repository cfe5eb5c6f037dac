//! `GET /_landfall/health`: whether the server does its work, and the numbers that say how hard that is. 200 while it does,
//! 503 before everything listens, while it shuts down, and once the store refuses writes.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use services::metrics::Exposition;
use tokio::time::{Duration, Instant};

use crate::Api;
use crate::message::Answer;

/// Anybody may ask, any number of times; the answer is made once in this time.
const KEPT: Duration = Duration::from_secs(1);

/// What the binary adds.
#[derive(Clone)]
pub struct Surroundings {
    /// Members of the health page: listeners, certificate, disk.
    pub health: Arc<dyn Fn() -> Map<String, Value> + Send + Sync>,
    /// Families of the metrics page: the process, certificate, disk.
    pub metrics: Arc<dyn Fn(&mut Exposition) + Send + Sync>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings")
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { health: Arc::new(Map::new), metrics: Arc::new(|_| {}) }
    }
}

/// Where in its life the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Starting,
    Serving,
    Stopping,
}

/// What outlives one question.
pub(crate) struct HealthState {
    phase: AtomicU8,
    since: Instant,
    last: Mutex<Option<(Instant, Answer)>>,
}

impl Default for HealthState {
    fn default() -> Self {
        Self { phase: AtomicU8::new(Phase::Starting as u8), since: Instant::now(), last: Mutex::default() }
    }
}

impl HealthState {
    pub(crate) fn set_serving(&self) {
        self.set(Phase::Serving);
    }

    pub(crate) fn set_stopping(&self) {
        self.set(Phase::Stopping);
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Acquire);
        [Phase::Starting, Phase::Serving].into_iter().find(|known| *known as u8 == phase).unwrap_or(Phase::Stopping)
    }
}

impl Api {
    pub(crate) fn health(&self) -> Answer {
        let state = &self.inner.health;
        let mut last = state.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < KEPT
        {
            return answer.clone();
        }
        let answer = self.health_now();
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    fn health_now(&self) -> Answer {
        let state = &self.inner.health;
        let health = self.inner.services.health();
        let status = match (state.phase(), &health.store_failure) {
            (Phase::Stopping, _) => "stopping",
            (_, Some(_)) => "failing",
            (Phase::Starting, None) => "starting",
            (Phase::Serving, None) => "ok",
        };
        let config = self.inner.services.config();
        let mut body = json!({
            "status": status,
            "version": self.inner.settings.version,
            "uptimeSeconds": state.since.elapsed().as_secs(),
            "region": config.region.as_str(),
            "store": { "writes": health.store_failure.is_none(), "failure": health.store_failure },
            "backlog": {
                "registrationEvents": health.outbox,
                "invocationsWaiting": health.invocations_waiting,
                "invocationsRunning": health.invocations_running,
                "deadLetters": health.dead_letters,
            },
        });
        if let Some(body) = body.as_object_mut() {
            body.extend((self.inner.settings.surroundings.health)());
        }
        Answer::new(if status == "ok" { 200 } else { 503 }, "application/json", body.to_string())
    }
}
