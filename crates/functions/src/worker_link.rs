//! The server's end of one worker's pipe: which environments it has, what runs in them, and what it asks for.
//! The worker's word counts for its own invocations only; whose role its calls have is fixed here.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::aws_calls::{AwsCall, AwsCallError, AwsCalls};
use crate::frames::{self, AwsFailure, AwsReply, Done, Ending, FromWorker, Init, Invoke, ToWorker};
use crate::invocation::{FunctionSpec, InvokeError};
use crate::limits::{
    AWS_CALL_BOUNDS, AWS_CALLS_KB_MAX, AWS_CALLS_MAX, FRAME_BYTES_MAX, INIT_DURATION_MAX, KILL_GRACE,
    OUTBOX_FRAMES_MAX, READY_WAIT_MAX,
};
use crate::log::{LogBudget, LogLine, LogSink};
use crate::process::Process;
use crate::report;

pub(crate) struct WorkerLink {
    spec: Arc<FunctionSpec>,
    outbox: mpsc::Sender<Vec<u8>>,
    state: Mutex<State>,
    end: Notify,
}

struct State {
    environments: HashMap<u32, Environment>,
    last_environment: u32,
    running: HashMap<u32, Running>,
    /// No new invocations; the process ends when the running ones have.
    is_retired: bool,
    last_used: Instant,
}

struct Environment {
    log_stream: String,
    memory_bytes: u64,
}

struct Running {
    request_id: String,
    logs: LogSink,
    budget: LogBudget,
    log_stream: String,
    has_started: bool,
    /// When the environment is given up, unless it has stopped by itself.
    patience_until: Instant,
    done: oneshot::Sender<Done>,
}

/// An invocation on its way through a worker.
pub(crate) struct Ticket {
    pub environment: u32,
    pub log_stream: String,
    pub finished: oneshot::Receiver<Done>,
    pub frame: Vec<u8>,
}

impl WorkerLink {
    /// Gives a process its function, and waits until it has unpacked it.
    pub(crate) async fn start(
        mut process: Process,
        init: Init,
        zip: &[u8],
        spec: Arc<FunctionSpec>,
        calls: AwsCalls,
    ) -> Result<Arc<Self>, InvokeError> {
        let internal =
            |text: String| InvokeError::Internal(format!("the worker of {} did not start: {text}", spec.name));
        let mut head = frames::encode(&ToWorker::Init(init)).map_err(|error| internal(error.to_string()))?;
        frames::write_bytes(&mut head, zip).map_err(|error| internal(error.to_string()))?;
        let mut output = BufReader::new(process.output);
        let greeting = async {
            process.input.write_all(&head).await?;
            let bytes = frames::receive(&mut output, FRAME_BYTES_MAX).await?;
            bytes.map(|bytes| frames::decode::<FromWorker>(&bytes)).transpose()
        };
        match timeout(READY_WAIT_MAX, greeting).await {
            Ok(Ok(Some(FromWorker::Ready(Ok(()))))) => {}
            Ok(Ok(Some(FromWorker::Ready(Err(text))))) => return Err(InvokeError::NoPackage(text)),
            Ok(Ok(_)) => return Err(internal("it ended before it was ready".to_owned())),
            Ok(Err(error)) => return Err(internal(error.to_string())),
            Err(_) => return Err(internal(format!("it was not ready after {} s", READY_WAIT_MAX.as_secs()))),
        }
        let (outbox, queue) = mpsc::channel(OUTBOX_FRAMES_MAX);
        let link = Arc::new(Self {
            spec,
            outbox,
            state: Mutex::new(State {
                environments: HashMap::new(),
                last_environment: 0,
                running: HashMap::new(),
                is_retired: false,
                last_used: Instant::now(),
            }),
            end: Notify::new(),
        });
        tokio::spawn(write_frames(process.input, queue));
        tokio::spawn(Arc::clone(&link).serve(process.child, output, calls));
        Ok(link)
    }

