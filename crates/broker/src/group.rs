//! A shared subscription: one of its members gets each message.

use std::sync::atomic::{AtomicUsize, Ordering};

use mqtt::topic::MultiLevel;
use mqtt::{Qos, TopicFilter};

use crate::limits::GROUP_WAITING_MAX;
use crate::table::Member;

#[derive(Debug)]
pub(crate) struct Group {
    pub filter: TopicFilter,
    members: Vec<Member>,
    turn: AtomicUsize,
}

/// How well a member can take a message now; the best comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fitness {
    Ready,
    /// It keeps the message for later.
    Absent,
    Slow,
}

impl Group {
    pub fn new(filter: TopicFilter) -> Self {
        Group { filter, members: Vec::new(), turn: AtomicUsize::new(0) }
    }

    pub fn put(&mut self, member: Member) {
        self.remove(member.seat.number);
        self.members.push(member);
    }

    pub fn remove(&mut self, number: u64) {
        self.members.retain(|present| present.seat.number != number);
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// In turn among those that can take it best: who is connected and keeps up, then who keeps it for later, then who
    /// is slow. None of `except`, which did not want it.
    pub fn choose(&self, qos: Qos, multi_level: MultiLevel, except: &[u64]) -> Option<&Member> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut best: Option<(Fitness, &Member)> = None;
        for step in 0..self.members.len() {
            let at = turn.wrapping_add(step).checked_rem(self.members.len()).unwrap_or(0);
            let Some(member) = self.members.get(at) else { continue };
            if !member.wants(multi_level) || except.contains(&member.seat.number) {
                continue;
            }
            match fitness(member, qos.min(member.options.qos)) {
                Some(Fitness::Ready) => return Some(member),
                Some(fitness) if best.is_none_or(|(before, _)| fitness < before) => best = Some((fitness, member)),
                _ => {}
            }
        }
        best.map(|(_, member)| member)
    }
}

/// `None`: it cannot take it at all.
fn fitness(member: &Member, qos: Qos) -> Option<Fitness> {
    let seat = &member.seat;
    let is_queued = qos != Qos::AtMostOnce && seat.durable.is_some();
    if !seat.is_connected() {
        return is_queued.then_some(Fitness::Absent);
    }
    let keeps_up = match &seat.durable {
        Some(durable) if is_queued => durable.room.entries() < GROUP_WAITING_MAX,
        _ => seat.inbox.has_room(),
    };
    Some(if keeps_up { Fitness::Ready } else { Fitness::Slow })
}
