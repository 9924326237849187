//! Slices against a naive registry: two data planes with calls that cross, are lost or come late, leases that expire, and
//! windows that end; and slices that are given back.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::slice::{Granted, Lease, Reservation, Reserved, Told};
use super::slice_slot::Slot;
use super::{Amount, Unit, begin, begin_due, begin_return, fail, grant, lacks, reserve, settle};
use crate::base::{Digest, Moment};
use crate::host::{MemoryStore, SlotKind, Store};

const START: u64 = 1_800_000_000;
const WINDOW: u64 = 600;
const LEASE_SECONDS: u64 = 60;
const LIMIT: u64 = 1000;
const GATHERING: Duration = Duration::from_secs(2);

fn subject() -> Digest {
    Digest::of(b"token:a")
}

/// One lease in the books of the registry.
#[derive(Clone, Debug)]
struct Booked {
    window: u64,
    granted: u64,
    spent: u64,
    returned: u64,
    expires: u64,
    /// The spending when the lease ended: all else went back.
    at_end: Option<u64>,
    next: Option<usize>,
}

impl Booked {
    fn held(&self) -> u64 {
        self.granted.saturating_sub(self.returned).max(self.spent)
    }
}

#[derive(Default)]
struct Registry {
    leases: Vec<Booked>,
    nonces: BTreeMap<[u8; 16], usize>,
}

impl Registry {
    fn close(&mut self, now: u64) {
        for lease in &mut self.leases {
            if lease.at_end.is_none() && (lease.expires <= now || lease.window != now / WINDOW) {
                lease.at_end = Some(lease.spent);
            }
        }
    }

    fn call(&mut self, told: &Told, need: u64, now: u64) -> Granted {
        self.close(now);
        let window = now / WINDOW;
        let old: Option<usize> = told.lease.parse().ok();
        let mut place = match old {
            Some(old) => {
                let lease = &mut self.leases[old];
                lease.spent = lease.spent.max(told.spent);
                lease.returned = lease.returned.max(told.returned);
                Some(old)
            }
            None => self.nonces.get(&told.nonce).copied(),
        };
        while let Some(ended) = place.filter(|place| self.leases[*place].at_end.is_some()) {
            place = self.leases[ended].next;
            if place.is_none() {
                self.leases[ended].next = Some(self.leases.len());
                break;
            }
        }
        let place = place.unwrap_or_else(|| {
            self.nonces.entry(told.nonce).or_insert(self.leases.len());
            let (granted, spent, returned, expires) = (0, 0, 0, 0);
            self.leases.push(Booked { window, granted, spent, returned, expires, at_end: None, next: None });
            self.leases.len() - 1
        });
        let taken: u64 = self
            .leases
            .iter()
            .filter(|lease| lease.window == window)
            .map(|lease| match lease.at_end {
                Some(_) => lease.spent,
                None => lease.held(),
            })
            .sum();
        let free = LIMIT.saturating_sub(taken);
        let lease = &mut self.leases[place];
        let rest = lease.held().saturating_sub(lease.spent);
        let slice = (LIMIT / 8).saturating_sub(rest).max(need).min(free);
        lease.granted += slice;
        lease.expires = now + LEASE_SECONDS;
        let remaining = free - slice + lease.held().saturating_sub(lease.spent);
        Granted {
            lease: Some(Lease {
                id: place.to_string(),
                unit: Unit::Tokens,
                limit: LIMIT,
                granted: lease.granted,
                remaining,
                resets_at: (window + 1) * WINDOW,
            }),
            expires_in: Duration::from_secs(LEASE_SECONDS),
        }
    }
}

#[derive(Default)]
struct Plane {
    store: MemoryStore,
    flights: Vec<(Reservation, usize, u64)>,
    calls: Vec<(Told, Option<Granted>)>,
}

struct World {
    now: u64,
    registry: Registry,
    planes: [Plane; 2],
    /// All that was settled, and the part of it that no live lease had reserved.
    settled: u64,
    loose: u64,
    overrun: u64,
}

