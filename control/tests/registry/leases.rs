//! Leases of budgets: slices, windows, expiry, and many data planes at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use keyswap::registry::{Budget, LeaseRequest, LeaseState, Leased, Payer, Per, Reach, Registry, Unit, Zone};
use keyswap_core::base::{Digest, UnixTime};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::task::JoinSet;

use crate::support::{Database, admin, create, on_both_databases};

on_both_databases!(
    a_data_plane_gets_an_eighth_and_what_it_needs,
    workers_that_ask_at_the_same_time_get_the_same_lease,
    what_is_told_twice_counts_once,
    what_is_given_back_is_free_at_once_whatever_comes_late_or_twice,
    a_lease_that_expires_gives_back_its_rest,
    what_is_told_late_counts_in_its_own_window,
    a_window_ends_by_the_calendar,
    a_clock_that_goes_back_brings_no_budget_back,
    the_registrys_own_budget_goes_first,
    a_lower_budget_counts_at_once,
    old_leases_are_settled,
    many_leases_of_a_window_are_bounded,
    a_rotated_token_keeps_its_budget,
    requests_that_make_no_sense_are_refused,
    replicas_never_grant_more_than_there_is,
    no_order_of_events_grants_more_than_there_is,
);

/// The noon of 30 November 2026, in UTC.
const NOON: i64 = 1_796_040_000;

fn team() -> Payer {
    Payer::parse("team:research").unwrap()
}

fn tokens(tokens: u64) -> Budget {
    Budget::of_tokens(tokens, Per::Day, Zone::default()).unwrap()
}

fn request(id: Option<&str>, spent: i64, need: i64, budget: &Budget) -> LeaseRequest {
    LeaseRequest {
        subject: team(),
        id: id.map(str::to_owned),
        nonce: None,
        spent,
        returned: 0,
        need,
        budget: Some(budget.clone()),
    }
}

async fn lease(registry: &Registry, request: LeaseRequest, now: i64) -> Leased {
    registry.lease("envoy-1", &[request], || UnixTime(now)).await.unwrap().remove(0)
}

/// Returns the numbers of an answer: the limit, what was granted and what remains.
fn numbers(leased: &Leased) -> (i64, i64, i64) {
    let LeaseState { limit, granted, remaining, .. } = leased.state.as_ref().unwrap();
    (*limit, *granted, *remaining)
}

async fn a_data_plane_gets_an_eighth_and_what_it_needs(database: &Database) {
    let registry = database.open().await;
    let budget = tokens(800);
    let first = lease(&registry, request(None, 0, 0, &budget), NOON).await;
    assert_eq!((numbers(&first), first.unit, first.expires_in), ((800, 100, 800), Some(Unit::Tokens), 60));
    let second = lease(&registry, request(None, 0, 200, &budget), NOON).await;
    assert_eq!(numbers(&second), (800, 200, 700));
    // A renewal fills the slice up again, and a need is granted on top.
    let id = first.id.as_deref();
    assert_eq!(numbers(&lease(&registry, request(id, 0, 0, &budget), NOON + 8).await), (800, 100, 600));
    assert_eq!(numbers(&lease(&registry, request(id, 40, 0, &budget), NOON + 9).await), (800, 110, 560));
    assert_eq!(numbers(&lease(&registry, request(id, 40, 50, &budget), NOON + 9).await), (800, 160, 560));
    // At the end there is what is there.
    let rest = lease(&registry, request(None, 0, 10_000, &budget), NOON + 10).await;
    assert_eq!(numbers(&rest), (800, 440, 440));
    let none = lease(&registry, request(None, 0, 1, &budget), NOON + 11).await;
    assert!(none.id.is_some());
    assert_eq!(numbers(&none), (800, 0, 0));
    let state = registry.budget(&team(), UnixTime(NOON + 11)).await.unwrap().remove(0);
    assert_eq!((state.limit, state.spent, state.leased, state.left()), (800, 40, 760, 760));
}

