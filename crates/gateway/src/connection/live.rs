//! The loop of a connected device over its five inputs: socket, inbox, standing, timer, shutdown.
//!
//! One turn of the socket may bring many packets, and one wake-up of the inbox many messages; what they cause is
//! written in one go. A device that does not read what it is sent gets no more deliveries, then is not read either;
//! its inbox in the broker is bounded, so nobody waits for it.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use broker::{Claim, Delivery, Message, WillAtEnd, WillFate};
use domain::admission::Refusal;
use mqtt::codec::VariableInteger;
use mqtt::packet::{Publish, Reason, ReasonCode, Subscribe, Subscription, Unsubscribe, Will};
use mqtt::session::PublishToken;
use mqtt::{Action, Qos, TopicFilter, Version};
use services::messages::{Accepted, HandedIn, Origin};
use services::metrics::{self, Outcome, Unsent};
use services::presence::Presence;
use services::rates::RateExceeded;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Line;
use super::bell::Bell;
use super::end::End;
use super::goodbye;
use super::interruption::Interruptions;
use super::meter::Meter;
use super::rights::Rights;
use crate::log::told;
use crate::peer::Peer;
use crate::profile::Profile;

/// Until the clock is looked at again where the session has no deadline.
const NO_DEADLINE: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Live<'a> {
    pub(super) line: &'a mut Line,
    pub(super) peer: &'a Peer,
    profile: Profile,
    pub(super) rights: Rights,
    pub(super) claim: Claim,
    shutdown: watch::Receiver<bool>,
    pub(super) interruptions: Interruptions,
    /// Rung by the claim.
    pub(super) arrivals: Bell,
    /// Something may be there to be delivered: it has rung, and not everything was taken since.
    pub(super) has_arrivals: bool,
    /// Taken from the inbox, and not written yet; empty but for a device that may get no more just now.
    pub(super) arrived: VecDeque<Delivery>,
    /// Since something was delivered last.
    pub(super) has_given_way: bool,
    /// What is subscribed to now; bounded by the profile.
    filters: HashSet<TopicFilter>,
    origin: Origin,
    /// Messages of the client that are on their way to the disk, in their order; bounded by the session's receive maximum.
    pub(super) settling: VecDeque<(Accepted, Asked)>,
    /// Whether an operator ended the connection, and its will with it.
    pub(super) will_is_prevented: bool,
    /// Of clients that have lifecycle events.
    presence: Option<Presence>,
    pub(super) meter: Meter,
    /// Read since it slept or gave way.
    pub(super) in_a_row_bytes: usize,
    pub(super) traffic: metrics::Turn,
    pub(super) unsent: Unsent,
}

/// A publish that is to be answered.
#[derive(Debug)]
pub(super) struct Asked {
    token: PublishToken,
    pub(super) qos: Qos,
    pub(super) is_retained: bool,
    /// `None` where nobody waits for an acknowledgement.
    pub(super) since: Option<std::time::Instant>,
}

/// What woke the loop.
pub(super) enum Woken {
    Standing,
    /// There is something to be delivered.
    Arrived,
    /// The first of the messages that were on their way to the disk.
    Settled(Result<(), services::Error>),
    Deadline,
    Socket,
    /// More may be read or delivered.
    Released,
}

impl<'a> Live<'a> {
    pub(super) fn new(
        line: &'a mut Line,
        mut rights: Rights,
        claim: Claim,
        peer: &'a Peer,
        shutdown: &watch::Receiver<bool>,
    ) -> Self {
        let profile = line.profile;
        let origin = Origin {
            client_id: Some(rights.client_id().to_owned()),
            principal: rights.principal(),
            connection: Some(peer.connection),
            ..Origin::default()
        };
        let presence = rights.services().presence(&origin);
        let filters = if claim.is_resumed() {
            // What waits for it may have come by filters that it gave up since.
            rights.hear_no_more();
            claim.filters().into_iter().collect()
        } else {
            rights.hear(std::iter::empty(), profile.claim_options().multi_level);
            HashSet::new()
        };
        let (settling, meter) = (VecDeque::new(), Meter::new(profile));
        let will_is_prevented = false;
        let traffic = metrics::Turn::default();
        let unsent = rights.services().metrics().traffic.unsent();
        let interruptions = Interruptions::of(shutdown, &claim, &rights, deadline(line, &rights));
        let arrivals = Bell::new();
        claim.wake_on_arrival(arrivals.waker());
        Self {
            line,
            peer,
            profile,
            rights,
            claim,
            shutdown: shutdown.clone(),
            interruptions,
            arrivals,
            has_arrivals: true,
            arrived: VecDeque::new(),
            has_given_way: false,
            filters,
            origin,
            settling,
            will_is_prevented,
            presence,
            meter,
            in_a_row_bytes: 0,
            traffic,
            unsent,
        }
    }

