//! The places for connections at a door: how many there are in all, and how many one address may have, so that nobody
//! takes them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Places {
    taken: Arc<Mutex<Taken>>,
    connections_max: usize,
    per_address_max: usize,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's; free again when dropped.
#[derive(Debug)]
pub struct Place {
    taken: Arc<Mutex<Taken>>,
    address: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    Full,
    AddressFull,
}

impl Places {
    pub fn new(connections_max: usize, per_address_max: usize) -> Self {
        Self { taken: Arc::default(), connections_max, per_address_max }
    }

    pub fn take(&self, source: IpAddr) -> Result<Place, NoPlace> {
        let address = counted_as(source);
        let mut taken = locked(&self.taken);
        if taken.all >= self.connections_max {
            return Err(NoPlace::Full);
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= self.per_address_max {
            return Err(NoPlace::AddressFull);
        }
        *of_address += 1;
        taken.all += 1;
        drop(taken);
        Ok(Place { taken: self.taken.clone(), address })
    }

    pub fn taken(&self) -> usize {
        locked(&self.taken).all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        taken.all = taken.all.saturating_sub(1);
        let of_address = taken.by_address.get_mut(&self.address).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if of_address == Some(0) {
            taken.by_address.remove(&self.address);
        }
    }
}

/// One host commands a whole /64 of IPv6 addresses, so they count as one.
pub fn counted_as(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 => v4,
    }
}

fn locked(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_bounded_in_all_and_per_address_and_come_back() {
        let places = Places::new(3, 2);
        let first = places.take(address("10.0.0.1")).unwrap();
        let _second = places.take(address("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(address("10.0.0.1")).unwrap_err(), NoPlace::AddressFull);
        let _third = places.take(address("10.0.0.2")).unwrap();
        assert_eq!(places.take(address("10.0.0.3")).unwrap_err(), NoPlace::Full);
        drop(first);
        assert_eq!(places.taken(), 2);
        let _fourth = places.take(address("10.0.0.1")).unwrap();
    }

    #[test]
    fn an_address_is_forgotten_with_its_last_connection() {
        let places = Places::new(3, 2);
        drop(places.take(address("2001:db8::1")).unwrap());
        assert!(locked(&places.taken).by_address.is_empty());
    }

    #[test]
    fn one_ipv6_network_is_one_address() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("10.0.0.1", "10.0.0.2", false),
        ] {
            assert_eq!(counted_as(address(one)) == counted_as(address(other)), same, "{one} {other}");
        }
    }
}
