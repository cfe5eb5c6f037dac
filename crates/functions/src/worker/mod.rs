//! The worker process: confines itself, unpacks one function's package, and runs that function's environments.
//! It knows no role and no identity; it asks over its pipe and takes what it is answered.

mod builtins;
mod confine;
mod engine;
mod environment;
mod host;
mod script;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::json;

use crate::frames::{self, AwsReply, Done, Ending, FromWorker, Init, Invoke, ToWorker};
use crate::limits::{FRAME_BYTES_MAX, PACKAGE_ZIP_BYTES_MAX, THREAD_STACK_BYTES};
use crate::package::Package;

/// The worker process: `landfall __function-worker` calls this and exits with its code.
pub fn worker_main() -> i32 {
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            // The standard error is the server's own; this is for its operator.
            eprintln!("function worker: {error}");
            1
        }
    }
}

pub(crate) enum ToEnvironment {
    Invoke(Invoke),
    Reply(AwsReply),
}

/// What all environments of the process share.
pub(crate) struct Setup {
    pub init: Init,
    pub package: Package,
    /// The facts that the JavaScript side needs, as JSON.
    pub settings: String,
}

/// The way to the server, shared by all threads; a frame is written whole.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Mutex<File>>);

impl Outbox {
    fn send(&self, frame: &FromWorker) {
        let sent = frames::encode(frame)
            .and_then(|bytes| self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes));
        if sent.is_err() {
            // Nobody is left to work for.
            std::process::exit(1);
        }
    }
}

fn serve() -> io::Result<()> {
    confine::at_start()?;
    let mut input = BufReader::new(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    let outbox = Outbox(Arc::new(Mutex::new(File::from(io::stdout().as_fd().try_clone_to_owned()?))));
    let Some(setup) = receive_setup(&mut input, &outbox)? else { return Ok(()) };
    let mut environments: HashMap<u32, Sender<ToEnvironment>> = HashMap::new();
    while let Some(bytes) = frames::read(&mut input, FRAME_BYTES_MAX)? {
        match frames::decode(&bytes)? {
            ToWorker::Init(_) => return Err(io::Error::other("a second Init")),
            ToWorker::Invoke(invoke) => {
                let sender = match environments.get(&invoke.environment) {
                    Some(sender) => sender.clone(),
                    None => start_environment(invoke.environment, &setup, &outbox)?,
                };
                environments.insert(invoke.environment, sender.clone());
                refuse_unless_sent(&outbox, sender.send(ToEnvironment::Invoke(invoke)).err().map(|unsent| unsent.0));
            }
            ToWorker::AwsReply(reply) => {
                // An environment that has ended needs no answer.
                if let Some(sender) = environments.get(&reply.environment) {
                    sender.send(ToEnvironment::Reply(reply)).ok();
                }
            }
        }
    }
    Ok(())
}

fn receive_setup(input: &mut impl Read, outbox: &Outbox) -> io::Result<Option<Arc<Setup>>> {
    let Some(bytes) = frames::read(input, FRAME_BYTES_MAX)? else { return Ok(None) };
    let init = match frames::decode(&bytes)? {
        ToWorker::Init(init) => init,
        _ => return Err(io::Error::other("the first frame is not Init")),
    };
    let Some(zip) = frames::read(input, PACKAGE_ZIP_BYTES_MAX)? else { return Ok(None) };
    confine::to_memory(init.memory_mb, init.environments_max)?;
    match Package::read(&zip) {
        Ok(package) => {
            let settings = settings(&init).to_string();
            outbox.send(&FromWorker::Ready(Ok(())));
            Ok(Some(Arc::new(Setup { init, package, settings })))
        }
        Err(error) => {
            outbox.send(&FromWorker::Ready(Err(error.0)));
            Ok(None)
        }
    }
}

fn settings(init: &Init) -> serde_json::Value {
    json!({
        "handler": init.handler,
        "functionName": init.function_name,
        "functionVersion": init.function_version,
        "functionArn": init.function_arn,
        "memoryMb": init.memory_mb,
        "region": init.region,
        "variables": init.variables,
        "arch": if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" },
        "nodeVersion": node_version(&init.runtime),
    })
}

/// `nodejs12.x` is shown as v12.0.0: old code looks at the major version only.
fn node_version(runtime: &str) -> String {
    let digits: Vec<&str> = runtime.trim_start_matches("nodejs").split('.').collect();
    let number = |at: usize| digits.get(at).and_then(|part| part.parse::<u32>().ok());
    format!("v{}.{}.0", number(0).unwrap_or(0), number(1).unwrap_or(if number(0).is_some() { 0 } else { 10 }))
}

fn start_environment(number: u32, setup: &Arc<Setup>, outbox: &Outbox) -> io::Result<Sender<ToEnvironment>> {
    let (sender, inbox) = channel();
    let setup = Arc::clone(setup);
    let outbox = outbox.clone();
    thread::Builder::new()
        .name(format!("environment-{number}"))
        .stack_size(THREAD_STACK_BYTES)
        .spawn(move || run_guarded(number, &setup, &outbox, &inbox))?;
    Ok(sender)
}

/// A panic here is a fault of ours; the process must not go on half alive.
fn run_guarded(number: u32, setup: &Arc<Setup>, outbox: &Outbox, inbox: &Receiver<ToEnvironment>) {
    if catch_unwind(AssertUnwindSafe(|| environment::run(number, setup, outbox, inbox))).is_err() {
        std::process::exit(101);
    }
}

/// The server does not use an environment that has ended; should it happen, it is told at once.
fn refuse_unless_sent(outbox: &Outbox, unsent: Option<ToEnvironment>) {
    if let Some(ToEnvironment::Invoke(invoke)) = unsent {
        outbox.send(&FromWorker::Done(Done {
            environment: invoke.environment,
            request_id: invoke.request_id,
            ending: Ending::Exited { status: 1 },
            duration_us: 0,
            init_us: None,
            memory_bytes: 0,
        }));
    }
}
