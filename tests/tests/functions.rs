//! Functions that fail, each in its own way; and that nothing else is harmed by it.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use landfall_tests::{ACTIVATE, FieldDevice, Operator, PATIENCE, Server, actions_on_all, package_of};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

async fn server() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let server = Server::start();
            let operator = Operator::of(&server);
            operator.create_role("plain", &actions_on_all(&[])).await;
            operator.create_function("healthy", "plain", HEALTHY, &Value::Null).await;
            server
        })
        .await
}

const HEALTHY: &str = "exports.handler = async (event) => ({ heard: event.say });";

async fn check_healthy(operator: &Operator<'_>) {
    let answer = operator.invoke("healthy", &json!({ "say": "hello" })).await;
    assert_eq!(answer.json().expect("JSON"), json!({ "heard": "hello" }), "others are served as before");
    assert!(answer.headers.get("x-amz-function-error").is_none());
}

/// Lambda's shape of a function error: HTTP 200, the header, `errorType` and `errorMessage`.
async fn check(name: &str, source: &str, settings: Value, error_type: &str, message: &str) {
    let operator = Operator::of(server().await);
    operator.create_function(name, "plain", source, &settings).await;
    for attempt in ["cold", "again"] {
        let answer = operator.invoke(name, &json!({})).await;
        assert_eq!(answer.status, 200, "{name} {attempt}: {}", answer.text());
        let header = answer.headers.get("x-amz-function-error").and_then(|value| value.to_str().ok());
        assert_eq!(header, Some("Unhandled"), "{name} {attempt}: {}", answer.text());
        let error = answer.json().expect("JSON");
        assert_eq!(error["errorType"], error_type, "{name} {attempt}: {error:#}");
        let said = error["errorMessage"].as_str().unwrap_or_default();
        assert!(said.contains(message), "{name} {attempt}: {message:?} is not in {error:#}");
        check_healthy(&operator).await;
    }
    let lines = operator.wait_for_log(name, "REPORT RequestId: ").await;
    assert!(lines.iter().any(|line| line.starts_with("START RequestId: ")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("END RequestId: ")), "{lines:#?}");
}

#[tokio::test]
async fn thrown_error() {
    let source = "exports.handler = function (event, context, callback) { throw new TypeError('no such luck'); };";
    check("throws", source, Value::Null, "TypeError", "no such luck").await;
}

#[tokio::test]
async fn error_by_callback() {
    let source = "exports.handler = function (event, context, callback) { callback(new Error('given back')); };";
    check("calls-back", source, Value::Null, "Error", "given back").await;
}

#[tokio::test]
async fn syntax_error() {
    check("syntax", "exports.handler = function ( {", Value::Null, "Runtime.UserCodeSyntaxError", "").await;
}

#[tokio::test]
async fn missing_handler() {
    check("no-handler", "exports.other = function () {};", Value::Null, "Runtime.HandlerNotFound", "handler").await;
}

#[tokio::test]
async fn missing_module() {
    let settings = json!({ "Handler": "nothere.handler" });
    check("no-module", HEALTHY, settings, "Runtime.ImportModuleError", "nothere").await;
}

#[tokio::test]
async fn time_out() {
    let source = "exports.handler = function (event, context, callback) { setTimeout(callback, 60000); };";
    check("waits", source, json!({ "Timeout": 1 }), "Sandbox.Timedout", "Task timed out after 1.00 seconds").await;
}

#[tokio::test]
async fn endless_loop() {
    let source = "exports.handler = function () { for (;;) {} };";
    check("loops", source, json!({ "Timeout": 1 }), "Sandbox.Timedout", "Task timed out after 1.00 seconds").await;
}

#[tokio::test]
async fn stack_overflow() {
    let source = "exports.handler = async () => { const down = (n) => down(n + 1) + 1; return down(0); };";
    check("recurses", source, Value::Null, "RangeError", "call stack").await;
}