async fn workers_that_ask_at_the_same_time_get_the_same_lease(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let mut workers = JoinSet::new();
    for worker in 0..8 {
        let registry = replicas[worker % 2].clone();
        workers.spawn(async move {
            let nonce = Some("ab".repeat(16));
            let asked = LeaseRequest { nonce, ..request(None, 0, 0, &tokens(800)) };
            let answer = registry.lease("envoy-1", &[asked], || UnixTime(NOON)).await.unwrap().remove(0);
            (answer.id, answer.state.unwrap().granted)
        });
    }
    let leases: BTreeSet<_> = workers.join_all().await.into_iter().collect();
    assert_eq!((leases.len(), leases.first().unwrap().1), (1, 100), "{leases:?}");
    // Another data plane, and another subject with the same nonce, have leases of their own.
    let id = leases.into_iter().next().unwrap().0;
    for (nonce, subject) in [("cd", team()), ("ab", Payer::parse("team:other").unwrap())] {
        let nonce = Some(nonce.repeat(16));
        let asked = LeaseRequest { nonce, subject, ..request(None, 0, 0, &tokens(800)) };
        assert_ne!(lease(&replicas[0], asked, NOON).await.id, id);
    }
}

async fn what_is_told_twice_counts_once(database: &Database) {
    let registry = database.open().await;
    let budget = tokens(1000);
    let id = lease(&registry, request(None, 0, 500, &budget), NOON).await.id;
    for spent in [300, 300, 100, 300, 0] {
        let answer = lease(&registry, request(id.as_deref(), spent, 0, &budget), NOON + 1).await;
        assert_eq!((numbers(&answer), &answer.id), ((1000, 500, 700), &id));
    }
    // Requests in flight may spend more than was granted. It counts, and others get less.
    let over = lease(&registry, request(id.as_deref(), 900, 0, &budget), NOON + 2).await;
    assert_eq!(numbers(&over), (1000, 512, 100));
    let huge = lease(&registry, request(id.as_deref(), i64::MAX, i64::MAX, &budget), NOON + 2).await;
    assert_eq!(numbers(&huge), (1000, 512, 0));
}

async fn what_is_given_back_is_free_at_once_whatever_comes_late_or_twice(database: &Database) {
    let registry = database.open().await;
    let budget = tokens(800);
    let state = async || {
        let state = registry.budget(&team(), UnixTime(NOON)).await.unwrap().remove(0);
        (state.spent, state.leased)
    };
    let first = lease(&registry, request(None, 0, 300, &budget), NOON).await;
    let returning = |spent, returned, need| LeaseRequest {
        returned,
        ..request(first.id.as_deref(), spent, need, &budget)
    };
    let gives_back = returning(120, 180, 0);
    assert_eq!(numbers(&lease(&registry, gives_back.clone(), NOON).await), (800, 300, 680));
    assert_eq!(state().await, (120, 0));
    assert_eq!(numbers(&lease(&registry, returning(120, 180, 50), NOON).await), (800, 350, 680));
    assert_eq!(state().await, (120, 50));
    // The first call comes once more, and one that claims more than there was.
    lease(&registry, gives_back, NOON).await;
    assert_eq!(state().await, (120, 50));
    lease(&registry, returning(120, 10_000, 0), NOON).await;
    assert_eq!(state().await, (120, 0));
    let all = lease(&registry, request(None, 0, 10_000, &budget), NOON).await;
    assert_eq!(numbers(&all), (800, 680, 680));
}

async fn a_lease_that_expires_gives_back_its_rest(database: &Database) {
    let registry = database.open().await;
    let budget = tokens(1000);
    let killed = lease(&registry, request(None, 0, 900, &budget), NOON).await.id;
    lease(&registry, request(killed.as_deref(), 100, 0, &budget), NOON + 1).await;
    let other = lease(&registry, request(None, 0, 500, &budget), NOON + 60).await;
    assert_eq!(numbers(&other), (1000, 100, 100));
    let other = lease(&registry, request(other.id.as_deref(), 0, 500, &budget), NOON + 61).await;
    assert_eq!(numbers(&other), (1000, 600, 900), "{other:?}");
    // The first one comes back. Its rest is gone, so it gets another lease: the same, whoever asks.
    let mut successors = BTreeSet::new();
    for _ in 0..2 {
        let again = lease(&registry, request(killed.as_deref(), 150, 10, &budget), NOON + 62).await;
        assert_ne!(again.id, killed);
        successors.insert(again.id);
    }
    assert_eq!(successors.len(), 1);
    let again = successors.pop_first().flatten();
    let state = lease(&registry, request(again.as_deref(), 31, 0, &budget), NOON + 63).await;
    assert_eq!((numbers(&state).2, &state.id), (219, &again));
    // Where nobody took the rest, a late renewal keeps the lease.
    let late = lease(&registry, request(again.as_deref(), 31, 0, &budget), NOON + 300).await;
    assert_eq!((numbers(&late).2, late.id), (819, again));
}

