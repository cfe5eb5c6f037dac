//! A whole device door with services behind it, and a factory beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use broker::{Broker, BrokerLimits, WallClock};
use fleet::{Ca, ClientTls, Device, DeviceSpec, Error, KeyAlgorithm, MqttClient};
use functions::{AwsCallError, AwsCalls, Functions};
use gateway::{Door, Gateway, Limits, serve};
use mqtt::packet::Connect;
use services::admission::{AdmissionFilter, AdmissionRecord};
use services::iot::shapes::{
    AttachPolicyRequest, CreatePolicyRequest, CreatePolicyVersionRequest, DeletePolicyVersionRequest,
    GetRegistrationCodeRequest, RegisterCACertificateRequest, UpdateCACertificateRequest, UpdateCertificateRequest,
};
use services::rates::RateLimits;
use services::{Caller, Checkpoints, Clock, Config, Op, RootCredentials, Services};
use store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::DEADLINE;
use crate::certificate::ServerCertificate;

pub const ARN: &str = "arn:aws:iot:us-east-1:123456789012";

pub struct Server {
    pub services: Services,
    pub gateway: Gateway,
    pub address: SocketAddr,
    /// MQTT without TLS.
    pub plain_address: SocketAddr,
    /// ALPN decides; whoever speaks HTTP is told in a word what is known of them.
    pub alpn_address: SocketAddr,
    pub ca: Ca,
    /// Added to the system's time.
    clock_ms: Arc<AtomicI64>,
    root_pem: String,
    shutdown: watch::Sender<bool>,
    serving: Vec<JoinHandle<std::io::Result<()>>>,
    _dir: TempDir,
}

/// A policy document of one statement.
pub fn statement(effect: &str, action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}"#)
}

