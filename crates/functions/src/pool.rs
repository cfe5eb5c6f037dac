//! One revision of a function: its worker, if it has one now, and who waits for an environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::invocation::{FunctionSpec, InvokeError};
use crate::limits::{WAIT_MAX, WAITING_MAX};
use crate::worker_link::WorkerLink;

pub(crate) struct Pool {
    pub revision_id: String,
    pub code_sha256: String,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// An async lock: whoever starts the worker holds it meanwhile, and the others want the same one.
    pub worker: Mutex<Option<Arc<WorkerLink>>>,
}

impl Pool {
    pub(crate) fn new(spec: &FunctionSpec, environments_max: usize) -> Self {
        Self {
            revision_id: spec.revision_id.clone(),
            code_sha256: spec.code_sha256.clone(),
            slots: Arc::new(Semaphore::new(environments_max.max(1))),
            waiting: AtomicUsize::new(0),
            worker: Mutex::new(None),
        }
    }

    pub(crate) fn is_of(&self, spec: &FunctionSpec) -> bool {
        self.revision_id == spec.revision_id && self.code_sha256 == spec.code_sha256
    }

    /// A place among the environments, in order of arrival.
    pub(crate) async fn place(&self, name: &str) -> Result<OwnedSemaphorePermit, InvokeError> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(permit);
        }
        let busy = |text: &str| InvokeError::Busy(format!("all environments of {name} are busy, and {text}"));
        let _waiting = Waiting::enter(&self.waiting).ok_or_else(|| busy("too many invocations wait already"))?;
        match timeout(WAIT_MAX, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(InvokeError::Internal("the pool is closed".to_owned())),
            Err(_) => Err(busy("none became free in time")),
        }
    }
}

/// Counts a waiter for as long as it lives, also when its future is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
