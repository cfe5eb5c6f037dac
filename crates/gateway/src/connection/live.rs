//! The loop of a connected device over its five inputs: socket, inbox, standing, timer, shutdown.
//!
//! One turn of the socket may bring many packets, and one wake-up of the inbox many messages; what they cause is
//! written in one go. A device that does not read what it is sent gets no more deliveries, then is not read either;
//! its inbox in the broker is bounded, so nobody waits for it.

use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use broker::{Claim, Delivery, Ended, Message, WillAtEnd, WillFate, WillOnDisconnect};
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
use tokio::time::{Instant, Sleep, sleep_until};

use super::Line;
use super::end::End;
use super::goodbye;
use super::meter::Meter;
use super::rights::Rights;
use crate::log::told;
use crate::peer::Peer;
use crate::profile::Profile;
use crate::socket::{Reading, Turn};

/// Unsent bytes at which nothing more is read: a client that only asks and never listens fills no memory.
const OUT_PAUSES_READING_BYTES: usize = 256 * 1024;
/// What is read of one client before all others that are ready get their turn: a millisecond of small messages. Who has always
/// something more to say would otherwise be listened to until the runtime steps in, which counts reads and not what they bring.
const IN_A_ROW_BYTES_MAX: usize = 64 * 1024;
/// Until the timer looks again where the session has no deadline.
const NO_DEADLINE: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Live<'a> {
    pub(super) line: &'a mut Line,
    pub(super) peer: &'a Peer,
    profile: Profile,
    pub(super) rights: Rights,
    pub(super) claim: Claim,
    timer: Pin<Box<Sleep>>,
    /// What is subscribed to now; bounded by the profile.
    filters: HashSet<TopicFilter>,
    origin: Origin,
    /// Messages of the client that are on their way to the disk, in their order; bounded by the session's receive maximum.
    settling: VecDeque<(Accepted, Asked)>,
    /// Whether an operator ended the connection, and its will with it.
    will_is_prevented: bool,
    /// Of clients that have lifecycle events.
    presence: Option<Presence>,
    pub(super) meter: Meter,
    in_a_row_bytes: usize,
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
enum Woken {
    Standing,
    Delivery(Delivery),
    /// The first of the messages that were on their way to the disk.
    Settled(Result<(), services::Error>),
    Timer,
    Socket,
    /// More may be read or delivered.
    Released,
}