#[tokio::test]
async fn out_of_memory() {
    let source =
        "exports.handler = async () => { const all = []; for (;;) { all.push(new Array(10000).fill(1.5)); } };";
    check("hoards", source, json!({ "Timeout": 20 }), "Runtime.ExitError", "signal: killed").await;
}

#[tokio::test]
async fn the_real_cli_prints_a_function_error() {
    let server = server().await;
    let operator = Operator::of(server);
    let source = "exports.handler = function (event, context, callback) { callback(new Error('by the CLI')); };";
    operator.create_function("by-cli", "plain", source, &Value::Null).await;
    let file = server.data_path().join("answer.json");
    let path = file.display().to_string();
    let answer = server.aws().json(&["lambda", "invoke", "--function-name", "by-cli", &path]);
    assert_eq!(answer["FunctionError"], "Unhandled");
    assert_eq!(answer["StatusCode"], 200);
    let error: Value = serde_json::from_slice(&std::fs::read(&file).expect("the answer")).expect("JSON");
    assert_eq!(error["errorMessage"], "by the CLI");
}

/// The role may do everything but the last step: the certificate stays pending, and the log says what is missing.
#[tokio::test]
async fn a_role_without_update_certificate_leaves_the_device_pending() {
    let server = server().await;
    let operator = Operator::of(server);
    let name = "may_not_activate";
    let ca = operator.prepare(name, ACTIVATE, &["iot:CreatePolicy", "iot:AttachPrincipalPolicy"]).await;
    let device = FieldDevice::new(&ca, "stays-pending");
    device.must_be_dropped(device.connect(server).await);
    let lines = operator.wait_for_log(name, "AccessDenied").await;
    let said = lines.iter().find(|line| line.contains("AccessDenied")).expect("it was waited for");
    let resource = operator.arn("iot", &format!("cert/{}", device.id()));
    for part in ["iot:UpdateCertificate", &resource, &format!("assumed-role/{name}/{name}")] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(operator.attached_policies(&device.id()).await, [format!("Policy_{}", device.id())]);
    device.must_be_dropped(device.connect(server).await);
    assert_eq!(operator.status(&device.id()).await.as_deref(), Some("PENDING_ACTIVATION"));

    // The right is granted: the next connection's event finds a function that may.
    let policy = actions_on_all(&Operator::ACTIVATION).to_string();
    server
        .aws()
        .run(&["iam", "put-role-policy", "--role-name", name, "--policy-name", "rights", "--policy-document", &policy])
        .must_succeed();
    device.land(server).await.disconnect().await.expect("a proper end");
}

/// Lambda tries an asynchronous invocation three times.
#[tokio::test]
async fn a_function_that_fails_at_first_is_tried_again() {
    let server = server().await;
    let operator = Operator::of(server);
    let source = format!(
        "var attempts = 0;\n{ACTIVATE}\nvar activate = exports.handler;\n\
         exports.handler = function (event, context, callback) {{\n\
             attempts += 1;\n\
             if (attempts < 3) {{ return callback(new Error('attempt ' + attempts)); }}\n\
             activate(event, context, callback);\n\
         }};\n"
    );
    let ca = operator.prepare("third_time", &source, &Operator::ACTIVATION).await;
    let device = FieldDevice::new(&ca, "third-time");
    device.must_be_dropped(device.connect(server).await);
    let lines = operator.wait_for_log("third_time", "activated ").await;
    let ids: std::collections::BTreeSet<&str> =
        lines.iter().filter_map(|line| line.strip_prefix("START RequestId: ")?.split(' ').next()).collect();
    assert_eq!(ids.len(), 1, "all attempts of one invocation have its request id: {lines:#?}");
    assert_eq!(operator.status(&device.id()).await.as_deref(), Some("ACTIVE"));
}

