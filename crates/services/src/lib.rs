//! Every AWS noun and its rules, one file each. Authorisation is the first line of every verb.
//! Knows no HTTP, TLS, sockets or storage engines.

pub mod admission;
mod admission_flood;
mod admission_record;
mod authorization;
mod basic_ingest;
pub mod blob;
mod checkpoint;
mod clock;
mod config;
pub mod connection;
mod credentials;
mod due_wills;
pub mod epoch_seconds;
pub mod error;
mod health;
pub mod iam;
mod identity;
pub mod inspection;
pub mod invocation;
pub mod iot;
pub mod iot_data;
pub mod lambda;
pub mod logs;
mod message_headers;
pub mod messages;
pub mod metrics;
pub mod op;
mod outbox;
pub mod places;
mod policy_documents;
pub mod presence;
mod random;
pub mod rates;
mod record;
mod republish;
mod rule_run;
mod rules;
pub mod signed_connection;
pub mod sts;

use std::sync::Arc;

pub use checkpoint::{Checkpoints, Step};
pub use clock::Clock;
pub use config::Config;
pub use credentials::{Credential, InvalidCredentials, RootCredentials};
pub use error::Error;
pub use functions::{AwsCall, AwsCallError, AwsCalls, RoleSession};
pub use health::Health;
pub use op::{Caller, Op, Via};
pub use random::uuid;

use admission_record::Admissions;
use basic_ingest::RulesNotFound;
use broker::Broker;
use connection::Standings;
use domain::iot_policy::ResourceScope;
use functions::{Functions, Invocation, InvokeError, Outcome};
use invocation::Invocations;
use iot::ca_index::CaIndex;
use iot::issuer::Issuer;
use logs::LogJournals;
use metrics::Metrics;
use policy_documents::PolicyDocuments;
use presence::Versions;
use rates::Rates;
use rules::RuleSet;
use store::Store;
use tokio::sync::{Notify, watch};

/// Everything behind both doors. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    store: Store,
    broker: Broker,
    functions: Functions,
    clock: Clock,
    /// Of the configured account and region.
    resource_scope: Arc<ResourceScope>,
    /// Derived from the store, replaced as a whole when their nouns change.
    cas: CaIndex,
    issuer: Issuer,
    rates: Rates,
    rules: RuleSet,
    rules_not_found: RulesNotFound,
    standings: Standings,
    /// Rises with each commit that touches IAM: who is connected under a role asks again.
    iam_changes: watch::Sender<u64>,
    versions: Versions,
    policy_documents: PolicyDocuments,
    admissions: Admissions,
    logs: LogJournals,
    invocations: Invocations,
    metrics: Arc<Metrics>,
    /// Rings when an outbox row has been committed.
    outbox: Notify,
    /// Held by the one transaction that others were faster than too often.
    contended: tokio::sync::Mutex<()>,
}

impl Services {
    /// Reads what the derived views need. Background work starts with `run`.
    pub fn new(
        config: Config,
        store: Store,
        broker: Broker,
        functions: Functions,
        clock: Clock,
    ) -> Result<Self, Error> {
        let services = Self {
            inner: Arc::new(Inner {
                admissions: Admissions::open(&store)?,
                logs: LogJournals::new(&store),
                rates: Rates::new(config.rates),
                resource_scope: Arc::new(ResourceScope::new(&config.region, &config.account)),
                config,
                store,
                broker,
                functions,
                clock,
                cas: CaIndex::default(),
                issuer: Issuer::default(),
                rules: RuleSet::default(),
                rules_not_found: RulesNotFound::default(),
                standings: Standings::default(),
                iam_changes: watch::Sender::new(0),
                versions: Versions::default(),
                policy_documents: PolicyDocuments::default(),
                invocations: Invocations::default(),
                metrics: Arc::default(),
                outbox: Notify::new(),
                contended: tokio::sync::Mutex::default(),
            }),
        };
        services.reload_cas()?;
        services.reload_rules()?;
        services.inner.logs.load(&services.log_groups()?)?;
        services.reload_invocations()?;
        services.warm_functions()?;
        Ok(services)
    }

    /// One account and region for a data directory, settled at its first start: every ARN in it is theirs.
    pub async fn settle_identity(&self) -> Result<(), Error> {
        identity::settle(self).await
    }

    /// Whether the data directory is of the account and region that are configured, or of none yet.
    pub fn check_identity(&self) -> Result<(), Error> {
        identity::check(self)
    }

    /// Background work: the outbox and the invocations. Ends when `shutdown` turns true.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        self.sweep_packages().await;
        let admissions = self.run_admissions(shutdown.clone());
        let retention = self.run_log_retention(shutdown.clone());
        let wills = self.run_due_wills(shutdown.clone());
        tokio::join!(self.run_outbox(shutdown.clone()), self.run_invocations(shutdown), admissions, retention, wills);
    }

    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub fn now(&self) -> domain::Timestamp {
        self.inner.clock.now()
    }

    /// A new operation by `caller`, now.
    pub fn op(&self, caller: Caller) -> Op {
        Op { caller, now: self.now(), request_id: uuid(), via: None }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn functions(&self) -> &Functions {
        &self.inner.functions
    }

    /// Whoever runs a function runs it here, so that each run is counted.
    pub(crate) async fn run_function(&self, invocation: Invocation) -> Result<Outcome, InvokeError> {
        let metrics = &self.inner.metrics.invocations;
        let _running = metrics.running.enter();
        let outcome = self.inner.functions.invoke(invocation).await;
        metrics.ended(&outcome);
        outcome
    }
}
