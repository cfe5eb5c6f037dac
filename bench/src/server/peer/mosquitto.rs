//! Debian's mosquitto, set so that it drops nothing and waits for nothing.

use std::path::Path;

use super::{Kind, Peer, Programs, free_address, start_listening};
use crate::Failure;
use crate::identities::Identities;
use crate::pinning::{BROKER_CORE, pinned};

/// Where Debian puts it: outside of an ordinary user's PATH.
const DEBIAN: &str = "/usr/sbin/mosquitto";

/// OpenSSL's own configuration. TLS 1.3 then sends tickets that hold no session, which is as far as it goes.
const NO_TICKETS: &str = "\
openssl_conf = settings
[settings]
ssl_conf = tls
[tls]
system_default = defaults
[defaults]
Options = -SessionTicket
";

pub fn start(kind: Kind, programs: &Programs, identities: &Identities) -> Result<Peer, Failure> {
    let program = programs.mosquitto.as_deref().unwrap_or(Path::new(DEBIAN));
    if !program.exists() {
        return Err(format!("{} is missing: apt-get install mosquitto", program.display()).into());
    }
    let address = free_address()?;
    let (ca, certificate, key) = (identities.device_ca(), identities.server_certificate(), identities.server_key());
    let settings = format!(
        "listener {} 127.0.0.1\n\
         cafile {}\ncertfile {}\nkeyfile {}\n\
         require_certificate true\ntls_version tlsv1.3\n\
         allow_anonymous true\nset_tcp_nodelay true\npersistence false\n\
         max_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 1000\n\
         log_dest stderr\nlog_type error\nconnection_messages false\n",
        address.port(),
        ca.display(),
        certificate.display(),
        key.display(),
    );
    let file = identities.folder().join(format!("mosquitto-{}.conf", address.port()));
    std::fs::write(&file, settings)?;
    let mut command = pinned(BROKER_CORE, program);
    command.arg("-c").arg(file);
    if kind == Kind::MosquittoNoTickets {
        let file = identities.folder().join("openssl.cnf");
        std::fs::write(&file, NO_TICKETS)?;
        command.env("OPENSSL_CONF", file);
    }
    start_listening(kind, command, address)
}
