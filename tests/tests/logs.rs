//! CloudWatch Logs through its real clients.

use landfall_tests::{Operator, PATIENCE, Server, actions_on_all};
use serde_json::{Value, json};

const OPERATIONS: &str = include_str!("data/logs.py");

#[test]
fn boto3_finds_logs_operations_as_on_aws() {
    let server = Server::start();
    assert_eq!(server.aws().python(OPERATIONS), json!({}));
}

/// `aws logs tail` is the CLI's version 2 alone. It follows by asking again from the last time it has seen.
#[tokio::test]
async fn the_cli_follows_a_functions_log() {
    let server = Server::start();
    let operator = Operator::of(&server);
    operator.create_role("plain", &actions_on_all(&[])).await;
    let source = "exports.handler = async (event) => { console.log('call ' + event.n); };";
    operator.create_function("talks", "plain", source, &Value::Null).await;
    operator.invoke("talks", &json!({ "n": 1 })).await;
    operator.wait_for_log("talks", "REPORT").await;
    // Python keeps what it prints to a pipe for itself otherwise.
    let cli = server.aws().v2().with_variable("PYTHONUNBUFFERED", "1");
    let printed = cli.run(&["logs", "tail", "/aws/lambda/talks", "--since", "1h"]).must_succeed().stdout;
    for part in ["INIT_START Runtime Version: ", "START RequestId: ", "call 1", "END RequestId: ", "REPORT RequestId: "]
    {
        assert!(printed.contains(part), "{part} is not in: {printed}");
    }
    let mut following = cli.start(&["logs", "tail", "/aws/lambda/talks", "--since", "1h", "--follow"]);
    following.wait_for_stdout("call 1", PATIENCE);
    operator.invoke("talks", &json!({ "n": 2 })).await;
    following.wait_for_stdout("call 2", PATIENCE);
    assert!(following.is_running(), "it goes on");
    let printed = following.stdout();
    assert_eq!(printed.matches("call 1").count(), 1, "nothing is told twice: {printed}");
}
