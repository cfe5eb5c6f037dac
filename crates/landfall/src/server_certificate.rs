//! The server's own CA and certificate, made at the first start: ECDSA P-256, so that it is ready at once.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use domain::Timestamp;
use domain::x509::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::Sentence;
use crate::data_dir::{DataDir, write_new};

/// The root outlives every server certificate that it signs.
const ROOT_DAYS: i64 = 3650;
const SERVER_DAYS: i64 = 825;

/// A server certificate is made anew when the server starts with less than this left.
const RENEW_DAYS: i64 = 90;

/// Clocks differ; a certificate that begins now is not valid yet for a device that is a little behind.
const BACKDATED_DAYS: i64 = 1;

/// PEM, leaf first, and its key.
pub struct ServerCertificate {
    pub chain: Vec<u8>,
    pub key: Vec<u8>,
}

/// Which names the certificate on disk is for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Names(Vec<String>);

/// Reads what is there; makes what is missing, about to expire, or for other names.
pub fn open(data_dir: &DataDir, names: &[String], now: Timestamp) -> Result<ServerCertificate, Sentence> {
    let [root_path, root_key_path] = ["root-CA.crt", "root-CA.key"].map(|name| data_dir.file(name));
    if !root_path.exists() || !root_key_path.exists() {
        let (root, key) = make_root().map_err(|err| format!("the server's own CA could not be made: {err}."))?;
        write_new(&root_key_path, key.as_bytes(), 0o600)?;
        write_new(&root_path, root.as_bytes(), 0o644)?;
    }
    let [chain_path, key_path, names_path] =
        ["server.crt", "server.key", "server-names.json"].map(|name| data_dir.file(name));
    let names = Names(names.to_vec());
    if !is_current(&chain_path, &names_path, &names, now) || !key_path.exists() {
        let (root, root_key) = (read(&root_path)?, read(&root_key_path)?);
        let made = make_server(&root, &root_key, &names.0);
        let (chain, key) = made.map_err(|err| format!("the server's certificate could not be made: {err}."))?;
        write_new(&key_path, key.as_bytes(), 0o600)?;
        write_new(&chain_path, chain.as_bytes(), 0o644)?;
        let json = serde_json::to_vec(&names).map_err(|err| err.to_string())?;
        write_new(&names_path, &json, 0o644)?;
    }
    Ok(ServerCertificate { chain: read(&chain_path)?.into_bytes(), key: read(&key_path)?.into_bytes() })
}

/// The operator's own.
pub fn read_own(certificate: &Path, key: &Path) -> Result<ServerCertificate, Sentence> {
    let read = |name: &str, path: &Path| fs::read(path).map_err(|err| format!("{name} {}: {err}.", path.display()));
    Ok(ServerCertificate { chain: read("server_cert", certificate)?, key: read("server_key", key)? })
}

fn read(path: &Path) -> Result<String, Sentence> {
    fs::read_to_string(path).map_err(|err| format!("{}: {err}.", path.display()).into())
}

fn is_current(chain: &Path, names_path: &Path, names: &Names, now: Timestamp) -> bool {
    let written = fs::read(names_path).ok().and_then(|json| serde_json::from_slice::<Names>(&json).ok());
    let expires = fs::read_to_string(chain).ok().and_then(|pem| {
        let leaf = Certificate::chain_from_pem(&pem).ok()?.into_iter().next()?;
        Some(leaf.not_after())
    });
    let day_ms = 24 * 3600 * 1000;
    written.as_ref() == Some(names) && expires.is_some_and(|at| at.since(now) > RENEW_DAYS * day_ms)
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
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    valid_for(&mut params, ROOT_DAYS);
    params.distinguished_name = named("Landfall server root CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Loopback is always among the names: the person at the keyboard connects there.
fn make_server(root: &str, root_key: &str, names: &[String]) -> Result<(String, String), rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(root, KeyPair::from_pem(root_key)?)?;
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    valid_for(&mut params, SERVER_DAYS);
    params.distinguished_name = named(names.first().map_or("localhost", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let mut all: Vec<&str> = names.iter().map(String::as_str).collect();
    all.extend(["localhost", "127.0.0.1", "::1"]);
    for name in all {
        let entry = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.try_into()?),
        };
        if !params.subject_alt_names.contains(&entry) {
            params.subject_alt_names.push(entry);
        }
    }
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_until_its_names_or_its_time_change() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let data_dir = DataDir::open(temporary.path()).expect("there");
        let now = Timestamp::from_seconds(OffsetDateTime::now_utc().unix_timestamp());
        let open = |names: &[&str], now| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            open(&data_dir, &names, now).map(|made| made.chain).map_err(|Sentence(text)| text).expect("made")
        };
        let first = open(&["localhost"], now);
        assert_eq!(open(&["localhost"], now), first);
        let second = open(&["iot.example.com", "192.0.2.7"], now);
        assert_ne!(second, first);
        let later = now.plus_millis((SERVER_DAYS - RENEW_DAYS + 1) * 24 * 3600 * 1000);
        assert_ne!(open(&["iot.example.com", "192.0.2.7"], later), second);
        let root = read(&data_dir.file("root-CA.crt")).map_err(|Sentence(text)| text).expect("there");
        let leaf = Certificate::from_pem(std::str::from_utf8(&second).expect("text")).expect("a certificate");
        assert!(leaf.is_issued_by(&Certificate::from_pem(&root).expect("a certificate")));
    }
}