impl<'a> Live<'a> {
    pub(super) fn new(line: &'a mut Line, mut rights: Rights, claim: Claim, peer: &'a Peer) -> Self {
        let profile = line.profile;
        let origin = Origin {
            client_id: Some(rights.client_id().to_owned()),
            principal: rights.principal(),
            connection: Some(peer.connection),
            ..Origin::default()
        };
        // Runs out at once, and is set by the handler.
        let timer = Box::pin(sleep_until(Instant::now()));
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
        Self {
            line,
            peer,
            profile,
            rights,
            claim,
            timer,
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

    pub(super) async fn announce_connected(&self) {
        let address = self.peer.source.ip();
        let (presence, thing) = (self.presence.as_ref(), self.rights.exclusive_thing());
        self.rights.services().announce_connected(presence, &self.origin, address, thing).await;
    }

    pub(super) async fn run(&mut self, shutdown: &mut watch::Receiver<bool>) -> End {
        loop {
            if let Err(end) = self.turn(shutdown).await {
                self.add_up();
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
        self.add_up();
        // Before anything is sent that says so.
        self.save().await?;
        match self.wait(shutdown).await? {
            Woken::Standing => self.renew_rights(),
            Woken::Delivery(delivery) => {
                self.deliver(delivery);
                // Publishers that are ready as well get their turn first: what they have for this device goes out with
                // this message, in one write.
                give_way().await;
                Ok(())
            }
            Woken::Settled(outcome) => self.acknowledge_settled(outcome),
            Woken::Timer => self.handle_timer(),
            Woken::Socket | Woken::Released => Ok(()),
        }
    }

    /// What becomes of the session and of the will: that is published unless the client said goodbye; at once, or by the
    /// broker when its delay is over (5.0 section 3.1.3.2.2).
    pub(super) async fn end(self, will: Option<Will>) -> Option<Presence> {
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

    async fn save(&self) -> Result<(), End> {
        if self.claim.is_saved() {
            return Ok(());
        }
        Box::pin(self.claim.save()).await.map_err(|error| End::refused(Refusal::Internal(error.to_string())))
    }

    async fn handle_input(&mut self) -> Result<(), End> {
        while let Some(action) = self.line.session.poll_action(&mut self.line.input, self.line.uptime.now_ms()) {
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
        self.rights.renew().map_err(End::refused)?;
        self.rights.hear(self.filters.iter(), self.profile.claim_options().multi_level);
        Ok(())
    }

    async fn wait(&mut self, shutdown: &mut watch::Receiver<bool>) -> Result<Woken, End> {
        let delivering = self.may_deliver();
        let Line { socket, session, input, .. } = &mut *self.line;
        let unsent = session.out().len();
        let may_read = unsent < OUT_PAUSES_READING_BYTES && self.meter.may_read();
        let reading = if may_read && !session.is_waiting_for_answers() { Reading::On } else { Reading::Paused };
        // While something moves, nobody need be asked to wake us: looking is enough.
        let is_undisturbed = self.settling.is_empty()
            && !shutdown.has_changed().unwrap_or(true)
            && !self.claim.has_ended()
            && !self.rights.has_changed()
            && !self.timer.is_elapsed();
        if is_undisturbed && let Some(turn) = socket.turn_at_once(input, session.out(), reading).await {
            self.in_a_row_bytes += input.len();
            if self.in_a_row_bytes >= IN_A_ROW_BYTES_MAX {
                self.in_a_row_bytes = 0;
                give_way().await;
            }
            return turn_ended(turn);
        }
        self.in_a_row_bytes = 0;
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|down| *down) => Err(End::refused(Refusal::ServerShutdown)),
            ended = self.claim.ended() => {
                let refusal = match ended {
                    Ended::TakenOver => Refusal::TakenOver,
                    Ended::Disconnected { will } => {
                        self.will_is_prevented = will == WillOnDisconnect::Prevented;
                        Refusal::Disconnected
                    }
                };
                Err(End::refused(refusal))
            }
            () = self.rights.changed() => Ok(Woken::Standing),
            () = self.timer.as_mut() => Ok(Woken::Timer),
            () = self.meter.released() => Ok(Woken::Released),
            outcome = first_settled(&mut self.settling), if !self.settling.is_empty() => Ok(Woken::Settled(outcome)),
            turn = socket.turn(input, session.out(), reading) => turn_ended(turn),
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
        match self.hand_in(publish).await {
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

    async fn hand_in(&mut self, publish: Publish) -> Result<Accepted, Refusal> {
        self.profile.check_publish(publish.topic.as_str()).map_err(Refusal::PublishRefused)?;
        self.rights.may_publish(&publish.topic)?;
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
        match handed_in.map_err(refusal_of)? {
            HandedIn::Now(accepted) => Ok(accepted),
            HandedIn::Later(accepting) => accepting.await.map_err(refusal_of),
        }
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

async fn first_settled(settling: &mut VecDeque<(Accepted, Asked)>) -> Result<(), services::Error> {
    match settling.front_mut() {
        Some((accepted, _)) => accepted.settle().await,
        None => std::future::pending().await,
    }
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

fn turn_ended(turn: io::Result<Turn>) -> Result<Woken, End> {
    match turn {
        Ok(turn) => End::of_turn(turn).map(|()| Woken::Socket),
        Err(error) => Err(End::of_socket(&error)),
    }
}

/// To the end of the run queue, and no further: `yield_now` would ask the operating system for news as well.
async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|cx| {
        if has_given_way {
            return Poll::Ready(());
        }
        has_given_way = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
