//! The loop of a connected device over its five inputs: socket, inbox, standing, timer, shutdown.
//!
//! One turn of the socket may bring many packets, and one wake-up of the inbox many messages; what they cause is
//! written in one go. A device that does not read what it is sent gets no more deliveries, then is not read either;
//! its inbox in the broker is bounded, so nobody waits for it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use broker::{Claim, Delivery, Message};
use domain::admission::Refusal;
use mqtt::packet::{Publish, Reason, ReasonCode, Subscribe, Subscription, Unsubscribe, Will};
use mqtt::session::{NotDelivered, PublishToken};
use mqtt::{Action, TopicFilter, Version};
use services::messages::Origin;
use services::presence::Presence;
use services::rates::RateExceeded;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Line;
use super::end::End;
use super::goodbye;
use super::meter::Meter;
use super::rights::Rights;
use crate::gateway::Gateway;
use crate::profile::Profile;
use crate::socket::Reading;

/// Unsent bytes at which no more messages are taken from the inbox.
const OUT_PAUSES_DELIVERY_BYTES: usize = 64 * 1024;
/// Unsent bytes at which nothing more is read: a client that only asks and never listens fills no memory.
const OUT_PAUSES_READING_BYTES: usize = 256 * 1024;
/// Messages taken from the inbox before the socket gets its turn.
const DELIVERIES_PER_TURN_MAX: usize = 256;
/// Until the timer looks again where the session has no deadline.
const NO_DEADLINE: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Live<'a> {
    line: &'a mut Line,
    profile: Profile,
    rights: Rights,
    claim: Claim,
    timer: Pin<Box<Sleep>>,
    /// What is subscribed to now; bounded by the profile.
    filters: HashSet<TopicFilter>,
    origin: Origin,
    /// Of clients that have lifecycle events.
    presence: Option<Presence>,
    meter: Meter,
}

/// What woke the loop.
enum Woken {
    Standing,
    Delivery(Delivery),
    Timer,
    Socket,
    /// More may be read or delivered.
    Released,
}

impl<'a> Live<'a> {
    /// Claims the client id: an older connection that has it ends.
    pub(super) fn new(gateway: &Gateway, line: &'a mut Line, rights: Rights) -> Self {
        let profile = line.profile;
        let claim = gateway.broker().claim_with(rights.client_id(), profile.claim_options());
        let origin = Origin {
            client_id: Some(rights.client_id().to_owned()),
            principal: rights.principal(),
            ..Origin::default()
        };
        // Runs out at once, and is set by the handler.
        let timer = Box::pin(sleep_until(Instant::now()));
        let presence = rights.services().presence(&origin);
        let meter = Meter::new(profile);
        Self { line, profile, rights, claim, timer, filters: HashSet::new(), origin, presence, meter }
    }

    pub(super) async fn announce_connected(&self, address: IpAddr) {
        let (presence, thing) = (self.presence.as_ref(), self.rights.exclusive_thing());
        self.rights.services().announce_connected(presence, &self.origin, address, thing).await;
    }

    pub(super) async fn announce_disconnected(&mut self, end: &End) {
        let presence = self.presence.take();
        self.rights.services().announce_disconnected(presence, &self.origin, end.disconnect_reason()).await;
    }

    pub(super) async fn run(&mut self, shutdown: &mut watch::Receiver<bool>) -> End {
        loop {
            if let Err(end) = self.turn(shutdown).await {
                if let End::Refused(refused) = &end {
                    // MQTT 5 is told; nothing happens where the session itself has ended.
                    self.line.session.close(goodbye::disconnect(&refused.refusal));
                }
                return end;
            }
        }
    }

    async fn turn(&mut self, shutdown: &mut watch::Receiver<bool>) -> Result<(), End> {
        let waiting_bytes = self.line.input.len();
        let unsent_bytes = self.line.session.out().len();
        self.handle_input().await?;
        // Here and not only where the inbox wakes the loop: a device that sends without a pause is to hear as well.
        self.deliver_waiting();
        let read_bytes = waiting_bytes.saturating_sub(self.line.input.len());
        let written_bytes = self.line.session.out().len().saturating_sub(unsent_bytes);
        self.meter.count_turn(self.rights.services(), read_bytes + written_bytes);
        match self.wait(shutdown).await? {
            Woken::Standing => self.rights.renew().map_err(End::refused),
            Woken::Delivery(delivery) => {
                self.deliver(&delivery);
                Ok(())
            }
            Woken::Timer => self.handle_timer(),
            Woken::Socket | Woken::Released => Ok(()),
        }
    }

