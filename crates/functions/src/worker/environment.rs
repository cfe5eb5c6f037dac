//! One environment: a thread with one JavaScript runtime, which runs one invocation at a time and its event loop.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::script::Script;
use super::{Outbox, Setup, ToEnvironment};
use crate::frames::{AwsReply, Done, Ending, FromWorker, Invoke};
use crate::limits::INIT_DURATION_MAX;
use crate::report;

/// Measuring walks the heap, so it is done for the first invocation and then for one of so many.
const MEASURED_EVERY: u64 = 32;

pub(super) fn run(number: u32, setup: &Arc<Setup>, outbox: &Outbox, inbox: &Receiver<ToEnvironment>) {
    let script = Rc::new(Script::new(number, Arc::clone(setup), outbox.clone()));
    let mut environment: Option<Environment<'_>> = None;
    let mut served = 0_u64;
    while let Some(invoke) = next_invocation(inbox, environment.as_ref()) {
        let init_began = Instant::now();
        let mut init = None;
        if environment.is_none() {
            environment = Environment::load(&script, inbox);
            init = Some(init_began.elapsed());
            if environment.is_some() {
                outbox.send(&FromWorker::Started { environment: number });
            }
        }
        let began = Instant::now();
        let ending = match &environment {
            Some(environment) => environment.invoke(&invoke),
            None => script.take_ending().unwrap_or(Ending::Exited { status: 1 }),
        };
        let duration = if environment.is_some() { began.elapsed() } else { Duration::ZERO };
        let memory_bytes = match &environment {
            Some(environment) if served.is_multiple_of(MEASURED_EVERY) => environment.engine.memory_bytes(),
            _ => 0,
        };
        served += 1;
        script.end_invocation();
        let is_usable = matches!(ending, Ending::Value(_) | Ending::Error(_)) && environment.is_some();
        outbox.send(&FromWorker::Done(Done {
            environment: number,
            request_id: invoke.request_id,
            ending,
            duration_us: micros(duration),
            init_us: init.map(micros),
            memory_bytes,
        }));
        if !is_usable {
            break;
        }
    }
    // An interrupted or starved runtime may hold references that its destructor asserts against; the process ends soon anyway.
    std::mem::forget(environment);
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Between invocations an environment is frozen, as on AWS; answers that come meanwhile are handed over before the next one.
fn next_invocation(inbox: &Receiver<ToEnvironment>, environment: Option<&Environment<'_>>) -> Option<Invoke> {
    loop {
        match inbox.recv().ok()? {
            ToEnvironment::Invoke(invoke) => return Some(invoke),
            ToEnvironment::Reply(reply) => environment?.late_replies.borrow_mut().push(reply),
        }
    }
}

struct Environment<'a> {
    engine: Engine,
    script: Rc<Script>,
    inbox: &'a Receiver<ToEnvironment>,
    late_replies: std::cell::RefCell<Vec<AwsReply>>,
}

impl<'a> Environment<'a> {
    /// Loads the function's module; `None` means that the script's ending says why not.
    fn load(script: &Rc<Script>, inbox: &'a Receiver<ToEnvironment>) -> Option<Self> {
        script.begin_load(INIT_DURATION_MAX);
        let engine = match Engine::start(Rc::clone(script)) {
            Ok(engine) => engine,
            Err(text) => {
                let text = format!("the runtime did not start: {text}");
                script.end(Ending::Uncaught(report::failure("Runtime.ExitError", &text)));
                return None;
            }
        };
        let environment =
            Self { engine, script: Rc::clone(script), inbox, late_replies: std::cell::RefCell::new(Vec::new()) };
        environment.engine.enter::<_, ()>("load", ());
        if let Some(ending) = environment.run_loop(INIT_DURATION_MAX, Phase::Loading) {
            script.end(ending);
            std::mem::forget(environment);
            return None;
        }
        Some(environment)
    }

    fn invoke(&self, invoke: &Invoke) -> Ending {
        let wait_max = Duration::from_millis(self.script.setup().init.timeout_ms);
        self.script.begin_invocation(&invoke.request_id, wait_max);
        for reply in self.late_replies.take() {
            self.answer(reply);
        }
        self.engine
            .enter::<_, ()>("begin", (invoke.event.get(), invoke.request_id.as_str(), invoke.log_stream.as_str()));
        self.run_loop(wait_max, Phase::Running).unwrap_or(Ending::Exited { status: 1 })
    }

    /// Jobs, then what nobody caught, then timers and answers, until there is an outcome; `None` when the module is loaded.
    fn run_loop(&self, wait_max: Duration, phase: Phase) -> Option<Ending> {
        loop {
            self.engine.run_jobs();
            if self.script.is_interrupted() || Instant::now() >= self.script.deadline() {
                return Some(Ending::TimedOut { after_ms: u64::try_from(wait_max.as_millis()).unwrap_or(u64::MAX) });
            }
            if let Some(ending) = self.script.take_ending() {
                return Some(ending);
            }
            self.engine.enter::<_, ()>("checkRejections", ());
            if self.script.has_ended() {
                continue;
            }
            if phase == Phase::Loading && self.script.is_loaded() {
                return None;
            }
            let Some(wait_ms) = self.engine.enter::<_, f64>("runTimers", ()) else { continue };
            if wait_ms == 0.0 {
                continue;
            }
            if wait_ms < 0.0 && self.script.calls_open() == 0 {
                self.engine.enter::<_, ()>("drained", ());
                continue;
            }
            self.wait(wait_ms);
        }
    }

    /// Until an answer comes, the next timer is due, or the deadline is there.
    fn wait(&self, wait_ms: f64) {
        let left = self.script.deadline().saturating_duration_since(Instant::now());
        let timer = if wait_ms < 0.0 { left } else { Duration::from_secs_f64(wait_ms / 1000.0) };
        match self.inbox.recv_timeout(left.min(timer)) {
            Ok(ToEnvironment::Reply(reply)) => self.answer(reply),
            Ok(ToEnvironment::Invoke(_)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.script.exit(1),
        }
    }

    fn answer(&self, reply: AwsReply) {
        self.script.close_call();
        let (json, is_failure) = match reply.result {
            Ok(value) => (value.get().to_owned(), false),
            Err(failure) => (serde_json::to_string(&failure).unwrap_or_default(), true),
        };
        self.engine.enter::<_, ()>("awsReply", (reply.call, json, is_failure));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Loading,
    Running,
}
