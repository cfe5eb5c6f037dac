//! The factory's tools: CAs, their registration, and devices. What they make works with AWS as well.

mod arguments;
mod ca;
mod device;
mod endpoint;
mod simulate;

use std::path::{Path, PathBuf};

use domain::Timestamp;
use fleet::Ca;

use crate::Sentence;
pub use arguments::{CaArguments, DeviceArguments, SimulateArguments};

pub fn ca(arguments: &CaArguments) -> Result<(), Sentence> {
    ca::main(arguments)
}

pub fn device(arguments: &DeviceArguments) -> Result<(), Sentence> {
    device::main(arguments)
}

pub fn simulate(arguments: &SimulateArguments) -> Result<(), Sentence> {
    simulate::main(arguments)
}

/// A CA from its two files.
fn read_ca(files: &arguments::CaFiles) -> Result<Ca, Sentence> {
    let (certificate_path, key_path) = (&files.ca, key_path(files));
    let certificate = read(certificate_path, "Make a CA with: landfall ca new; or name its certificate with --ca.")?;
    let key = read(&key_path, "Name the CA's private key with --ca-key.")?;
    let read = Ca::from_pem(&certificate, &key);
    let shown = format!("{} and {}", certificate_path.display(), key_path.display());
    let ca = read.map_err(|err| format!("{shown}: {err}."))?;
    if ca.certificate().is_ca() != Some(true) {
        return Err(format!(
            "{}: the certificate is none of a CA (basicConstraints does not say CA:TRUE). Make one with: landfall ca new",
            certificate_path.display()
        )
        .into());
    }
    Ok(ca)
}

/// Beside the certificate and of the same name, unless another is named.
fn key_path(files: &arguments::CaFiles) -> PathBuf {
    files.ca_key.clone().unwrap_or_else(|| files.ca.with_extension("key"))
}

fn read(path: &Path, what_to_do: &str) -> Result<String, Sentence> {
    std::fs::read_to_string(path).map_err(|err| format!("{}: {err}. {what_to_do}", path.display()).into())
}

/// fleet's errors as sentences, with what this command line offers against them.
fn sentence(err: fleet::Error) -> Sentence {
    match err {
        fleet::Error::Exists { path } => {
            format!(
                "{} is there already. Choose another folder with --out, or write over it with --force.",
                path.display()
            )
        }
        err => format!("{err}."),
    }
    .into()
}

/// The day, for people.
fn day(at: Timestamp) -> String {
    at.to_rfc3339().chars().take(10).collect()
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@:".contains(c);
    if text.chars().all(plain) && !text.is_empty() { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