async fn what_is_told_late_counts_in_its_own_window(database: &Database) {
    let registry = database.open().await;
    let budget = tokens(1000);
    let old = lease(&registry, request(None, 0, 400, &budget), NOON).await.id;
    let tomorrow = NOON + 86_400;
    let answer = lease(&registry, request(old.as_deref(), 300, 1, &budget), tomorrow).await;
    assert_ne!(answer.id, old);
    assert_eq!(numbers(&answer), (1000, 125, 1000));
    // A worker that has not seen the answer tells more of the old one, and gets the same new one.
    let late = lease(&registry, request(old.as_deref(), 350, 0, &budget), tomorrow + 1).await;
    assert_eq!((numbers(&late), late.id), ((1000, 125, 1000), answer.id));
    let evening = UnixTime(NOON + 3600);
    let yesterday = registry.budget(&team(), evening).await.unwrap().remove(0);
    assert_eq!((yesterday.spent, yesterday.leased), (350, 0));
}

async fn a_window_ends_by_the_calendar(database: &Database) {
    let registry = database.open().await;
    let berlin = Budget::of_dollars("10", Per::Day, Zone::parse("Europe/Berlin").unwrap()).unwrap();
    // 22:59:50 in UTC is ten seconds before midnight in Berlin.
    let before = UnixTime::from_rfc3339("2026-11-29T22:59:50Z").unwrap().0;
    let today = lease(&registry, request(None, 0, 9_000_000_000, &berlin), before).await;
    assert_eq!((numbers(&today), today.expires_in), ((10_000_000_000, 9_000_000_000, 10_000_000_000), 10));
    assert_eq!(today.state.as_ref().unwrap().resets_at.to_string(), "2026-11-29T23:00:00Z");
    let next = lease(&registry, request(today.id.as_deref(), 9_000_000_000, 0, &berlin), before + 10).await;
    assert_ne!(next.id, today.id);
    assert_eq!(numbers(&next), (10_000_000_000, 1_250_000_000, 10_000_000_000));
    assert_eq!(next.state.as_ref().unwrap().resets_at.to_string(), "2026-11-30T23:00:00Z");
}

async fn a_clock_that_goes_back_brings_no_budget_back(database: &Database) {
    let registry = database.open().await;
    let budget = tokens(100);
    let id = lease(&registry, request(None, 0, 100, &budget), NOON).await.id;
    lease(&registry, request(id.as_deref(), 100, 0, &budget), NOON + 1).await;
    for now in [NOON - 3600, NOON - 1, NOON + 7200] {
        let answer = lease(&registry, request(None, 0, 50, &budget), now).await;
        assert_eq!(numbers(&answer), (100, 0, 0), "{now}");
    }
    // A replica whose clock is behind renews a lease of the day that has just begun elsewhere.
    let midnight = NOON + 43_200;
    let ahead = lease(&registry, request(None, 0, 10, &budget), midnight).await;
    let behind = lease(&registry, request(ahead.id.as_deref(), 4, 0, &budget), midnight - 2).await;
    assert_eq!((numbers(&behind), behind.id), ((100, 16, 96), ahead.id));
}

