//! A client's TLS settings. Certificates of version 1 work too: rustls' own way to set a client certificate parses it
//! and refuses them, a resolver does not.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

use crate::{Ca, Device, Error};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    #[default]
    Both,
    Tls12Only,
    Tls13Only,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sni {
    /// The server name, unless it is an IP address.
    #[default]
    Send,
    Omit,
}

/// What a client trusts, shows and asks for.
#[derive(Clone)]
pub struct ClientTls {
    roots: Arc<RootCertStore>,
    server_name: ServerName<'static>,
    identity: Option<Arc<CertifiedKey>>,
    versions: TlsVersions,
    sni: Sni,
    alpn: Vec<Vec<u8>>,
}

impl ClientTls {
    /// `server_name` is what the server's certificate must name: a host name or an IP address.
    pub fn new(root_ca_pem: &str, server_name: &str) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(root_ca_pem.as_bytes()) {
            let root = root.map_err(|error| Error::Certificate(error.to_string()))?;
            roots.add(root).map_err(|error| Error::Certificate(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(Error::Certificate("the root CA file holds no certificate".to_owned()));
        }
        let server_name = ServerName::try_from(server_name.to_owned())
            .map_err(|error| Error::Tls { text: format!("{server_name}: {error}"), alert: None })?;
        Ok(Self {
            roots: Arc::new(roots),
            server_name,
            identity: None,
            versions: TlsVersions::default(),
            sni: Sni::default(),
            alpn: Vec::new(),
        })
    }

    /// Shows the device's certificate, followed by those of `issuers`.
    pub fn with_device(mut self, device: &Device, issuers: &[&Ca]) -> Result<Self, Error> {
        let leaf = CertificateDer::from(device.der().to_vec());
        let issuers = issuers.iter().map(|ca| CertificateDer::from(ca.certificate().der().to_vec()));
        let chain = std::iter::once(leaf).chain(issuers).collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(device.key().pkcs8_der().to_vec()));
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| Error::Key(error.to_string()))?;
        self.identity = Some(Arc::new(CertifiedKey::new(chain, key)));
        Ok(self)
    }

    pub fn with_versions(mut self, versions: TlsVersions) -> Self {
        self.versions = versions;
        self
    }

    pub fn with_sni(mut self, sni: Sni) -> Self {
        self.sni = sni;
        self
    }

    /// `x-amzn-mqtt-ca` for MQTT on port 443.
    pub fn with_alpn(mut self, protocol: &str) -> Self {
        self.alpn.push(protocol.as_bytes().to_vec());
        self
    }

    pub fn server_name(&self) -> &ServerName<'static> {
        &self.server_name
    }

    pub fn config(&self) -> Result<ClientConfig, Error> {
        let versions: &[&SupportedProtocolVersion] = match self.versions {
            TlsVersions::Both => rustls::ALL_VERSIONS,
            TlsVersions::Tls12Only => &[&rustls::version::TLS12],
            TlsVersions::Tls13Only => &[&rustls::version::TLS13],
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .map_err(|error| Error::Tls { text: error.to_string(), alert: None })?
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(AlwaysShows(identity.clone()))),
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = self.sni == Sni::Send;
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(config)
    }
}

/// Shows its certificate to whoever asks, whatever names and schemes the server hints at.
#[derive(Debug)]
struct AlwaysShows(Arc<CertifiedKey>);

impl ResolvesClientCert for AlwaysShows {
    fn resolve(&self, _root_hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
