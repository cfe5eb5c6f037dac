//! What a live connection may do: who holds it, and the verdicts that were given on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::admission::Refusal;
use domain::iot_policy::{IotAction, Permissions};
use mqtt::packet::Will;
use mqtt::topic::MultiLevel;
use mqtt::{TopicFilter, TopicName};
use rustls_pki_types::CertificateDer;
use services::Services;
use services::connection::{Admitted, Standing};
use services::signed_connection::{AdmittedSigner, Signer};
use tokio::sync::watch;
use tokio::time::Instant;

use super::facts::KeptFacts;
use crate::peer::Peer;

/// Topics whose verdicts are remembered; a device publishes to few, and a busy listener hears some hundreds.
const VERDICTS_MAX: usize = 512;

pub(super) struct Rights {
    services: Services,
    client_id: String,
    holder: Holder,
    /// When the connection ends, whatever becomes of the rights.
    ends_at: Option<Instant>,
    /// When something ends by itself: the connection's time, or the credentials that it was signed with.
    end: Option<Instant>,
    /// As of the holder's rights when they were looked at last.
    publish: HashMap<TopicName, ()>,
    receive: HashMap<TopicName, bool>,
    /// The last ones again: most devices publish to one topic, and most listeners hear several messages of a topic after
    /// each other.
    publish_last: Option<TopicName>,
    receive_last: Option<(TopicName, bool)>,
    /// Every filter that was ever subscribed to is covered by the rights: no delivery needs a look.
    hears_freely: bool,
    has_left_a_filter: bool,
}

/// Whose the connection is, and so who judges it.
enum Holder {
    /// The IoT policies of a certificate.
    Certificate(Box<OfCertificate>),
    /// The IAM policies of whoever signed for it.
    Signer(Box<OfSigner>),
    /// Nobody: the plain listener.
    Anyone,
}

struct OfCertificate {
    facts: KeptFacts,
    cell: watch::Receiver<Arc<Standing>>,
    /// What `cell` held when it was looked at last.
    standing: Arc<Standing>,
    permissions: Permissions,
}

struct OfSigner {
    signer: Signer,
    principal: String,
    changes: watch::Receiver<u64>,
}

impl Rights {
    pub(super) fn of_certificate(services: Services, client_id: String, facts: KeptFacts, admitted: Admitted) -> Self {
        // What has changed since the admission shows as a change.
        let Admitted { standing: cell, permissions } = admitted;
        let standing = cell.borrow().clone();
        let certificate = OfCertificate { facts, cell, standing, permissions };
        Self::new(services, client_id, Holder::Certificate(Box::new(certificate)))
    }

    pub(super) fn of_signer(services: Services, client_id: String, signer: Signer, admitted: AdmittedSigner) -> Self {
        let AdmittedSigner { principal, changes } = admitted;
        let mut rights =
            Self::new(services, client_id, Holder::Signer(Box::new(OfSigner { signer, principal, changes })));
        rights.set_end();
        rights
    }

    pub(super) fn unrestricted(services: Services, client_id: String) -> Self {
        Self::new(services, client_id, Holder::Anyone)
    }

    fn new(services: Services, client_id: String, holder: Holder) -> Self {
        Self {
            services,
            client_id,
            holder,
            ends_at: None,
            end: None,
            publish: HashMap::new(),
            receive: HashMap::new(),
            publish_last: None,
            receive_last: None,
            hears_freely: false,
            has_left_a_filter: false,
        }
    }

    /// `None` for a connection that has no end of its own.
    pub(super) fn end_at(&mut self, ends_at: Option<Instant>) {
        self.ends_at = ends_at;
        self.set_end();
    }

