//! How sessions begin and end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mqtt::packet::Version;
use store::{Commit, Expect, Place, Proposed, QueueUsage, Write};

use crate::broker::Broker;
use crate::claim::{Claim, ClaimOptions};
use crate::error::BrokerError;
use crate::inbox::Inbox;
use crate::limits::COMMIT_WRITES_MAX;
use crate::message::Message;
use crate::schedule::{Deadline, Orphan};
use crate::seat::{Durable, Ended, Link, Progress, Seat, WillOnDisconnect};
use crate::stored::{INCOMING, OUTGOING, SESSIONS, SUBSCRIPTIONS, StoredMessage, WILLS, WillRow, below, numbered};
use crate::table::Table;

/// What CONNECT asks of its session.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    pub version: Version,
    pub start: Start,
    /// For how long it outlives the connection; 0 is a clean session, which costs no disk.
    pub expiry_s: u32,
    /// Of a session that outlives its connection: it is kept with it.
    pub will: Option<KeptWill>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Clean,
    /// Where there is a session of the same protocol version, which goes on. AWS: one version's session cannot be resumed
    /// with the other.
    Resume,
}

#[derive(Clone, Debug)]
pub struct KeptWill {
    pub message: Message,
    pub delay_s: u32,
    /// Whose message it will be.
    pub principal: Option<String>,
}

/// What becomes of a session whose connection an operator ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionOnDisconnect {
    Kept,
    Ended,
}

impl SessionRequest {
    pub fn clean(version: Version) -> Self {
        SessionRequest { version, start: Start::Clean, expiry_s: 0, will: None }
    }

    fn bytes(&self) -> usize {
        let will = self.will.as_ref().map(|will| &will.message);
        1024 + will.map_or(0, |will| will.payload.len() + will.properties.wire_bytes())
    }
}

impl Broker {
    /// Takes the client id for a clean session, over from an older connection if there is one.
    pub fn claim(&self, client_id: &str) -> Claim {
        let request = SessionRequest::clean(Version::V311);
        let (claim, proposed) = self.take_seat(client_id, ClaimOptions::default(), &request, None);
        debug_assert!(proposed.is_none(), "without a place nothing is proposed");
        claim
    }

    /// The same with a session of its own kind, which is on disk when this returns, if it is one that outlives its
    /// connection.
    pub async fn claim_with(
        &self,
        client_id: &str,
        options: ClaimOptions,
        request: SessionRequest,
    ) -> Result<Claim, BrokerError> {
        let is_durable = request.expiry_s > 0;
        let (was_durable, has_room) = {
            let table = self.table();
            let was_durable = table.of_client(client_id).is_some_and(|seat| seat.durable.is_some());
            (was_durable, table.durable_count() < self.shared.limits.sessions_max)
        };
        if is_durable && !was_durable && !has_room {
            return Err(BrokerError::TooManySessions { sessions_max: self.shared.limits.sessions_max });
        }
        let place = match is_durable || was_durable {
            true => Some(self.store().reserve(request.bytes()).await?),
            false => None,
        };
        let (claim, proposed) = self.take_seat(client_id, options, &request, place);
        if let Some(proposed) = proposed {
            proposed.await?;
        }
        Ok(claim)
    }

    fn take_seat(
        &self,
        client_id: &str,
        options: ClaimOptions,
        request: &SessionRequest,
        place: Option<Place>,
    ) -> (Claim, Option<Proposed>) {
        let mut table = self.table_mut();
        let mut commit = Commit::default();
        let present = table.of_client(client_id).cloned();
        let is_resumed = request.start == Start::Resume
            && present.as_ref().is_some_and(|seat| seat.durable.as_ref().is_some_and(|d| d.version == request.version));
        let link = Arc::new(Link::new(table.next_number()));
        let seat = match present {
            Some(seat) if is_resumed => seat,
            present => {
                if let Some(older) = present {
                    self.end_session(&mut table, &older, Ended::TakenOver, &mut commit);
                }
                let seat = Arc::new(self.new_seat(table.next_number(), client_id, options, request));
                table.seat(seat.clone());
                seat
            }
        };
        if let Some(durable) = &seat.durable {
            let mut progress = durable.progress();
            progress.expiry_s = request.expiry_s;
            progress.disconnected_at_ms = None;
            progress.will_delay_s = request.will.as_ref().map(|will| will.delay_s);
            drop(progress);
            commit.writes.push(session_write(&seat, durable));
            commit.writes.push(will_write(&seat, request.will.as_ref()));
        }
        seat.connect(link.clone());
        if let Some(durable) = &seat.durable {
            // What is in the queue already is to be read by the new connection.
            durable.bell.ring();
        }
        // Under the table's lock, so that rows of one session go to disk in the order of its connections.
        let proposed = match place {
            Some(place) if !commit.is_empty() => Some(place.propose(commit)),
            _ => {
                if !commit.is_empty() {
                    self.store().defer(commit);
                }
                None
            }
        };
        drop(table);
        (Claim::new(self.clone(), seat, link, options, is_resumed), proposed)
    }

    fn new_seat(&self, number: u64, client_id: &str, options: ClaimOptions, request: &SessionRequest) -> Seat {
        let inbox = Inbox::new(options.inbox);
        let durable = (request.expiry_s > 0)
            .then(|| Durable::new(request.version, inbox.waker(), QueueUsage::default(), Progress::default()));
        let seat = Seat::new(number, client_id.into(), inbox, durable);
        if let Some(durable) = &seat.durable {
            self.store().hang_bell(seat.queue(), durable.bell.clone());
        }
        seat
    }

