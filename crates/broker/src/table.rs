//! The one shared table: who holds which client id, and what they subscribe to.

use std::collections::HashMap;
use std::sync::Arc;

use mqtt::codec::VariableInteger;
use mqtt::packet::SubscribeOptions;
use mqtt::topic::MultiLevel;
use mqtt::{Qos, SubscriptionTree, TopicFilter, TopicName};

use crate::group::Group;
use crate::seat::Seat;

#[derive(Debug, Default)]
pub(crate) struct Table {
    seats: HashMap<Arc<str>, Seated>,
    /// Of the durable sessions.
    client_ids: HashMap<u64, Arc<str>>,
    tree: SubscriptionTree<Subscriber, Entry>,
    last_number: u64,
}

#[derive(Debug)]
struct Seated {
    seat: Arc<Seat>,
    /// With the serial of the row, in a durable session.
    filters: HashMap<TopicFilter, u32>,
    last_serial: u32,
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
    Group(Group),
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub seat: Arc<Seat>,
    pub options: SubscribeOptions,
    pub id: Option<VariableInteger>,
    /// Whether `sport/#` gets messages to `sport`.
    pub multi_level: MultiLevel,
}

/// Somebody who gets a message, and how.
#[derive(Debug)]
pub(crate) struct Receiver<'a> {
    pub seat: &'a Arc<Seat>,
    pub qos: Qos,
    pub retain_as_published: bool,
    pub ids: Vec<VariableInteger>,
    pub group: Option<&'a TopicFilter>,
}

/// What subscribing came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub serial: u32,
    pub is_new: bool,
}

impl Table {
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// From here on numbers are higher.
    pub fn pass_number(&mut self, number: u64) {
        self.last_number = self.last_number.max(number);
    }

    /// The seat takes its client id, which must be free.
    pub fn seat(&mut self, seat: Arc<Seat>) {
        if seat.durable.is_some() {
            self.client_ids.insert(seat.number, seat.client_id.clone());
        }
        let seated = Seated { seat: seat.clone(), filters: HashMap::new(), last_serial: 0 };
        self.seats.insert(seat.client_id.clone(), seated);
    }

    pub fn of_client(&self, client_id: &str) -> Option<&Arc<Seat>> {
        self.seats.get(client_id).map(|seated| &seated.seat)
    }

    /// Of a durable session.
    pub fn of_number(&self, number: u64) -> Option<&Arc<Seat>> {
        self.client_ids.get(&number).and_then(|client_id| self.of_client(client_id))
    }

    pub fn durable_count(&self) -> usize {
        self.client_ids.len()
    }

    pub fn durable_numbers(&self) -> Vec<u64> {
        self.client_ids.keys().copied().collect()
    }

    /// Only if the seat still has its client id: it goes with its subscriptions, whose serials come out.
    pub fn leave(&mut self, seat: &Seat) -> Option<Vec<u32>> {
        self.seated_mut(seat)?;
        self.client_ids.remove(&seat.number);
        let seated = self.seats.remove(&seat.client_id)?;
        for filter in seated.filters.keys() {
            self.remove_subscription(&seated.seat, filter);
        }
        Some(seated.filters.into_values().collect())
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.seats.values().map(|seated| &seated.seat)
    }

    pub fn connected_count(&self) -> usize {
        self.seats.values().filter(|seated| seated.seat.is_connected()).count()
    }

    pub fn filters(&self, seat: &Seat) -> Vec<TopicFilter> {
        self.seated(seat).map_or_else(Vec::new, |seated| seated.filters.keys().cloned().collect())
    }

    pub fn subscription_count(&self, seat: &Seat) -> usize {
        self.seated(seat).map_or(0, |seated| seated.filters.len())
    }

    pub fn has_filter(&self, seat: &Seat, filter: &TopicFilter) -> bool {
        self.seated(seat).is_some_and(|seated| seated.filters.contains_key(filter))
    }

    /// `None`: a seat that lost its client id subscribes to nothing.
    pub fn subscribe(&mut self, filter: TopicFilter, member: Member) -> Option<Placed> {
        let seated = self.seated_mut(&member.seat)?;
        let placed = match seated.filters.get(&filter) {
            Some(serial) => Placed { serial: *serial, is_new: false },
            None => {
                let serial = seated.last_serial.wrapping_add(1);
                seated.last_serial = serial;
                seated.filters.insert(filter.clone(), serial);
                Placed { serial, is_new: true }
            }
        };
        self.place(filter, member);
        Some(placed)
    }

    /// A subscription that was written down under `serial`.
    pub fn restore(&mut self, filter: TopicFilter, member: Member, serial: u32) {
        if let Some(seated) = self.seated_mut(&member.seat) {
            seated.filters.insert(filter.clone(), serial);
            seated.last_serial = seated.last_serial.max(serial);
            self.place(filter, member);
        }
    }

