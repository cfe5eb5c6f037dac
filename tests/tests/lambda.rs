//! Lambda through its real clients.

use landfall_tests::Server;
use serde_json::json;

const OPERATIONS: &str = include_str!("data/lambda.py");

#[test]
fn boto3_finds_lambdas_operations_as_on_aws() {
    let server = Server::start();
    assert_eq!(server.aws().python(OPERATIONS), json!({}));
}
