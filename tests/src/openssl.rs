//! The real `openssl`, in a folder of its own: keys and certificates as the walkthrough makes them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Finished, PATIENCE, finish, start};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Rsa,
    Ec,
}

pub struct OpenSsl {
    dir: PathBuf,
}

impl OpenSsl {
    pub fn in_dir(dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).expect("a folder for keys");
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `file://` and the path, as the AWS CLI takes a parameter from a file.
    pub fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file that openssl has made")
    }

    #[track_caller]
    pub fn run(&self, line: &str) {
        let finished = finish(self.command().args(line.split_whitespace()), PATIENCE);
        assert!(finished.is_success(), "openssl {line}: {}", finished.text());
    }

    /// `openssl s_client` with `input` on its standard input, ended by the server or the deadline.
    pub fn s_client(&self, port: u16, line: &str, input: &[u8]) -> Finished {
        self.s_client_to(&format!("127.0.0.1:{port}"), line, input)
    }

    /// The same to any `host:port`.
    pub fn s_client_to(&self, connect: &str, line: &str, input: &[u8]) -> Finished {
        let connect = format!("s_client -connect {connect} -servername localhost {line}");
        let mut command = self.command();
        start(command.args(connect.split_whitespace()), input).finish(PATIENCE)
    }

    /// A private key.
    pub fn key(&self, kind: KeyKind, file: &str) {
        match kind {
            KeyKind::Rsa => self.run(&format!("genrsa -out {file} 2048")),
            KeyKind::Ec => self.run(&format!("ecparam -name prime256v1 -genkey -noout -out {file}")),
        }
    }

    /// `CA_Private.key` and `CA_Certificate.pem`.
    pub fn ca(&self, kind: KeyKind, common_name: &str) {
        self.key(kind, "CA_Private.key");
        self.run(&format!(
            "req -x509 -new -nodes -key CA_Private.key -sha256 -days 365 -out CA_Certificate.pem -subj /CN={common_name}"
        ));
    }

    /// `NAME.key`, `NAME.csr` and `NAME.crt`, signed by the CA: version 1, without extensions.
    pub fn signed(&self, kind: KeyKind, name: &str, common_name: &str) {
        self.key(kind, &format!("{name}.key"));
        self.run(&format!("req -new -key {name}.key -out {name}.csr -subj /CN={common_name}"));
        self.run(&format!(
            "x509 -req -in {name}.csr -CA CA_Certificate.pem -CAkey CA_Private.key -CAcreateserial -out {name}.crt -days 365 -sha256"
        ));
    }

    /// `cat Device.crt CA_Certificate.pem > Device_CA_Certificate.crt`
    pub fn chain(&self, name: &str) -> PathBuf {
        let path = self.path(&format!("{name}_CA_Certificate.crt"));
        let chain = self.read(&format!("{name}.crt")) + &self.read("CA_Certificate.pem");
        std::fs::write(&path, chain).expect("room for a chain");
        path
    }

    /// A configuration under which every program that uses OpenSSL speaks TLS 1.2 at most.
    pub fn tls_1_2_only(&self) -> PathBuf {
        let text = "openssl_conf = default_conf\n[default_conf]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n\
                    [tls]\nMaxProtocol = TLSv1.2\n";
        let path = self.path("tls-1.2.cnf");
        std::fs::write(&path, text).expect("room for a configuration");
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new("openssl");
        command.current_dir(&self.dir).env_remove("OPENSSL_CONF");
        command
    }
}

impl AsRef<Path> for OpenSsl {
    fn as_ref(&self) -> &Path {
        &self.dir
    }
}
