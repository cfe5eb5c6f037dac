//! A server's worth of surroundings for one function: a store, a recorder of AWS calls, a log.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use functions::{
    AwsCall, AwsCallError, AwsCalls, Config, FunctionSpec, Functions, Invocation, InvokeError, LogSink, Outcome,
    RoleSession,
};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

pub const REQUEST_ID: &str = "8f5c2a36-0d7e-4a39-9b1c-5d0f2f1f2a3b";
pub const ROLE: &str = "arn:aws-cn:iam::123456789012:role/activator";

pub struct Harness {
    pub functions: Functions,
    pub store: store::Store,
    pub calls: Arc<Mutex<Vec<AwsCall>>>,
    pub tag: String,
    /// Of all invocations, as they are written.
    lines: Arc<Mutex<Vec<String>>>,
    written: Arc<tokio::sync::Notify>,
    _folder: tempfile::TempDir,
}

#[derive(Debug)]
pub struct Run {
    /// The payload, with `error` beside it if it was the handler's.
    pub result: Result<Value, Value>,
    pub lines: Vec<String>,
    pub outcome: Outcome,
}

impl Run {
    pub fn log(&self) -> String {
        self.lines.join("\n")
    }
}

impl Harness {
    pub fn new() -> Self {
        Self::with(|call| answer(&call))
    }

    pub fn with(answer: impl Fn(AwsCall) -> Result<Value, AwsCallError> + Send + Sync + 'static) -> Self {
        Self::of(3, Duration::from_secs(60), answer)
    }

    pub fn of(
        environments_max: usize,
        idle_timeout: Duration,
        answer: impl Fn(AwsCall) -> Result<Value, AwsCallError> + Send + Sync + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store::Store::open(folder.path()).expect("a store");
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let answer = Arc::new(answer);
        let aws = AwsCalls(Arc::new(move |call: AwsCall| {
            seen.lock().expect("no panic").push(call.clone());
            let answer = Arc::clone(&answer);
            Box::pin(async move { answer(call) })
        }));
        // The argument is ignored by the worker, and tells this test's processes from those of others.
        let tag = format!("test-{}", folder.path().file_name().expect("a name").to_string_lossy());
        let config = Config {
            program: env!("CARGO_BIN_EXE_function-worker").into(),
            worker_args: vec![tag.clone()],
            idle_timeout,
            environments_max,
        };
        Self {
            functions: Functions::new(config, store.clone(), aws),
            store,
            calls,
            tag,
            lines: Arc::default(),
            written: Arc::default(),
            _folder: folder,
        }
    }

    pub async fn spec(&self, files: &[(&str, &str)]) -> FunctionSpec {
        let blob = self.store.blobs().put(zip_of(files)).await.expect("stored");
        FunctionSpec {
            name: "activate".to_owned(),
            arn: "arn:aws-cn:lambda:cn-north-1:123456789012:function:activate".to_owned(),
            version: "$LATEST".to_owned(),
            runtime: "nodejs12.x".to_owned(),
            handler: "index.handler".to_owned(),
            timeout: Duration::from_secs(3),
            memory_mb: 128,
            environment: BTreeMap::from([("STAGE".to_owned(), "factory".to_owned())]),
            code_sha256: hex::encode(blob.0),
            blob,
            revision_id: hex::encode(blob.0),
            session: RoleSession { role_arn: ROLE.to_owned(), session_name: "activate".to_owned() },
            region: "cn-north-1".to_owned(),
            account_id: "123456789012".to_owned(),
        }
    }

    pub async fn invoke(&self, spec: &FunctionSpec, event: Value) -> Run {
        self.try_invoke(spec, event).await.expect("the function ran")
    }

    pub async fn try_invoke(&self, spec: &FunctionSpec, event: Value) -> Result<Run, InvokeError> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let all = Arc::clone(&self.lines);
        let written = Arc::clone(&self.written);
        let invocation = Invocation {
            function: Arc::new(spec.clone()),
            request_id: REQUEST_ID.to_owned(),
            event: Bytes::from(event.to_string()),
            logs: LogSink(Arc::new(move |line| {
                all.lock().expect("no panic").push(line.text.clone());
                written.notify_waiters();
                kept.lock().expect("no panic").push(line.text);
            })),
        };
        let outcome = self.functions.invoke(invocation).await?;
        let json = |bytes: &Bytes| serde_json::from_slice(bytes).expect("JSON");
        let result = outcome.result.as_ref().map(json).map_err(json);
        let lines = lines.lock().expect("no panic").clone();
        Ok(Run { result, lines, outcome })
    }

    /// A function of one file, called once.
    pub async fn run(&self, source: &str, event: Value) -> Run {
        let spec = self.spec(&[("index.js", source)]).await;
        self.invoke(&spec, event).await
    }

    pub fn operations(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").iter().map(|call| format!("{}:{}", call.service, call.operation)).collect()
    }

    pub async fn until_logged(&self, text: &str) {
        let wait = async {
            loop {
                let written = self.written.notified();
                if self.lines.lock().expect("no panic").iter().any(|line| line.contains(text)) {
                    return;
                }
                written.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the line is written");
    }

    /// Waits until this harness's workers are as expected.
    pub async fn until(&self, is_so: impl Fn(&[i32]) -> bool) {
        let wait = async {
            while !is_so(&self.workers()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("the workers are {:?}", self.workers());
        }
    }

    /// The process ids of this harness's workers.
    pub fn workers(&self) -> Vec<i32> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if command.split(|byte| *byte == 0).any(|word| word == self.tag.as_bytes()) {
                found.push(pid);
            }
        }
        found
    }
}

pub fn zip_of(files: &[(&str, &str)]) -> Bytes {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).expect("a file");
        zip.write_all(content.as_bytes()).expect("written");
    }
    Bytes::from(zip.finish().expect("a zip").into_inner())
}

/// What a server with an existing policy would say.
fn answer(call: &AwsCall) -> Result<Value, AwsCallError> {
    match call.operation.as_str() {
        "CreatePolicy" => Err(AwsCallError {
            code: "ResourceAlreadyExistsException".to_owned(),
            message: "Policy cannot be created - name already exists".to_owned(),
            status: 409,
            request_id: "r-1".to_owned(),
        }),
        "GetCallerIdentity" => Ok(json!({ "Account": "123456789012", "Arn": call.session.role_arn })),
        "Echo" => Ok(call.input.clone()),
        "AttachPrincipalPolicy" | "UpdateCertificate" => Ok(json!({})),
        other => Err(AwsCallError {
            code: "AccessDeniedException".to_owned(),
            message: format!("{ROLE} is not authorized to perform: {other}"),
            status: 403,
            request_id: "r-2".to_owned(),
        }),
    }
}
