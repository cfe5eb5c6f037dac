//! This program itself, as the floor.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::{Kind, Peer};
use crate::Failure;
use crate::identities::Identities;
use crate::pinning::{BROKER_CORE, pinned};

pub fn start(identities: &Identities) -> Result<Peer, Failure> {
    let mut child = pinned(BROKER_CORE, std::env::current_exe()?)
        .arg("floor-server")
        .arg("--ca")
        .arg(identities.device_ca())
        .arg("--certificate")
        .arg(identities.server_certificate())
        .arg("--key")
        .arg(identities.server_key())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no pipe")?).read_line(&mut line)?;
    let address = line.trim().parse().map_err(|_| "the floor did not start")?;
    Ok(Peer { kind: Kind::Floor, address, child, _folder: None })
}
