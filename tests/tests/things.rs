//! The registry of things, through boto3.

use fleet::{Ca, DeviceSpec, KeyAlgorithm};
use landfall_tests::Server;
use serde_json::json;

const SCRIPT: &str = include_str!("data/things.py");

#[test]
fn boto3_keeps_things() {
    let server = Server::start();
    let ca = Ca::new("Somebody", KeyAlgorithm::EcP256).expect("a CA");
    let device = ca.issue(&DeviceSpec::new("pump")).expect("a device");
    let pem = device.certificate_pem().expect("PEM");
    let told = server.aws().python(&format!("PEM = {pem:?}\n{SCRIPT}"));
    let expected = json!({
        "again": true,
        "differs": ["ResourceAlreadyExistsException", 409],
        "described": [{ "hall": "7", "floor": "2" }, 2, "pump"],
        "version": ["VersionConflictException", 409],
        "missing": ["ResourceNotFoundException", 404],
        "listed": ["n1", "n3"],
        "all": 6,
        "principals": true,
        "principals, v2": "NON_EXCLUSIVE_THING",
        "things": ["pump"],
        "things, v2": [{ "thingName": "pump", "thingPrincipalType": "NON_EXCLUSIVE_THING" }],
        "attached": ["InvalidRequestException", 400],
        "detached": "done",
    });
    assert_eq!(told, expected);
}
