//! IAM's roles and policies through boto3.

use landfall_tests::Server;
use serde_json::json;

const SCRIPT: &str = include_str!("data/iam.py");

#[test]
fn boto3_keeps_roles_and_policies() {
    let server = Server::start();
    let expected = json!({
        "roles": [["first", "second"], ["third"]],
        "trust": true,
        "inline": ["a", "b"],
        "inline document": true,
        "policy exists": ["EntityAlreadyExists", 409],
        "malformed": ["MalformedPolicyDocument", 400],
        "policy": ["own", "v1"],
        "version": [true, true],
        "attached": ["AWSIoTDataAccess", "own"],
        "listed": ["own"],
        "policy is attached": ["DeleteConflict", 409],
        "role has policies": ["DeleteConflict", 409],
        "not attached": ["NoSuchEntity", 404],
        "policy is free": "done",
        "role is bare": "done",
        "no role": ["NoSuchEntity", 404],
        "no policy": ["NoSuchEntity", 404],
        "CAs": [],
        "updated": ["1", "2"],
    });
    assert_eq!(server.aws().python(SCRIPT), expected);
}
