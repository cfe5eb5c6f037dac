//! Deadlines, workers and environments: that what goes wrong harms nothing else.

use std::time::{Duration, Instant};

use functions::InvokeError;
use serde_json::json;

use crate::harness::{Harness, REQUEST_ID};

#[tokio::test]
async fn whatever_does_not_end_is_timed_out() {
    let harness = Harness::new();
    for source in [
        "exports.handler = () => { for (;;) ; }",
        "exports.handler = async () => { for (;;) { try { for (;;) ; } catch (e) {} finally { for (;;) ; } } }",
        "exports.handler = () => { for (;;) { try { (function f() { f() })() } catch (e) {} } }",
        "exports.handler = () => /^(a+)+$/.test('a'.repeat(40) + 'b')",
        "exports.handler = async () => { for (;;) await null }",
        "exports.handler = () => { setInterval(() => {}, 1) }",
        "exports.handler = () => new Promise((resolve) => setTimeout(resolve, 60000))",
        "exports.handler = () => Array.prototype.indexOf.call({ length: Number.MAX_SAFE_INTEGER }, 1)",
        "exports.handler = () => Array.prototype.reverse.call({ length: Number.MAX_SAFE_INTEGER })",
    ] {
        let mut spec = harness.spec(&[("index.js", source)]).await;
        spec.timeout = Duration::from_millis(150);
        let began = Instant::now();
        let run = harness.invoke(&spec, json!({})).await;
        let message = format!("RequestId: {REQUEST_ID} Error: Task timed out after 0.15 seconds");
        let expected = json!({ "errorType": "Sandbox.Timedout", "errorMessage": message });
        assert_eq!(run.result, Err(expected), "{source}\n{run:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{source} took {:?}", began.elapsed());
        let log = run.log();
        assert!(log.contains(&format!("{REQUEST_ID} Task timed out after 0.15 seconds")), "{log}");
        assert!(log.contains("Status: timeout"), "{log}");
        let healthy = harness.run("exports.handler = async () => 'well'", json!({})).await;
        assert_eq!(healthy.result, Ok(json!("well")), "after {source}");
    }
}

#[tokio::test]
async fn an_endless_loop_harms_nobody_beside_it() {
    let harness = Harness::new();
    let source = "let n = 0; exports.handler = async (event) => { if (event.loop) for (;;) ; await new Promise((r) => setTimeout(r, 400)); return ++n }";
    let mut spec = harness.spec(&[("index.js", source)]).await;
    spec.timeout = Duration::from_millis(2000);
    let mut other = harness.spec(&[("index.js", "exports.handler = async () => 'other'")]).await;
    other.arn.push_str("-other");
    let (stuck, same, elsewhere) = tokio::join!(
        harness.invoke(&spec, json!({ "loop": true })),
        harness.invoke(&spec, json!({})),
        harness.invoke(&other, json!({})),
    );
    assert_eq!(stuck.result.map_err(|error| error["errorType"].clone()), Err(json!("Sandbox.Timedout")));
    assert_eq!(same.result, Ok(json!(1)));
    assert_eq!(elsewhere.result, Ok(json!("other")));
    let fresh = harness.invoke(&spec, json!({})).await;
    assert_eq!(fresh.result, Ok(json!(1)), "the environment after a time-out is a new one");
}

#[tokio::test]
async fn environments_are_kept_and_shared_by_nobody() {
    let harness = Harness::new();
    let source = "let n = 0; exports.handler = async () => { await new Promise((r) => setTimeout(r, 50)); return ++n }";
    let spec = harness.spec(&[("index.js", source)]).await;
    let (a, b) = tokio::join!(harness.invoke(&spec, json!({})), harness.invoke(&spec, json!({})));
    assert_eq!((a.result, b.result), (Ok(json!(1)), Ok(json!(1))));
    assert_ne!(a.outcome.log_stream, b.outcome.log_stream);
    let third = harness.invoke(&spec, json!({})).await;
    assert_eq!(third.result, Ok(json!(2)));
    assert!([a.outcome.log_stream, b.outcome.log_stream].contains(&third.outcome.log_stream));
    assert_eq!(harness.workers().len(), 1);
}