    fn set_end(&mut self) {
        let credentials_end = match &self.holder {
            // A second at least: what has ended by one clock has a moment left by the other.
            Holder::Signer(of) => {
                let lasts = self.services.signer_lasts(&of.signer);
                lasts.map(|lasts| Instant::now() + lasts.max(Duration::from_secs(1)))
            }
            Holder::Certificate(_) | Holder::Anyone => None,
        };
        self.end = self.ends_at.into_iter().chain(credentials_end).min();
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// As AWS names the holder in events and to rules.
    pub(super) fn principal(&self) -> Option<String> {
        match &self.holder {
            Holder::Certificate(certificate) => Some(certificate.facts.certificate_id.to_string()),
            Holder::Signer(of) => Some(of.principal.clone()),
            Holder::Anyone => None,
        }
    }

    /// The thing to which the certificate is attached exclusively.
    pub(super) fn exclusive_thing(&self) -> Option<&str> {
        let Holder::Certificate(certificate) = &self.holder else { return None };
        certificate.standing.things.iter().find(|thing| thing.is_exclusive).map(|thing| thing.name.as_str())
    }

    /// When something of them ends by itself, if nothing happens before: then they have changed.
    pub(super) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Returns when the rights are no longer those that were taken over last, but for their `end`; at once if that is so
    /// already.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut certificate, mut signer) = match &self.holder {
            Holder::Certificate(of) => (Some(of.cell.clone()), None),
            Holder::Signer(of) => (None, Some(of.changes.clone())),
            Holder::Anyone => (None, None),
        };
        async move {
            let outcome = match (&mut certificate, &mut signer) {
                (Some(cell), _) => cell.changed().await,
                (None, Some(changes)) => changes.changed().await,
                (None, None) => std::future::pending().await,
            };
            if outcome.is_err() {
                // The services are gone, and the server with them; shutdown will say so.
                std::future::pending().await
            }
        }
    }

    /// Whether the rights have changed since they were taken over last. Costs a look at a counter.
    pub(super) fn has_changed(&self) -> bool {
        let has_changed = match &self.holder {
            Holder::Certificate(certificate) => certificate.cell.has_changed().unwrap_or(false),
            Holder::Signer(of) => of.changes.has_changed().unwrap_or(false),
            Holder::Anyone => false,
        };
        has_changed || self.end.is_some_and(|end| end <= Instant::now())
    }

    /// Takes over the changed rights. `Err`: the connection may not stay. `chain` as the peer sent it.
    pub(super) fn renew(&mut self, peer: &Peer, chain: &[CertificateDer<'_>]) -> Result<(), Refusal> {
        self.publish.clear();
        self.receive.clear();
        self.publish_last = None;
        self.receive_last = None;
        self.hears_freely = false;
        if self.ends_at.is_some_and(|ends_at| Instant::now() >= ends_at) {
            return Err(Refusal::WebSocketTooOld);
        }
        match &mut self.holder {
            Holder::Certificate(certificate) => {
                certificate.standing = certificate.cell.borrow_and_update().clone();
                let facts = certificate.facts.again(&self.client_id, peer, chain)?;
                certificate.permissions = certificate.standing.permissions(&facts);
                if let Err(why) = &certificate.standing.active {
                    return Err(Refusal::RightLost(why.clone()));
                }
            }
            Holder::Signer(of) => {
                of.changes.mark_unchanged();
                self.services.signer_stands(&of.signer)?;
            }
            Holder::Anyone => {}
        }
        self.set_end();
        self.judge(IotAction::Connect, &self.client_id).map_err(|refusal| Refusal::RightLost(refusal.sentence()))
    }

    /// Whether it was allowed of this topic last, and by the same rights: most devices publish to one topic.
    pub(super) fn just_published(&self, topic: &TopicName) -> bool {
        self.publish_last.as_ref() == Some(topic)
    }

    pub(super) fn may_publish(&mut self, topic: &TopicName) -> Result<(), Refusal> {
        if matches!(self.holder, Holder::Anyone) || self.just_published(topic) {
            return Ok(());
        }
        if !self.publish.contains_key(topic) {
            self.judge(IotAction::Publish, topic.as_str())?;
            make_room(&mut self.publish);
            self.publish.insert(topic.clone(), ());
        }
        self.publish_last = Some(topic.clone());
        Ok(())
    }

    pub(super) fn may_retain(&self, topic: &TopicName) -> Result<(), Refusal> {
        self.judge(IotAction::RetainPublish, topic.as_str())
    }

    /// By the policies as they are when the connection ends. A certificate that is no longer active does not keep its
    /// device's will back: that is when others want to hear it.
    pub(super) fn may_publish_will(&self, will: &Will) -> Result<(), Refusal> {
        self.judge(IotAction::Publish, will.topic.as_str())?;
        if will.retain { self.may_retain(&will.topic) } else { Ok(()) }
    }

    pub(super) fn may_subscribe(&self, filter: &str) -> Result<(), Refusal> {
        self.judge(IotAction::Subscribe, filter)
    }

    /// Says that nothing can be delivered but by these filters: at the beginning of a session that is not resumed, and
    /// after each renewal. Until it is said, each delivery is judged.
    pub(super) fn hear<'f>(&mut self, mut filters: impl Iterator<Item = &'f TopicFilter>, multi_level: MultiLevel) {
        self.hears_freely = !self.has_left_a_filter && filters.all(|filter| self.may_receive_all(filter, multi_level));
    }

    /// One more subscription.
    pub(super) fn hear_also(&mut self, filter: &TopicFilter, multi_level: MultiLevel) {
        self.hears_freely = self.hears_freely && self.may_receive_all(filter, multi_level);
    }

    fn may_receive_all(&self, filter: &TopicFilter, multi_level: MultiLevel) -> bool {
        match &self.holder {
            Holder::Certificate(certificate) => certificate.permissions.may_receive_all(filter, multi_level),
            // IAM's policies are not worked out beforehand.
            Holder::Signer(_) => false,
            Holder::Anyone => true,
        }
    }

    /// A subscription is given up. What it brought may still wait in the inbox when the rights change.
    pub(super) fn hear_no_more(&mut self) {
        self.has_left_a_filter = true;
    }

    pub(super) fn may_receive(&mut self, topic: &TopicName) -> bool {
        if self.hears_freely || matches!(self.holder, Holder::Anyone) {
            return true;
        }
        if let Some((last, verdict)) = &self.receive_last
            && last == topic
        {
            return *verdict;
        }
        let verdict = match self.receive.get(topic) {
            Some(verdict) => *verdict,
            None => {
                let verdict = self.judge(IotAction::Receive, topic.as_str()).is_ok();
                make_room(&mut self.receive);
                self.receive.insert(topic.clone(), verdict);
                verdict
            }
        };
        self.receive_last = Some((topic.clone(), verdict));
        verdict
    }

    fn judge(&self, action: IotAction, subject: &str) -> Result<(), Refusal> {
        match &self.holder {
            Holder::Certificate(certificate) => self.services.must_allow(&certificate.permissions, action, subject),
            Holder::Signer(of) => self.services.judge_signer(&of.signer, action, subject),
            Holder::Anyone => Ok(()),
        }
    }
}

fn make_room<V>(verdicts: &mut HashMap<TopicName, V>) {
    if verdicts.len() >= VERDICTS_MAX {
        verdicts.clear();
    }
}
