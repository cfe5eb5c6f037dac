//! Landfall: default settings but for the certificate, every device registered, a policy that is judged on every packet.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::x509::Certificate;
use fleet::{AwsClient, Ca, CaRegistration, Credentials, Device, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Kind, Peer, Programs};
use crate::Failure;
use crate::child::CALLS_AT_ONCE;
use crate::identities::Identities;
use crate::pinning::{BROKER_CORE, pinned};

const POLICY: &str = "bench";

pub fn start(programs: &Programs, identities: &Identities, devices: &[Device]) -> Result<Peer, Failure> {
    let folder = tempfile::Builder::new().prefix("landfall-bench-").tempdir()?;
    let data = folder.path().join("data");
    let mut child = pinned(BROKER_CORE, &programs.landfall)
        .args(["serve", "--api-addr", "127.0.0.1:0", "--mqtt-addr", "127.0.0.1:0", "--data-dir"])
        .arg(&data)
        .arg("--server-cert")
        .arg(identities.server_certificate())
        .arg("--server-key")
        .arg(identities.server_key())
        .env("LANDFALL_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut banner = BufReader::new(child.stdout.take().ok_or("no pipe")?);
    let mut line = String::new();
    banner.read_line(&mut line)?;
    if !line.contains("is ready") {
        return Err(format!("landfall ended with {}", child.wait()?).into());
    }
    let run: Value = serde_json::from_slice(&std::fs::read(data.join("run.json"))?)?;
    let address = text(&run, "mqtt_addr")?.parse()?;
    let peer = Peer { kind: Kind::Landfall, address, child, _folder: Some(folder) };
    let file: Value = serde_json::from_slice(&std::fs::read(data.join("root-credentials.json"))?)?;
    let credentials = Credentials {
        access_key_id: text(&file, "access_key_id")?,
        secret_access_key: text(&file, "secret_access_key")?,
        session_token: None,
    };
    let client = AwsClient::new(&format!("http://{}", text(&run, "api_addr")?), &text(&run, "region")?, credentials)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(register(client, &identities.ca, devices))?;
    Ok(peer)
}

async fn register(client: AwsClient, ca: &Ca, devices: &[Device]) -> Result<(), Failure> {
    ca.register(&client, CaRegistration { set_as_active: true, allow_auto_registration: false }).await?;
    // The shape of the policies in the AWS IoT developer guide.
    let document = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/*" },
        { "Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": "arn:aws:iot:*:*:topic/bench/*" },
        { "Effect": "Allow", "Action": "iot:Subscribe", "Resource": "arn:aws:iot:*:*:topicfilter/bench/*" }] });
    let body = json!({ "policyDocument": document.to_string() });
    must(&client, Method::POST, &format!("/policies/{POLICY}"), &body).await?;
    let pems = devices.iter().map(|device| Ok(Certificate::from_der(device.der())?.to_pem()));
    let pems: Arc<Vec<String>> = Arc::new(pems.collect::<Result<_, Failure>>()?);
    let (next, ca_pem) = (Arc::new(AtomicUsize::new(0)), Arc::new(ca.certificate_pem()));
    let mut workers = JoinSet::new();
    for _ in 0..CALLS_AT_ONCE {
        let (client, pems, next, ca_pem) = (client.clone(), pems.clone(), next.clone(), ca_pem.clone());
        workers.spawn(async move {
            while let Some(pem) = pems.get(next.fetch_add(1, Ordering::Relaxed)) {
                register_one(&client, pem, &ca_pem).await.map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

async fn register_one(client: &AwsClient, pem: &str, ca_pem: &str) -> Result<(), Failure> {
    let body = json!({ "certificatePem": pem, "caCertificatePem": ca_pem, "status": "ACTIVE" });
    let answer = must(client, Method::POST, "/certificate/register", &body).await?;
    let target = json!({ "target": text(&answer, "certificateArn")? });
    must(client, Method::PUT, &format!("/target-policies/{POLICY}"), &target).await?;
    Ok(())
}

async fn must(client: &AwsClient, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
    let answer = client.rest_json("iot", method, path, Some(body)).await?;
    if !answer.is_success() {
        return Err(format!("{path}: {}", answer.text()).into());
    }
    Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn text(object: &Value, name: &str) -> Result<String, Failure> {
    Ok(object[name].as_str().ok_or(format!("no {name}"))?.to_owned())
}