    /// Takes an idle environment or opens one; `None` if this worker takes nothing new.
    pub(crate) fn begin(
        &self,
        request_id: &str,
        event: Box<serde_json::value::RawValue>,
        logs: &LogSink,
        new_stream_id: [u8; 16],
    ) -> Option<std::io::Result<Ticket>> {
        let mut state = self.lock();
        if state.is_retired {
            return None;
        }
        // The lowest, so that under little load the same few stay warm.
        let idle = state.environments.keys().filter(|number| !state.running.contains_key(number)).min().copied();
        let environment = match idle {
            Some(number) => number,
            None => {
                state.last_environment = state.last_environment.wrapping_add(1);
                let log_stream = report::log_stream(report::now(), &self.spec.version, new_stream_id);
                let number = state.last_environment;
                state.environments.insert(number, Environment { log_stream, memory_bytes: 0 });
                number
            }
        };
        let log_stream = state.environments.get(&environment).map(|found| found.log_stream.clone()).unwrap_or_default();
        let invoke = Invoke { environment, log_stream: log_stream.clone(), request_id: request_id.to_owned(), event };
        let frame = match frames::encode(&ToWorker::Invoke(invoke)) {
            Ok(frame) => frame,
            Err(error) => return Some(Err(error)),
        };
        let (done, finished) = oneshot::channel();
        let running = Running {
            request_id: request_id.to_owned(),
            logs: logs.clone(),
            budget: LogBudget::new(),
            log_stream: log_stream.clone(),
            has_started: idle.is_some(),
            patience_until: Instant::now()
                + KILL_GRACE
                + if idle.is_some() { self.spec.timeout } else { INIT_DURATION_MAX },
            done,
        };
        state.running.insert(environment, running);
        state.last_used = Instant::now();
        drop(state);
        let line = match idle {
            Some(_) => report::start_line(request_id, &self.spec.version),
            // Its START comes when the module has loaded.
            None => report::init_line(&self.spec.runtime, &self.spec.region, &self.spec.arn),
        };
        write_log(logs, &log_stream, line);
        Some(Ok(Ticket { environment, log_stream, finished, frame }))
    }

    pub(crate) async fn send(&self, frame: Vec<u8>) {
        // Without a writer the process is gone, and `serve` answers for what ran.
        self.outbox.send(frame).await.ok();
    }

    /// `None` once the invocation has ended.
    pub(crate) fn patience_until(&self, environment: u32) -> Option<Instant> {
        self.lock().running.get(&environment).map(|running| running.patience_until)
    }

    /// The environment did not stop: its invocation is answered, and the process ends when nobody else uses it.
    pub(crate) fn give_up(&self, environment: u32, after: Duration) {
        let running = {
            // In one step with the removal: nobody may find this environment idle.
            let mut state = self.lock();
            state.is_retired = true;
            state.running.remove(&environment)
        };
        if let Some(running) = running {
            let done = Done {
                environment,
                request_id: running.request_id.clone(),
                ending: Ending::TimedOut { after_ms: millis(after) },
                duration_us: u64::try_from(after.as_micros()).unwrap_or(u64::MAX),
                init_us: None,
                memory_bytes: 0,
            };
            self.finish(running, done, 0);
        }
        self.retire();
    }

    pub(crate) fn retire(&self) {
        let mut state = self.lock();
        state.is_retired = true;
        if state.running.is_empty() {
            self.end.notify_one();
        }
    }

    /// Whatever runs is answered with an exit.
    pub(crate) fn end_now(&self) {
        self.lock().is_retired = true;
        self.end.notify_one();
    }

    /// Retires if nothing has run for so long; the time to look again, otherwise.
    pub(crate) fn retire_if_idle(&self, idle_timeout: Duration) -> Option<Duration> {
        let mut state = self.lock();
        if state.is_retired {
            return None;
        }
        if !state.running.is_empty() {
            return Some(idle_timeout);
        }
        let left = idle_timeout.saturating_sub(state.last_used.elapsed());
        if left.is_zero() {
            state.is_retired = true;
            self.end.notify_one();
            return None;
        }
        Some(left)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.lock().is_retired
    }

