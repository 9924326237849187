//! Requests of a worker that is given up, with a host that keeps books.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use keyswap_core::answer::LocalReply;
use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, Environment, MemoryStore, Store};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::request::CertificatePart;
use keyswap_core::services::{FetchAnswer, FetchRequest};
use keyswap_core::worker::Worker;

use crate::host::{Action, Body, Host, HostError, Map, Need};
use crate::lines::{Lines, Malformed};
use crate::metric::{GAUGES, Metric};
use crate::rounds::{abandon, answered, give_up, work};
use crate::shared::Shared;
use crate::stream::Stream;

const TOKEN: &str = "ptk_of-a-caller-0123456789";
const FAILED: FetchAnswer<'_> = FetchAnswer::Failed;

thread_local! {
    /// The statuses of replies, and 0 for each reset.
    static ENDS: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
}

struct Head(Vec<(Vec<u8>, Vec<u8>)>);

impl Lines for Head {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn size(&self) -> usize {
        1
    }

    fn iter(&self) -> impl Iterator<Item = Result<(&[u8], &[u8]), Malformed>> {
        self.0.iter().map(|(name, value)| Ok((name.as_slice(), value.as_slice())))
    }
}

#[derive(Default)]
struct Books {
    store: MemoryStore,
    /// The paths of the calls. The number of a call is its place.
    calls: RefCell<Vec<String>>,
    counted: Cell<u64>,
}

impl Host for Books {
    type Name = ();
    type Lines = Head;

    fn now() -> Result<Moment, HostError> {
        Ok(Moment(1_800_000_000 * 1_000_000_000))
    }

    fn lines(_map: Map, _count: usize) -> Result<Head, HostError> {
        let authorization = format!("Bearer {TOKEN}");
        let lines = [
            (":method", "POST"),
            (":path", "/v1/chat/completions"),
            (":authority", "h"),
            ("authorization", &authorization),
        ];
        Ok(Head(lines.map(|(name, value)| (name.into(), value.into())).into()))
    }