    pub(super) async fn announce_connected(&mut self) {
        let address = self.peer.source.ip();
        let (presence, thing) = (self.presence.as_ref(), self.rights.exclusive_thing());
        self.rights.services().announce_connected(presence, &self.origin, address, thing).await;
    }

    pub(super) async fn run(&mut self) -> End {
        // More may have come with CONNECT.
        let mut woken = Ok(Woken::Socket);
        let end = loop {
            let outcome = match woken {
                Ok(woken) => self.turn(woken).await,
                Err(end) => Err(end),
            };
            match outcome {
                Ok(()) => woken = self.wait().await,
                Err(end) => break end,
            }
        };
        self.add_up();
        if let End::Refused(refused) = &end {
            // MQTT 5 is told; nothing happens where the session itself has ended.
            self.line.session.close(goodbye::disconnect(&refused.refusal));
        }
        end
    }

    async fn turn(&mut self, woken: Woken) -> Result<(), End> {
        match woken {
            // Nothing has come from the device.
            Woken::Arrived => {}
            Woken::Socket | Woken::Released => self.handle_input().await?,
            Woken::Settled(outcome) => {
                self.acknowledge_settled(outcome)?;
                self.handle_input().await?;
            }
            Woken::Standing => {
                self.renew_rights()?;
                self.wait_for_interruptions();
            }
            Woken::Deadline => self.handle_deadline()?,
        }
        // Whatever woke the loop: a device that sends without a pause is to hear as well.
        self.deliver_arrived();
        // Before anything is sent that says so.
        self.save().await
    }

