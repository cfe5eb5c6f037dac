//! How soon a server is ready, and what it holds in memory at rest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use domain::x509::Certificate;
use fleet::{Activation, AwsClient, Ca, CaRegistration, DeviceSpec, Key, KeyAlgorithm, Method, Sample};
use serde_json::json;
use tokio::task::JoinSet;

use crate::Failure;
use crate::child::{CALLS_AT_ONCE, Memory, Server};

#[derive(Args, Clone)]
pub struct Registry {
    /// Certificates in the registry for the second half.
    #[arg(long, default_value_t = 100_000)]
    certificates: usize,
    /// Starts of each kind; the median counts.
    #[arg(long, default_value_t = 5)]
    starts: usize,
}

const LOG: &str = "warn";
/// What starts in the background after the banner has ended by then.
const REST: Duration = Duration::from_secs(3);

pub fn measure(program: &Path, registry: &Registry) -> Result<(), Failure> {
    println!("binary: {:.1} MB", std::fs::metadata(program)?.len() as f64 / 1e6);
    let mut ready = Vec::new();
    for _ in 0..registry.starts {
        ready.push(ms(Server::start(program, LOG)?.ready_after));
    }
    print_ready("from an empty directory", ready);

    let folder = tempfile::Builder::new().prefix("landfall-bench-").tempdir()?;
    let data = folder.path().join("data");
    let runtime = tokio::runtime::Runtime::new()?;
    let server = Server::start_on(program, &data, LOG)?;
    let ca = runtime.block_on(prepare(&server.client()?))?;
    runtime.block_on(fill(server.client()?, &ca, 1000.min(registry.certificates)))?;
    drop(server);
    rest("one CA, one function, 1,000 certificates", program, &data)?;

    let server = Server::start_on(program, &data, LOG)?;
    runtime.block_on(fill(server.client()?, &ca, registry.certificates.saturating_sub(1000)))?;
    server.terminate()?;
    for (how, is_killed) in [("after SIGTERM", false), ("after kill -9", true)] {
        let mut ready = Vec::new();
        for _ in 0..registry.starts {
            let server = Server::start_on(program, &data, LOG)?;
            ready.push(ms(server.ready_after));
            if is_killed { drop(server) } else { server.terminate()? }
        }
        print_ready(&format!("{} certificates, {how}", registry.certificates), ready);
    }
    rest(&format!("{} certificates", registry.certificates), program, &data)
}

/// A CA, and a function, so that the spare worker is there too.
async fn prepare(client: &AwsClient) -> Result<Arc<Ca>, Failure> {
    let ca = Ca::new("Bench CA", KeyAlgorithm::EcP256)?;
    ca.register(client, CaRegistration { set_as_active: true, allow_auto_registration: true }).await?;
    Activation::named("bench", client.clone()).await?.set_up(ca.id()).await?;
    Ok(Arc::new(ca))
}

/// By RegisterCertificate. One key serves all: what is registered is certificates.
async fn fill(client: AwsClient, ca: &Arc<Ca>, count: usize) -> Result<(), Failure> {
    let key = Key::generate(KeyAlgorithm::EcP256)?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..CALLS_AT_ONCE {
        let (client, ca, key, next) = (client.clone(), ca.clone(), key.clone(), next.clone());
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<(), fleet::Error>(());
                }
                let device = ca.issue_for(&DeviceSpec::new(format!("registered-{number}")), key.clone())?;
                let pem = Certificate::from_der(device.der())?.to_pem();
                let body =
                    json!({ "certificatePem": pem, "caCertificatePem": ca.certificate_pem(), "status": "ACTIVE" });
                let answer = client.rest_json("iot", Method::POST, "/certificate/register", Some(&body)).await?;
                if !answer.is_success() {
                    return Err(fleet::Error::Protocol(answer.text()));
                }
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

fn rest(what: &str, program: &Path, data: &Path) -> Result<(), Failure> {
    let server = Server::start_on(program, data, LOG)?;
    std::thread::sleep(REST);
    let Memory { server: own, workers } = server.memory()?;
    let workers: Vec<String> = workers.iter().map(|mb| format!("{mb:.1}")).collect();
    println!("at rest, {what}: {own:.1} MB; spare function worker {} MB", workers.join(", "));
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn print_ready(what: &str, ready: Vec<f64>) {
    let ready = Sample::new(ready);
    let (least, median, most) = (ready.percentile(0.0), ready.percentile(50.0), ready.percentile(100.0));
    println!("ready {what}: {median:.0} ms ({least:.0} to {most:.0})");
}