async fn the_registrys_own_budget_goes_first(database: &Database) {
    let registry = database.open().await;
    let (own, policys) = (tokens(40), tokens(1000));
    let unlimited = LeaseRequest { id: None, nonce: None, budget: None, ..request(None, 0, 1, &tokens(1)) };
    let answer = lease(&registry, unlimited.clone(), NOON).await;
    assert_eq!((answer.id, answer.unit, answer.state, answer.expires_in), (None, None, None, 60));
    registry.set_budget(&team(), &own, &admin()).await.unwrap();
    for request in [unlimited, request(None, 0, 1, &policys)] {
        assert_eq!(numbers(&lease(&registry, request, NOON).await).0, 40);
    }
    registry.delete_budget(&team(), &admin()).await.unwrap();
    assert_eq!(registry.delete_budget(&team(), &admin()).await.unwrap_err().code(), "unknown_budget");
    assert_eq!(numbers(&lease(&registry, request(None, 0, 1, &policys), NOON).await).0, 1000);
    let audit = registry.audit(&keyswap::registry::AuditQuery::default()).await.unwrap();
    let actions: Vec<&str> = audit.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["budget.delete", "budget.set"]);
    assert_eq!(audit.items[1].detail["to"]["tokens"], 40);
}

async fn a_lower_budget_counts_at_once(database: &Database) {
    let registry = database.open().await;
    registry.set_budget(&team(), &tokens(1000), &admin()).await.unwrap();
    let id = lease(&registry, request(None, 0, 600, &tokens(1)), NOON).await.id;
    registry.set_budget(&team(), &tokens(500), &admin()).await.unwrap();
    let answer = lease(&registry, request(id.as_deref(), 200, 100, &tokens(1)), NOON + 1).await;
    assert_eq!((numbers(&answer), &answer.id), ((500, 600, 300), &id));
    // Another unit is another window.
    let dollars = Budget::of_dollars("1", Per::Day, Zone::default()).unwrap();
    registry.set_budget(&team(), &dollars, &admin()).await.unwrap();
    let answer = lease(&registry, request(id.as_deref(), 200, 1, &tokens(1)), NOON + 2).await;
    assert_eq!(
        (numbers(&answer), answer.unit),
        ((1_000_000_000, 125_000_000, 1_000_000_000), Some(Unit::Usd))
    );
    assert_ne!(answer.id, id);
}

async fn old_leases_are_settled(database: &Database) {
    let registry = database.open().await;
    let budget = Budget::of_tokens(1000, Per::Month, Zone::default()).unwrap();
    let id = lease(&registry, request(None, 0, 300, &budget), NOON - 20 * 86_400).await.id;
    lease(&registry, request(id.as_deref(), 250, 0, &budget), NOON - 20 * 86_400).await;
    let later = NOON - 18 * 86_400;
    registry.tidy(UnixTime(later), UnixTime(0)).await.unwrap();
    // The lease is not kept any more, its spending is. What is told of it now is too late.
    let answer = lease(&registry, request(id.as_deref(), 300, 0, &budget), later).await;
    assert_ne!(answer.id, id);
    assert_eq!(numbers(&answer), (1000, 93, 750));
    registry.tidy(UnixTime(later), UnixTime(0)).await.unwrap();
    assert_eq!(registry.budget(&team(), UnixTime(later)).await.unwrap()[0].spent, 250);
    let months_later = UnixTime(NOON + 60 * 86_400);
    registry.tidy(months_later, UnixTime(0)).await.unwrap();
    assert_eq!(registry.budget(&team(), UnixTime(later)).await.unwrap(), []);
}

async fn many_leases_of_a_window_are_bounded(database: &Database) {
    let registry = database.open().await;
    let budget = tokens(1_000_000);
    let first = lease(&registry, request(None, 0, 1, &budget), NOON).await.id;
    lease(&registry, request(first.as_deref(), 5, 0, &budget), NOON).await;
    for _ in 1..1024 {
        lease(&registry, request(None, 0, 1, &budget), NOON).await;
    }
    let beyond = registry.lease("", &[request(None, 0, 1, &budget)], || UnixTime(NOON)).await;
    assert_eq!(beyond.unwrap_err().code(), "too_many_leases");
    assert_eq!(registry.live_leases(UnixTime(NOON)).await.unwrap(), 1024);
    // Expired ones make place, and what they spent counts on.
    let later = lease(&registry, request(None, 0, 1, &budget), NOON + 60).await;
    assert_eq!(numbers(&later), (1_000_000, 124_999, 999_995));
    let state = registry.budget(&team(), UnixTime(NOON + 60)).await.unwrap().remove(0);
    assert_eq!((state.spent, state.leased), (5, 124_999));
}