    /// What becomes of the session and of the will: that is published unless the client said goodbye; at once, or by the
    /// broker when its delay is over (5.0 section 3.1.3.2.2).
    pub(super) async fn end(mut self, will: Option<Will>) -> Option<Presence> {
        self.give_back_arrived();
        // What the client may still be told.
        if let Err(error) = self.claim.save().await {
            told!(warn, self.peer, %error, "the end of a session could not be written");
        }
        let Self { line, peer, profile, rights, claim, origin, presence, .. } = self;
        let session_expiry_s = line.session.session_expiry_s();
        let will = will.filter(|will| !self.will_is_prevented && may_publish_will(peer, &rights, will));
        let delay_s = will.as_ref().and_then(|will| line.session.will_delay_s(will));
        let Some((will, delay_s)) = will.zip(delay_s) else {
            claim.end(session_expiry_s, WillAtEnd::Discarded);
            return presence;
        };
        let message = will_message(profile, will);
        if delay_s > 0 {
            match claim.end(session_expiry_s, WillAtEnd::Delayed { delay_s }) {
                WillFate::Due => {}
                WillFate::None | WillFate::Kept | WillFate::Cancelled => return presence,
            }
            publish_will(peer, &rights, message, origin).await;
        } else {
            publish_will(peer, &rights, message, origin).await;
            claim.end(session_expiry_s, WillAtEnd::Discarded);
        }
        presence
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    async fn save(&mut self) -> Result<(), End> {
        if self.claim.is_saved() {
            return Ok(());
        }
        Box::pin(self.claim.save()).await.map_err(|error| End::refused(Refusal::Internal(error.to_string())))
    }

    async fn handle_input(&mut self) -> Result<(), End> {
        let now_ms = self.line.uptime.now_ms();
        while let Some(action) = self.line.session.poll_action(&mut self.line.input, now_ms) {
            // A full buffer of packets takes a while, and a right that is lost meanwhile is lost for the rest of it.
            if self.rights.has_changed() {
                self.renew_rights()?;
            }
            match action {
                Action::Publish { publish, token } => self.publish(publish, token).await?,
                Action::Subscribe(subscribe) => Box::pin(self.subscribe(subscribe)).await,
                Action::Unsubscribe(unsubscribe) => Box::pin(self.unsubscribe(&unsubscribe)).await,
                Action::Release(packet_id) => {
                    self.claim.released(packet_id);
                    self.line.session.publish_released(packet_id);
                }
                Action::Acknowledged { tag, progress } => self.claim.acknowledged(tag, progress),
                Action::Completed(packet_id) => self.claim.completed(packet_id),
                Action::Closed(closed) => {
                    self.count_closed(&closed);
                    return Err(End::of_closed(closed));
                }
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

    fn renew_rights(&mut self) -> Result<(), End> {
        self.rights.renew(self.peer, self.line.socket.chain()).map_err(End::refused)?;
        self.rights.hear(self.filters.iter(), self.profile.claim_options().multi_level);
        Ok(())
    }

    /// The deadline moves with every packet, and is looked at only when it has come.
    fn handle_deadline(&mut self) -> Result<(), End> {
        let Line { session, uptime, .. } = &mut *self.line;
        if let Some(Action::Closed(closed)) = session.handle_timer(uptime.now_ms()) {
            return Err(End::of_closed(closed));
        }
        if self.rights.has_changed() {
            self.renew_rights()?;
        }
        self.wait_for_interruptions();
        Ok(())
    }

    fn wait_for_interruptions(&mut self) {
        let deadline = deadline(self.line, &self.rights);
        self.interruptions.go_on(&self.shutdown, &self.claim, &self.rights, deadline);
    }

    /// A publish that is not allowed ends the connection, without a PUBACK: 3.1.1 has no other way to say so, nor has
    /// QoS 0. With QoS 1, MQTT 5 says so in the PUBACK, and the connection stays.
    async fn publish(&mut self, publish: Publish, token: PublishToken) -> Result<(), End> {
        let since = (publish.qos != Qos::AtMostOnce).then(|| self.traffic.asked());
        let asked = Asked { token, qos: publish.qos, is_retained: publish.retain, since };
        if let Err(why) = self.profile.check_properties(&publish.properties) {
            self.count_refused(&asked, Outcome::ClientError);
            return Err(End::refused(Refusal::PublishRefused(why)));
        }
        if let Err(exceeded) = self.meter.publish(self.rights.services()) {
            self.discard(asked, exceeded);
            return Ok(());
        }
        let accepted = match self.hand_in(publish) {
            Ok(HandedIn::Now(accepted)) => Ok(accepted),
            Ok(HandedIn::Later(accepting)) => accepting.await.map_err(refusal_of),
            Err(refused) => Err(refused),
        };
        match accepted {
            Ok(accepted) if accepted.is_settled() => {
                if asked.since.is_some() {
                    self.traffic.acknowledged();
                }
                self.acknowledge(asked);
                Ok(())
            }
            Ok(accepted) => {
                self.settling.push_back((accepted, asked));
                Ok(())
            }
            Err(refused) => self.refuse(refused, asked),
        }
    }

    fn acknowledge(&mut self, asked: Asked) {
        self.count_accepted(&asked);
        self.line.session.publish_accepted(asked.token);
    }

    fn refuse(&mut self, refused: Refusal, asked: Asked) -> Result<(), End> {
        self.count_refused(&asked, Outcome::of_refusal(&refused));
        self.line.session.publish_refused(asked.token, goodbye::publish_refused(&refused));
        if self.line.session.is_closed() {
            return Err(End::refused(refused));
        }
        let why = refused.sentence();
        told!(info, self.peer, why, "a publish was refused");
        Ok(())
    }

    /// As AWS discards what is beyond its rates; MQTT 5 has a word for it, where there is an acknowledgement.
    fn discard(&mut self, asked: Asked, exceeded: RateExceeded) {
        self.count_refused(&asked, Outcome::Throttle);
        let token = asked.token;
        let session = &mut self.line.session;
        match session.version() {
            Version::V5 if !token.is_at_most_once() => {
                session.publish_refused(token, Reason::new(ReasonCode::QuotaExceeded, exceeded.sentence()));
            }
            _ => session.publish_discarded(token),
        }
    }

    fn hand_in(&mut self, publish: Publish) -> Result<HandedIn, Refusal> {
        // Of a topic that the profile does not know no verdict is ever kept.
        if !self.rights.just_published(&publish.topic) {
            self.profile.check_publish(publish.topic.as_str()).map_err(Refusal::PublishRefused)?;
            self.rights.may_publish(&publish.topic)?;
        }
        if publish.retain {
            self.profile.check_retain(publish.topic.as_str()).map_err(Refusal::PublishRefused)?;
            self.rights.may_retain(&publish.topic)?;
        }
        let receipt = match publish.qos {
            Qos::ExactlyOnce => publish.packet_id.and_then(|packet_id| self.claim.receipt(packet_id)),
            _ => None,
        };
        let message = Message {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            properties: self.profile.message_properties(publish.properties),
        };
        let services = self.rights.services();
        let handed_in = match receipt {
            Some(_) => services.hand_in_at_once(message, &Origin { receipt, ..self.origin.clone() }),
            None => services.hand_in_at_once(message, &self.origin),
        };
        handed_in.map_err(refusal_of)
    }

    /// One fsync is for many: those that were settled by the same one are acknowledged in the same write.
    fn acknowledge_settled(&mut self, outcome: Result<(), services::Error>) -> Result<(), End> {
        let mut next = Some(outcome);
        while let Some(outcome) = next {
            let Some((_, asked)) = self.settling.pop_front() else { return Ok(()) };
            match outcome {
                Ok(()) => {
                    self.count_acknowledged_later(&asked);
                    self.acknowledge(asked);
                }
                Err(error) => self.refuse(refusal_of(error), asked)?,
            }
            next = self.settling.front_mut().and_then(|(accepted, _)| accepted.try_settle());
        }
        Ok(())
    }

    async fn subscribe(&mut self, subscribe: Subscribe) {
        let mut granted = Vec::new();
        let id = subscribe.properties.subscription_id();
        let mut answer = |asked: Subscription| {
            let topic = asked.filter.as_str().to_owned();
            let code = self.subscribe_to(asked, id);
            if !code.is_failure() {
                granted.push(topic);
            }
            code
        };
        let codes: Vec<ReasonCode> = subscribe.subscriptions.into_iter().map(&mut answer).collect();
        self.count_subscribed(&codes);
        // Retained messages.
        self.has_arrivals = true;
        self.line.session.subscribe_answered(subscribe.packet_id, codes);
        let (services, presence) = (self.rights.services(), self.presence.as_ref());
        Box::pin(services.announce_subscribed(presence, &self.origin, &granted)).await;
    }

    /// A filter that is not allowed is refused by itself; the connection stays.
    fn subscribe_to(&mut self, asked: Subscription, id: Option<VariableInteger>) -> ReasonCode {
        let filter = asked.filter;
        if let Err(why) = self.profile.check_filter(filter.as_str()) {
            told!(info, self.peer, why, "a subscription was refused");
            return ReasonCode::TopicFilterInvalid;
        }
        if !self.filters.contains(&filter) && self.filters.len() >= self.profile.subscriptions_max() {
            let why = format!("a connection has at most {} subscriptions", self.profile.subscriptions_max());
            told!(info, self.peer, why, "a subscription was refused");
            return ReasonCode::QuotaExceeded;
        }
        let services = self.rights.services();
        if self.profile.has_rates()
            && let Err(exceeded) = services.rates().subscribe(services.now())
        {
            told!(info, self.peer, why = exceeded.sentence(), "a subscription was refused");
            return ReasonCode::QuotaExceeded;
        }
        if let Err(refusal) = self.rights.may_subscribe(filter.as_str()) {
            let why = refusal.sentence();
            told!(info, self.peer, why, "a subscription was refused");
            return ReasonCode::NotAuthorized;
        }
        let Some(granted) = self.claim.subscribe_with(filter.clone(), asked.options, id) else {
            return ReasonCode::QuotaExceeded;
        };
        self.rights.hear_also(&filter, self.profile.claim_options().multi_level);
        self.filters.insert(filter);
        ReasonCode::granted(granted)
    }

    async fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let mut left = Vec::new();
        let answer = |filter: &TopicFilter| {
            self.filters.remove(filter);
            if !self.claim.unsubscribe(filter) {
                return ReasonCode::NoSubscriptionExisted;
            }
            self.rights.hear_no_more();
            left.push(filter.as_str().to_owned());
            ReasonCode::Success
        };
        let codes: Vec<ReasonCode> = unsubscribe.filters.iter().map(answer).collect();
        self.count_unsubscribed(&codes);
        self.line.session.unsubscribe_answered(unsubscribe.packet_id, codes);
        let (services, presence) = (self.rights.services(), self.presence.as_ref());
        Box::pin(services.announce_unsubscribed(presence, &self.origin, &left)).await;
    }
}

/// Of the session, or of the rights.
fn deadline(line: &Line, rights: &Rights) -> Instant {
    let Line { session, uptime, .. } = line;
    let of_session = session.next_deadline_ms().map(|ms| uptime.at(ms));
    of_session.into_iter().chain(rights.end()).min().unwrap_or_else(|| Instant::now() + NO_DEADLINE)
}

fn refusal_of(error: services::Error) -> Refusal {
    match error.code {
        "ThrottlingException" => Refusal::Overloaded(error.message),
        _ => Refusal::Internal(error.message),
    }
}

pub(super) fn will_message(profile: Profile, will: Will) -> Message {
    Message {
        topic: will.topic,
        payload: will.payload,
        qos: will.qos,
        retain: will.retain,
        properties: profile.message_properties(will.properties),
    }
}

/// It was allowed at CONNECT. What policies let its device publish no longer is not published when it goes.
fn may_publish_will(peer: &Peer, rights: &Rights, will: &Will) -> bool {
    let Err(refusal) = rights.may_publish_will(will) else { return true };
    let why = refusal.sentence();
    told!(info, peer, why, "a will was not published");
    false
}

async fn publish_will(peer: &Peer, rights: &Rights, message: Message, origin: Origin) {
    if let Err(error) = rights.services().accept(message, origin).await {
        told!(warn, peer, error = error.message, "a will could not be published");
    }
}
