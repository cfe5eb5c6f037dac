//! A device's connection as the services see it: what it may do now, and when that changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::CertificateId;
use domain::admission::{CertificateStatus, Refusal, ServerName};
use domain::iot_policy::{AttachedThing, CompiledPolicy, ConnectionFacts, Decision, IotAction, Permissions};
use tokio::sync::watch;

use crate::admission::Refused;
use crate::messages::Origin;
use crate::{Error, Services};

/// What a connected certificate stands on. Replaced as a whole whenever its state or policies change.
#[derive(Clone, Debug)]
pub struct Standing {
    /// `Err` ends the connection: the sentence says why.
    pub active: Result<(), String>,
    pub policies: Arc<[Arc<CompiledPolicy>]>,
    /// What policies may ask about things.
    pub things: Arc<[AttachedThing]>,
    /// Rises with each change.
    pub epoch: u64,
}

impl Standing {
    /// What it comes to for one connection.
    pub fn permissions(&self, facts: &ConnectionFacts) -> Permissions {
        Permissions::new(&self.policies, facts, &self.things)
    }
}

/// Asked on the CONNECT packet.
#[derive(Clone, Debug)]
pub struct Connecting {
    pub facts: ConnectionFacts,
    pub server_name: ServerName,
    pub will_topic: Option<String>,
    /// Whether the will is to be retained.
    pub retains_will: bool,
}

/// An admitted connection's rights.
#[derive(Debug)]
pub struct Admitted {
    /// Changed where the certificate's standing is no longer the one that admitted.
    pub standing: watch::Receiver<Arc<Standing>>,
    /// Of the standing that admitted.
    pub permissions: Permissions,
}

/// One watch cell per connected certificate, and the compiled form of every policy version in use.
#[derive(Default)]
pub(crate) struct Standings {
    cells: Mutex<HashMap<CertificateId, watch::Sender<Arc<Standing>>>>,
    compiled: Mutex<HashMap<(String, u32), Arc<CompiledPolicy>>>,
    epoch: AtomicU64,
}

/// Compiled versions kept before the cache starts anew; it fills again from what is in use.
const COMPILED_MAX: usize = 10_000;

/// Connections that hear of a policy's change before other tasks get their turn.
const REFRESHED_PER_TURN: usize = 64;

impl Services {
    /// On CONNECT: judges again; registers an unknown leaf as PENDING_ACTIVATION (certificate and outbox row in one
    /// commit), announces a pending one again, and checks `iot:Connect`. On `Err` the connection closes without CONNACK.
    pub async fn connect(&self, connecting: &Connecting) -> Result<Admitted, Refused> {
        let admitted = self.admit_connection(connecting).await;
        if let Err(Refused {
            refusal: Refusal::NoPolicy { .. } | Refusal::PolicyDenies { .. } | Refusal::PolicyDoesNotAllow { .. },
            ..
        }) = &admitted
        {
            let ConnectionFacts { client_id, certificate_id, source_ip, .. } = &connecting.facts;
            let principal = Some(certificate_id.to_string());
            let origin = Origin { client_id: Some(client_id.clone()), principal, ..Origin::default() };
            if let Some(source_ip) = source_ip {
                self.announce_connect_failed(&origin, *source_ip).await;
            }
        }
        admitted
    }

    async fn admit_connection(&self, connecting: &Connecting) -> Result<Admitted, Refused> {
        let facts = &connecting.facts;
        let ca = self.admit(facts, connecting.server_name).await?;
        let refused = |refusal| Refused { refusal, ca, status: Some(CertificateStatus::Active) };
        let standing = self.standing_of(facts.certificate_id);
        let mut standing = standing.map_err(|err| refused(Refusal::Internal(err.message)))?;
        let current = standing.borrow_and_update().clone();
        if let Err(why) = &current.active {
            return Err(refused(Refusal::RightLost(why.clone())));
        }
        if current.policies.is_empty() {
            return Err(refused(Refusal::NoPolicy { certificate: facts.certificate_id }));
        }
        let permissions = current.permissions(facts);
        let must_allow = |action, subject: &str| self.must_allow(&permissions, action, subject).map_err(refused);
        must_allow(IotAction::Connect, &facts.client_id)?;
        if let Some(topic) = &connecting.will_topic {
            must_allow(IotAction::Publish, topic)?;
            if connecting.retains_will {
                must_allow(IotAction::RetainPublish, topic)?;
            }
        }
        self.metrics().onboarding.connected(facts.certificate_id, self.now());
        Ok(Admitted { standing, permissions })
    }

