//! `landfall device new`: keys and certificates for devices, one or a hundred thousand.

use std::path::{Path, PathBuf};

use fleet::{Ca, Device, DeviceSpec, Folder, Window};

use super::arguments::{DeviceArguments, DeviceVerb, NewDevice};
use super::{day, quoted, read_ca, sentence};
use crate::Sentence;
use crate::data_dir::DataDir;
use crate::run_file::RunFile;

/// A device's files are its name and one of these.
const CERTIFICATE: &str = ".crt";
const KEY: &str = ".key";
const CHAIN: &str = ".chain.crt";

pub fn main(arguments: &DeviceArguments) -> Result<(), Sentence> {
    match &arguments.verb {
        DeviceVerb::New(arguments) => new(arguments),
    }
}

fn new(arguments: &NewDevice) -> Result<(), Sentence> {
    let ca = read_ca(&arguments.files)?;
    let names = names(&arguments.name, arguments.count)?;
    let folder = Folder::open(&arguments.output.out, arguments.output.existing()).map_err(sentence)?;
    let files: Vec<String> =
        names.iter().flat_map(|name| [CERTIFICATE, KEY, CHAIN].map(|kind| format!("{name}{kind}"))).collect();
    folder.must_be_free(files.iter().map(String::as_str)).map_err(sentence)?;

    let wished = Window::days_from_now(arguments.days);
    let window = wished.within(ca.certificate());
    if window.not_before >= window.not_after {
        let end = day(ca.certificate().not_after());
        return Err(format!("the CA's own certificate ended on {end}. Make a new one with: landfall ca new").into());
    }
    let algorithm = arguments.key.algorithm();
    let specs: Vec<DeviceSpec> =
        names.iter().map(|name| DeviceSpec { algorithm, window, ..DeviceSpec::new(name.as_str()) }).collect();
    let write = |spec: &DeviceSpec, device: Device| write(&folder, &ca, &spec.common_name, &device);
    let made = ca.manufacture(&specs, write).map_err(sentence)?;

    let (Some(first), Some(name)) = (made.first(), names.first()) else { return Ok(()) };
    if let [device] = made.as_slice() {
        say!("Certificate  {}", device.certificate.display());
        say!("Key          {} (keep it secret: whoever has it is the device)", device.key.display());
        say!("Chain        {} (the certificate and its CA's, which devices send)", device.chain.display());
        say!("Id           {}", device.id);
    } else {
        say!("Made {} devices in {}:", made.len(), arguments.output.out.display());
        say!("  {name}{CERTIFICATE}, {name}{KEY} and {name}{CHAIN}, and so on");
    }
    let clipped = if window.not_after < wished.not_after { ", as long as the CA" } else { "" };
    say!("Valid until  {}{clipped}", day(window.not_after));
    say!("\nNext, connect:\n  {}", connect(first, name, &arguments.data_dir));
    Ok(())
}

/// One device's, written.
struct Made {
    id: domain::CertificateId,
    certificate: PathBuf,
    key: PathBuf,
    chain: PathBuf,
}

fn write(folder: &Folder, ca: &Ca, name: &str, device: &Device) -> Result<Made, fleet::Error> {
    Ok(Made {
        id: device.id(),
        key: folder.write_key(&format!("{name}{KEY}"), &device.key().pem())?,
        certificate: folder.write_certificate(&format!("{name}{CERTIFICATE}"), &device.certificate_pem()?)?,
        chain: folder.write_certificate(&format!("{name}{CHAIN}"), &device.chain_pem(ca)?)?,
    })
}

/// Numbered from one and of equal length, so that they sort.
fn names(name: &str, count: u32) -> Result<Vec<String>, Sentence> {
    if name.contains('/') || name.starts_with('.') || name.is_empty() {
        return Err(
            format!("--name {name:?} cannot be the name of a file. Leave out slashes and a dot in front.").into()
        );
    }
    if count == 1 {
        return Ok(vec![name.to_owned()]);
    }
    let digits = count.to_string().len();
    Ok((1..=count).map(|number| format!("{name}-{number:0digits$}")).collect())
}

/// The address is the running server's where one runs, and the usual one elsewhere.
fn connect(device: &Made, name: &str, data_dir: &Path) -> String {
    let run = DataDir::existing(data_dir).and_then(|data_dir| RunFile::read(&data_dir)).ok();
    let (host, port, root_ca) = match run {
        Some(run) => (run.endpoint, run.mqtt_addr.port(), run.root_ca),
        None => ("localhost".to_owned(), 8883, Some(data_dir.join("root-CA.crt"))),
    };
    // Without a root of its own the server's certificate is of a public CA, which systems know.
    let trusted = root_ca.map_or("--tls-use-os-certs".to_owned(), |path| format!("--cafile {}", quoted(&path)));
    format!(
        "mosquitto_pub {trusted} --cert {} --key {} -h {host} -p {port} -q 1 -i {} -t my/topic -m Hello -d",
        quoted(&device.chain),
        quoted(&device.key),
        quoted(Path::new(name)),
    )
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_are_numbered_and_fit_for_files() {
        let of = |name, count| names(name, count).ok();
        assert_eq!(of("d", 1), Some(vec!["d".to_owned()]));
        assert_eq!(of("d", 2), Some(vec!["d-1".to_owned(), "d-2".to_owned()]));
        let ten = of("lamp 3", 10).expect("good names");
        assert_eq!((ten[0].as_str(), ten[9].as_str()), ("lamp 3-01", "lamp 3-10"));
        for name in ["", "a/b", "..", ".hidden"] {
            assert_eq!(of(name, 1), None, "{name}");
        }
    }
}
