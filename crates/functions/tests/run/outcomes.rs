//! How invocations end, and what the log says of it.

use serde_json::{Value, json};

use crate::harness::{Harness, REQUEST_ID};

#[tokio::test]
async fn a_value_in_each_style() {
    let harness = Harness::new();
    for (source, expected) in [
        ("exports.handler = (event, context, callback) => callback(null, event.n + 1)", json!(2)),
        ("exports.handler = async (event) => ({ n: event.n })", json!({ "n": 1 })),
        ("exports.handler = (event) => Promise.resolve([event.n])", json!([1])),
        ("exports.handler = (event, context) => context.succeed('yes')", json!("yes")),
        ("exports.handler = (event, context) => context.done(null, 7)", json!(7)),
        ("exports.handler = () => 'a plain return is not a result'", Value::Null),
        ("exports.handler = async () => {}", Value::Null),
        ("exports.handler = (e, c, callback) => { setTimeout(() => callback(null, 'later'), 5) }", json!("later")),
        (
            "exports.handler = (e, c, callback) => { let late = 0; setTimeout(() => { late = 1 }, 10); callback(null, { get late() { return late } }) }",
            json!({ "late": 1 }),
        ),
        (
            "exports.handler = (e, c, callback) => { c.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 60000); callback(null, 'now') }",
            json!("now"),
        ),
        (
            "const order = []; exports.handler = (e, c, cb) => { setImmediate(() => { order.push('i'); cb(null, order.join('')) }); process.nextTick(() => order.push('t')); Promise.resolve().then(() => order.push('p')); order.push('s') }",
            json!("stpi"),
        ),
    ] {
        let run = harness.run(source, json!({ "n": 1 })).await;
        assert_eq!(run.result, Ok(expected), "{source}\n{run:?}");
    }
}

#[tokio::test]
async fn each_error_has_lambdas_shape() {
    let harness = Harness::new();
    let exited = format!("RequestId: {REQUEST_ID} Error: Runtime exited with error: exit status 3");
    let killed = format!("RequestId: {REQUEST_ID} Error: Runtime exited with error: signal: killed");
    for (source, kind, message) in [
        ("exports.handler = () => { throw new TypeError('boom') }", "TypeError", "boom"),
        ("exports.handler = async () => { throw new RangeError('boom') }", "RangeError", "boom"),
        ("exports.handler = (e, c, callback) => callback(new Error('boom'))", "Error", "boom"),
        ("exports.handler = (e, c, callback) => callback('text')", "string", "text"),
        ("exports.handler = (e, c) => c.fail(new Error('legacy'))", "Error", "legacy"),
        ("exports.handler = () => null.x", "TypeError", "cannot read property 'x' of null"),
        (
            "class Odd extends Error { constructor(m) { super(m); this.name = 'Odd' } }; exports.handler = async () => { throw new Odd('own') }",
            "Odd",
            "own",
        ),
        (
            "exports.handler = async () => { const a = {}; a.a = a; return a }",
            "Error",
            "Unable to stringify response body",
        ),
        ("exports.handler = () => { setTimeout(() => { throw new Error('in a timer') }, 1) }", "Error", "in a timer"),
        (
            "exports.handler = () => { Promise.reject(new Error('lost')) }",
            "Runtime.UnhandledPromiseRejection",
            "Error: lost",
        ),
        (
            "exports.handler = () => { function f() { return f() + 1 } f() }",
            "RangeError",
            "Maximum call stack size exceeded",
        ),
        ("exports.handler = () => { process.exit(3) }", "Runtime.ExitError", &exited),
        (
            "exports.handler = () => { const all = []; for (;;) all.push(new Array(10000).fill('x' + all.length)) }",
            "Runtime.ExitError",
            &killed,
        ),
        (
            "exports.handler = async () => { const all = []; for (;;) { all.push(new Array(10000).fill(1)); await null } }",
            "Runtime.ExitError",
            &killed,
        ),
        ("exports.handler = () => {", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("require('./nowhere')", "Runtime.ImportModuleError", "Error: Cannot find module './nowhere'"),
        (
            "require('https')",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'https' (the embedded runtime has no network",
        ),
        ("exports.other = 1", "Runtime.HandlerNotFound", "index.handler is undefined or not exported"),
        ("exports.handler = 1", "Runtime.HandlerNotFound", "index.handler is not a function"),
        ("throw new Error('at load')", "Error", "at load"),
        ("process.exit(3)", "Runtime.ExitError", &exited),
        (
            "exports.handler = async () => 'x'.repeat(6 * 1024 * 1024)",
            "Function.ResponseSizeTooLarge",
            "Response payload size (6291458 bytes)",
        ),
    ] {
        let run = harness.run(source, json!({})).await;
        let error = run.result.clone().expect_err(source);
        assert_eq!(error["errorType"], kind, "{source}\n{run:#?}");
        let text = error["errorMessage"].as_str().unwrap_or_default();
        assert!(text.starts_with(message), "{source}\n{run:#?}");
        let healthy = harness.run("exports.handler = async () => 'well'", json!({})).await;
        assert_eq!(healthy.result, Ok(json!("well")), "after {source}");
    }
}

#[tokio::test]
async fn depth_is_an_error_and_not_a_crash() {
    let harness = Harness::new();
    for body in [
        "JSON.parse('['.repeat(1e6))",
        "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; a.ok = true; console.log(a); return JSON.stringify(a)",
        "new RegExp('('.repeat(1e6))",
        "eval('('.repeat(1e6))",
        "eval('a'.repeat(10) + '.b'.repeat(1e6))",
        "'x'.replace(/x/, function f() { return 'x'.replace(/x/, f) })",
        "const p = new Proxy({}, { get: (t, k, r) => r[k] }); return p.x",
        "let a = {}; a.toString = () => `${a}`; return `${a}`",
        "let f = () => 1; for (let i = 0; i < 2000; i++) f = f.bind(null); return f()",
    ] {
        let run = harness.run(&format!("exports.handler = async () => {{ {body} }}"), json!({})).await;
        let kind = run.result.as_ref().map_err(|error| error["errorType"].clone());
        assert_ne!(kind, Err(json!("Runtime.ExitError")), "{body}\n{:?}", run.result);
    }
    assert_eq!(harness.workers().len(), 1, "no worker was lost");
}
