//! `landfall env`: what points the AWS CLI at the running server.

use crate::Sentence;
use crate::cli::EnvArguments;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;

pub fn main(arguments: &EnvArguments) -> Result<(), Sentence> {
    let data_dir = DataDir::existing(&arguments.data_dir)?;
    let run = RunFile::read(&data_dir)?;
    let root = data_dir.read_root_credentials()?;
    let url = run.endpoint_url();
    for (name, value) in [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_ACCESS_KEY_ID", &root.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &root.secret_access_key),
        ("AWS_DEFAULT_REGION", &run.region),
        ("AWS_REGION", &run.region),
        ("LANDFALL_ENDPOINT", &run.endpoint),
        ("LANDFALL_MQTT_PORT", &run.mqtt_addr.port().to_string()),
        ("LANDFALL_ROOT_CA", &data_dir.file("root-CA.crt").display().to_string()),
    ] {
        println!("export {name}={}", quoted(value));
    }
    // Whatever the shell had before would win over the keys, or be sent along with them.
    println!("unset AWS_SESSION_TOKEN AWS_PROFILE");
    // Command lines older than 1.29 and 2.13 do not know AWS_ENDPOINT_URL.
    println!("alias aws={}", quoted(&format!("aws --endpoint-url {url}")));
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
