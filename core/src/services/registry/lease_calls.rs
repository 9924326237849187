//! Calls for slices of budgets: two workers of a process, with the memory that they share.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::Registry;
use super::lease_state::BudgetSubject;
use crate::base::{Digest, Moment};
use crate::host::{Capabilities, Forgetful, MemoryStore, Store, StoreError, Update};
use crate::limit::{Amount, Reservation, Reserved};
use crate::policy::Policy;
use crate::price::Nano;
use crate::secret::ServiceSecret;
use crate::services::fetch::{Fetch, FetchAnswer, FetchOutcome, ServiceId, Subject};
use crate::services::resolution::Resolution;

const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

fn at(seconds: u64) -> Moment {
    NOW.after(Duration::from_secs(seconds))
}

fn policy(introspection: bool) -> Policy {
    let mut document = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "A"}]},
        "registry": {"url": "https://r/base", "credential": {"env": "R"}},
    });
    if introspection {
        document["registry"]["introspection"] = json!({"providers": ["openai"]});
    } else {
        document["budgets"] = json!({"token": {"usd": "2.5", "per": "day", "timezone": "Europe/Berlin"}});
    }
    Policy::from_json(document.to_string().as_bytes()).unwrap()
}

fn worker(introspection: bool) -> Registry {
    worker_of(introspection, Capabilities::ENVOY)
}

fn worker_of(introspection: bool, host: Capabilities) -> Registry {
    let secret = ServiceSecret::new(b"secret".to_vec()).unwrap();
    let policy = policy(introspection).registry.unwrap();
    Registry::new(ServiceId::default(), policy, &secret, host, ("envoy-1", [0; 16]))
}

fn subject(name: &str) -> BudgetSubject {
    BudgetSubject::token(&Digest::of(name.as_bytes()), policy(false).budgets.unwrap().token)
}

fn usd(nano: u64) -> Amount {
    Amount { cost: Some(Nano(nano)), tokens: 7 }
}

fn body(fetch: &Fetch) -> Value {
    serde_json::from_slice(fetch.request.body.as_ref().unwrap()).unwrap()
}

fn number(fetch: &Fetch) -> u64 {
    match fetch.key.subject {
        Subject::Lease(number) => number,
        _ => panic!("{fetch:?}"),
    }
}

fn reserved(worker: &Registry, name: &str, nano: u64, now: Moment, store: &dyn Store) -> Reserved {
    worker.reserve(&subject(name), &usd(nano), now, store).unwrap()
}

fn held(worker: &Registry, name: &str, nano: u64, now: Moment, store: &dyn Store) -> Reservation {
    match reserved(worker, name, nano, now, store) {
        Reserved::Held(reservation) => reservation,
        other => panic!("{other:?}"),
    }
}

/// Answers a call: each subject gets a lease of this size.
fn answer(worker: &Registry, fetch: &Fetch, size: u64, now: Moment, store: &dyn Store) {
    let leases: Vec<Value> = body(fetch)["leases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lease| {
            json!({"subject": lease["subject"], "id": format!("of {}", lease["subject"]).replace(['"', ' '], "-")
                .chars().take(40).collect::<String>(), "unit": "usd", "limit": 1000, "granted": size,
                "remaining": size, "resets_at": "2027-06-30T00:00:00Z", "expires_in": 60})
        })
        .collect();
    let text = json!({"leases": leases}).to_string();
    let answer = FetchAnswer::Response { status: 200, body: text.as_bytes() };
    let (outcome, resolution) = worker.accept_leases(number(fetch), &answer, now, store);
    assert_eq!(outcome, FetchOutcome::Found, "{text}");
    assert!(matches!(resolution, Resolution::Refreshed));
}

fn lease(
    worker: &Registry,
    wanted: &[&BudgetSubject],
    nano: u64,
    now: Moment,
    store: &dyn Store,
) -> Option<Fetch> {
    worker.lease(wanted, &usd(nano), false, now, store)
}

fn forgo(worker: &Registry, name: &str, nano: u64) {
    worker.forgo(&[subject(name)], &usd(nano));
}

fn leased(worker: &Registry, name: &str, size: u64, now: Moment, store: &dyn Store) {
    let fetch = lease(worker, &[&subject(name)], 1, now, store).unwrap();
    forgo(worker, name, 1);
    answer(worker, &fetch, size, now, store);
}

fn due(worker: &Registry, now: Moment, store: &dyn Store) -> Vec<Fetch> {
    worker.leases_due(&worker.state.borrow(), now, store)
}

