//! A server's certificate and the fixtures, for the tests that knock on the door.

use std::sync::Arc;
use std::time::Duration;

use fleet::Device;
use gateway::{ServerIdentity, ServerKey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Longer than anything here takes on a busy machine; a test that waits so long has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The server's identity and the root that clients are to trust.
pub struct ServerCertificate {
    pub root_pem: String,
    pub identity: Arc<ServerIdentity>,
}

impl ServerCertificate {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        let key = ServerKey::from_pem(server.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        Self { root_pem: root.pem(), identity: Arc::new(ServerIdentity::new(key)) }
    }
}

/// The text of `tests/fixtures/<name>.pem`.
pub fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub fn fixture_device(certificate: &str) -> Device {
    Device::from_pem(&fixture(certificate), &fixture("device_key")).unwrap()
}
