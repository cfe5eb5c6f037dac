//! The command line of `landfall ca` and `landfall device`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};
use fleet::{CaRegistration, Existing, KeyAlgorithm};

/// Twenty years: a CA outlives what it signs.
const CA_DAYS: i64 = 7300;
/// Devices stay in the field for years, and renewing them there is work.
const DEVICE_DAYS: i64 = 3650;

#[derive(Args, Clone, Debug)]
pub struct CaArguments {
    #[command(subcommand)]
    pub verb: CaVerb,
}

#[derive(Clone, Debug, Subcommand)]
pub enum CaVerb {
    /// Make a CA: a private key and its certificate. Works offline; with --register it is registered as well.
    New(Box<NewCa>),
    /// Prove that you hold a CA's key: sign a certificate for a registration code. Works offline.
    VerificationCertificate(VerificationCertificate),
    /// Register a CA with the running server, or with any AWS endpoint.
    Register(Box<RegisterCa>),
}

#[derive(Args, Clone, Debug)]
pub struct NewCa {
    /// The CA's Common Name.
    #[arg(long, default_value = "Factory CA")]
    pub name: String,
    #[command(flatten)]
    pub key: KeyFlags,
    /// How long the certificate is valid.
    #[arg(long, default_value_t = CA_DAYS, value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub days: i64,
    #[command(flatten)]
    pub output: Output,
    /// Make the verification certificate for this registration code as well.
    #[arg(long, value_name = "CODE", conflicts_with = "register")]
    pub registration_code: Option<String>,
    /// Register the new CA, as `landfall ca register` does.
    #[arg(long)]
    pub register: bool,
    #[command(flatten)]
    pub registration: Registration,
}

#[derive(Args, Clone, Debug)]
pub struct VerificationCertificate {
    #[command(flatten)]
    pub files: CaFiles,
    /// What `aws iot get-registration-code` answered.
    #[arg(long, value_name = "CODE")]
    pub registration_code: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Clone, Debug)]
pub struct RegisterCa {
    #[command(flatten)]
    pub files: CaFiles,
    #[command(flatten)]
    pub registration: Registration,
}

#[derive(Args, Clone, Debug)]
pub struct DeviceArguments {
    #[command(subcommand)]
    pub verb: DeviceVerb,
}

#[derive(Clone, Debug, Subcommand)]
pub enum DeviceVerb {
    /// Make devices: a private key, a certificate and a chain file each. Works offline.
    New(Box<NewDevice>),
}

#[derive(Args, Clone, Debug)]
pub struct NewDevice {
    #[command(flatten)]
    pub files: CaFiles,
    /// The device's Common Name, and the name of its files.
    #[arg(long, default_value = "device")]
    pub name: String,
    /// How many. With more than one, each name gets its number: device-01, device-02 ...
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    #[command(flatten)]
    pub key: KeyFlags,
    /// How long the certificates are valid; never longer than their CA's.
    #[arg(long, default_value_t = DEVICE_DAYS, value_parser = clap::value_parser!(i64).range(1..=36_500))]
    pub days: i64,
    #[command(flatten)]
    pub output: Output,
    /// The running server's data directory, for the command to type next.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data")]
    pub data_dir: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub struct SimulateArguments {
    /// How many devices, each with a key and a certificate of its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub devices: u32,
    /// How many are on their way at once.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=400))]
    pub in_flight: u16,
    /// A device's first pause before it connects again; each next one is twice as long, up to two seconds.
    #[arg(long, value_name = "MS", default_value_t = 250)]
    pub pause_ms: u64,
    #[command(flatten)]
    pub key: KeyFlags,
    /// A registered CA whose devices something activates, PEM [default: a new one, with a function that activates].
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Its private key [default: the certificate's name, ending in .key].
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub ca_key: Option<PathBuf>,
    /// The running server's data directory.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data")]
    pub data_dir: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub struct KeyFlags {
    /// ec-p256, ec-p384, ec-p521, rsa-2048, rsa-3072 or rsa-4096.
    #[arg(long, value_name = "TYPE", default_value = "ec-p256")]
    key_type: KeyAlgorithm,
    /// The same as --key-type rsa-2048.
    #[arg(long, conflicts_with = "key_type")]
    rsa: bool,
}

#[derive(Args, Clone, Debug)]
pub struct Output {
    /// Where the files go; made where it is missing.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
}

#[derive(Args, Clone, Debug)]
pub struct CaFiles {
    /// The CA's certificate, PEM.
    #[arg(long, value_name = "FILE", default_value = "ca.crt")]
    pub ca: PathBuf,
    /// Its private key, PEM: PKCS #8, PKCS #1 or SEC 1 [default: the certificate's name, ending in .key].
    #[arg(long, value_name = "FILE")]
    pub ca_key: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub struct Registration {
    /// Whether devices of the CA may connect.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true)]
    set_as_active: bool,
    /// Whether unknown devices of the CA are registered when they connect.
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, require_equals = true)]
    allow_auto_registration: bool,
    #[command(flatten)]
    pub endpoint: EndpointFlags,
}

#[derive(Args, Clone, Debug)]
pub struct EndpointFlags {
    /// The running server's data directory.
    #[arg(long, value_name = "DIR", env = "LANDFALL_DATA_DIR", default_value = "./landfall-data")]
    pub data_dir: PathBuf,
    /// Any other AWS IoT endpoint, with the credentials of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// That endpoint's region [default: AWS_REGION].
    #[arg(long)]
    pub region: Option<String>,
    /// What to trust behind https:// [default: AWS_CA_BUNDLE, or the system's certificates].
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE")]
    pub ca_bundle: Option<PathBuf>,
}

impl KeyFlags {
    pub fn algorithm(&self) -> KeyAlgorithm {
        if self.rsa { KeyAlgorithm::Rsa2048 } else { self.key_type }
    }
}

impl Output {
    pub fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Keep }
    }
}

impl Registration {
    pub fn how(&self) -> CaRegistration {
        let Self { set_as_active, allow_auto_registration, .. } = *self;
        CaRegistration { set_as_active, allow_auto_registration }
    }
}
