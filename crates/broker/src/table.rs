//! The one shared table: who holds which client id, and what they subscribe to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mqtt::packet::SubscribeOptions;
use mqtt::topic::MultiLevel;
use mqtt::{SubscriptionTree, TopicFilter, TopicName};
use tokio::sync::Notify;

use crate::inbox::Inbox;

/// What publishers and the newer owner of a client id see of a connection.
#[derive(Debug)]
pub(crate) struct Seat {
    /// Unique in this process; a newer connection has a higher one.
    pub number: u64,
    pub client_id: Arc<str>,
    pub multi_level: MultiLevel,
    pub inbox: Inbox,
    pub is_taken_over: AtomicBool,
    pub taken_over: Notify,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    seats: HashMap<Arc<str>, Seated>,
    tree: SubscriptionTree<Subscriber, Entry>,
    next_number: u64,
}

#[derive(Debug)]
struct Seated {
    seat: Arc<Seat>,
    filters: HashSet<TopicFilter>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subscriber {
    Seat(u64),
    /// The name of a shared subscription's group: one entry for all its members.
    Group(Arc<str>),
}

#[derive(Debug)]
enum Entry {
    One(Member),
    Group { members: Vec<Member>, turn: AtomicUsize },
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub seat: Arc<Seat>,
    pub options: SubscribeOptions,
}

impl Table {
    pub fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// The seat takes its client id. Whoever had it loses it, with all subscriptions, and is told.
    pub fn seat(&mut self, seat: Arc<Seat>) {
        let seated = Seated { seat: seat.clone(), filters: HashSet::new() };
        if let Some(older) = self.seats.insert(seat.client_id.clone(), seated) {
            self.remove_subscriptions(&older);
            older.seat.is_taken_over.store(true, Ordering::Release);
            older.seat.taken_over.notify_one();
        }
    }

    /// Only if the seat still has its client id.
    pub fn leave(&mut self, seat: &Seat) {
        if self.seated_mut(seat).is_some()
            && let Some(seated) = self.seats.remove(&seat.client_id)
        {
            self.remove_subscriptions(&seated);
        }
    }

    pub fn seated_count(&self) -> usize {
        self.seats.len()
    }

    pub fn subscription_count(&self, seat: &Seat) -> usize {
        self.seats
            .get(&seat.client_id)
            .filter(|seated| seated.seat.number == seat.number)
            .map_or(0, |seated| seated.filters.len())
    }

    /// Whether it was subscribed; a seat that lost its client id is not.
    pub fn subscribe(&mut self, seat: &Arc<Seat>, filter: TopicFilter, options: SubscribeOptions) -> bool {
        let Some(seated) = self.seated_mut(seat) else {
            return false;
        };
        seated.filters.insert(filter.clone());
        let member = Member { seat: seat.clone(), options };
        let Some(group) = filter.share_group() else {
            let subscriber = Subscriber::Seat(seat.number);
            self.tree.insert(&filter, subscriber, Entry::One(member));
            return true;
        };
        let subscriber = Subscriber::Group(group.into());
        if let Some(Entry::Group { members, .. }) = self.tree.get_mut(&filter, &subscriber) {
            members.retain(|present| present.seat.number != seat.number);
            members.push(member);
        } else {
            let entry = Entry::Group { members: vec![member], turn: AtomicUsize::new(0) };
            self.tree.insert(&filter, subscriber, entry);
        }
        true
    }

    pub fn unsubscribe(&mut self, seat: &Seat, filter: &TopicFilter) -> bool {
        let was_subscribed = self.seated_mut(seat).is_some_and(|seated| seated.filters.remove(filter));
        if was_subscribed {
            self.remove_subscription(seat, filter);
        }
        was_subscribed
    }

    /// Who gets a message: each subscriber once, with the highest QoS of its filters that match, and one member of
    /// each matching group. `publisher` is the client id that the message comes from.
    pub fn receivers(&self, topic: &TopicName, publisher: Option<&str>, mut deliver: impl FnMut(&Member)) {
        let mut first: Option<&Member> = None;
        let mut others: Vec<&Member> = Vec::new();
        self.tree.for_each_match(topic, |_, entry, multi_level| match entry {
            Entry::One(member) if !member.wants(multi_level) || member.is_spared(publisher) => {}
            Entry::One(member) => match first {
                None => first = Some(member),
                // The usual fan-out of one allocates nothing.
                Some(_) => others.push(member),
            },
            Entry::Group { members, turn } => {
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                if let Some(member) = members.get(turn.checked_rem(members.len()).unwrap_or(0))
                    && member.wants(multi_level)
                {
                    deliver(member);
                }
            }
        });
        let Some(first) = first else {
            return;
        };
        if others.is_empty() {
            return deliver(first);
        }
        others.push(first);
        // Highest QoS first, so that the one that stays is the highest.
        others.sort_unstable_by_key(|member| (member.seat.number, std::cmp::Reverse(member.options.qos)));
        others.dedup_by_key(|member| member.seat.number);
        others.into_iter().for_each(deliver);
    }

    pub fn has_receivers(&self, topic: &TopicName) -> bool {
        let mut found = false;
        self.tree.for_each_match(topic, |_, _, _| found = true);
        found
    }

    fn seated_mut(&mut self, seat: &Seat) -> Option<&mut Seated> {
        self.seats.get_mut(&seat.client_id).filter(|seated| seated.seat.number == seat.number)
    }

    fn remove_subscriptions(&mut self, seated: &Seated) {
        for filter in &seated.filters {
            self.remove_subscription(&seated.seat, filter);
        }
    }

    fn remove_subscription(&mut self, seat: &Seat, filter: &TopicFilter) {
        let Some(group) = filter.share_group() else {
            self.tree.remove(filter, &Subscriber::Seat(seat.number));
            return;
        };
        let subscriber = Subscriber::Group(group.into());
        if let Some(Entry::Group { members, .. }) = self.tree.get_mut(filter, &subscriber) {
            members.retain(|present| present.seat.number != seat.number);
            if members.is_empty() {
                self.tree.remove(filter, &subscriber);
            }
        }
    }
}

impl Member {
    /// No Local [MQTT-3.8.3-3]. A shared subscription cannot ask for it.
    fn is_spared(&self, publisher: Option<&str>) -> bool {
        self.options.no_local && publisher == Some(&*self.seat.client_id)
    }

    fn wants(&self, multi_level: MultiLevel) -> bool {
        multi_level == MultiLevel::BelowParent || self.seat.multi_level == MultiLevel::WithParent
    }
}