/// Without the permission the rule calls nothing; the server's log says why, and so does AWS IoT's own log group.
#[tokio::test]
async fn a_function_that_iot_may_not_call_is_not_called() {
    let server = Server::start();
    let operator = Operator::of(&server);
    let name = "not_permitted";
    let ca = operator.register_ca(name).await;
    operator.create_role(name, &actions_on_all(&Operator::ACTIVATION)).await;
    let function = operator.create_function(name, name, ACTIVATE, &Value::Null).await;
    let sql = format!("SELECT * FROM '$aws/events/certificates/registered/{}'", ca.id());
    operator.create_rule(name, &sql, &function).await;
    let device = FieldDevice::new(&ca, "never-called");
    device.must_be_dropped(device.connect(&server).await);
    server.wait_for_stderr("not_permitted");
    let said = operator.wait_for_log_of("AWSIotLogsV2", "LambdaAction").await;
    for part in ["iot.amazonaws.com", &function] {
        assert!(server.stderr().contains(part), "{part} is not in: {}", server.stderr());
        assert!(said.iter().any(|line| line.contains(part)), "{part} is not in: {said:#?}");
    }
    assert_eq!(operator.status(&device.id()).await.as_deref(), Some("PENDING_ACTIVATION"));
    assert!(operator.log_lines(name).await.is_empty(), "it was not called");

    operator.permit(name, name).await;
    device.land(&server).await.disconnect().await.expect("a proper end");
}

/// A worker in an endless loop does not outlive its server, however that ends.
#[tokio::test]
async fn a_killed_server_leaves_no_worker_behind() {
    let mut server = Server::start();
    let operator = Operator::of(&server);
    operator.create_role("plain", &actions_on_all(&[])).await;
    let source = "exports.handler = function () { console.log('looping'); for (;;) {} };";
    operator.create_function("loops", "plain", source, &json!({ "Timeout": 60 })).await;
    let event = json!({});
    let workers = tokio::select! {
        answer = operator.invoke("loops", &event) => panic!("an endless loop ended: {}", answer.text()),
        // START is written by the server; the worker is there by then.
        _ = operator.wait_for_log("loops", "START RequestId: ") => server.children(),
    };
    assert!(!workers.is_empty(), "functions run in processes of their own");
    server.kill();
    let until = Instant::now() + PATIENCE;
    for worker in workers {
        while std::path::Path::new(&format!("/proc/{worker}")).exists() {
            assert!(Instant::now() < until, "the worker {worker} is still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The walkthrough with a function written for the AWS SDK v3, as an ES module and as a CommonJS one.
#[tokio::test]
async fn functions_in_the_style_of_version_3_land_devices() {
    let server = server().await;
    let operator = Operator::of(server);
    let rights = [
        "iot:CreatePolicy",
        "iot:AttachPolicy",
        "iot:UpdateCertificate",
        "iot:DescribeCertificate",
        "iot:ListAttachedPolicies",
    ];
    for (name, file, source) in [
        ("esm", "index.mjs", include_str!("data/activate_v3.mjs")),
        ("commonjs", "index.js", include_str!("data/activate_v3.js")),
    ] {
        let ca = operator.register_ca(name).await;
        operator.create_role(name, &actions_on_all(&rights)).await;
        let code = json!({ "ZipFile": STANDARD.encode(package_of(file, source)) });
        let settings = json!({ "Runtime": "nodejs20.x", "Code": code });
        let function = operator.create_function(name, name, "", &settings).await;
        let sql = format!("SELECT * FROM '$aws/events/certificates/registered/{}'", ca.id());
        operator.create_rule(name, &sql, &function).await;
        operator.permit(name, name).await;
        let device = FieldDevice::new(&ca, name);
        device.land(server).await.disconnect().await.expect("a proper end");
        operator.wait_for_log(name, "activated ").await;
        assert_eq!(operator.attached_policies(&device.id()).await, [format!("Policy_{}", device.id())]);
    }
}
