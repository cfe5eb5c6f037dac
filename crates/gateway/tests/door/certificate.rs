//! A server's certificate and the root that clients are to trust.

use std::sync::Arc;

use gateway::{ServerIdentity, ServerKey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// The server's identity and the root that clients are to trust.
pub struct ServerCertificate {
    pub root_pem: String,
    pub identity: Arc<ServerIdentity>,
}

impl ServerCertificate {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Names that differ: OpenSSL takes a certificate whose issuer has its own name for self-signed.
        params.distinguished_name.push(DnType::CommonName, "test root");
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        let key = ServerKey::from_pem(server.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        Self { root_pem: root.pem(), identity: Arc::new(ServerIdentity::new(key)) }
    }
}
