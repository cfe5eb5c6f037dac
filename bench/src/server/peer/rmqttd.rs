//! rmqttd, from its source: `cargo install --root target/peers rmqttd --version 0.24.0` (needs protoc and cmake).

use std::path::PathBuf;

use super::{Kind, Peer, Programs, free_address, start_listening};
use crate::Failure;
use crate::identities::Identities;
use crate::pinning::{BROKER_CORE, pinned};

pub fn start(programs: &Programs, identities: &Identities) -> Result<Peer, Failure> {
    let program = program(programs)?;
    let address = free_address()?;
    let folder = identities.folder().join(format!("rmqttd-{}", address.port()));
    std::fs::create_dir(&folder)?;
    let (ca, certificate, key) = (identities.device_ca(), identities.server_certificate(), identities.server_key());
    let settings = format!(
        "[node]\nid = 1\n\
         [rpc]\nserver_addr = \"{}\"\n\
         [log]\nto = \"off\"\nlevel = \"error\"\n\
         [plugins]\ndir = \"{}\"\ndefault_startups = []\n\
         disabled_default_startups = [\"rmqtt-acl\", \"rmqtt-counter\", \"rmqtt-http-api\"]\n\
         [listener.tls.external]\nenable = true\naddr = \"{address}\"\nnodelay = true\nallow_anonymous = true\n\
         max_connections = 100000\nmax_handshaking_limit = 100000\nmax_inflight = 1000\nmax_mqueue_len = 1000000\n\
         mqueue_rate_limit = \"10000000,1s\"\n\
         cross_certificate = true\ncert = \"{}\"\nkey = \"{}\"\nclient_ca_certs = \"{}\"\n",
        free_address()?,
        folder.display(),
        certificate.display(),
        key.display(),
        ca.display(),
    );
    let file = folder.join("rmqtt.toml");
    std::fs::write(&file, settings)?;
    let mut command = pinned(BROKER_CORE, program);
    command.current_dir(&folder).arg("--config").arg(file);
    start_listening(Kind::Rmqttd, command, address)
}

fn program(programs: &Programs) -> Result<PathBuf, Failure> {
    let usual = || {
        let own = std::env::current_exe()?;
        // target/release/bench
        let target = own.ancestors().nth(2).ok_or("where is target/?")?;
        Ok::<_, Failure>(target.join("peers/bin/rmqttd"))
    };
    let path = programs.rmqttd.clone().map_or_else(usual, Ok)?;
    if path.exists() {
        return Ok(path);
    }
    let how = "cargo install --root target/peers rmqttd --version 0.24.0 --locked, which needs protoc and cmake";
    Err(format!("{} is missing: {how}", path.display()).into())
}
