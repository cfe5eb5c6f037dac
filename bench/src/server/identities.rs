//! Who is who in a comparison of brokers: a CA, the server's certificate and the devices', the same for every broker.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet::{Ca, ClientTls, Device, DeviceSpec, Key, KeyAlgorithm, TlsVersions};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tempfile::TempDir;

use crate::Failure;

pub const SERVER_NAME: &str = "localhost";

pub struct Identities {
    folder: TempDir,
    /// Signs the devices' certificates.
    pub ca: Ca,
    pub key_type: KeyAlgorithm,
    server_root: String,
}

/// What one connection shows and trusts.
#[derive(Clone)]
pub struct ClientIdentity {
    pub tls: Arc<ClientConfig>,
    pub server_name: ServerName<'static>,
}

impl Identities {
    pub fn new(key_type: KeyAlgorithm) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("landfall-bench-").tempdir()?;
        let ca = Ca::new("Bench CA", key_type)?;
        let root = server_root(key_type)?;
        let key = key_pair(key_type)?;
        let mut params = CertificateParams::new([SERVER_NAME.to_owned(), "127.0.0.1".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
        let certificate = params.signed_by(&key, &root)?;
        let identities = Self { folder, ca, key_type, server_root: root.pem() };
        std::fs::write(identities.server_certificate(), certificate.pem())?;
        std::fs::write(identities.server_key(), key.serialize_pem())?;
        std::fs::write(identities.device_ca(), identities.ca.certificate_pem())?;
        // Mosquitto runs as another user where it is started by root.
        for file in [identities.server_certificate(), identities.server_key(), identities.device_ca()] {
            open_to_all(&file, 0o644)?;
        }
        open_to_all(identities.folder.path(), 0o755)?;
        Ok(identities)
    }

    /// For the brokers' own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn server_certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    pub fn server_key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }

    pub fn device_ca(&self) -> PathBuf {
        self.folder.path().join("devices.pem")
    }

    /// Each with a certificate of its own. Beyond the first hundred they share keys: making keys is not what is measured.
    pub fn devices(&self, count: usize) -> Result<Vec<Device>, Failure> {
        const KEYS_MAX: usize = 100;
        let specs: Vec<DeviceSpec> = (0..count.min(KEYS_MAX))
            .map(|number| DeviceSpec { algorithm: self.key_type, ..DeviceSpec::new(format!("device-{number}")) })
            .collect();
        let mut devices = self.ca.manufacture(&specs, |_, device| Ok(device))?;
        let keys: Vec<Key> = devices.iter().map(|device| device.key().clone()).collect();
        for number in KEYS_MAX..count {
            let spec = DeviceSpec { algorithm: self.key_type, ..DeviceSpec::new(format!("device-{number}")) };
            devices.push(self.ca.issue_for(&spec, keys[number % KEYS_MAX].clone())?);
        }
        Ok(devices)
    }

    /// TLS 1.3, and never a resumed session: each handshake is a full one, whatever tickets the server sends.
    pub fn clients(&self, devices: &[Device]) -> Result<Vec<ClientIdentity>, Failure> {
        let trust = ClientTls::new(&self.server_root, SERVER_NAME)?.with_versions(TlsVersions::Tls13Only);
        let client = |device| {
            let tls = trust.clone().with_device(device, &[])?;
            let mut config = tls.config()?;
            config.resumption = Resumption::disabled();
            Ok(ClientIdentity { tls: Arc::new(config), server_name: tls.server_name().clone() })
        };
        devices.iter().map(client).collect()
    }
}

fn server_root(key_type: KeyAlgorithm) -> Result<CertifiedIssuer<'static, KeyPair>, Failure> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Bench Root");
    Ok(CertifiedIssuer::self_signed(params, key_pair(key_type)?)?)
}

fn key_pair(key_type: KeyAlgorithm) -> Result<KeyPair, Failure> {
    match key_type {
        KeyAlgorithm::EcP256 => Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?),
        other => {
            let key = Key::generate(other)?;
            Ok(KeyPair::try_from(key.pkcs8_der())?)
        }
    }
}

#[cfg(unix)]
fn open_to_all(path: &Path, mode: u32) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}