    /// The session goes, with everything that is kept of it. A will that waits for its time is due now; the one of a
    /// connection that is still there is that connection's to publish.
    pub(crate) fn end_session(&self, table: &mut Table, seat: &Arc<Seat>, ended: Ended, commit: &mut Commit) {
        let Some(serials) = table.leave(seat) else { return };
        seat.end_link(ended);
        let Some(durable) = &seat.durable else { return };
        let mut progress = durable.progress();
        progress.has_ended = true;
        let number = seat.number;
        let gone = |key| Write { key, value: None, expect: Expect::Anything };
        let mut writes = vec![gone(numbered(SESSIONS, number))];
        match (progress.disconnected_at_ms, progress.will_delay_s) {
            (Some(_), Some(_)) => self.shared.schedule.add_will(number),
            // There is none, or it is on its way out.
            (Some(_), None) => {}
            (None, _) => writes.push(gone(numbered(WILLS, number))),
        }
        writes.extend(serials.into_iter().map(|serial| gone(below(SUBSCRIPTIONS, number, serial))));
        let outgoing = progress.in_flight.iter().filter(|in_flight| in_flight.is_stored);
        writes.extend(outgoing.map(|it| gone(below(OUTGOING, number, it.packet_id.value().into()))));
        let incoming = progress.unreleased.iter();
        writes.extend(incoming.map(|packet_id| gone(below(INCOMING, number, packet_id.value().into()))));
        let begun = progress.in_flight.iter().filter(|it| it.qos == mqtt::Qos::ExactlyOnce).map(|it| it.position);
        let orphan = Orphan { number, begun: begun.collect() };
        drop(progress);
        // The session's own row decides; what is left of the others after a crash goes at the next start.
        let rest = writes.split_off(writes.len().min(COMMIT_WRITES_MAX));
        commit.writes.extend(writes);
        for chunk in rest.chunks(COMMIT_WRITES_MAX) {
            self.store().defer(Commit { writes: chunk.to_vec(), queue: Vec::new() });
        }
        self.store().take_bell_down(seat.queue());
        self.shared.queued.subtract(durable.room.entries(), durable.room.bytes());
        self.shared.schedule.add_orphan(orphan);
    }

    /// DeleteConnection: ends the connection of a client, and its session where that is asked for. Whether there was
    /// either.
    pub async fn disconnect(
        &self,
        client_id: &str,
        session: SessionOnDisconnect,
        will: WillOnDisconnect,
    ) -> Result<bool, BrokerError> {
        let ended = Ended::Disconnected { will };
        let commit = {
            let mut table = self.table_mut();
            let Some(seat) = table.of_client(client_id).cloned() else { return Ok(false) };
            if session == SessionOnDisconnect::Kept {
                return Ok(seat.tell_link(ended));
            }
            let mut commit = Commit::default();
            if let (Some(durable), WillOnDisconnect::Prevented) = (&seat.durable, will) {
                durable.progress().will_delay_s = None;
                commit.writes.push(will_write(&seat, None));
            }
            self.end_session(&mut table, &seat, ended, &mut commit);
            commit
        };
        if !commit.is_empty() {
            self.store().commit_all(commit).await?;
        }
        Ok(true)
    }

    /// The session has outlived its connection for as long as it may.
    pub(crate) fn expire(&self, number: u64) -> Commit {
        let mut table = self.table_mut();
        let mut commit = Commit::default();
        let Some(seat) = table.of_number(number).cloned() else { return commit };
        let Some(durable) = &seat.durable else { return commit };
        let (expiry_ms, _) = durable.progress().deadlines_ms();
        if expiry_ms.is_some_and(|at_ms| at_ms <= self.now_ms()) {
            self.end_session(&mut table, &seat, Ended::TakenOver, &mut commit);
            self.shared.sessions_expired.fetch_add(1, Ordering::Relaxed);
        }
        commit
    }

    pub(crate) fn schedule(&self, number: u64, progress: &Progress) {
        let (expiry_ms, will_ms) = progress.deadlines_ms();
        for (at_ms, deadline) in [(expiry_ms, Deadline::Expiry), (will_ms, Deadline::Will)] {
            if let Some(at_ms) = at_ms {
                self.shared.schedule.add(at_ms, deadline, number);
            }
        }
    }
}

pub(crate) fn session_write(seat: &Seat, durable: &Durable) -> Write {
    let row = durable.row(&seat.client_id);
    Write { key: numbered(SESSIONS, seat.number), value: Some(row.encode()), expect: Expect::Anything }
}

/// Of a will that is to be published if the connection breaks, or none.
pub(crate) fn will_write(seat: &Seat, will: Option<&KeptWill>) -> Write {
    let row = will.map(|will| {
        let Message { topic, payload, qos, retain, properties } = will.message.clone();
        let message = StoredMessage { topic, payload, properties, qos, retain };
        WillRow { client_id: seat.client_id.to_string(), principal: will.principal.clone(), message }
    });
    Write { key: numbered(WILLS, seat.number), value: row.map(|row| row.encode()), expect: Expect::Anything }
}
