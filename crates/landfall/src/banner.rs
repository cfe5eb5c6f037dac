//! What a person sees when the server is ready: where it is, and lines to copy.

use crate::data_dir::DataDir;
use crate::run_file::RunFile;

pub fn of(run: &RunFile, data_dir: &DataDir) -> String {
    let RunFile { endpoint, region, account_id, mqtt_addr, .. } = run;
    let url = run.api_url.as_str();
    let (data, port) = (data_dir.path().display(), mqtt_addr.port());
    let (root_ca, cafile) = match &run.root_ca {
        Some(path) => (path.display().to_string(), format!("--cafile '{}'", path.display())),
        None => ("the public one of your certificate".to_owned(), "--tls-use-os-certs".to_owned()),
    };
    let alpn = run.alpn_addr.map_or_else(String::new, |addr| {
        format!("  ALPN          {endpoint}:{}   MQTT, HTTPS and WebSocket, as AWS's 443\n", addr.port())
    });
    let plain = run.plain_mqtt_addr.map_or_else(String::new, |addr| {
        format!("  Plain MQTT    {addr}   for programs on this machine: no TLS, no policies\n")
    });
    format!(
        "Landfall {version} is ready.

  AWS API       {url}   (region {region}, account {account_id})
  Devices       {endpoint}:{port}   MQTT over mutual TLS, listening on {mqtt_addr}
{alpn}{plain}  Root CA       {root_ca}
  Data          {data}

Point the AWS CLI at it:
  eval \"$(landfall env --data-dir '{data}')\"
  aws iot describe-endpoint --endpoint-type iot:Data-ATS

Connect a device:
  mosquitto_pub {cafile} --cert device.crt --key device.key -h {endpoint} -p {port} -q 1 -i my-device -t my/topic -m Hello -d

See why a device was refused:
  landfall explain --data-dir '{data}'
",
        version = env!("CARGO_PKG_VERSION"),
    )
}