#[tokio::test]
async fn invocations_beyond_the_environments_wait() {
    let harness = Harness::of(1, Duration::from_secs(60), |_| Ok(json!({})));
    let source = "let n = 0; exports.handler = async () => { await new Promise((r) => setTimeout(r, 20)); return ++n }";
    let spec = harness.spec(&[("index.js", source)]).await;
    let (a, b, c) = tokio::join!(
        harness.invoke(&spec, json!({})),
        harness.invoke(&spec, json!({})),
        harness.invoke(&spec, json!({}))
    );
    assert_eq!((a.result, b.result, c.result), (Ok(json!(1)), Ok(json!(2)), Ok(json!(3))));
}

#[tokio::test]
async fn a_killed_worker_fails_its_own_invocations_and_is_replaced() {
    let harness = Harness::with(|_| Ok(json!({})));
    let source = "exports.handler = async (event) => { if (event.hang) { console.log('hanging'); await new Promise(() => setTimeout(() => {}, 60000)) } return 'well' }";
    let mut spec = harness.spec(&[("index.js", source)]).await;
    spec.timeout = Duration::from_secs(30);
    assert_eq!(harness.invoke(&spec, json!({})).await.result, Ok(json!("well")));
    let workers = harness.workers();
    let kill = async {
        harness.until_logged("hanging").await;
        for pid in &workers {
            let pid = rustix::process::Pid::from_raw(*pid).expect("a pid");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        }
    };
    let (run, ()) = tokio::join!(harness.invoke(&spec, json!({ "hang": true })), kill);
    let message = format!("RequestId: {REQUEST_ID} Error: Runtime exited with error: signal: killed");
    assert_eq!(run.result, Err(json!({ "errorType": "Runtime.ExitError", "errorMessage": message })));
    assert_eq!(harness.invoke(&spec, json!({})).await.result, Ok(json!("well")));
    assert_ne!(harness.workers(), workers);
}

#[tokio::test]
async fn idle_workers_end_and_a_spare_waits() {
    let harness = Harness::of(2, Duration::from_millis(100), |_| Ok(json!({})));
    harness.functions.keep_warm();
    harness.until(|workers| workers.len() == 1).await;
    let spare = harness.workers();
    let run = harness.run("exports.handler = async () => 1", json!({})).await;
    assert_eq!(run.result, Ok(json!(1)));
    harness.until(|workers| workers.len() == 1 && workers != spare).await;
    harness.functions.close().await;
    harness.until(|workers| workers.is_empty()).await;
    let spec = harness.spec(&[("index.js", "exports.handler = async () => 1")]).await;
    assert!(matches!(harness.try_invoke(&spec, json!({})).await, Err(InvokeError::Internal(_))));
}

#[tokio::test]
async fn a_new_revision_runs_at_once() {
    let harness = Harness::new();
    let first = harness
        .spec(&[(
            "index.js",
            "exports.handler = async () => { console.log('running'); await new Promise((r) => setTimeout(r, 100)); return 'old' }",
        )])
        .await;
    let second = harness.spec(&[("index.js", "exports.handler = async () => 'new'")]).await;
    let (old, new) = tokio::join!(harness.invoke(&first, json!({})), async {
        harness.until_logged("running").await;
        harness.invoke(&second, json!({})).await
    });
    assert_eq!((old.result, new.result), (Ok(json!("old")), Ok(json!("new"))));
    harness.until(|workers| workers.len() == 1).await;
}

#[tokio::test]
async fn what_cannot_run_is_said() {
    let harness = Harness::new();
    let mut spec = harness.spec(&[("index.js", "exports.handler = async () => 1")]).await;
    spec.runtime = "python3.12".to_owned();
    assert!(matches!(harness.try_invoke(&spec, json!({})).await, Err(InvokeError::UnsupportedRuntime(_))));
    spec.runtime = "nodejs4.3".to_owned();
    assert_eq!(harness.invoke(&spec, json!({})).await.result, Ok(json!(1)));
    spec.blob = store::BlobId([7; 32]);
    spec.revision_id.push('x');
    assert!(matches!(harness.try_invoke(&spec, json!({})).await, Err(InvokeError::NoPackage(_))));
}
