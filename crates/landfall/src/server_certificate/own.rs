//! The operator's own certificate: a chain and a key in files, checked before anything listens.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use domain::Timestamp;
use domain::x509::{Certificate, Validity};
use gateway::{ServerKey, ServerKeyError};

use super::Usable;
use crate::Sentence;

/// Where the operator keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The root that clients are to trust.
    pub root: Option<PathBuf>,
}

pub(super) struct OwnCertificate {
    files: OwnFiles,
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl OwnCertificate {
    pub(super) fn open(files: OwnFiles, now: Timestamp) -> Result<(Self, Usable), Sentence> {
        let (chain, key) = read(&files)?;
        let usable = usable(&files, &chain, &key, now)?;
        Ok((Self { files, chain, key }, usable))
    }

    pub(super) fn certificate_path(&self) -> &Path {
        &self.files.certificate
    }

    /// What clients are to trust, and its file if a root is in it.
    pub(super) fn root(&self) -> Result<(String, Option<PathBuf>), Sentence> {
        let path = self.files.root.as_ref().unwrap_or(&self.files.certificate);
        let name = if self.files.root.is_some() { "server_ca" } else { "server_cert" };
        let pem = fs::read_to_string(path).map_err(|err| format!("{name} {}: {err}.", path.display()))?;
        let certificates =
            Certificate::chain_from_pem(&pem).map_err(|err| format!("{name} {}: {err}.", path.display()))?;
        let is_root = |certificate: &Certificate| certificate.is_issued_by(certificate);
        match (certificates.iter().any(is_root), &self.files.root) {
            (false, Some(_)) => Err(format!(
                "server_ca {} holds no root certificate (one that signed itself); give the root that clients are to trust.",
                path.display()
            )
            .into()),
            (found, _) => Ok((pem, found.then(|| path.canonicalize().unwrap_or_else(|_| path.clone())))),
        }
    }

    /// `None` while the files hold what they held. New files are taken only if they can serve.
    pub(super) fn read_again(&mut self, now: Timestamp) -> Result<Option<Usable>, Sentence> {
        let (chain, key) = read(&self.files)?;
        if chain == self.chain && key == self.key {
            return Ok(None);
        }
        let usable = usable(&self.files, &chain, &key, now)?;
        (self.chain, self.key) = (chain, key);
        Ok(Some(usable))
    }
}

fn read(files: &OwnFiles) -> Result<(Vec<u8>, Vec<u8>), Sentence> {
    let file = |name: &str, path: &Path| {
        fs::read(path).map_err(|err| {
            format!("{name} {}: {err}. Name a PEM file that the server's user may read.", path.display())
        })
    };
    Ok((file("server_cert", &files.certificate)?, file("server_key", &files.key)?))
}

fn usable(files: &OwnFiles, chain: &[u8], key: &[u8], now: Timestamp) -> Result<Usable, Sentence> {
    let (chain_path, key_path) = (files.certificate.display(), files.key.display());
    let key = ServerKey::from_pem(chain, key).map_err(|err| match err {
        ServerKeyError::Key(_) => format!("server_key {key_path}: {err}."),
        ServerKeyError::Mismatch => format!("server_key {key_path} and server_cert {chain_path}: {err}."),
        _ => format!("server_cert {chain_path}: {err}."),
    })?;
    let leaf = Certificate::from_der(key.leaf_der()).map_err(|err| format!("server_cert {chain_path}: {err}."))?;
    match leaf.validity_at(now) {
        Validity::Valid => Ok(Usable { key, leaf }),
        Validity::Expired => Err(format!(
            "server_cert {chain_path} expired at {}, and every client would refuse it. Renew it.",
            leaf.not_after().to_rfc3339()
        )
        .into()),
        Validity::NotYetValid => Err(format!(
            "server_cert {chain_path} is valid from {} on only, and this machine's clock says {}. Set the clock, or wait.",
            leaf.not_before().to_rfc3339(),
            now.to_rfc3339()
        )
        .into()),
    }
}

/// The names that were asked for, if the certificate covers them all; else those that it has.
pub(super) fn endpoint_names(path: &Path, leaf: &Certificate, asked: &[String]) -> Result<Vec<String>, Sentence> {
    let (hosts, addresses) = (leaf.alternative_names("DNSName"), leaf.alternative_names("IPAddress"));
    let path = path.display();
    if asked.is_empty() {
        let named = hosts.iter().filter(|name| !name.starts_with('*')).chain(&addresses);
        let named: Vec<String> = named.map(|name| (*name).to_owned()).collect();
        if named.is_empty() {
            return Err(format!(
                "server_cert {path} names no host that devices could connect to. Give one that it covers with --endpoint-name."
            )
            .into());
        }
        return Ok(named);
    }
    for name in asked {
        let is_covered = match name.parse::<IpAddr>() {
            Ok(address) => addresses.iter().any(|covered| covered.parse() == Ok(address)),
            Err(_) => hosts.iter().any(|covered| covers(covered, name)),
        };
        if !is_covered {
            let all: Vec<&str> = hosts.iter().chain(&addresses).copied().collect();
            return Err(format!(
                "endpoint_name {name} is not in server_cert {path}, which is for {}; clients that connect to it would refuse the server.",
                if all.is_empty() { "no name at all".to_owned() } else { all.join(", ") }
            )
            .into());
        }
    }
    Ok(asked.to_vec())
}

/// RFC 6125 6.4.3: a wildcard stands for one whole label, the first.
fn covers(covered: &str, name: &str) -> bool {
    match covered.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => covered.eq_ignore_ascii_case(name),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use time::OffsetDateTime;

    use super::*;

    fn write_pair(files: &OwnFiles) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name").self_signed(&key);
        let certificate = certificate.expect("a certificate");
        fs::write(&files.certificate, certificate.pem()).expect("room");
        fs::write(&files.key, key.serialize_pem()).expect("room");
        certificate.der().to_vec()
    }

    #[test]
    fn files_are_read_again_when_they_change() {
        let now = Timestamp::from_seconds(OffsetDateTime::now_utc().unix_timestamp());
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let [certificate, key] = ["server.crt", "server.key"].map(|name| temporary.path().join(name));
        let files = OwnFiles { certificate, key, root: None };
        let text = |Sentence(text)| text;
        let first = write_pair(&files);
        let (mut own, usable) = OwnCertificate::open(files.clone(), now).map_err(text).expect("usable");
        assert_eq!(usable.leaf.der(), first);
        assert!(own.read_again(now).map_err(text).expect("readable").is_none(), "nothing has changed");
        let old_key = fs::read(&files.key).expect("there");
        let second = write_pair(&files);
        let new_key = fs::read(&files.key).expect("there");
        fs::write(&files.key, old_key).expect("room");
        assert!(own.read_again(now).is_err(), "half of a renewal is not taken");
        fs::write(&files.key, new_key).expect("room");
        let usable = own.read_again(now).map_err(text).expect("usable").expect("new");
        assert_eq!(usable.leaf.der(), second);
    }

    #[test]
    fn a_wildcard_is_one_label() {
        for (covered, name, expected) in [
            ("iot.example.com", "IoT.example.com", true),
            ("iot.example.com", "example.com", false),
            ("*.example.com", "iot.example.com", true),
            ("*.example.com", "a.iot.example.com", false),
            ("*.example.com", "example.com", false),
        ] {
            assert_eq!(covers(covered, name), expected, "{covered} {name}");
        }
    }
}
