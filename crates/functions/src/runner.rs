//! Runs functions: finds or starts the worker of a function's revision, and sees each invocation to its end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::time::timeout_at;

use crate::aws_calls::AwsCalls;
use crate::frames::Init;
use crate::invocation::{FunctionSpec, Invocation, InvokeError, Outcome};
use crate::limits::{PAYLOAD_BYTES_MAX, POOLS_MAX};
use crate::pool::Pool;
use crate::process::Process;
use crate::report;
use crate::worker_link::{Ticket, WorkerLink};

#[derive(Clone, Debug)]
pub struct Config {
    /// The program to start workers from, with `worker_args`.
    pub program: PathBuf,
    pub worker_args: Vec<String>,
    pub idle_timeout: Duration,
    /// Invocations of one function that run at once; further ones wait.
    pub environments_max: usize,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Functions {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    store: store::Store,
    calls: AwsCalls,
    state: Mutex<State>,
}

struct State {
    /// By the function's ARN and version.
    pools: HashMap<(String, String), Arc<Pool>>,
    spare: Option<Process>,
    keeps_spare: bool,
    is_closed: bool,
}

impl Functions {
    pub fn new(config: Config, store: store::Store, calls: AwsCalls) -> Self {
        let state = State { pools: HashMap::new(), spare: None, keeps_spare: false, is_closed: false };
        Self { shared: Arc::new(Shared { config, store, calls, state: Mutex::new(state) }) }
    }

    pub async fn invoke(&self, invocation: Invocation) -> Result<Outcome, InvokeError> {
        let Invocation { function, request_id, event, logs } = invocation;
        if !function.runtime.starts_with("nodejs") {
            return Err(InvokeError::UnsupportedRuntime(format!(
                "the runtime {:?} is not served; nodejs ones are, all versions of them",
                function.runtime
            )));
        }
        let event = checked_event(event)?;
        let pool = self.shared.pool(&function)?;
        let place = pool.place(&function.name).await?;
        // A worker may retire between being found and being used; a fresh one does not.
        for _ in 0..3 {
            let worker = self.shared.worker(&pool, &function).await?;
            match worker.begin(&request_id, event.clone(), &logs, new_stream_id()) {
                Some(Ok(ticket)) => {
                    // A task of its own: the function runs on when the caller goes away, as on AWS.
                    let timeout_after = function.timeout;
                    let run = tokio::spawn(async move {
                        let outcome = see_through(worker, ticket, timeout_after).await;
                        drop(place);
                        outcome
                    });
                    return run.await.unwrap_or_else(|error| Err(InvokeError::Internal(error.to_string())));
                }
                Some(Err(error)) => return Err(InvokeError::Internal(error.to_string())),
                None => {}
            }
        }
        Err(InvokeError::Internal(format!("the workers of {} keep ending", function.name)))
    }

    /// Starts the spare process (any function exists). Must be called within the async runtime.
    pub fn keep_warm(&self) {
        self.shared.lock().keeps_spare = true;
        self.shared.fill_spare();
    }

    /// The function is gone: what runs comes to its end, and its worker with it. Must be called within the async runtime.
    pub fn retire(&self, function_arn: &str) {
        let mut state = self.shared.lock();
        let keys: Vec<_> = state.pools.keys().filter(|(arn, _)| arn == function_arn).cloned().collect();
        let pools: Vec<_> = keys.iter().filter_map(|key| state.pools.remove(key)).collect();
        drop(state);
        for pool in pools {
            retire_worker(pool);
        }
    }

    /// Ends all workers; what runs is answered with an exit.
    pub async fn close(&self) {
        let (pools, spare) = {
            let mut state = self.shared.lock();
            state.is_closed = true;
            (std::mem::take(&mut state.pools), state.spare.take())
        };
        if let Some(mut spare) = spare {
            spare.child.kill().await.ok();
        }
        for pool in pools.into_values() {
            if let Some(worker) = pool.worker.lock().await.take() {
                worker.end_now();
            }
        }
    }
}

/// Sends the ticket and waits for its end, at most a grace longer than the function may run.
async fn see_through(worker: Arc<WorkerLink>, ticket: Ticket, timeout_after: Duration) -> Result<Outcome, InvokeError> {
    let Ticket { environment, log_stream, mut finished, frame } = ticket;
    // A worker that does not read its pipe is given up like one that does not answer.
    if let Some(patience_until) = worker.patience_until(environment) {
        timeout_at(patience_until.into(), worker.send(frame)).await.ok();
    }
    let done = loop {
        // Moved on when the module has loaded and the function's own time begins.
        let Some(patience_until) = worker.patience_until(environment) else { break finished.await };
        match timeout_at(patience_until.into(), &mut finished).await {
            Ok(done) => break done,
            Err(_) if worker.patience_until(environment).is_some_and(|until| until > Instant::now()) => {}
            Err(_) => worker.give_up(environment, timeout_after),
        }
    };
    let done = done.map_err(|_| InvokeError::Internal("the worker left no answer".to_owned()))?;
    let duration = Duration::from_micros(done.duration_us);
    let result = report::result(&done.request_id, done.ending);
    Ok(Outcome { result: result.map(into_bytes).map_err(into_bytes), log_stream, duration })
}

impl Shared {
    /// The pool of this very revision; one of another revision finishes what it runs and ends.
    fn pool(&self, function: &FunctionSpec) -> Result<Arc<Pool>, InvokeError> {
        let key = (function.arn.clone(), function.version.clone());
        let mut state = self.lock();
        if state.is_closed {
            return Err(InvokeError::Internal("the server is shutting down".to_owned()));
        }
        if let Some(pool) = state.pools.get(&key).filter(|pool| pool.is_of(function)) {
            return Ok(Arc::clone(pool));
        }
        if state.pools.len() >= POOLS_MAX {
            let has_worker = |pool: &Pool| match pool.worker.try_lock() {
                Ok(worker) => worker.as_ref().is_some_and(|worker| !worker.is_retired()),
                Err(_) => true,
            };
            state.pools.retain(|_, pool| has_worker(pool));
        }
        let pool = Arc::new(Pool::new(function, self.config.environments_max));
        let replaced = state.pools.insert(key, Arc::clone(&pool));
        drop(state);
        if let Some(replaced) = replaced {
            retire_worker(replaced);
        }
        Ok(pool)
    }