pub fn document(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

/// Everything is allowed.
pub fn allow_all() -> String {
    document(&[statement("Allow", "iot:*", "*")])
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub async fn start_with(limits: Limits) -> Self {
        Self::start_at(limits, RateLimits::default()).await
    }

    /// With one CA, active and with auto-registration.
    pub async fn start_at(limits: Limits, rates: RateLimits) -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let clock_ms = Arc::new(AtomicI64::new(0));
        let clock = clock(clock_ms.clone());
        let wall = WallClock::from_fn({
            let clock = clock.clone();
            move || u64::try_from(clock.now().millis()).unwrap_or(0)
        });
        let broker = Broker::open(store.clone(), BrokerLimits::default(), wall).unwrap();
        let services = services(store, broker.clone(), clock, rates);
        let certificate = ServerCertificate::new();
        let gateway = Gateway::new(services.clone(), broker, certificate.identity, limits).unwrap();
        let (shutdown, down) = watch::channel(false);
        let mut serving = Vec::new();
        let mut addresses = Vec::new();
        for door in [Door::Mqtt, Door::PlainMqtt, Door::Alpn(crate::alpn::says_who_came())] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            serving.push(tokio::spawn(serve(listener, door, gateway.clone(), down.clone())));
        }
        let root_pem = certificate.root_pem;
        let [address, plain_address, alpn_address] = addresses.try_into().unwrap();
        let ca = Ca::new("factory", KeyAlgorithm::EcP256).unwrap();
        let server = Self {
            services,
            gateway,
            address,
            plain_address,
            alpn_address,
            ca,
            clock_ms,
            root_pem,
            shutdown,
            serving,
            _dir: dir,
        };
        server.register_ca().await;
        server
    }

    /// Once every connection has gone.
    pub async fn await_no_connection(&self) {
        let until = tokio::time::Instant::now() + DEADLINE;
        while self.gateway.open_connections() > 0 {
            assert!(tokio::time::Instant::now() < until, "{} connections are left", self.gateway.open_connections());
            tokio::task::yield_now().await;
        }
    }

    /// For what the certificates say; timers go on as before.
    pub fn advance_days(&self, days: i64) {
        self.advance_s(days * 86_400);
    }

    pub fn advance_s(&self, seconds: i64) {
        self.clock_ms.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub fn op(&self) -> Op {
        self.services.op(Caller::Root { access_key_id: "AKIAROOT".to_owned() })
    }

    async fn register_ca(&self) {
        let iot = self.services.iot();
        let code = iot.get_registration_code(&self.op(), GetRegistrationCodeRequest::default()).await.unwrap();
        let verification = self.ca.verification_certificate_pem(&code.registration_code.unwrap()).unwrap();
        let input = RegisterCACertificateRequest {
            ca_certificate: self.ca.certificate_pem(),
            verification_certificate: Some(verification),
            set_as_active: Some(true),
            allow_auto_registration: Some(true),
            ..RegisterCACertificateRequest::default()
        };
        iot.register_ca_certificate(&self.op(), input).await.unwrap();
    }

    /// A device that nobody has heard of.
    pub fn unknown_device(&self) -> Device {
        self.ca.issue(&DeviceSpec::new("device")).unwrap()
    }

    /// Registered by its first connection, then activated, with one policy.
    pub async fn device(&self, policy: &str) -> Device {
        let device = self.pending_device().await;
        self.set_status(&device, "ACTIVE").await;
        self.attach(&device, policy).await;
        device
    }

    pub async fn pending_device(&self) -> Device {
        let device = self.unknown_device();
        let first = self.connect(&device, Connect::new("first")).await;
        assert!(first.err().unwrap().is_closed_without_connack());
        device
    }

    pub async fn set_status(&self, device: &Device, status: &str) {
        let input = UpdateCertificateRequest { certificate_id: device.id().to_string(), new_status: status.to_owned() };
        self.services.iot().update_certificate(&self.op(), input).await.unwrap();
    }

    pub async fn set_ca_status(&self, status: &str) {
        let input = UpdateCACertificateRequest {
            certificate_id: self.ca.id().to_string(),
            new_status: Some(status.to_owned()),
            ..UpdateCACertificateRequest::default()
        };
        self.services.iot().update_ca_certificate(&self.op(), input).await.unwrap();
    }

    /// Answers the policy's name.
    pub async fn attach(&self, device: &Device, policy: &str) -> String {
        let policy_name = services::uuid();
        let input = CreatePolicyRequest {
            policy_name: policy_name.clone(),
            policy_document: policy.to_owned(),
            ..CreatePolicyRequest::default()
        };
        self.services.iot().create_policy(&self.op(), input).await.unwrap();
        let target = format!("{ARN}:cert/{}", device.id());
        let input = AttachPolicyRequest { policy_name: policy_name.clone(), target };
        self.services.iot().attach_policy(&self.op(), input).await.unwrap();
        policy_name
    }

    /// Another document takes the place of the first, and of any that did so before.
    pub async fn edit(&self, policy_name: &str, policy: &str) {
        let iot = self.services.iot();
        let input = CreatePolicyVersionRequest {
            policy_name: policy_name.to_owned(),
            policy_document: policy.to_owned(),
            set_as_default: Some(true),
        };
        let made = iot.create_policy_version(&self.op(), input).await.unwrap();
        let made: u32 = made.policy_version_id.unwrap().parse().unwrap();
        let policy_version_id = (made - 1).to_string();
        let input = DeletePolicyVersionRequest { policy_name: policy_name.to_owned(), policy_version_id };
        iot.delete_policy_version(&self.op(), input).await.unwrap();
    }

    /// Without a certificate.
    pub fn tls_of_nobody(&self) -> ClientTls {
        ClientTls::new(&self.root_pem, "localhost").unwrap()
    }

    pub fn tls(&self, device: &Device) -> ClientTls {
        self.tls_of_nobody().with_device(device, &[&self.ca]).unwrap()
    }

    pub async fn connect(&self, device: &Device, connect: Connect) -> Result<MqttClient, Error> {
        MqttClient::connect(self.address, &self.tls(device), connect, DEADLINE).await
    }

    /// Connected, as a device that may be.
    pub async fn client(&self, device: &Device, client_id: &str) -> MqttClient {
        self.connect(device, Connect::new(client_id)).await.unwrap()
    }

    /// The newest record that names the client id. The door records before it closes, so that it is there when a client
    /// has seen the end.
    pub fn last_record(&self, client_id: &str) -> Option<AdmissionRecord> {
        let filter = AdmissionFilter { client_id: Some(client_id.to_owned()), ..AdmissionFilter::default() };
        self.services.admission_records(&filter, 1).pop()
    }

    pub fn reason(&self, client_id: &str) -> Option<String> {
        self.last_record(client_id).map(|record| record.reason)
    }

    /// For an end that no client sees.
    pub async fn await_reason(&self, client_id: &str, reason: &str) {
        let until = tokio::time::Instant::now() + DEADLINE;
        while self.reason(client_id).as_deref() != Some(reason) {
            assert!(tokio::time::Instant::now() < until, "{client_id}: {:?}", self.last_record(client_id));
            tokio::task::yield_now().await;
        }
    }

    /// The device's newest record, once it has this reason.
    pub async fn await_newest(&self, device: &Device, reason: &str) -> AdmissionRecord {
        let filter = AdmissionFilter { certificate_id: Some(device.id()), ..AdmissionFilter::default() };
        self.await_record(&filter, reason).await
    }

    pub async fn await_record(&self, filter: &AdmissionFilter, reason: &str) -> AdmissionRecord {
        let until = tokio::time::Instant::now() + DEADLINE;
        loop {
            let newest = self.services.admission_records(filter, 1).pop();
            match newest {
                Some(record) if record.reason == reason => return record,
                newest => assert!(tokio::time::Instant::now() < until, "no {reason}, but {newest:?}"),
            }
            tokio::task::yield_now().await;
        }
    }

    pub async fn stop(self) {
        self.shutdown.send_replace(true);
        for serving in self.serving {
            tokio::time::timeout(DEADLINE, serving).await.unwrap().unwrap().unwrap();
        }
        assert_eq!(self.gateway.open_connections(), 0);
    }
}

fn clock(offset_ms: Arc<AtomicI64>) -> Clock {
    let system = Clock::system();
    Clock::from_fn(move || system.now().plus_millis(offset_ms.load(Ordering::Relaxed)))
}

fn services(store: Store, broker: Broker, clock: Clock, rates: RateLimits) -> Services {
    // No function runs here; the binary of the tests is no worker.
    let calls = AwsCalls(Arc::new(|call| {
        Box::pin(async move {
            Err(AwsCallError {
                code: "ServiceUnavailable".to_owned(),
                message: call.operation,
                status: 503,
                request_id: String::new(),
            })
        })
    }));
    let workers = functions::Config {
        program: "no-worker".into(),
        worker_args: Vec::new(),
        idle_timeout: DEADLINE,
        environments_max: 1,
    };
    let functions = Functions::new(workers, store.clone(), calls);
    let config = Config {
        region: "us-east-1".parse().unwrap(),
        account: "123456789012".parse().unwrap(),
        root: RootCredentials { access_key_id: "AKIAROOT".to_owned(), secret_access_key: "secret".to_owned() },
        endpoint_names: vec!["localhost".to_owned()],
        async_retry_ms: Vec::new(),
        rates,
        checkpoints: Checkpoints::default(),
    };
    Services::new(config, store, broker, functions, clock).unwrap()
}
