//! What a live connection may do: its standing, and the verdicts that were given on it.

use std::collections::HashMap;
use std::sync::Arc;

use domain::admission::Refusal;
use domain::iot_policy::{ConnectionFacts, IotAction};
use mqtt::TopicName;
use services::Services;
use services::connection::{Admitted, Standing};
use tokio::sync::watch;

/// Topics whose verdicts are remembered; a device publishes to few, and a busy listener hears some hundreds.
const VERDICTS_MAX: usize = 512;

pub(super) struct Rights {
    services: Services,
    facts: ConnectionFacts,
    cell: watch::Receiver<Arc<Standing>>,
    /// What `cell` held when it was looked at last; the verdicts are of its epoch.
    standing: Arc<Standing>,
    publish: HashMap<TopicName, ()>,
    receive: HashMap<TopicName, bool>,
}

impl Rights {
    pub(super) fn new(services: Services, facts: ConnectionFacts, admitted: Admitted) -> Self {
        let mut cell = admitted.standing;
        let standing = cell.borrow_and_update().clone();
        Self { services, facts, cell, standing, publish: HashMap::new(), receive: HashMap::new() }
    }

    pub(super) fn client_id(&self) -> &str {
        &self.facts.client_id
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    pub(super) fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    /// The thing to which the certificate is attached exclusively.
    pub(super) fn exclusive_thing(&self) -> Option<&str> {
        self.standing.things.iter().find(|thing| thing.is_exclusive).map(|thing| thing.name.as_str())
    }

    /// Waits for the standing to change. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.cell.changed().await.is_err() {
            // The services are gone, and the server with them; shutdown will say so.
            std::future::pending().await
        }
    }

    /// Whether the standing has changed since it was taken over last. Costs a look at a counter.
    pub(super) fn has_changed(&self) -> bool {
        self.cell.has_changed().unwrap_or(false)
    }

    /// Takes over the changed standing. `Err`: the connection may not stay.
    pub(super) fn renew(&mut self) -> Result<(), Refusal> {
        self.standing = self.cell.borrow_and_update().clone();
        self.publish.clear();
        self.receive.clear();
        if let Err(why) = &self.standing.active {
            return Err(Refusal::RightLost(why.clone()));
        }
        let client_id = self.facts.client_id.clone();
        self.judge(IotAction::Connect, &client_id).map_err(|refusal| Refusal::RightLost(refusal.sentence()))
    }

    pub(super) fn may_publish(&mut self, topic: &TopicName) -> Result<(), Refusal> {
        if self.publish.contains_key(topic) {
            return Ok(());
        }
        self.judge(IotAction::Publish, topic.as_str())?;
        make_room(&mut self.publish);
        self.publish.insert(topic.clone(), ());
        Ok(())
    }

    pub(super) fn may_retain(&self, topic: &TopicName) -> Result<(), Refusal> {
        self.judge(IotAction::RetainPublish, topic.as_str())
    }

    pub(super) fn may_subscribe(&self, filter: &str) -> Result<(), Refusal> {
        self.judge(IotAction::Subscribe, filter)
    }

    pub(super) fn may_receive(&mut self, topic: &TopicName) -> bool {
        if let Some(verdict) = self.receive.get(topic) {
            return *verdict;
        }
        let verdict = self.judge(IotAction::Receive, topic.as_str()).is_ok();
        make_room(&mut self.receive);
        self.receive.insert(topic.clone(), verdict);
        verdict
    }

    fn judge(&self, action: IotAction, subject: &str) -> Result<(), Refusal> {
        let decision = self.services.judge(&self.standing, &self.facts, action, subject);
        self.services.refusal(decision, action, subject).map_or(Ok(()), Err)
    }
}

fn make_room<V>(verdicts: &mut HashMap<TopicName, V>) {
    if verdicts.len() >= VERDICTS_MAX {
        verdicts.clear();
    }
}