    async fn worker(
        self: &Arc<Self>,
        pool: &Pool,
        function: &Arc<FunctionSpec>,
    ) -> Result<Arc<WorkerLink>, InvokeError> {
        let mut slot = pool.worker.lock().await;
        if let Some(worker) = slot.as_ref().filter(|worker| !worker.is_retired()) {
            return Ok(Arc::clone(worker));
        }
        let zip = match self.store.blobs().get(function.blob).await {
            Ok(Some(zip)) => zip,
            Ok(None) => {
                return Err(InvokeError::NoPackage(format!("the package of {} is not in the store", function.name)));
            }
            Err(error) => return Err(InvokeError::Internal(format!("the package of {}: {error:?}", function.name))),
        };
        let process = self.process()?;
        let init = init_frame(function, self.config.environments_max);
        let worker = WorkerLink::start(process, init, &zip, Arc::clone(function), self.calls.clone()).await?;
        tokio::spawn(end_when_idle(Arc::downgrade(&worker), self.config.idle_timeout));
        *slot = Some(Arc::clone(&worker));
        Ok(worker)
    }

    /// The spare if there is one; a new spare takes its place.
    fn process(self: &Arc<Self>) -> Result<Process, InvokeError> {
        let spare = self.lock().spare.take();
        let alive = spare.and_then(|mut spare| matches!(spare.child.try_wait(), Ok(None)).then_some(spare));
        let process = match alive {
            Some(process) => Ok(process),
            None => Process::start(&self.config),
        };
        let shared = Arc::clone(self);
        tokio::spawn(async move { shared.fill_spare() });
        process.map_err(|error| {
            InvokeError::Internal(format!("{} cannot be started as a worker: {error}", self.config.program.display()))
        })
    }

    fn fill_spare(&self) {
        let mut state = self.lock();
        if state.is_closed || !state.keeps_spare || state.spare.is_some() {
            return;
        }
        match Process::start(&self.config) {
            Ok(process) => state.spare = Some(process),
            Err(error) => tracing::warn!(%error, "no spare function worker could be started"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Beside the caller: whoever starts the worker meanwhile holds its lock.
fn retire_worker(pool: Arc<Pool>) {
    tokio::spawn(async move {
        if let Some(worker) = pool.worker.lock().await.take() {
            worker.retire();
        }
    });
}

async fn end_when_idle(worker: std::sync::Weak<WorkerLink>, idle_timeout: Duration) {
    let mut wait = idle_timeout;
    loop {
        tokio::time::sleep(wait).await;
        match worker.upgrade().and_then(|worker| worker.retire_if_idle(idle_timeout)) {
            Some(left) => wait = left,
            None => return,
        }
    }
}

fn checked_event(event: Bytes) -> Result<Box<RawValue>, InvokeError> {
    if event.len() > PAYLOAD_BYTES_MAX {
        return Err(InvokeError::Internal(format!("the event has more than {PAYLOAD_BYTES_MAX} bytes")));
    }
    let text = if event.is_empty() { b"{}".as_slice() } else { &event };
    serde_json::from_slice(text).map_err(|error| InvokeError::Internal(format!("the event is not JSON: {error}")))
}

fn init_frame(function: &FunctionSpec, environments_max: usize) -> Init {
    Init {
        function_name: function.name.clone(),
        function_version: function.version.clone(),
        function_arn: function.arn.clone(),
        runtime: function.runtime.clone(),
        handler: function.handler.clone(),
        memory_mb: function.memory_mb,
        timeout_ms: u64::try_from(function.timeout.as_millis()).unwrap_or(u64::MAX),
        environments_max: u32::try_from(environments_max.max(1)).unwrap_or(u32::MAX),
        region: function.region.clone(),
        variables: variables(function),
    }
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>. Credentials are left out: the script's calls
/// need none, and it has no other way out.
fn variables(function: &FunctionSpec) -> std::collections::BTreeMap<String, String> {
    let mut variables = function.environment.clone();
    let memory = function.memory_mb.to_string();
    let runtime = format!("AWS_Lambda_{}", function.runtime);
    let group = format!("/aws/lambda/{}", function.name);
    let own = [
        ("_HANDLER", function.handler.as_str()),
        ("AWS_REGION", &function.region),
        ("AWS_DEFAULT_REGION", &function.region),
        ("AWS_EXECUTION_ENV", &runtime),
        ("AWS_LAMBDA_FUNCTION_NAME", &function.name),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_VERSION", &function.version),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &group),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("NODE_PATH", "/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"),
    ];
    variables.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables
}

/// Random, so that streams of several servers never meet. Without randomness the streams of one day share a name.
fn new_stream_id() -> [u8; 16] {
    let mut id = [0; 16];
    rand::fill(&mut id).ok();
    id
}

fn into_bytes(json: Box<RawValue>) -> Bytes {
    Bytes::from(Box::<str>::from(json).into_string())
}