fn tokens(tokens: u64) -> Amount {
    Amount { cost: None, tokens }
}

impl World {
    fn moment(&self) -> Moment {
        Moment(self.now * 1_000_000_000)
    }

    fn step(&mut self, (operation, plane, number): (u8, usize, u64)) {
        let now = self.moment();
        self.registry.close(self.now);
        match operation {
            0..=3 => self.reserve(plane, 1 + number % 60, now),
            4..=6 => self.settle(plane, number, now),
            7 => self.call(plane, number, now),
            8 => self.deliver(plane, number, now),
            9 if number.is_multiple_of(16) => self.now += WINDOW / 2,
            _ => self.now += number % 8,
        }
    }

    fn reserve(&mut self, plane: usize, amount: u64, now: Moment) {
        let World { planes, registry, .. } = self;
        let plane = &mut planes[plane];
        let Ok(Reserved::Held(reservation)) = reserve(&plane.store, &subject(), &tokens(amount), now) else {
            return;
        };
        let value = plane.store.get(&SlotKind::Slice.key(&subject())).unwrap();
        let mut slot = Slot::read(value.as_deref());
        let slice = slot.get_mut(&subject()).unwrap();
        let numbers = slice.numbers;
        let lease: usize = slice.lease.parse().unwrap();
        assert!(registry.leases[lease].at_end.is_none(), "the lease has ended: {slice:?}");
        plane.flights.push((reservation, lease, amount));
        let own =
            plane.flights.iter().filter(|(_, own, _)| *own == lease).map(|(.., amount)| amount).sum::<u64>();
        let held = numbers.held + numbers.held_before;
        assert!(held == own || (held < own && self.now > START + 3600), "{own}: {slice:?}");
        assert!(numbers.spent + numbers.returned + held <= numbers.granted, "{slice:?}");
    }

    fn settle(&mut self, plane: usize, number: u64, now: Moment) {
        let plane = &mut self.planes[plane];
        if plane.flights.is_empty() {
            return;
        }
        let index = usize::try_from(number).unwrap() % plane.flights.len();
        let (reservation, lease, amount) = plane.flights.swap_remove(index);
        // Most requests cost less than was reserved; a few cost more.
        let actual = if number.is_multiple_of(17) { amount + 5 } else { number % (amount + 1) };
        settle(&plane.store, &reservation, &tokens(actual), now).unwrap();
        self.settled += actual;
        self.overrun += actual.saturating_sub(amount);
        if self.registry.leases[lease].at_end.is_some() {
            self.loose += actual;
        }
    }

    /// Begins a call, which may be lost on its way.
    fn call(&mut self, plane: usize, number: u64, now: Moment) {
        let nonce = [u8::try_from(plane + 1).unwrap(); 16];
        let plane = &mut self.planes[plane];
        let told = match number % 3 {
            0 => begin(&plane.store, &subject(), nonce, now).unwrap(),
            1 => begin_return(&plane.store, &subject(), nonce, now).unwrap(),
            _ => begin_due(&plane.store, &subject(), nonce, GATHERING, now).unwrap(),
        };
        let Some(told) = told else { return };
        let arrives = !number.is_multiple_of(5);
        let answer = arrives.then(|| self.registry.call(&told, number % 50, self.now));
        plane.calls.push((told, answer));
    }

    /// Brings an answer, or the news that none will come. Some workers never hear either.
    fn deliver(&mut self, plane: usize, number: u64, now: Moment) {
        let plane = &mut self.planes[plane];
        if plane.calls.is_empty() {
            return;
        }
        let index = usize::try_from(number).unwrap() % plane.calls.len();
        let (told, answer) = plane.calls.swap_remove(index);
        match answer {
            _ if number.is_multiple_of(11) => {}
            Some(answer) if !number.is_multiple_of(7) => {
                grant(&plane.store, &subject(), &told, &answer, now).unwrap();
            }
            _ => fail(&plane.store, &subject(), &told, now),
        }
    }