    /// Judges `action` on a topic, filter or client id; `Err` is for the admission record.
    pub fn must_allow(&self, permissions: &Permissions, action: IotAction, subject: &str) -> Result<(), Refusal> {
        if permissions.allows(action, subject) {
            return Ok(());
        }
        self.refusal(permissions.judge(action, subject), action, subject).map_or(Ok(()), Err)
    }

    /// Puts a decision in the words of an admission record; `None` where it allows.
    pub(crate) fn refusal(&self, decision: Decision, action: IotAction, subject: &str) -> Option<Refusal> {
        let (action, resource) = (action.as_str().to_owned(), self.inner.resource_scope.arn(action, subject));
        match decision {
            Decision::Allowed { .. } => None,
            Decision::Denied { policy, statement, sid } => {
                Some(Refusal::PolicyDenies { action, resource, policy, statement, sid })
            }
            Decision::NotAllowed => Some(Refusal::PolicyDoesNotAllow { action, resource }),
        }
    }

    /// The cell is in the table before the records are read, so a change after the reading finds it there.
    fn standing_of(&self, id: CertificateId) -> Result<watch::Receiver<Arc<Standing>>, Error> {
        let mut cells = self.inner.standings.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(&id).filter(|cell| cell.receiver_count() > 0) {
            return Ok(cell.subscribe());
        }
        // Only live connections keep a cell; the rest is swept when the table has grown to a power of two.
        if cells.len().is_power_of_two() {
            cells.retain(|_, cell| cell.receiver_count() > 0);
        }
        let (cell, standing) = watch::channel(Arc::new(self.read_standing(id)?));
        cells.insert(id, cell);
        Ok(standing)
    }

    /// After a commit that touched the certificate's state or policies: connections see it before the caller does.
    pub(crate) fn refresh_standing(&self, id: CertificateId) -> Result<(), Error> {
        let mut cells = self.inner.standings.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cell) = cells.get(&id) else { return Ok(()) };
        if cell.receiver_count() == 0 {
            cells.remove(&id);
            return Ok(());
        }
        match self.read_standing(id) {
            Ok(standing) => {
                cell.send_replace(Arc::new(standing));
                Ok(())
            }
            // What it stood on has changed and cannot be read: nobody stays connected on what it was.
            Err(err) => {
                let epoch = self.inner.standings.epoch.fetch_add(1, Ordering::Relaxed) + 1;
                let active = Err("the certificate's state or one of its policies cannot be read".to_owned());
                cell.send_replace(Arc::new(Standing {
                    active,
                    policies: Arc::default(),
                    things: Arc::default(),
                    epoch,
                }));
                Err(err)
            }
        }
    }

    /// After a commit that put another version of a policy in force. Every connection is tried, whatever becomes of one.
    pub(crate) async fn refresh_standings_under(&self, policy: &str) -> Result<(), Error> {
        let cells = &self.inner.standings.cells;
        let connected: Vec<CertificateId> =
            cells.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        let mut outcome = Ok(());
        for chunk in connected.chunks(REFRESHED_PER_TURN) {
            for id in chunk {
                let refreshed = match self.is_attached(policy, *id) {
                    Ok(true) => self.refresh_standing(*id),
                    Ok(false) => Ok(()),
                    Err(err) => Err(err),
                };
                outcome = outcome.and(refreshed);
            }
            tokio::task::yield_now().await;
        }
        outcome
    }

    pub(crate) fn read_standing(&self, id: CertificateId) -> Result<Standing, Error> {
        let active = match self.find_certificate(id)? {
            None => Err("the certificate was deleted".to_owned()),
            Some(found) if found.value.status == CertificateStatus::Active => Ok(()),
            Some(found) => Err(format!("the certificate is {}", found.value.status.as_str())),
        };
        let mut policies = Vec::new();
        for name in self.attached_policies(id)? {
            policies.extend(self.compiled(&name)?);
        }
        let epoch = self.inner.standings.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Standing { active, policies: policies.into(), things: self.attached_things(id)?.into(), epoch })
    }

    /// The default version of a policy, compiled once: a version's document never changes, and the policy's generation
    /// tells it from one of the same name that was deleted.
    pub(crate) fn compiled(&self, name: &str) -> Result<Option<Arc<CompiledPolicy>>, Error> {
        let Some(found) = self.find_policy(name)? else { return Ok(None) };
        let key = found.value.default_key();
        let mut compiled = self.inner.standings.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = compiled.get(&key) {
            return Ok(Some(policy.clone()));
        }
        let document = found.value.default_document();
        let policy = CompiledPolicy::parse(name, document, &self.inner.resource_scope)
            .map_err(|err| Error::internal(format!("policy {name} cannot be read: {}", err.message)))?;
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        let policy = Arc::new(policy);
        compiled.insert(key, policy.clone());
        Ok(Some(policy))
    }
}