    async fn serve(self: Arc<Self>, mut child: Child, mut output: BufReader<ChildStdout>, calls: AwsCalls) {
        let places = CallPlaces::new();
        let reading = async {
            while let Some(bytes) = frames::receive(&mut output, FRAME_BYTES_MAX).await? {
                match frames::decode(&bytes)? {
                    FromWorker::AwsCall(call) => match places.take(bytes.len()) {
                        Some(place) => self.start_call(call, &calls, place),
                        // Here and not in a task: a worker that only asks and never reads fills its own pipe.
                        None => self.answer_call(call.environment, call.call, Err(throttled())).await,
                    },
                    frame => self.take(frame),
                }
            }
            Ok::<(), std::io::Error>(())
        };
        tokio::select! {
            read = reading => if let Err(error) = read {
                tracing::warn!(function = %self.spec.name, %error, "a function worker broke the pipe's protocol");
            },
            () = self.end.notified() => {}
        }
        self.lock().is_retired = true;
        // An ended process keeps its own status; this is for one that broke the protocol or is no longer wanted.
        child.start_kill().ok();
        let status = child.wait().await;
        let left: Vec<(u32, Running)> = self.lock().running.drain().collect();
        for (environment, running) in left {
            let done = exit(environment, &running, status.as_ref().ok());
            self.finish(running, done, 0);
        }
    }

    fn take(&self, frame: FromWorker) {
        match frame {
            FromWorker::Ready(_) | FromWorker::AwsCall(_) => {}
            FromWorker::Started { environment } => {
                let mut state = self.lock();
                if let Some(running) = state.running.get_mut(&environment).filter(|running| !running.has_started) {
                    running.has_started = true;
                    running.patience_until = Instant::now() + self.spec.timeout + KILL_GRACE;
                    let line = report::start_line(&running.request_id, &self.spec.version);
                    let (logs, stream) = (running.logs.clone(), running.log_stream.clone());
                    drop(state);
                    write_log(&logs, &stream, line);
                }
            }
            FromWorker::Log { environment, text } => {
                let mut state = self.lock();
                if let Some(running) = state.running.get_mut(&environment) {
                    let kept = running.budget.take(text);
                    let (logs, stream) = (running.logs.clone(), running.log_stream.clone());
                    drop(state);
                    if let Some(text) = kept {
                        write_log(&logs, &stream, text);
                    }
                }
            }
            FromWorker::Done(done) => self.take_done(done),
        }
    }

    fn start_call(self: &Arc<Self>, call: frames::AwsCall, calls: &AwsCalls, place: CallPlace) {
        let (link, calls) = (Arc::clone(self), calls.clone());
        tokio::spawn(async move {
            let _place = place;
            let result = link.call_aws(&calls, call.service, call.operation, &call.input).await;
            link.answer_call(call.environment, call.call, result).await;
        });
    }

    async fn answer_call(&self, environment: u32, call: u32, result: Result<Box<RawValue>, AwsFailure>) {
        let reply = ToWorker::AwsReply(AwsReply { environment, call, result });
        if let Ok(frame) = frames::encode(&reply) {
            self.send(frame).await;
        }
    }

    fn take_done(&self, done: Done) {
        let mut state = self.lock();
        let is_its_own = |running: &Running| running.request_id == done.request_id;
        if !state.running.get(&done.environment).is_some_and(is_its_own) {
            return;
        }
        let Some(running) = state.running.remove(&done.environment) else { return };
        let memory_bytes = match state.environments.get_mut(&done.environment) {
            Some(environment) => {
                environment.memory_bytes = environment.memory_bytes.max(done.memory_bytes);
                environment.memory_bytes
            }
            None => done.memory_bytes,
        };
        state.last_used = Instant::now();
        // In one step with the removal: nobody may find a spoilt environment idle.
        state.is_retired |= !matches!(done.ending, Ending::Value(_) | Ending::Error(_));
        let is_retired = state.is_retired;
        drop(state);
        self.finish(running, done, memory_bytes);
        if is_retired {
            self.retire();
        }
    }

    async fn call_aws(
        &self,
        calls: &AwsCalls,
        service: String,
        operation: String,
        input: &RawValue,
    ) -> Result<Box<RawValue>, AwsFailure> {
        AWS_CALL_BOUNDS
            .check(input.get().as_bytes())
            .map_err(|beyond| malformed(&format!("the parameters of {operation}: the JSON {beyond}")))?;
        let input = serde_json::from_str(input.get()).map_err(|error| malformed(&error))?;
        let call = AwsCall { session: self.spec.session.clone(), service, operation, input };
        let output = (calls.0)(call).await.map_err(failure)?;
        serde_json::value::to_raw_value(&output).map_err(|error| malformed(&error))
    }

