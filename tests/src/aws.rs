//! The real AWS CLI and boto3, pointed at a server and at nothing of the machine's own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::program::python_tool;
use crate::{Finished, PATIENCE, Server, start};

/// Python starts slowly when all cores test.
const DEADLINE: Duration = PATIENCE.saturating_mul(2);

pub struct Aws<'a> {
    server: &'a Server,
    access_key_id: String,
    secret_access_key: String,
    region: String,
    ca_bundle: Option<PathBuf>,
}

impl<'a> Aws<'a> {
    pub(crate) fn of(server: &'a Server) -> Self {
        let credentials = server.credentials();
        Self {
            server,
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.clone(),
            region: server.region().to_owned(),
            ca_bundle: server.api_url().starts_with("https://").then(|| server.root_ca()),
        }
    }

    pub fn with_secret(mut self, secret: &str) -> Self {
        secret.clone_into(&mut self.secret_access_key);
        self
    }

    pub fn with_key_id(mut self, key_id: &str) -> Self {
        key_id.clone_into(&mut self.access_key_id);
        self
    }

    /// The roots that TLS trusts; `None` are the machine's own.
    pub fn with_ca_bundle(mut self, path: Option<PathBuf>) -> Self {
        self.ca_bundle = path;
        self
    }

    pub fn with_region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// `aws` with these arguments, whatever comes of it.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        start(self.command("aws").args(arguments), &[]).finish(DEADLINE)
    }

    /// `aws` must succeed; its answer as JSON, `Null` where it prints none.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let finished = self.run(arguments);
        assert!(finished.is_success(), "aws {arguments:?}: {}", finished.text());
        if finished.stdout.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&finished.stdout).expect("aws prints JSON")
    }

    /// `aws ... --query QUERY --output text`.
    #[track_caller]
    pub fn text(&self, arguments: &[&str], query: &str) -> String {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--query", query, "--output", "text"]);
        let finished = self.run(&arguments);
        assert!(finished.is_success(), "aws {arguments:?}: {}", finished.text());
        finished.stdout.trim().to_owned()
    }

    /// A Python script with boto3 at hand; it prints JSON.
    #[track_caller]
    pub fn python(&self, script: &str) -> Value {
        let finished = start(self.command("python").arg("-"), script.as_bytes()).finish(DEADLINE).must_succeed();
        serde_json::from_str(&finished.stdout).expect("the script prints JSON")
    }

    /// The folder that holds `aws`, for a PATH.
    pub fn program_dir(&self) -> PathBuf {
        let aws = python_tool("aws");
        aws.parent().expect("a program is in a folder").to_owned()
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(python_tool(tool));
        let nowhere = self.server.data_path().join("no-such-file");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.server.data_path())
            .env("LANG", "C.UTF-8")
            .env("AWS_ENDPOINT_URL", self.server.api_url())
            .env("AWS_ACCESS_KEY_ID", &self.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret_access_key)
            .env("AWS_DEFAULT_REGION", &self.region)
            .env("AWS_CONFIG_FILE", &nowhere)
            .env("AWS_SHARED_CREDENTIALS_FILE", &nowhere)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        if let Some(path) = &self.ca_bundle {
            command.env("AWS_CA_BUNDLE", path);
        }
        command
    }
}
