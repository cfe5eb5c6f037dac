//! `landfall ca`: makes a CA, proves that its key is held, registers it.

use std::path::Path;

use fleet::{Ca, Folder, Key, Window};

use super::arguments::{CaArguments, CaFiles, CaVerb, NewCa, RegisterCa, Registration, VerificationCertificate};
use super::{day, endpoint, key_path, quoted, read_ca, sentence};
use crate::{Sentence, serve};

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
const REQUEST: &str = "verification.csr";
const VERIFICATION: &str = "verification.crt";

pub fn main(arguments: &CaArguments) -> Result<(), Sentence> {
    match &arguments.verb {
        CaVerb::New(arguments) => new(arguments),
        CaVerb::VerificationCertificate(arguments) => verification_certificate(arguments),
        CaVerb::Register(arguments) => register(arguments),
    }
}

fn new(arguments: &NewCa) -> Result<(), Sentence> {
    let folder = Folder::open(&arguments.output.out, arguments.output.existing()).map_err(sentence)?;
    let verification: &[&str] = if arguments.registration_code.is_some() { &[REQUEST, VERIFICATION] } else { &[] };
    folder.must_be_free([CERTIFICATE, KEY].into_iter().chain(verification.iter().copied())).map_err(sentence)?;
    // A server that cannot be asked is found out before there is a CA that nobody has registered.
    let client = if arguments.register { Some(endpoint::client(&arguments.registration.endpoint)?) } else { None };
    let key = Key::generate(arguments.key.algorithm()).map_err(sentence)?;
    let ca = Ca::with_key(&arguments.name, key, Window::days_from_now(arguments.days)).map_err(sentence)?;
    let key_path = folder.write_key(KEY, &ca.key().pem()).map_err(sentence)?;
    let certificate_path = folder.write_certificate(CERTIFICATE, &ca.certificate_pem()).map_err(sentence)?;
    let certificate = ca.certificate();
    say!("CA           {} ({})", certificate.subject().to_text(), certificate.key_kind());
    say!("Id           {}", ca.id());
    say!("Valid until  {}", day(certificate.not_after()));
    say!("Certificate  {}", certificate_path.display());
    say!("Key          {} (keep it secret: whoever has it can make devices)", key_path.display());
    let files = CaFiles { ca: certificate_path, ca_key: None };
    if let Some(code) = &arguments.registration_code {
        return write_verification(&ca, code, &folder, &files.ca);
    }
    let Some(client) = client else {
        say!("\nNext, register it with the running server:\n  landfall ca register --ca {}", quoted(&files.ca));
        return Ok(());
    };
    let registered =
        serve::block_on(async { ca.register(&client, arguments.registration.how()).await.map_err(sentence) });
    if let Err(Sentence(why)) = registered {
        let path = quoted(&files.ca);
        return Err(format!("the CA is made and not registered: {why} Then: landfall ca register --ca {path}").into());
    }
    say_registered(&arguments.registration, &files);
    Ok(())
}

fn verification_certificate(arguments: &VerificationCertificate) -> Result<(), Sentence> {
    let ca = read_ca(&arguments.files)?;
    let folder = Folder::open(&arguments.output.out, arguments.output.existing()).map_err(sentence)?;
    folder.must_be_free([REQUEST, VERIFICATION]).map_err(sentence)?;
    write_verification(&ca, &arguments.registration_code, &folder, &arguments.files.ca)
}

fn write_verification(ca: &Ca, code: &str, folder: &Folder, ca_path: &Path) -> Result<(), Sentence> {
    let verification = ca.verification(code.trim()).map_err(sentence)?;
    let request = folder.write_certificate(REQUEST, &verification.request_pem).map_err(sentence)?;
    let certificate = folder.write_certificate(VERIFICATION, &verification.certificate_pem).map_err(sentence)?;
    say!("Verification request      {}", request.display());
    say!("Verification certificate  {}", certificate.display());
    say!(
        "\nNext, register the CA:\n  aws iot register-ca-certificate --ca-certificate file://{} --verification-certificate file://{} --set-as-active --allow-auto-registration",
        quoted(ca_path),
        quoted(&certificate)
    );
    Ok(())
}

fn register(arguments: &RegisterCa) -> Result<(), Sentence> {
    let ca = read_ca(&arguments.files)?;
    let client = endpoint::client(&arguments.registration.endpoint)?;
    let how = arguments.registration.how();
    let id = serve::block_on(async { ca.register(&client, how).await.map_err(sentence) })?;
    say!("CA           {}", ca.certificate().subject().to_text());
    say!("Id           {id}");
    say_registered(&arguments.registration, &arguments.files);
    Ok(())
}

fn say_registered(registration: &Registration, files: &CaFiles) {
    let how = registration.how();
    let status = if how.set_as_active { "ACTIVE" } else { "INACTIVE" };
    let auto = if how.allow_auto_registration { "on" } else { "off" };
    say!("Registered   {status}, auto-registration {auto}");
    let mut ca = format!("--ca {}", quoted(&files.ca));
    if files.ca_key.is_some() {
        ca.push_str(&format!(" --ca-key {}", quoted(&key_path(files))));
    }
    say!("\nNext, make a device:\n  landfall device new {ca} --name my-device --out devices");
}