    /// Ends every request, and lets the calls that are due go through.
    fn finish(&mut self) {
        for plane in 0..2 {
            while !self.planes[plane].flights.is_empty() {
                self.settle(plane, 1, self.moment());
            }
            self.planes[plane].calls.clear();
        }
        for _ in 0..6 {
            self.now += 31;
            for plane in 0..2 {
                let nonce = [u8::try_from(plane + 1).unwrap(); 16];
                let now = self.moment();
                let store = &self.planes[plane].store;
                if let Some(told) = begin_due(store, &subject(), nonce, GATHERING, now).unwrap() {
                    let answer = self.registry.call(&told, 0, self.now);
                    grant(store, &subject(), &told, &answer, now).unwrap();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn spending_is_told_once_and_never_goes_beyond_what_is_in_flight(
        steps in prop::collection::vec((0..12_u8, 0..2_usize, any::<u32>().prop_map(u64::from)), 1..300),
    ) {
        let mut world = World {
            now: START, registry: Registry::default(), planes: Default::default(), settled: 0, loose: 0, overrun: 0,
        };
        for step in steps {
            world.step(step);
        }
        world.finish();
        let World { registry, settled, loose, overrun, .. } = &world;
        prop_assert_eq!(registry.leases.iter().map(|lease| lease.spent).sum::<u64>(), *settled);
        let mut windows: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for lease in &registry.leases {
            let (spent, late) = windows.entry(lease.window).or_default();
            *spent += lease.spent;
            *late += lease.spent - lease.at_end.unwrap_or(lease.spent);
        }
        for (spent, late) in windows.values() {
            prop_assert!(*spent <= LIMIT + late + loose + overrun, "{spent} {late} {loose} {overrun}");
        }
    }
}

/// Leases to an empty store for two hours, in a window that ends in one.
fn leased(granted: u64, remaining: u64) -> MemoryStore {
    let (store, now) = (MemoryStore::default(), Moment(START * 1_000_000_000));
    let told = begin(&store, &subject(), [7; 16], now).unwrap().unwrap();
    let (id, unit, limit, resets_at) = ("l1".to_owned(), Unit::Tokens, LIMIT, START + 3600);
    let lease = Some(Lease { id, unit, limit, granted, remaining, resets_at });
    let granted = Granted { lease, expires_in: Duration::from_hours(2) };
    grant(&store, &subject(), &told, &granted, now).unwrap();
    store
}

#[test]
fn a_slice_ends_with_the_window_of_its_budget() {
    let store = leased(100, 100);
    for (second, is_held) in [(3599, true), (3600, false)] {
        let (amount, now) = (Amount { cost: None, tokens: 1 }, Moment((START + second) * 1_000_000_000));
        let reserved = reserve(&store, &subject(), &amount, now).unwrap();
        assert_eq!(matches!(reserved, Reserved::Held(_)), is_held, "{second}: {reserved:?}");
    }
}

#[test]
fn a_call_helps_where_there_is_no_lease_or_too_little_of_it() {
    let lacks = |store: &MemoryStore, tokens| {
        let amount = Amount { cost: None, tokens };
        lacks(store, &subject(), &amount, Moment(START * 1_000_000_000)).unwrap()
    };
    assert!(lacks(&MemoryStore::default(), 1), "there is no lease");
    let store = leased(100, 150);
    for (amount, expect) in [(100, false), (101, true), (150, true), (151, false), (100, false)] {
        assert_eq!(lacks(&store, amount), expect, "{amount}");
    }
}

#[test]
fn what_has_cost_nothing_is_not_told() {
    let (store, amount) = (leased(100, 100), |tokens| Amount { cost: None, tokens });
    let at = |second: u64| Moment((START + second) * 1_000_000_000);
    for (spent, is_told) in [(0, false), (1, true)] {
        let Reserved::Held(held) = reserve(&store, &subject(), &amount(5), at(0)).unwrap() else {
            panic!("nothing was reserved");
        };
        settle(&store, &held, &amount(spent), at(0)).unwrap();
        let due = begin_due(&store, &subject(), [7; 16], GATHERING, at(10)).unwrap();
        assert_eq!(due.is_some(), is_told, "{spent}");
    }
}
