//! The lines of an invocation's log.

use serde_json::json;

use crate::harness::{Harness, REQUEST_ID};

/// Digits become `0`, so that times and sizes can be compared.
fn shape(line: &str) -> String {
    let mut shaped = String::new();
    for c in line.chars() {
        let c = if c.is_ascii_digit() { '0' } else { c };
        if !(c == '0' && shaped.ends_with('0')) {
            shaped.push(c);
        }
    }
    shaped
}

#[tokio::test]
async fn lines_come_in_lambdas_form_and_order() {
    let harness = Harness::new();
    let spec = harness
        .spec(&[(
            "index.js",
            "console.log('loading'); exports.handler = async () => { console.log('a', { b: 1 }); console.warn('careful'); console.error(new Error('bad')); console.debug('d'); process.stdout.write('raw\\n') }",
        )])
        .await;
    let cold = harness.invoke(&spec, json!({})).await;
    let id = shape(REQUEST_ID);
    let time = "0-0-0T0:0:0.0Z";
    let report = format!(
        "REPORT RequestId: {id}\tDuration: 0.0 ms\tBilled Duration: 0 ms\tMemory Size: 0 MB\tMax Memory Used: 0 MB\t"
    );
    let body = [
        format!("START RequestId: {id} Version: $LATEST"),
        format!("{time}\t{id}\tINFO\ta {{ b: 0 }}"),
        format!("{time}\t{id}\tWARN\tcareful"),
        format!("{time}\t{id}\tERROR\tError: bad\n    at <anonymous> (/var/task/index.js:0:0)")
            .replace("<anonymous> (", "")
            .replace(":0)", ":0"),
        format!("{time}\t{id}\tDEBUG\td"),
        "raw".to_owned(),
        format!("END RequestId: {id}"),
    ];
    let runtime =
        cold.lines[0].strip_prefix("INIT_START Runtime Version: nodejs:12.x.landfall-").expect("the first line");
    let (_, arn) =
        runtime.split_once("\tRuntime Version ARN: arn:aws-cn:lambda:cn-north-1::runtime:").expect("its ARN");
    assert_eq!(arn.len(), 64, "{arn}");
    let first = [format!("{time}\tundefined\tINFO\tloading")];
    let shaped: Vec<String> = cold.lines[1..].iter().map(|line| shape(line)).collect();
    let mut expected: Vec<String> = first.iter().chain(&body).cloned().collect();
    expected.push(format!("{report}Init Duration: 0.0 ms\t"));
    let frames: Vec<String> = shaped.iter().map(|line| line.replace("handler (", "").replace(":0)", ":0")).collect();
    assert_eq!(frames, expected, "{:#?}", cold.lines);

    let warm = harness.invoke(&spec, json!({})).await;
    let last = warm.lines.last().map(|line| shape(line));
    assert_eq!(last, Some(report));
    assert!(warm.lines[0].starts_with("START RequestId: "));
    let stream = &cold.outcome.log_stream;
    assert_eq!(stream, &warm.outcome.log_stream);
    assert_eq!(stream.len(), "2026/11/23/[$LATEST]".len() + 32, "{stream}");
}

#[tokio::test]
async fn errors_are_logged_with_their_fields() {
    let harness = Harness::new();
    for (source, label) in [
        ("exports.handler = async () => { throw Object.assign(new Error('bad'), { code: 'E1' }) }", "Invoke Error"),
        (
            "exports.handler = () => { setTimeout(() => { throw Object.assign(new Error('bad'), { code: 'E1' }) }) }",
            "Uncaught Exception",
        ),
    ] {
        let run = harness.run(source, json!({})).await;
        let found =
            run.lines.iter().find(|line| line.contains(&format!("\tERROR\t{label} \t{{\"errorType\":\"Error\"")));
        assert!(
            found.is_some_and(|line| line.contains("\"code\":\"E1\",\"stack\":[\"Error: bad\",\"    at ")),
            "{run:#?}"
        );
    }
}

#[tokio::test]
async fn a_huge_log_is_cut_and_says_so() {
    let harness = Harness::new();
    let run = harness
        .run("exports.handler = async () => { for (let i = 0; i < 30000; i++) console.log(i); return 1 }", json!({}))
        .await;
    assert_eq!(run.result, Ok(json!(1)));
    assert_eq!(run.lines.iter().filter(|line| line.contains("\tINFO\t")).count(), functions::limits::LOG_LINES_MAX);
    assert_eq!(run.lines.iter().filter(|line| line.contains("is dropped")).count(), 1);
    let run = harness
        .run(
            "exports.handler = async () => { console.log('x'.repeat(1e6)); console.log('\\ud800 half'); return 1 }",
            json!({}),
        )
        .await;
    assert_eq!(run.result, Ok(json!(1)));
    let longest = run.lines.iter().map(String::len).max();
    assert_eq!(longest, Some(functions::limits::LOG_LINE_BYTES_MAX));
}