#[test]
fn a_call_names_subject_budget_and_state_and_its_answer_serves_both_workers() {
    let (store, first, second) = (MemoryStore::default(), worker(false), worker(false));
    assert_eq!(reserved(&first, "a", 5, NOW, &store), Reserved::Missing);
    let fetch = lease(&first, &[&subject("a")], 5, NOW, &store).unwrap();
    forgo(&first, "a", 5);
    assert_eq!(
        (fetch.request.method(), fetch.request.target(), fetch.key.kind()),
        ("POST", "/base/v1/leases", "lease")
    );
    let told = body(&fetch);
    let nonce = told["leases"][0]["nonce"].as_str().unwrap();
    assert_eq!(nonce.len(), 32);
    let name = format!("token:{}", Digest::of(b"a").to_hex());
    assert_eq!(
        told,
        json!({"node": "envoy-1", "leases": [{"subject": name, "id": null, "nonce": nonce, "spent": 0, "returned": 0, "need": 0,
               "budget": {"usd": "2.5", "per": "day", "timezone": "Europe/Berlin"}}]})
    );
    answer(&first, &fetch, 100, NOW, &store);
    for worker in [&first, &second] {
        let reservation = held(worker, "a", 40, NOW, &store);
        worker.settle(reservation, usd(30), NOW, &store);
    }
    assert_eq!(reserved(&first, "a", 41, at(3), &store), Reserved::Short);
    let again = body(&lease(&first, &[&subject("a")], 41, at(3), &store).unwrap());
    let lease = &again["leases"][0];
    assert_eq!((&lease["spent"], &lease["need"], &lease["nonce"]), (&json!(60), &json!(1), &Value::Null));
    assert!(lease["id"].is_string());
}

#[test]
fn requests_that_lack_the_same_slices_share_a_call_and_workers_ask_for_the_same_first_lease() {
    let (store, first, second) = (MemoryStore::default(), worker(false), worker(false));
    let (a, b) = (subject("a"), BudgetSubject::team("x", None));
    let both = lease(&first, &[&a, &b], 5, NOW, &store).unwrap();
    let one = lease(&first, &[&b], 9, at(1), &store).unwrap();
    assert!(both.key == one.key, "the call that is on its way has it");
    let other = lease(&second, &[&b, &a], 9, at(1), &store).unwrap();
    let nonce = |fetch: &Fetch, index: usize| body(fetch)["leases"][index]["nonce"].clone();
    assert_eq!((nonce(&both, 0), nonce(&both, 1)), (nonce(&other, 1), nonce(&other, 0)));
    assert_ne!(nonce(&both, 0), nonce(&both, 1));
    answer(&first, &both, 100, at(1), &store);
    answer(&second, &other, 100, at(2), &store);
    let _held = held(&second, "a", 100, at(2), &store);
    assert!(lease(&first, &[&b], 9, at(2), &store).unwrap().key != both.key, "the next call is another one");
}

#[test]
fn a_call_asks_for_what_all_requests_need_that_wait_and_not_for_those_that_left() {
    let store = MemoryStore::default();
    let worker = worker(false);
    leased(&worker, "a", 100, NOW, &store);
    let _held = held(&worker, "a", 90, NOW, &store);
    let wait = |now| lease(&worker, &[&subject("a")], 30, now, &store).unwrap();
    let need = |fetch: &Fetch| body(fetch)["leases"][0]["need"].clone();
    let first = wait(at(1));
    assert_eq!(need(&first), json!(20));
    for _ in 0..5 {
        assert!(wait(at(1)).key == first.key, "they wait for the same call");
    }
    forgo(&worker, "a", 30);
    answer(&worker, &first, 120, at(1), &store);
    forgo(&worker, "a", 30);
    let _another = held(&worker, "a", 30, at(1), &store);
    forgo(&worker, "a", 30);
    assert_eq!(need(&wait(at(2))), json!(120), "four wait, and none has anything");
}

#[test]
fn a_request_that_has_waited_in_vain_makes_no_other_call_and_the_next_one_does() {
    let store = MemoryStore::default();
    let worker = worker(false);
    let wanted = subject("a");
    assert_eq!(reserved(&worker, "a", 5, NOW, &store), Reserved::Missing);
    let call = lease(&worker, &[&wanted], 5, NOW, &store).unwrap();
    worker.accept_leases(number(&call), &FetchAnswer::Failed, NOW, &store);
    forgo(&worker, "a", 5);
    assert!(worker.lease(&[&wanted], &usd(5), true, NOW, &store).is_none());
    let call = lease(&worker, &[&wanted], 5, NOW, &store).unwrap();
    assert!(worker.lease(&[&wanted], &usd(5), true, NOW, &store).is_some(), "it is on its way");
    answer(&worker, &call, 100, NOW, &store);
    assert!(worker.lease(&[&wanted], &usd(5), true, NOW, &store).is_some());
}