    fn get(_map: Map, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn set(_map: Map, _name: &[u8], _value: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn add(_map: Map, _name: &[u8], _value: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn remove(_map: Map, _name: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn slice(_body: Body, _size: usize) -> Result<Vec<u8>, HostError> {
        Ok(Vec::new())
    }

    fn replace(_body: Body, _bytes: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn kept() -> Result<Vec<u8>, HostError> {
        Ok(Vec::new())
    }

    fn replace_all(_body: Body, _bytes: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn take_out(_body: Body) -> Result<bool, HostError> {
        Ok(false)
    }

    fn peer() -> Option<IpAddr> {
        None
    }

    fn certificate(_part: CertificatePart) -> Option<Vec<u8>> {
        None
    }

    fn is_answered_by_upstream() -> bool {
        true
    }

    fn tell(_name: &str, _value: &[u8]) {}

    fn clear_route_cache() -> Result<(), HostError> {
        Ok(())
    }

    fn reply(reply: &LocalReply) -> Result<(), HostError> {
        ENDS.with_borrow_mut(|ends| ends.push(reply.status));
        Ok(())
    }

    fn reset() -> Result<(), HostError> {
        ENDS.with_borrow_mut(|ends| ends.push(0));
        Ok(())
    }

    fn proceed() -> Result<(), HostError> {
        ENDS.with_borrow_mut(|ends| ends.push(200));
        Ok(())
    }

    fn proceed_answer() -> Result<(), HostError> {
        Ok(())
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    fn count(&self, _metric: &Metric<'_>, by: u64) {
        self.counted.set(self.counted.get() + by);
    }

    fn set_gauges(&self, _issuer: &str, _values: [u64; GAUGES.len()]) {}

    fn prepare(_name: &()) {}

    fn wake(_name: &()) -> bool {
        true
    }

    fn come_back(&self) {}

    fn call(&self, request: FetchRequest) -> Result<u64, HostError> {
        let mut calls = self.calls.borrow_mut();
        calls.push(request.target().to_owned());
        Ok(u64::try_from(calls.len()).unwrap() - 1)
    }

    fn schedule(&self, _need: Need) {}
}

/// An environment that has a value for every variable.
struct Secrets;

impl Environment for Secrets {
    fn variable(&self, _name: &str) -> Option<Vec<u8>> {
        Some(b"a-secret".to_vec())
    }
}

/// Returns a worker whose policy has these members besides its credentials.
fn shared(members: &str) -> Rc<Shared<Books>> {
    let policy =
        format!(r#"{{"version":"keyswap/v1","credentials":{{"openai":[{{"env":"A"}}]}},{members}}}"#);
    let host = Capabilities::MODULE;
    let worker = Worker::start(policy.as_bytes(), Box::new(Secrets), Box::new(PureRust), host, "plane");
    Rc::new(Shared::new(worker.unwrap(), Books::default()))
}

const REGISTRY: &str = r#""registry":{"url":"https://r","cluster":"r","credential":{"env":"R"}}"#;

fn begun(shared: &Rc<Shared<Books>>) -> (Stream<Books>, Action) {
    let mut stream = Stream::new((), Some(Rc::clone(shared)));
    let action = stream.request_headers(4, true);
    (stream, action)
}

/// Returns the numbers of the calls for records.
fn lookups(shared: &Shared<Books>) -> Vec<u64> {
    let calls = shared.host.calls.borrow();
    let numbers = (0..).zip(calls.iter()).filter(|(_, path)| path.starts_with("/v1/tokens/"));
    numbers.map(|(number, _)| number).collect()
}

#[test]
fn a_request_that_was_given_up_is_not_judged_again() {
    let shared = shared(REGISTRY);
    let (_stream, action) = begun(&shared);
    work(&shared);
    assert_eq!((action, lookups(&shared).len(), ENDS.take()), (Action::Pause, 1, vec![]));
    abandon(&shared);
    assert_eq!(ENDS.take(), [503]);
    abandon(&shared);
    answered(&shared, lookups(&shared)[0], &FAILED);
    assert_eq!(ENDS.take(), [0; 0], "no request waits for its answer");
}

#[test]
fn a_request_that_comes_behind_takes_the_answer_to_the_call_that_is_on_its_way() {
    let shared = shared(REGISTRY);
    let _first = begun(&shared);
    work(&shared);
    abandon(&shared);
    let (_second, action) = begun(&shared);
    work(&shared);
    assert_eq!((action, lookups(&shared).len(), ENDS.take()), (Action::Pause, 1, vec![503]));
    let unknown = FetchAnswer::Response { status: 404, body: br#"{"code":"unknown_token"}"# };
    answered(&shared, lookups(&shared)[0], &unknown);
    assert_eq!(ENDS.take(), [401]);
}

#[test]
fn a_stream_that_was_given_up_is_in_no_list_and_keeps_no_worker() {
    let shared = shared(REGISTRY);
    let (stream, _) = begun(&shared);
    assert!(stream.worker().is_some_and(|worker| Rc::ptr_eq(worker, &shared)));
    stream.give_up();
    abandon(&shared);
    assert_eq!((ENDS.take(), Rc::strong_count(&shared)), (vec![], 1));
}

#[test]
fn requests_end_whose_revocation_would_not_be_heard_of() {
    let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
    let token = format!(r#""tokens":[{{"sha256":"{sha256}","label":"l","providers":["openai"]}}]"#);
    for (members, expect) in [(format!(r#"{token},"revoke":"streams""#), vec![0]), (token, vec![])] {
        let shared = shared(&members);
        let (_stream, action) = begun(&shared);
        give_up(&shared);
        assert_eq!((action, ENDS.take()), (Action::Continue, expect), "{members}");
    }
}
