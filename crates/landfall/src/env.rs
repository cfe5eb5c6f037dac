//! `landfall env`: what points the AWS CLI at the running server.

use crate::Sentence;
use crate::cli::EnvArguments;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;

pub fn main(arguments: &EnvArguments) -> Result<(), Sentence> {
    let data_dir = DataDir::existing(&arguments.data_dir)?;
    let run = RunFile::read(&data_dir)?;
    let root = data_dir.read_root_credentials()?;
    let url = run.api_url.as_str();
    let root_ca = run.root_ca.as_ref().map(|path| path.display().to_string());
    // Python's and Go's clients take their roots from here; Node's from its own variable.
    let bundle = root_ca.as_deref().filter(|_| run.has_tls());
    for (name, value) in [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", &root.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &root.secret_access_key),
        ("AWS_DEFAULT_REGION", &run.region),
        ("AWS_REGION", &run.region),
        ("LANDFALL_ENDPOINT", &run.endpoint),
        ("LANDFALL_MQTT_PORT", &run.mqtt_addr.port().to_string()),
    ] {
        say!("export {name}={}", quoted(value));
    }
    let alpn_port = run.alpn_addr.map(|addr| addr.port().to_string());
    let plain_port = run.plain_mqtt_addr.map(|addr| addr.port().to_string());
    for (name, value) in [
        ("LANDFALL_ALPN_PORT", alpn_port.as_deref()),
        ("LANDFALL_PLAIN_MQTT_PORT", plain_port.as_deref()),
        ("LANDFALL_ROOT_CA", root_ca.as_deref()),
        ("AWS_CA_BUNDLE", bundle),
        ("NODE_EXTRA_CA_CERTS", bundle),
    ] {
        match value {
            Some(value) => say!("export {name}={}", quoted(value)),
            None => say!("unset {name}"),
        }
    }
    // Whatever the shell had before would win over the keys, or be sent along with them.
    say!("unset AWS_SESSION_TOKEN AWS_PROFILE");
    // Command lines older than 1.29 and 2.13 do not know AWS_ENDPOINT_URL.
    say!("alias aws={}", quoted(&format!("aws --endpoint-url {url}")));
    Ok(())
}

/// For a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_it_back() {
        assert_eq!(quoted("plain"), "'plain'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