async fn a_rotated_token_keeps_its_budget(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "a").await.record.digest;
    registry.set_budget(&Payer::Token(token), &tokens(7), &admin()).await.unwrap();
    let source = keyswap::registry::Source::Mint;
    let rotation = registry.rotate_token(&token, source, std::time::Duration::ZERO, &admin()).await.unwrap();
    let heir = Payer::Token(rotation.successor.record.digest);
    assert_eq!(registry.budget(&heir, UnixTime(NOON)).await.unwrap()[0].budget, tokens(7));
    registry.delete_token(&token, &admin()).await.unwrap();
    assert_eq!(registry.budget(&Payer::Token(token), UnixTime(NOON)).await.unwrap(), []);
    assert_eq!(registry.budgets(&Reach::All, UnixTime(NOON)).await.unwrap().len(), 1);
}

async fn requests_that_make_no_sense_are_refused(database: &Database) {
    let registry = database.open().await;
    let one = request(None, 0, 1, &tokens(1));
    let other = |name: &str| LeaseRequest { subject: Payer::Team(name.to_owned()), ..one.clone() };
    let refused = [vec![], vec![one.clone(), one.clone()], ["a", "b", "c", "d"].map(other).to_vec()];
    for requests in refused {
        let answer = registry.lease("", &requests, || UnixTime(NOON)).await;
        assert_eq!(answer.unwrap_err().code(), "invalid_field");
    }
    // The id of another subject's lease is not one of this subject.
    let id = lease(&registry, one.clone(), NOON).await.id;
    let foreign = LeaseRequest { id, spent: 1, budget: Some(tokens(9)), ..other("b") };
    let answer = registry.lease("", &[foreign], || UnixTime(NOON)).await.unwrap().remove(0);
    assert_eq!(numbers(&answer), (9, 1, 9));
    assert_eq!(registry.budget(&team(), UnixTime(NOON)).await.unwrap()[0].spent, 0);
    for text in ["", "token:ab", "team:", "team:a b", "owner:", "owner:alice", "user:a@b", "team"] {
        assert!(Payer::parse(text).is_err(), "{text}");
    }
    assert_eq!(Payer::parse("owner: Alice@Acme.example").unwrap().to_string(), "owner:alice@acme.example");
}

/// Twelve data planes at two replicas, some of which die with what they hold.
async fn replicas_never_grant_more_than_there_is(database: &Database) {
    const LIMIT: i64 = 100_000;
    let replicas = [database.open().await, database.open().await];
    let budget = tokens(LIMIT.unsigned_abs());
    let clock = Arc::new(AtomicI64::new(NOON * 8));
    // What each lease has spent by its data plane's own count.
    let spent = Arc::new(Mutex::new(Vec::new()));
    let mut planes = JoinSet::new();
    for plane in 0..12_usize {
        let replicas = replicas.clone();
        let (budget, clock, spent) = (budget.clone(), Arc::clone(&clock), Arc::clone(&spent));
        planes.spawn(async move {
            let (mut id, mut mine) = (None, 0);
            for step in 0..25_usize {
                let registry = &replicas[(plane + step) % 2];
                let subjects = [
                    request(id.as_deref(), mine, 700, &budget),
                    LeaseRequest {
                        subject: Payer::Token(Digest::of(&[u8::try_from(plane).unwrap()])),
                        ..request(None, 0, 1, &budget)
                    },
                ];
                let now = || UnixTime(clock.fetch_add(1, Ordering::Relaxed) / 8);
                let answer = registry.lease("", &subjects, now).await.unwrap().remove(0);
                if answer.id != id {
                    spent.lock().unwrap().push(mine);
                    mine = 0;
                }
                id.clone_from(&answer.id);
                let granted = numbers(&answer).1;
                assert!(mine <= granted, "a lease shrank");
                // A data plane spends all that it holds. Every fourth one dies before it tells.
                mine = granted;
            }
            if plane % 4 != 0 {
                let last = [request(id.as_deref(), mine, 0, &budget)];
                let now = || UnixTime(clock.load(Ordering::Relaxed) / 8);
                replicas[0].lease("", &last, now).await.unwrap();
            }
            spent.lock().unwrap().push(mine);
        });
    }
    planes.join_all().await;
    let total: i64 = spent.lock().unwrap().iter().sum();
    let now = UnixTime(clock.load(Ordering::Relaxed) / 8);
    let state = registry_state(&replicas[1], now).await;
    assert!(total <= LIMIT, "{total} spent, {state:?}");
    assert!(state.0 + state.1 <= LIMIT, "{state:?}");
    // What died is free after the lifetime, and only what was told counts.
    let later = UnixTime(now.0 + 61);
    assert_eq!(registry_state(&replicas[0], later).await.1, 0);
}

