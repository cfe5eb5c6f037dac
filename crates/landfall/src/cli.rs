//! The command line, fixed so that scripts can rely on it. Every flag has an environment variable and a key in the file.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::factory::{CaArguments, DeviceArguments, SimulateArguments};

/// AWS IoT Core on your own machine: unknown devices become working ones, with no human in the loop.
#[derive(Debug, Parser)]
#[command(name = "landfall", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the server.
    Serve(Box<ServeFlags>),
    /// Run a server and watch an unknown device become a working one.
    Demo(Box<DemoArguments>),
    /// Print what points the AWS CLI at the running server: eval "$(landfall env)".
    Env(EnvArguments),
    /// Say how the running server is, as JSON; the exit code is 0 only if it is well.
    Health(HealthArguments),
    /// Say why connections were refused or ended, newest first.
    Explain(ExplainArguments),
    /// Look at everything that a server needs, and say what to do. Takes the flags of `serve`.
    Doctor(Box<ServeFlags>),
    /// List, replay or drop events that their function failed and that were given up.
    DeadLetters(DeadLettersArguments),
    /// List events that a function is still to get.
    Invocations(InvocationsArguments),
    /// Make and register the CA that signs devices.
    Ca(CaArguments),
    /// Make devices.
    Device(DeviceArguments),
    /// Let a fleet of new devices land on the running server.
    Simulate(SimulateArguments),
    /// The process that functions run in; the server starts it.
    #[command(name = "__function-worker", hide = true)]
    FunctionWorker,
}

#[derive(Args, Clone, Debug, Default)]
pub struct ServeFlags {
    /// A TOML file with the same keys as the flags (data_dir, api_addr, ...). A flag wins over it.
    #[arg(long, value_name = "FILE", env = "LANDFALL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where everything is kept [default: ./landfall-data].
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The AWS API, health and metrics [default: 127.0.0.1:4566]. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", env = "LANDFALL_API_ADDR")]
    pub api_addr: Option<SocketAddr>,
    /// Devices: MQTT over mutual TLS [default: 127.0.0.1:8883].
    #[arg(long, value_name = "ADDR", env = "LANDFALL_MQTT_ADDR")]
    pub mqtt_addr: Option<SocketAddr>,
    /// One port where ALPN decides, as AWS's 443: MQTT and HTTPS with client certificates, WebSocket, HTTPS.
    #[arg(long, value_name = "ADDR", env = "LANDFALL_ALPN_ADDR")]
    pub alpn_addr: Option<SocketAddr>,
    /// MQTT 3.1.1 and 5.0 in full, without TLS, certificates and policies, for programs on this machine: loopback only.
    #[arg(long, value_name = "ADDR", env = "LANDFALL_PLAIN_MQTT_ADDR")]
    pub plain_mqtt_addr: Option<SocketAddr>,
    /// The one region that this server is [default: us-east-1].
    #[arg(long, env = "LANDFALL_REGION")]
    pub region: Option<String>,
    /// The one account that this server is [default: 123456789012].
    #[arg(long, env = "LANDFALL_ACCOUNT_ID")]
    pub account_id: Option<String>,
    /// A name or address in the server's certificate; the first is what describe-endpoint answers [default: localhost].
    #[arg(long = "endpoint-name", value_name = "NAME", env = "LANDFALL_ENDPOINT_NAME", value_delimiter = ',')]
    pub endpoint_names: Vec<String>,
    /// Serve the API with TLS on loopback too; elsewhere it always is, unless --insecure-http.
    #[arg(long, env = "LANDFALL_API_TLS")]
    pub api_tls: bool,
    /// Your own server certificate, PEM, leaf first.
    #[arg(long, value_name = "FILE", env = "LANDFALL_SERVER_CERT")]
    pub server_cert: Option<PathBuf>,
    /// The key that belongs to it, PEM.
    #[arg(long, value_name = "FILE", env = "LANDFALL_SERVER_KEY")]
    pub server_key: Option<PathBuf>,
    /// The root CA of your own certificate, for clients to trust, where it is not in the certificate's file.
    #[arg(long, value_name = "FILE", env = "LANDFALL_SERVER_CA")]
    pub server_ca: Option<PathBuf>,
    /// Serve the API without TLS on an address that is not loopback.
    #[arg(long, env = "LANDFALL_INSECURE_HTTP")]
    pub insecure_http: bool,
    /// Crash tests stop the server at this step of a first connection.
    #[arg(long, hide = true, env = "LANDFALL_HALT_AT")]
    pub halt_at: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct DemoArguments {
    #[command(flatten)]
    pub serve: ServeFlags,
    /// End after the walkthrough instead of serving on.
    #[arg(long)]
    pub once: bool,
}

#[derive(Args, Clone, Debug)]
pub struct EnvArguments {
    /// The running server's data directory.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data")]
    pub data_dir: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub struct HealthArguments {
    /// The running server's data directory.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data")]
    pub data_dir: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub struct ExplainArguments {
    /// The running server's data directory.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data")]
    pub data_dir: PathBuf,
    /// How many records, newest first.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub last: usize,
    /// Only this certificate's.
    #[arg(long, value_name = "ID")]
    pub certificate: Option<String>,
    /// Only this client's.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Only those from this address.
    #[arg(long, value_name = "ADDR")]
    pub source: Option<String>,
    /// The records themselves, one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct DeadLettersArguments {
    /// The running server's data directory.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data", global = true)]
    pub data_dir: PathBuf,
    /// The letters themselves, one JSON object a line.
    #[arg(long)]
    pub json: bool,
    #[command(subcommand)]
    pub verb: Option<DeadLetterVerb>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum DeadLetterVerb {
    /// Print one with its event.
    Show { id: String },
    /// Hand the events to their functions again, from the first attempt.
    Replay {
        ids: Vec<String>,
        /// Every one that is there.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Forget them.
    Drop {
        ids: Vec<String>,
        /// Every one that is there.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

#[derive(Args, Clone, Debug)]
pub struct InvocationsArguments {
    /// The running server's data directory.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data")]
    pub data_dir: PathBuf,
    /// The invocations themselves, one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }
}