    fn finish(&self, running: Running, done: Done, memory_bytes: u64) {
        let memory_mb = self.spec.memory_mb;
        let write = |text: String| write_log(&running.logs, &running.log_stream, text);
        if !running.has_started {
            write(report::start_line(&running.request_id, &self.spec.version));
        }
        if let Some(text) = report::ending_line(&running.request_id, report::now(), memory_mb, &done.ending) {
            write(text);
        }
        write(report::end_line(&running.request_id));
        write(report::report_line(&done, memory_mb, memory_bytes));
        running.done.send(done).ok();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a worker's calls to AWS may take of the server while they are under way.
struct CallPlaces {
    calls: Arc<Semaphore>,
    kilobytes: Arc<Semaphore>,
}

/// One call's; free again when dropped.
struct CallPlace {
    _call: OwnedSemaphorePermit,
    _kilobytes: OwnedSemaphorePermit,
}

impl CallPlaces {
    fn new() -> Self {
        Self {
            calls: Arc::new(Semaphore::new(AWS_CALLS_MAX)),
            kilobytes: Arc::new(Semaphore::new(AWS_CALLS_KB_MAX as usize)),
        }
    }

    fn take(&self, bytes: usize) -> Option<CallPlace> {
        let kilobytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        Some(CallPlace {
            _call: Arc::clone(&self.calls).try_acquire_owned().ok()?,
            _kilobytes: Arc::clone(&self.kilobytes).try_acquire_many_owned(kilobytes).ok()?,
        })
    }
}

async fn write_frames(mut input: ChildStdin, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = queue.recv().await {
        if input.write_all(&frame).await.is_err() {
            return;
        }
    }
}

fn write_log(logs: &LogSink, stream: &str, text: String) {
    (logs.0)(LogLine { at: report::now(), stream: stream.to_owned(), text });
}

fn exit(environment: u32, running: &Running, status: Option<&ExitStatus>) -> Done {
    let reason = match status.map(|status| (status.signal(), status.code())) {
        Some((Some(9), _)) => "signal: killed".to_owned(),
        Some((Some(6), _)) => "signal: aborted".to_owned(),
        Some((Some(11), _)) => "signal: segmentation fault".to_owned(),
        Some((Some(other), _)) => format!("signal: {other}"),
        Some((None, Some(code))) => format!("exit status {code}"),
        _ => "exit status unknown".to_owned(),
    };
    let text = format!("RequestId: {} Error: Runtime exited with error: {reason}", running.request_id);
    Done {
        environment,
        request_id: running.request_id.clone(),
        ending: Ending::Uncaught(report::failure("Runtime.ExitError", &text)),
        duration_us: 0,
        init_us: None,
        memory_bytes: 0,
    }
}

fn failure(error: AwsCallError) -> AwsFailure {
    let AwsCallError { code, message, status, request_id } = error;
    AwsFailure { code, message, status, request_id }
}

fn throttled() -> AwsFailure {
    AwsFailure {
        code: "ThrottlingException".to_owned(),
        message: format!("Rate exceeded: {AWS_CALLS_MAX} calls of this function are in flight"),
        status: 400,
        request_id: String::new(),
    }
}

fn malformed(error: &impl std::fmt::Display) -> AwsFailure {
    AwsFailure {
        code: "SerializationException".to_owned(),
        message: error.to_string(),
        status: 400,
        request_id: String::new(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::CallPlaces;
    use crate::limits::{AWS_CALLS_MAX, FRAME_BYTES_MAX};

    #[test]
    fn calls_are_bounded_in_number_and_in_bytes() {
        let places = CallPlaces::new();
        let large: Vec<_> = (0..2).map(|_| places.take(FRAME_BYTES_MAX).expect("two of the largest fit")).collect();
        assert!(places.take(FRAME_BYTES_MAX).is_none());
        let small: Vec<_> = (2..AWS_CALLS_MAX).map(|_| places.take(100).expect("small ones go on")).collect();
        assert!(places.take(100).is_none());
        drop((large, small));
        assert!(places.take(FRAME_BYTES_MAX).is_some());
    }
}
