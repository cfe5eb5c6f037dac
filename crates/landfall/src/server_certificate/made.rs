//! The server's own CA and its certificates, made at the first start: an ECDSA P-256 one, ready at once, and an RSA one
//! for clients that cannot do with it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use domain::Timestamp;
use domain::x509::Certificate;
use gateway::{ServerIdentity, ServerKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, RsaKeySize, SanType,
};
use time::{Duration, OffsetDateTime};

use super::Usable;
use crate::Sentence;
use crate::data_dir::{DataDir, write_new};

/// The root outlives every server certificate that it signs.
const ROOT_DAYS: i64 = 3650;
/// What Apple's clients take of a certificate under a root that the user added.
const SERVER_DAYS: i64 = 825;

/// A server certificate is made anew with less than this left, at the start or while the server runs.
const RENEW_DAYS: i64 = 90;

/// Clocks differ; a certificate that begins now is not valid yet for a device that is a little behind.
const BACKDATED_DAYS: i64 = 1;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// RFC 5280: a common name is 64 characters at most. Clients look at the alternative names.
const COMMON_NAME_CHARS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ecdsa,
    Rsa,
}

impl Kind {
    fn files(self) -> [&'static str; 2] {
        match self {
            Self::Ecdsa => ["server.crt", "server.key"],
            Self::Rsa => ["server-rsa.crt", "server-rsa.key"],
        }
    }

    fn generate(self) -> Result<KeyPair, rcgen::Error> {
        match self {
            Self::Ecdsa => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::Rsa => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
        }
    }
}

pub(super) struct MadeCertificates {
    data_dir: DataDir,
    root: Root,
    /// The first is the common name.
    names: Vec<String>,
    ecdsa: Usable,
    rsa: Option<Usable>,
}

struct Root {
    pem: String,
    certificate: Certificate,
    key_pem: String,
}