#[test]
fn an_answer_that_is_none_grants_nothing_and_the_call_is_made_again() {
    let store = MemoryStore::default();
    let worker = worker(false);
    leased(&worker, "a", 100, NOW, &store);
    let flying = held(&worker, "a", 90, NOW, &store);
    worker.settle(flying, usd(80), NOW, &store);
    let mut now = at(2);
    for (answer, expect) in [
        (FetchAnswer::Response { status: 200, body: b"{}" }, FetchOutcome::Malformed),
        (
            FetchAnswer::Response { status: 200, body: br#"{"leases":[{"subject":"token:x"}]}"# },
            FetchOutcome::Malformed,
        ),
        (FetchAnswer::Response { status: 404, body: b"" }, FetchOutcome::Malformed),
        (FetchAnswer::Response { status: 503, body: b"" }, FetchOutcome::Unavailable),
        (FetchAnswer::Failed, FetchOutcome::Failed),
    ] {
        let calls = due(&worker, now, &store);
        assert_eq!(calls.len(), 1, "{expect:?}");
        assert_eq!(body(&calls[0])["leases"][0]["spent"], 80);
        let (outcome, resolution) = worker.accept_leases(number(&calls[0]), &answer, now, &store);
        assert_eq!(outcome, expect);
        assert!(matches!(resolution, Resolution::Unavailable));
        assert_eq!(reserved(&worker, "a", 21, now, &store), Reserved::Short);
        let back = held(&worker, "a", 20, now, &store);
        worker.settle(back, usd(0), now, &store);
        now = now.after(Duration::from_secs(2));
    }
    let late = FetchAnswer::Response { status: 200, body: b"{}" };
    assert_eq!(worker.accept_leases(1, &late, now, &store).0, FetchOutcome::Stale, "nothing waits for it");
}

#[test]
fn spending_is_reported_once_by_one_worker_and_a_call_that_was_not_made_is_made_later() {
    let (store, first, second) = (MemoryStore::default(), worker(false), worker(false));
    for worker in [&first, &second] {
        leased(worker, "a", 100, NOW, &store);
        let reservation = held(worker, "a", 10, NOW, &store);
        worker.settle(reservation, usd(10), at(3), &store);
    }
    assert_eq!((due(&first, at(4), &store).len(), first.is_told(&store)), (0, false));
    let calls = due(&first, at(5), &store);
    assert_eq!((calls.len(), due(&second, at(5), &store).len()), (1, 0));
    assert_eq!(body(&calls[0])["leases"][0]["spent"], 20);
    first.abandon(&calls[0].key.subject, at(5));
    assert_eq!((due(&first, at(6), &store).len(), due(&second, at(6), &store).len()), (0, 0));
    let calls = due(&second, at(8), &store);
    answer(&second, &calls[0], 120, at(8), &store);
    assert!((9..60).all(|second| due(&first, at(second), &store).is_empty()), "all is told");
    assert!(first.is_told(&store) && second.is_told(&store));
    let quiet = at(300);
    assert_eq!(due(&first, quiet, &store).len(), 0);
    assert!(first.leases.borrow().is_idle(), "what is quiet is looked after no more");
}

#[test]
fn a_worker_without_shared_memory_tells_its_spending_at_once_and_gives_back_what_no_request_holds() {
    let worker = worker_of(false, Capabilities::COMPONENT);
    leased(&worker, "a", 100, NOW, &Forgetful);
    let (flying, other) = (held(&worker, "a", 60, NOW, &Forgetful), held(&worker, "a", 30, NOW, &Forgetful));
    assert_eq!(reserved(&worker, "a", 11, NOW, &Forgetful), Reserved::Busy);
    assert!(worker.reports(NOW, &Forgetful).is_empty(), "nothing was spent");
    worker.settle(flying, usd(50), NOW, &Forgetful);
    let told = |call: &Fetch| {
        let lease = &body(call)["leases"][0];
        (lease["spent"].clone(), lease["returned"].clone(), lease["need"].clone())
    };
    let calls = worker.reports(NOW, &Forgetful);
    assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), [(json!(50), json!(0), json!(0))]);
    answer(&worker, &calls[0], 100, NOW, &Forgetful);
    worker.settle(other, usd(10), NOW, &Forgetful);
    let calls = worker.reports(NOW, &Forgetful);
    assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), [(json!(60), json!(40), json!(0))]);
    // The call is lost: the next one tells the same sums.
    worker.accept_leases(number(&calls[0]), &FetchAnswer::Failed, NOW, &Forgetful);
    assert_eq!(reserved(&worker, "a", 7, at(1), &Forgetful), Reserved::Short, "the rest is gone");
    let call = lease(&worker, &[&subject("a")], 7, at(1), &Forgetful).unwrap();
    forgo(&worker, "a", 7);
    assert_eq!(told(&call), (json!(60), json!(40), json!(7)));
    answer(&worker, &call, 107, at(1), &Forgetful);
    let back = held(&worker, "a", 7, at(1), &Forgetful);
    worker.settle(back, usd(0), at(1), &Forgetful);
    let calls = worker.reports(at(1), &Forgetful);
    assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), [(json!(60), json!(47), json!(0))]);
    answer(&worker, &calls[0], 107, at(1), &Forgetful);
    assert!(worker.reports(at(2), &Forgetful).is_empty(), "all is told");
}