    /// After the end: published unless the client said goodbye. No session outlives its connection, so that no will is
    /// delayed (5.0 section 3.1.3.2.2).
    pub(super) async fn publish_will(&self, will: Option<Will>) {
        let Some(will) = will.filter(|will| self.line.session.will_delay_s(will).is_some()) else { return };
        let message = Message {
            topic: will.topic,
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            properties: self.profile.message_properties(will.properties),
        };
        if let Err(error) = self.rights.services().accept(message, self.origin.clone()).await {
            tracing::warn!(client_id = self.rights.client_id(), error = error.message, "a will could not be published");
        }
    }

    async fn handle_input(&mut self) -> Result<(), End> {
        while let Some(action) = self.line.session.poll_action(&mut self.line.input, self.line.uptime.now_ms()) {
            // A full buffer of packets takes a while, and a right that is lost meanwhile is lost for the rest of it.
            if self.rights.has_changed() {
                self.rights.renew().map_err(End::refused)?;
            }
            match action {
                Action::Publish { publish, token } => self.publish(publish, token).await?,
                Action::Subscribe(subscribe) => self.subscribe(subscribe).await,
                Action::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe).await,
                Action::Release(packet_id) => self.line.session.publish_released(packet_id),
                // Nothing is delivered with a tag.
                Action::Acknowledged { .. } => {}
                Action::Closed(closed) => return Err(End::of_closed(closed)),
                Action::Connect(_) => {
                    return Err(End::refused(Refusal::Internal("the session let a second CONNECT pass".to_owned())));
                }
            }
        }
        if self.line.input.is_empty() {
            // An idle connection keeps no buffer.
            self.line.input = bytes::BytesMut::new();
        }
        Ok(())
    }

    async fn wait(&mut self, shutdown: &mut watch::Receiver<bool>) -> Result<Woken, End> {
        let delivering = self.may_deliver();
        let Line { socket, session, input, .. } = &mut *self.line;
        let unsent = session.out().len();
        let may_read = unsent < OUT_PAUSES_READING_BYTES && self.meter.may_read();
        let reading = if may_read && !session.is_waiting_for_answers() { Reading::On } else { Reading::Paused };
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|down| *down) => Err(End::refused(Refusal::ServerShutdown)),
            () = self.claim.taken_over() => Err(End::refused(Refusal::TakenOver)),
            () = self.rights.changed() => Ok(Woken::Standing),
            () = self.timer.as_mut() => Ok(Woken::Timer),
            () = self.meter.released() => Ok(Woken::Released),
            turn = socket.turn(input, session.out(), reading) => match turn {
                Ok(turn) => End::of_turn(turn).map(|()| Woken::Socket),
                Err(error) => Err(End::Lost(error.to_string())),
            },
            delivery = self.claim.next_delivery(), if delivering => Ok(Woken::Delivery(delivery)),
        }
    }

    /// The deadline moves with every packet; the timer is set anew only when it has run out.
    fn handle_timer(&mut self) -> Result<(), End> {
        let Line { session, uptime, .. } = &mut *self.line;
        if let Some(Action::Closed(closed)) = session.handle_timer(uptime.now_ms()) {
            return Err(End::of_closed(closed));
        }
        let deadline = session.next_deadline_ms().map_or_else(|| Instant::now() + NO_DEADLINE, |ms| uptime.at(ms));
        self.timer.as_mut().reset(deadline);
        Ok(())
    }

    /// A publish that is not allowed ends the connection, without a PUBACK: 3.1.1 has no other way to say so, nor has
    /// QoS 0. With QoS 1, MQTT 5 says so in the PUBACK, and the connection stays.
    async fn publish(&mut self, publish: Publish, token: PublishToken) -> Result<(), End> {
        self.profile.check_properties(&publish.properties).map_err(|why| End::refused(Refusal::ProtocolError(why)))?;
        if let Err(exceeded) = self.meter.publish(self.rights.services()) {
            self.discard(token, exceeded);
            return Ok(());
        }
        let refused = match self.accept(publish).await {
            Ok(()) => {
                self.line.session.publish_accepted(token);
                return Ok(());
            }
            Err(refused) => refused,
        };
        self.line.session.publish_refused(token, goodbye::publish_refused(&refused));
        if self.line.session.is_closed() {
            return Err(End::refused(refused));
        }
        let why = refused.sentence();
        tracing::info!(client_id = self.rights.client_id(), why, "a publish was refused");
        Ok(())
    }

    /// As AWS discards what is beyond its rates; MQTT 5 has a word for it, where there is an acknowledgement.
    fn discard(&mut self, token: PublishToken, exceeded: RateExceeded) {
        let session = &mut self.line.session;
        match session.version() {
            Version::V5 if !token.is_at_most_once() => {
                session.publish_refused(token, Reason::new(ReasonCode::QuotaExceeded, exceeded.sentence()));
            }
            _ => session.publish_discarded(token),
        }
    }

    async fn accept(&mut self, publish: Publish) -> Result<(), Refusal> {
        self.profile.check_publish(publish.topic.as_str()).map_err(Refusal::ProtocolError)?;
        self.rights.may_publish(&publish.topic)?;
        if publish.retain {
            self.profile.check_retain(publish.topic.as_str()).map_err(Refusal::ProtocolError)?;
            self.rights.may_retain(&publish.topic)?;
        }
        let message = Message {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            properties: self.profile.message_properties(publish.properties),
        };
        let accepted = self.rights.services().accept(message, self.origin.clone()).await;
        accepted.map_err(|error| match error.code {
            "ThrottlingException" => Refusal::Overloaded(error.message),
            _ => Refusal::Internal(error.message),
        })
    }

    async fn subscribe(&mut self, subscribe: Subscribe) {
        let mut granted = Vec::new();
        let mut answer = |asked: Subscription| {
            let topic = asked.filter.as_str().to_owned();
            let code = self.subscribe_to(asked);
            if !code.is_failure() {
                granted.push(topic);
            }
            code
        };
        let codes: Vec<ReasonCode> = subscribe.subscriptions.into_iter().map(&mut answer).collect();
        self.line.session.subscribe_answered(subscribe.packet_id, codes);
        self.rights.services().announce_subscribed(self.presence.as_ref(), &self.origin, &granted).await;
    }

    /// A filter that is not allowed is refused by itself; the connection stays.
    fn subscribe_to(&mut self, asked: Subscription) -> ReasonCode {
        let filter = asked.filter;
        if let Err(why) = self.profile.check_filter(filter.as_str()) {
            tracing::info!(client_id = self.rights.client_id(), why, "a subscription was refused");
            return ReasonCode::TopicFilterInvalid;
        }
        if !self.filters.contains(&filter) && self.filters.len() >= self.profile.subscriptions_max() {
            let why = format!("a connection has at most {} subscriptions", self.profile.subscriptions_max());
            tracing::info!(client_id = self.rights.client_id(), why, "a subscription was refused");
            return ReasonCode::QuotaExceeded;
        }
        let services = self.rights.services();
        if self.profile.has_rates()
            && let Err(exceeded) = services.rates().subscribe(services.now())
        {
            tracing::info!(
                client_id = self.rights.client_id(),
                why = exceeded.sentence(),
                "a subscription was refused"
            );
            return ReasonCode::QuotaExceeded;
        }
        if let Err(refusal) = self.rights.may_subscribe(filter.as_str()) {
            let why = refusal.sentence();
            tracing::info!(client_id = self.rights.client_id(), why, "a subscription was refused");
            return ReasonCode::NotAuthorized;
        }
        self.filters.insert(filter.clone());
        let granted = self.claim.subscribe_with(filter, asked.options);
        ReasonCode::granted(granted)
    }

    async fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let mut left = Vec::new();
        let answer = |filter: &TopicFilter| {
            self.filters.remove(filter);
            if !self.claim.unsubscribe(filter) {
                return ReasonCode::NoSubscriptionExisted;
            }
            left.push(filter.as_str().to_owned());
            ReasonCode::Success
        };
        let codes: Vec<ReasonCode> = unsubscribe.filters.iter().map(answer).collect();
        self.line.session.unsubscribe_answered(unsubscribe.packet_id, codes);
        self.rights.services().announce_unsubscribed(self.presence.as_ref(), &self.origin, &left).await;
    }

    fn deliver_waiting(&mut self) {
        for _ in 0..DELIVERIES_PER_TURN_MAX {
            if !self.may_deliver() {
                return;
            }
            let Some(delivery) = self.claim.try_next_delivery() else { return };
            self.deliver(&delivery);
        }
    }

    fn may_deliver(&mut self) -> bool {
        let session = &mut self.line.session;
        session.out().len() < OUT_PAUSES_DELIVERY_BYTES && !session.window_is_full() && self.meter.may_deliver()
    }

    /// `iot:Receive` is judged at every delivery; what may not be received is skipped.
    fn deliver(&mut self, delivery: &Delivery) {
        let message = &delivery.message;
        if !self.rights.may_receive(&message.topic) {
            tracing::debug!(
                client_id = self.rights.client_id(),
                topic = message.topic.as_str(),
                "iot:Receive is not allowed: a message was skipped"
            );
            return;
        }
        match delivery.write_to(&mut self.line.session, self.line.uptime.now_ms()) {
            Ok(()) => self.meter.delivered(),
            Err(why @ (NotDelivered::Expired | NotDelivered::TooLarge)) => {
                tracing::debug!(client_id = self.rights.client_id(), ?why, "a message was dropped");
            }
            Err(why) => {
                tracing::warn!(client_id = self.rights.client_id(), ?why, "a message could not be delivered");
            }
        }
    }
}
