//! `landfall demo`: the whole walkthrough in front of the reader, through the public doors only: HTTP with signatures,
//! MQTT over mutual TLS. Nothing is set up behind the server's back.

mod device;
mod operator;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Instant;

use crate::cli::DemoArguments;
use crate::serve::{Server, block_on, log};
use crate::settings::Settings;
use crate::stop_signals::StopSignals;
use crate::{Sentence, client};

pub fn main(arguments: &DemoArguments) -> Result<(), Sentence> {
    log();
    let mut flags = arguments.serve.clone();
    let free_port = || SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    flags.api_addr = flags.api_addr.or_else(|| Some(free_port()));
    flags.mqtt_addr = flags.mqtt_addr.or_else(|| Some(free_port()));
    let temporary = match flags.data_dir {
        Some(_) => None,
        None => Some(TemporaryDir::make()?),
    };
    if let Some(temporary) = &temporary {
        flags.data_dir = Some(temporary.0.clone());
    }
    block_on(async {
        let mut signals = StopSignals::listen()?;
        let server = Server::start(Settings::of(&flags)?).await?;
        let outcome = walk(&server, arguments.once).await;
        if outcome.is_ok() && !arguments.once {
            signals.next().await;
        }
        signals.or_at_once(server.stop()).await;
        outcome
    })
}

async fn walk(server: &Server, once: bool) -> Result<(), Sentence> {
    let begin = Instant::now();
    say!("Landfall demo: a device that nobody registered becomes a working one.\n");
    let mut steps = Steps::default();
    steps.say(&format!(
        "The server listens: AWS API {}, devices {}:{} (region {}, account {})",
        server.run.api_url,
        server.run.endpoint,
        server.run.mqtt_addr.port(),
        server.run.region,
        server.run.account_id
    ));
    let client = client::of(&server.run, &server.data_dir)?;
    let operator = operator::Operator::new(client, &server.run);
    say!("\nThe operator, over the AWS API:");
    let ca = operator.set_up(&mut steps).await?;
    say!("\nThe device, over MQTT with mutual TLS:");
    let device = device::DemoDevice::manufacture(&mut steps, &ca, server)?;
    device.land(&mut steps).await?;
    say!("\nWhat the operator sees:");
    operator.look(&mut steps, device.id()).await?;
    say!("\nDone in {:.2} s: the device is active and its publish was acknowledged.", begin.elapsed().as_secs_f64());
    if !once {
        say!("{}", next(server, &device.files(server, &ca)?));
    }
    Ok(())
}

/// What to type next.
fn next(server: &Server, files: &device::Files) -> String {
    let data = server.data_dir.path().display();
    let root_ca =
        server.run.root_ca.as_ref().map_or_else(|| "ROOT_CA_FILE".to_owned(), |path| path.display().to_string());
    format!(
        "
The server goes on until Ctrl-C. Try it from another terminal:

  eval \"$(landfall env --data-dir '{data}')\"
  aws iot list-certificates
  mosquitto_pub --cafile '{root_ca}' --cert '{cert}' --key '{key}' -h {endpoint} -p {port} -q 1 -t JITR/test -i anyclientID -m Hello -d
  landfall explain --data-dir '{data}'

Then run one that keeps its data:  landfall serve",
        cert = files.certificate.display(),
        key = files.key.display(),
        endpoint = server.run.endpoint,
        port = server.run.mqtt_addr.port(),
    )
}

/// Each step with its outcome and its time.
#[derive(Default)]
pub struct Steps {
    number: usize,
}

impl Steps {
    pub fn say(&mut self, text: &str) {
        say!("  {text}");
    }

    /// Runs the step and prints it when it is done; a failed one is printed as such and ends the walk.
    pub async fn step<T>(
        &mut self,
        name: &str,
        work: impl Future<Output = Result<(T, String), Sentence>>,
    ) -> Result<T, Sentence> {
        self.number += 1;
        let _ = write!(std::io::stdout(), "  {:>2}. {name:<57}", self.number);
        // What is printed before a wait should be seen during it.
        let _ = std::io::stdout().flush();
        let begin = Instant::now();
        let outcome = work.await;
        let ms = begin.elapsed().as_secs_f64() * 1000.0;
        match outcome {
            Ok((value, outcome)) => {
                say!("{outcome}  ({ms:.1} ms)");
                Ok(value)
            }
            Err(Sentence(why)) => {
                say!("failed  ({ms:.1} ms)");
                Err(format!("{name}: {why}").into())
            }
        }
    }
}

/// Removed with the demo: what it shows needs no keeping.
struct TemporaryDir(PathBuf);

impl TemporaryDir {
    fn make() -> Result<Self, Sentence> {
        let path = std::env::temp_dir().join(format!("landfall-demo-{}", services::uuid()));
        std::fs::create_dir(&path).map_err(|err| format!("{}: {err}.", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        // It is in the system's place for such things: what cannot be removed now goes in time.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