impl MadeCertificates {
    /// `bound` are the listeners: who connects to their addresses shall find them in the certificate. Loopback always
    /// is there: the person at the keyboard connects there.
    pub(super) fn open(
        data_dir: &DataDir,
        endpoint_names: &[String],
        bound: &[SocketAddr],
        now: Timestamp,
    ) -> Result<Self, Sentence> {
        let root = Root::open(data_dir)?;
        let mut names: Vec<String> = Vec::new();
        let addresses = bound.iter().map(SocketAddr::ip).filter(|address| !address.is_unspecified());
        let addresses = addresses.map(|address| address.to_canonical().to_string());
        let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        for name in endpoint_names.iter().cloned().chain(addresses).chain(loopback) {
            let name = canonical(&name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let ecdsa = match read(data_dir, Kind::Ecdsa, &root, &names, now)? {
            Some(usable) => usable,
            None => make(data_dir, Kind::Ecdsa, &root, &names)?,
        };
        let rsa = read(data_dir, Kind::Rsa, &root, &names, now)?;
        Ok(Self { data_dir: data_dir.clone(), root, names, ecdsa, rsa })
    }

    /// Makes what is missing or about to expire; whether anything was made.
    pub(super) fn refresh(&mut self, now: Timestamp) -> Result<bool, Sentence> {
        let mut is_changed = false;
        if is_due(&self.ecdsa.leaf, now) {
            self.ecdsa = make(&self.data_dir, Kind::Ecdsa, &self.root, &self.names)?;
            is_changed = true;
        }
        if self.rsa.as_ref().is_none_or(|rsa| is_due(&rsa.leaf, now)) {
            self.rsa = Some(make(&self.data_dir, Kind::Rsa, &self.root, &self.names)?);
            is_changed = true;
        }
        Ok(is_changed)
    }

    /// The client gets the first that it can verify.
    pub(super) fn keys(&self) -> Vec<ServerKey> {
        [Some(&self.ecdsa), self.rsa.as_ref()].into_iter().flatten().map(|usable| usable.key.clone()).collect()
    }

    pub(super) fn identity(&self) -> ServerIdentity {
        ServerIdentity::of(self.keys())
    }

    pub(super) fn expires(&self) -> Timestamp {
        self.ecdsa.leaf.not_after()
    }

    pub(super) fn root_pem(&self) -> &str {
        &self.root.pem
    }

    pub(super) fn root_path(&self) -> PathBuf {
        self.data_dir.file("root-CA.crt")
    }
}

impl Root {
    /// Devices trust it: it is made once, and never silently again.
    fn open(data_dir: &DataDir) -> Result<Self, Sentence> {
        let [path, key_path] = ["root-CA.crt", "root-CA.key"].map(|name| data_dir.file(name));
        let (shown, key_shown) = (path.display(), key_path.display());
        match (path.exists(), key_path.exists()) {
            (true, true) => {}
            (false, false) => {
                let (pem, key_pem) =
                    make_root().map_err(|err| format!("the server's own CA could not be made: {err}."))?;
                write_new(&key_path, key_pem.as_bytes(), 0o600)?;
                write_new(&path, pem.as_bytes(), 0o644)?;
            }
            // A start that was cut off between the two: nobody has seen the certificate.
            (false, true) if !data_dir.file("server.crt").exists() => {
                fs::remove_file(&key_path).map_err(|err| format!("{key_shown}: {err}."))?;
                return Self::open(data_dir);
            }
            (is_there, _) => {
                let (there, missing) = if is_there { (shown, key_shown) } else { (key_shown, shown) };
                return Err(format!(
                    "{there} is there, but {missing} is not. Restore it from a copy; or move both away, and give devices the new root CA that is then made."
                )
                .into());
            }
        }
        let pem = fs::read_to_string(&path).map_err(|err| format!("{shown}: {err}."))?;
        let key_pem = fs::read_to_string(&key_path).map_err(|err| format!("{key_shown}: {err}."))?;
        let certificate = Certificate::from_pem(&pem)
            .map_err(|err| format!("{shown} is damaged ({err}). Restore it from a copy: it is what devices trust."))?;
        let key = KeyPair::from_pem(&key_pem).map_err(|err| {
            format!("{key_shown} is damaged ({err}). Restore it from a copy: it signs the server's certificates.")
        })?;
        if key.subject_public_key_info() != certificate.spki_der() {
            return Err(format!("{key_shown} does not belong to {shown}. Restore both from one copy.").into());
        }
        Ok(Self { pem, certificate, key_pem })
    }
}

/// `None` where it has to be made: absent, damaged, about to expire, for other names, or of another root.
fn read(
    data_dir: &DataDir,
    kind: Kind,
    root: &Root,
    names: &[String],
    now: Timestamp,
) -> Result<Option<Usable>, Sentence> {
    let [path, key_path] = kind.files().map(|name| data_dir.file(name));
    if !path.exists() || !key_path.exists() {
        return Ok(None);
    }
    let [chain, key] =
        [&path, &key_path].map(|path| fs::read(path).map_err(|err| format!("{}: {err}.", path.display())));
    let key = match ServerKey::from_pem(&chain?, &key?) {
        Ok(key) => key,
        Err(err) => {
            tracing::warn!(
                "{} and its key are damaged ({err}); new ones are made under the same root CA",
                path.display()
            );
            return Ok(None);
        }
    };
    let Ok(leaf) = Certificate::from_der(key.leaf_der()) else { return Ok(None) };
    let is_current = !is_due(&leaf, now) && covered(&leaf) == sorted(names) && leaf.is_issued_by(&root.certificate);
    Ok(is_current.then_some(Usable { key, leaf }))
}

fn make(data_dir: &DataDir, kind: Kind, root: &Root, names: &[String]) -> Result<Usable, Sentence> {
    let failed = |err: rcgen::Error| format!("the server's certificate could not be made: {err}.");
    let (chain, key) = make_server(kind, root, names).map_err(failed)?;
    let [path, key_path] = kind.files().map(|name| data_dir.file(name));
    // A crash between the two leaves a pair that does not fit, which is then made again.
    write_new(&key_path, key.as_bytes(), 0o600)?;
    write_new(&path, chain.as_bytes(), 0o644)?;
    let usable = ServerKey::from_pem(chain.as_bytes(), key.as_bytes()).map_err(|err| err.to_string())?;
    let leaf = Certificate::from_pem(&chain).map_err(|err| err.to_string())?;
    tracing::info!(?kind, expires = leaf.not_after().to_rfc3339(), "a server certificate was made");
    Ok(Usable { key: usable, leaf })
}

fn is_due(leaf: &Certificate, now: Timestamp) -> bool {
    leaf.not_after().since(now) <= RENEW_DAYS * DAY_MS
}

fn covered(leaf: &Certificate) -> Vec<String> {
    let names = ["DNSName", "IPAddress"].map(|kind| leaf.alternative_names(kind));
    sorted(&names.concat().into_iter().map(str::to_owned).collect::<Vec<_>>())
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names
}

/// As the certificate will give it back.
fn canonical(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(|_| name.to_ascii_lowercase(), |address| address.to_string())
}

fn valid_for(params: &mut CertificateParams, days: i64) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(BACKDATED_DAYS);
    params.not_after = now + Duration::days(days);
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Landfall");
    subject.push(DnType::CommonName, name);
    subject
}

fn make_root() -> Result<(String, String), rcgen::Error> {
    let key = Kind::Ecdsa.generate()?;
    let mut params = CertificateParams::default();
    valid_for(&mut params, ROOT_DAYS);
    params.distinguished_name = named("Landfall server root CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn make_server(kind: Kind, root: &Root, names: &[String]) -> Result<(String, String), rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(&root.pem, KeyPair::from_pem(&root.key_pem)?)?;
    let key = kind.generate()?;
    let mut params = CertificateParams::default();
    valid_for(&mut params, SERVER_DAYS);
    let common_name = names.first().filter(|name| name.chars().count() <= COMMON_NAME_CHARS_MAX);
    params.distinguished_name = named(common_name.map_or("server", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Factory {
        data_dir: DataDir,
        _temporary: tempfile::TempDir,
    }

    impl Factory {
        fn new() -> Self {
            let temporary = tempfile::tempdir().expect("a temporary directory");
            let data_dir = DataDir::open(temporary.path()).expect("there");
            Self { data_dir, _temporary: temporary }
        }

        fn try_open(&self, names: &[&str], now: Timestamp) -> Result<MadeCertificates, String> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let bound = ["0.0.0.0:0", "[2001:db8::7]:8883"].map(|addr| addr.parse().expect("an address"));
            MadeCertificates::open(&self.data_dir, &names, &bound, now).map_err(|Sentence(text)| text)
        }

        fn open(&self, names: &[&str], now: Timestamp) -> MadeCertificates {
            self.try_open(names, now).expect("certificates")
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(OffsetDateTime::now_utc().unix_timestamp())
    }

    fn later(now: Timestamp) -> Timestamp {
        now.plus_millis((SERVER_DAYS - RENEW_DAYS + 1) * DAY_MS)
    }

    #[test]
    fn a_certificate_is_kept_until_its_names_or_its_time_change() {
        let (factory, now) = (Factory::new(), now());
        let first = factory.open(&["localhost"], now);
        assert_eq!(factory.open(&["localhost"], now).ecdsa.leaf, first.ecdsa.leaf);
        let names = ["IoT.example.com", "192.0.2.7", "2001:DB8::1"];
        let second = factory.open(&names, now);
        assert_ne!(second.ecdsa.leaf, first.ecdsa.leaf);
        assert_eq!(second.ecdsa.leaf.alternative_names("DNSName"), ["iot.example.com", "localhost"]);
        let addresses = ["192.0.2.7", "2001:db8::1", "2001:db8::7", "127.0.0.1", "::1"];
        assert_eq!(second.ecdsa.leaf.alternative_names("IPAddress"), addresses);
        assert_eq!(factory.open(&names, now).ecdsa.leaf, second.ecdsa.leaf);
        assert_ne!(factory.open(&names, later(now)).ecdsa.leaf, second.ecdsa.leaf);
        assert!(second.ecdsa.leaf.is_issued_by(&first.root.certificate), "the root is kept");
    }

    #[test]
    fn a_running_server_gets_an_rsa_certificate_and_renews_both() {
        let (factory, now) = (Factory::new(), now());
        let mut made = factory.open(&["localhost"], now);
        assert_eq!(made.keys().len(), 1);
        assert!(made.refresh(now).expect("an RSA key"));
        assert_eq!(made.keys().len(), 2);
        assert!(!made.refresh(now).expect("nothing to do"));
        let leaves =
            |made: &MadeCertificates| [&made.ecdsa, made.rsa.as_ref().expect("made")].map(|one| one.leaf.clone());
        let before = leaves(&made);
        assert_eq!(leaves(&factory.open(&["localhost"], now)), before, "both are on disk");
        assert!(made.refresh(later(now)).expect("two keys"));
        for (old, new) in before.iter().zip(&leaves(&made)) {
            assert_ne!(old, new);
            assert!(new.is_issued_by(&made.root.certificate));
        }
    }

    #[test]
    fn what_devices_trust_is_never_made_again_silently() {
        let now = now();
        for (name, text, said) in [
            ("root-CA.crt", None, "Restore it from a copy"),
            ("root-CA.key", None, "Restore it from a copy"),
            ("root-CA.crt", Some("damaged"), "root-CA.crt is damaged"),
            ("root-CA.key", Some("damaged"), "root-CA.key is damaged"),
        ] {
            let factory = Factory::new();
            factory.open(&["localhost"], now);
            let path = factory.data_dir.file(name);
            match text {
                Some(text) => fs::write(&path, text).expect("room"),
                None => fs::remove_file(&path).expect("it was there"),
            }
            let sentence = factory.try_open(&["localhost"], now).err().expect("a refusal");
            assert!(sentence.contains(said) && sentence.contains(name), "{name} {text:?}: {sentence}");
        }
        let (one, other) = (Factory::new(), Factory::new());
        one.open(&["localhost"], now);
        other.open(&["localhost"], now);
        fs::copy(one.data_dir.file("root-CA.key"), other.data_dir.file("root-CA.key")).expect("copied");
        let sentence = other.try_open(&["localhost"], now).err().expect("a refusal");
        assert!(sentence.contains("does not belong to"), "{sentence}");
    }

    #[test]
    fn a_damaged_server_key_is_made_again_under_the_same_root() {
        let (factory, now) = (Factory::new(), now());
        let first = factory.open(&["localhost"], now);
        fs::write(factory.data_dir.file("server.key"), "damaged").expect("room");
        let second = factory.open(&["localhost"], now);
        assert_ne!(second.ecdsa.leaf, first.ecdsa.leaf);
        assert_eq!(second.root.pem, first.root.pem);
    }
}