#[test]
fn data_planes_of_one_name_make_ids_of_their_own() {
    let secret = ServiceSecret::new(b"secret".to_vec()).unwrap();
    let [first, second, again] = [1, 2, 1].map(|instance| {
        let policy = policy(false).registry.unwrap();
        let worker = Registry::new(
            ServiceId::default(),
            policy,
            &secret,
            Capabilities::COMPONENT,
            ("n", [instance; 16]),
        );
        let call = lease(&worker, &[&subject("a")], 5, NOW, &Forgetful).unwrap();
        let told = body(&call);
        assert_eq!(told["node"], "n");
        told["leases"][0]["nonce"].clone()
    });
    assert_ne!(first, second);
    assert_eq!(first, again);
}

#[test]
fn many_subjects_are_reported_in_small_calls_and_the_rest_a_second_later() {
    let store = MemoryStore::default();
    let worker = worker(false);
    let names: Vec<String> = (0..70).map(|name| name.to_string()).collect();
    for name in &names {
        leased(&worker, name, 100, NOW, &store);
        let reservation = held(&worker, name, 10, NOW, &store);
        worker.settle(reservation, usd(10), NOW, &store);
    }
    let sizes = |now: Moment| -> Vec<usize> {
        due(&worker, now, &store)
            .iter()
            .map(|fetch| body(fetch)["leases"].as_array().unwrap().len())
            .collect()
    };
    assert_eq!(sizes(at(2)), [3; 16]);
    assert_eq!(sizes(at(3)), [3, 3, 3, 3, 3, 3, 3, 1]);
    assert_eq!(sizes(at(4)), [0; 0]);
}

/// A store that other workers keep busy for a while.
struct Busy(MemoryStore, std::cell::Cell<bool>);

impl Store for Busy {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key)
    }

    fn update(&self, key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        if self.1.get() { Err(StoreError::Contended) } else { self.0.update(key, change) }
    }
}

#[test]
fn a_cost_that_cannot_be_charged_at_once_is_charged_later() {
    let store = Busy(MemoryStore::default(), false.into());
    let worker = worker(false);
    leased(&worker, "a", 100, NOW, &store);
    let reservation = held(&worker, "a", 10, NOW, &store);
    store.1.set(true);
    assert_eq!(worker.reserve(&subject("a"), &usd(1), NOW, &store), Err(StoreError::Contended));
    worker.settle(reservation, usd(10), NOW, &store);
    store.1.set(false);
    assert_eq!(worker.standing(&subject("a"), NOW, &store).unwrap().left, 90);
    assert_eq!(due(&worker, at(1), &store).len(), 0);
    assert_eq!(body(&due(&worker, at(3), &store)[0])["leases"][0]["spent"], 10);
    assert_eq!(worker.standing(&subject("a"), at(3), &store).unwrap().left, 90);
}

#[test]
fn a_server_that_leases_nothing_is_not_asked_and_neither_is_one_that_is_down() {
    let store = MemoryStore::default();
    let wanted = subject("a");
    assert!(lease(&worker(true), &[&wanted], 5, NOW, &store).is_none());
    let worker = worker(false);
    for _ in 0..5 {
        let fetch = lease(&worker, &[&wanted], 5, NOW, &store).unwrap();
        worker.accept_leases(number(&fetch), &FetchAnswer::Failed, NOW, &store);
    }
    assert!(lease(&worker, &[&wanted], 5, NOW, &store).is_none());
    assert!(lease(&worker, &[&wanted], 5, at(1), &store).is_some());
}

#[test]
fn subjects_of_other_registries_and_owners_in_other_cases_are_told_apart() {
    let owner = |email: &str| BudgetSubject::owner(email, None);
    assert_eq!(owner("Alice@Example.com"), owner("alice@example.com"));
    let (store, own) = (MemoryStore::default(), worker(false));
    leased(&own, "a", 100, NOW, &store);
    let mut policy = policy(false).registry.unwrap();
    policy.url.path = "/other".to_owned();
    let secret = ServiceSecret::new(b"secret".to_vec()).unwrap();
    let other =
        Registry::new(ServiceId::default(), policy, &secret, Capabilities::ENVOY, ("envoy-1", [0; 16]));
    assert_eq!(reserved(&other, "a", 1, NOW, &store), Reserved::Missing);
}
