//! The places of open connections, in total and for each client's network.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::server::network::network;

/// The largest numbers of open connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// The limit of all connections.
    pub total: u32,
    /// The limit of one IPv4 address or IPv6 /64 network, `None` if it has only the limit of all.
    pub per_address: Option<u32>,
}

/// The places of a server. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
    limits: ConnectionLimits,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    total: u32,
    by_network: HashMap<IpAddr, u32>,
}

/// The place of an open connection, free again on drop.
pub(super) struct Place {
    places: Places,
    network: IpAddr,
}

impl Places {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, open: Arc::default() }
    }

    /// Takes a place for a connection from `address`, `None` if a limit is reached.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut open = self.open();
        let of_network = open.by_network.get(&network).copied().unwrap_or_default();
        let is_free =
            open.total < self.limits.total && self.limits.per_address.is_none_or(|limit| of_network < limit);
        if !is_free {
            return None;
        }
        open.total += 1;
        open.by_network.insert(network, of_network + 1);
        Some(Place { places: self.clone(), network })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        open.total = open.total.saturating_sub(1);
        if let Entry::Occupied(mut of_network) = open.by_network.entry(self.network) {
            *of_network.get_mut() -= 1;
            if *of_network.get() == 0 {
                of_network.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_cannot_take_the_places_of_others_and_a_closed_connection_frees_its_own() {
        let places = Places::new(ConnectionLimits { total: 3, per_address: Some(2) });
        let take = |text: &str| places.take(text.parse().unwrap());
        let first = [take("2001:db8::1"), take("2001:db8::2")];
        assert!(first.iter().all(Option::is_some));
        assert!(take("2001:db8::3").is_none(), "one network");
        let other = take("192.0.2.1");
        assert!(other.is_some());
        assert!(take("192.0.2.2").is_none(), "all places are taken");
        drop(first);
        assert!(take("192.0.2.2").is_some());
        drop(other);
        assert!(places.open().by_network.is_empty(), "nothing is kept of networks without connections");
    }
}