async fn registry_state(registry: &Registry, now: UnixTime) -> (i64, i64) {
    let state = registry.budget(&team(), now).await.unwrap().remove(0);
    (state.spent, state.leased)
}

/// An event of a data plane.
#[derive(Clone, Debug)]
enum Event {
    /// The data plane with this number spends a share of what it holds, asks for a need, and gets the answer or not.
    Asks { plane: usize, share: i64, need: i64, is_answered: bool },
    /// The data plane forgets its lease, as after a crash.
    Dies { plane: usize },
    /// Time passes.
    Passes { seconds: i64 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let asks = (0..4_usize, 0..=100_i64, 0..300_i64, prop::bool::weighted(0.8))
        .prop_map(|(plane, share, need, is_answered)| Event::Asks { plane, share, need, is_answered });
    let event = prop_oneof![
        6 => asks,
        1 => (0..4_usize).prop_map(|plane| Event::Dies { plane }),
        2 => (0..90_i64).prop_map(|seconds| Event::Passes { seconds }),
    ];
    prop::collection::vec(event, 1..60)
}

/// The data planes spend only what they hold and know of, so nothing may ever go beyond the limit.
async fn no_order_of_events_grants_more_than_there_is(database: &Database) {
    let registry = database.open().await;
    let cases = if matches!(database, Database::Sqlite(_)) { 24 } else { 12 };
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let handle = tokio::runtime::Handle::current();
    let case = AtomicI64::new(0);
    let result = runner.run(&events(), |events| {
        let subject = Payer::Team(format!("t{}", case.fetch_add(1, Ordering::Relaxed)));
        tokio::task::block_in_place(|| handle.block_on(play(&registry, &subject, &events)));
        Ok(())
    });
    result.unwrap();
}

async fn play(registry: &Registry, subject: &Payer, events: &[Event]) {
    const LIMIT: i64 = 1000;
    let budget = tokens(LIMIT.unsigned_abs());
    let mut now = NOON;
    // The lease that each data plane knows, the time until which it may be spent, and all spending by lease.
    let mut planes: [Option<(String, i64, i64)>; 4] = [const { None }; 4];
    let mut spent = std::collections::BTreeMap::<String, i64>::new();
    for event in events {
        match event {
            Event::Passes { seconds } => now += seconds,
            Event::Dies { plane } => planes[*plane] = None,
            Event::Asks { plane, share, need, is_answered } => {
                if let Some((id, granted, until)) = &planes[*plane]
                    && now < *until
                {
                    let mine = spent.entry(id.clone()).or_default();
                    *mine += (granted - *mine) * share / 100;
                }
                let held = planes[*plane].as_ref().map(|(id, ..)| id.clone());
                let told = held.as_ref().and_then(|id| spent.get(id)).copied().unwrap_or(0);
                let asked = LeaseRequest {
                    subject: subject.clone(),
                    ..request(held.as_deref(), told, *need, &budget)
                };
                let answer = lease(registry, asked, now).await;
                let (limit, granted, remaining) = numbers(&answer);
                assert!(limit == LIMIT && (0..=LIMIT).contains(&granted) && (0..=LIMIT).contains(&remaining));
                if *is_answered {
                    planes[*plane] = answer.id.map(|id| (id, granted, now + answer.expires_in));
                }
            }
        }
        let total: i64 = spent.values().sum();
        assert!(total <= LIMIT, "{total} spent after {event:?}");
        for state in registry.budget(subject, UnixTime(now)).await.unwrap() {
            assert!(state.spent <= total && state.spent + state.leased <= LIMIT, "{state:?} {total}");
        }
    }
}