    fn place(&mut self, filter: TopicFilter, member: Member) {
        let Some(name) = filter.share_group() else {
            let subscriber = Subscriber::Seat(member.seat.number);
            self.tree.insert(&filter, subscriber, Entry::One(member));
            return;
        };
        let subscriber = Subscriber::Group(name.into());
        if let Some(Entry::Group(group)) = self.tree.get_mut(&filter, &subscriber) {
            return group.put(member);
        }
        let mut group = Group::new(filter.clone());
        group.put(member);
        self.tree.insert(&filter, subscriber, Entry::Group(group));
    }

    /// The serial of the subscription, if there was one.
    pub fn unsubscribe(&mut self, seat: &Seat, filter: &TopicFilter) -> Option<u32> {
        let serial = self.seated_mut(seat)?.filters.remove(filter)?;
        self.remove_subscription(seat, filter);
        Some(serial)
    }

    /// Who gets a message: each subscriber once, with the highest QoS of its filters that match and the identifiers of
    /// all of them [MQTT-3.3.4-3], and one member of each matching group. `publisher` is the client id that the message
    /// comes from.
    pub fn receivers<'a>(
        &'a self,
        topic: &TopicName,
        qos: Qos,
        publisher: Option<&str>,
        mut deliver: impl FnMut(Receiver<'a>),
    ) {
        let mut first: Option<&Member> = None;
        let mut others: Vec<&Member> = Vec::new();
        self.tree.for_each_match(topic, |_, entry, multi_level| match entry {
            Entry::One(member) if !member.wants(multi_level) || member.is_spared(publisher) => {}
            Entry::One(member) => match first {
                None => first = Some(member),
                // The usual fan-out of one allocates nothing.
                Some(_) => others.push(member),
            },
            Entry::Group(group) => {
                if let Some(member) = group.choose(qos, multi_level, &[]) {
                    deliver(Receiver { group: Some(&group.filter), ..Receiver::of(member) });
                }
            }
        });
        let Some(first) = first else {
            return;
        };
        if others.is_empty() {
            return deliver(Receiver::of(first));
        }
        others.push(first);
        others.sort_unstable_by_key(|member| member.seat.number);
        for of_one in others.chunk_by(|one, other| one.seat.number == other.seat.number) {
            if let Some(receiver) = Receiver::of_all(of_one) {
                deliver(receiver);
            }
        }
    }

    pub fn has_receivers(&self, topic: &TopicName) -> bool {
        let mut found = false;
        self.tree.for_each_match(topic, |_, _, _| found = true);
        found
    }

    /// Another member of the group that a message came by.
    pub fn other_of_group<'a>(&'a mut self, group: &TopicFilter, qos: Qos, except: &[u64]) -> Option<Receiver<'a>> {
        let subscriber = Subscriber::Group(group.share_group()?.into());
        match self.tree.get_mut(group, &subscriber) {
            Some(Entry::Group(group)) => {
                // That it matches was settled when it came.
                let member = group.choose(qos, MultiLevel::BelowParent, except)?;
                Some(Receiver { group: Some(&group.filter), ..Receiver::of(member) })
            }
            _ => None,
        }
    }

    fn seated(&self, seat: &Seat) -> Option<&Seated> {
        self.seats.get(&seat.client_id).filter(|seated| seated.seat.number == seat.number)
    }

    fn seated_mut(&mut self, seat: &Seat) -> Option<&mut Seated> {
        self.seats.get_mut(&seat.client_id).filter(|seated| seated.seat.number == seat.number)
    }

    fn remove_subscription(&mut self, seat: &Seat, filter: &TopicFilter) {
        let Some(name) = filter.share_group() else {
            self.tree.remove(filter, &Subscriber::Seat(seat.number));
            return;
        };
        let subscriber = Subscriber::Group(name.into());
        if let Some(Entry::Group(group)) = self.tree.get_mut(filter, &subscriber) {
            group.remove(seat.number);
            if group.is_empty() {
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

    pub fn wants(&self, multi_level: MultiLevel) -> bool {
        multi_level == MultiLevel::BelowParent || self.multi_level == MultiLevel::WithParent
    }
}

impl<'a> Receiver<'a> {
    fn of(member: &'a Member) -> Self {
        Receiver {
            seat: &member.seat,
            qos: member.options.qos,
            retain_as_published: member.options.retain_as_published,
            ids: member.id.into_iter().collect(),
            group: None,
        }
    }

    /// Of several subscriptions of one session.
    fn of_all(members: &[&'a Member]) -> Option<Self> {
        let mut receiver = Receiver::of(members.first()?);
        for member in members.iter().skip(1) {
            receiver.qos = receiver.qos.max(member.options.qos);
            receiver.retain_as_published |= member.options.retain_as_published;
            receiver.ids.extend(member.id);
        }
        Some(receiver)
    }
}
