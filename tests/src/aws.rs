//! The real AWS CLI, v1 and v2, boto3 and the SDKs for JavaScript, pointed at a server and at nothing of the machine's own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::program::test_tool;
use crate::{Finished, PATIENCE, Running, Server, start};

/// Python and Node start slowly when all cores test.
const DEADLINE: Duration = PATIENCE.saturating_mul(2);

/// Which `aws`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cli {
    V1,
    V2,
}

pub struct Aws<'a> {
    server: &'a Server,
    cli: Cli,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    region: String,
    ca_bundle: Option<PathBuf>,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Aws<'a> {
    pub(crate) fn of(server: &'a Server) -> Self {
        let credentials = server.credentials();
        Self {
            server,
            cli: Cli::V1,
            access_key_id: credentials.access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.clone(),
            session_token: None,
            region: server.region().to_owned(),
            ca_bundle: server.api_url().starts_with("https://").then(|| server.root_ca()),
            variables: Vec::new(),
        }
    }

    /// The CLI's version 2 instead of 1.
    pub fn v2(mut self) -> Self {
        self.cli = Cli::V2;
        self
    }

    /// The `Credentials` that AssumeRole answers.
    pub fn with_session(mut self, credentials: &Value) -> Self {
        let part = |name: &str| credentials[name].as_str().expect("temporary credentials").to_owned();
        self.access_key_id = part("AccessKeyId");
        self.secret_access_key = part("SecretAccessKey");
        self.session_token = Some(part("SessionToken"));
        self
    }

    /// An environment variable for what is run.
    pub fn with_variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
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
        self.start(arguments).finish(DEADLINE)
    }

    /// For a command that does not end by itself.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = match self.cli {
            Cli::V1 => self.command("python/bin/aws"),
            Cli::V2 => self.command("aws-cli-2/aws"),
        };
        // This v2 is older than AWS_ENDPOINT_URL.
        if self.cli == Cli::V2 {
            command.args(["--endpoint-url", &self.server.api_url()]);
        }
        start(command.args(arguments), &[])
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
        printed_json(self.command("python/bin/python").arg("-"), script)
    }

    /// A script for Node with the AWS SDKs v2 and v3 at hand; it prints JSON.
    #[track_caller]
    pub fn javascript(&self, script: &str) -> Value {
        let mut node = self.command("node");
        node.arg("-").env("NODE_PATH", test_tool("javascript/node_modules"));
        printed_json(node.env("AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE", "1"), script)
    }

    /// The folder that holds `aws`, for a PATH.
    pub fn program_dir(&self) -> PathBuf {
        let aws = test_tool("python/bin/aws");
        aws.parent().expect("a program is in a folder").to_owned()
    }

    /// `tool` is `node`, which is the machine's, or a file under test-tools/.
    fn command(&self, tool: &str) -> Command {
        let mut command = if tool.contains('/') { Command::new(test_tool(tool)) } else { Command::new(tool) };
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
            .env("AWS_REGION", &self.region)
            .env("AWS_CONFIG_FILE", &nowhere)
            .env("AWS_SHARED_CREDENTIALS_FILE", &nowhere)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        if let Some(path) = &self.ca_bundle {
            command.env("AWS_CA_BUNDLE", path).env("NODE_EXTRA_CA_CERTS", path);
        }
        if let Some(token) = &self.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }
}

#[track_caller]
fn printed_json(command: &mut Command, script: &str) -> Value {
    let finished = start(command, script.as_bytes()).finish(DEADLINE).must_succeed();
    serde_json::from_str(&finished.stdout).expect("the script prints JSON")
}
