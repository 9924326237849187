//! The logs that are replayed: a policy, and what happens one after another.

use keyswap_core::base::Digest;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

/// The credentials that callers send. The policy has the first three, the registry the next two, and nothing the others.
pub(super) const TOKENS: [&str; 7] = [
    "ptk_of-the-policy-00000001",
    "ptk_of-the-policy-disabled",
    "ptk_of-the-policy-expiring",
    "ptk_of-the-registry-000001",
    "ptk_of-the-registry-000002",
    "ptk_of-nothing-at-all-0001",
    "own-key-of-a-client-000001",
];
/// The tokens of the policy that are disabled and that expire.
pub(super) const DISABLED: usize = 1;
pub(super) const EXPIRING: usize = 2;
/// The tokens that the registry may have.
pub(super) const OF_REGISTRY: [usize; 2] = [3, 4];
/// The seconds from the beginning after which a token of the policy has expired.
pub(super) const EXPIRES: i64 = 40;
pub(super) const PROVIDERS: [&str; 4] = ["openai", "anthropic", "gemini", "groq"];

/// The slots, in the order in which they are judged unless the policy has another.
pub(super) const SLOTS: [&str; 5] = ["x-api-key", "x-goog-api-key", "api-key", "authorization", "query:key"];

/// Requests by method and path.
pub(super) const REQUESTS: [(&str, &str); 9] = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/messages"),
    ("POST", "/v1beta/models/gemini-2.5-pro:generateContent"),
    ("GET", "/v1/models"),
    ("POST", "/groq/chat/completions"),
    ("GET", "/v1/files"),
    ("GET", "/v1/organization/projects"),
    ("GET", "/v1/chat/../models"),
    ("PROPFIND", "/v1/models"),
];

/// Headers beside the slots, and whether they go upstream.
pub(super) const HEADERS: [(&str, &str, bool); 8] = [
    ("accept", "application/json", true),
    ("user-agent", "a client", true),
    ("anthropic-version", "2023-06-01", true),
    ("Cookie", "a=b", false),
    ("X_Api.Key", "another-spelling-of-a-slot", false),
    ("OpenAI-Organization", "org-of-the-caller", false),
    ("cf-aig-metadata", "{}", false),
    ("X-Forwarded-For", "192.0.2.1", false),
];

/// The record of a token, as far as the logs change it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) scope: Vec<&'static str>,
    pub(super) is_active: bool,
    /// Seconds from the beginning.
    pub(super) expires: Option<i64>,
}

/// A limit: requests, in seconds.
pub(super) type Limit = (i64, i64);

#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) scope: Vec<&'static str>,
    pub(super) slots: Vec<&'static str>,
    pub(super) refuses_second: bool,
    pub(super) limit: Option<Limit>,
    /// The limit of the first token.
    pub(super) own_limit: Option<Limit>,
    /// The seconds for which a record counts, and for which an absence does.
    pub(super) registry: Option<(i64, i64)>,
}

/// A request: the worker that gets it, and what it holds.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) worker: usize,
    pub(super) request: usize,
    /// Slots with the tokens in them. A slot may stand here twice.
    pub(super) slots: Vec<(&'static str, usize)>,
    pub(super) headers: Vec<usize>,
    /// The token in a header that is no slot.
    pub(super) note: Option<usize>,
}

/// The state of the registry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Health {
    Well,
    /// No answer in time.
    Silent,
    Status(u16),
    /// The record of another token.
    Lies,
    /// A 404 that is not the registry's own.
    NotFound,
    Garbage,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    Ask(Ask),
    /// The clock goes on by milliseconds, or is put back.
    Clock(i64),
    Registry(Health),
    /// The registry changes the record of a token; `None` deletes it.
    Change(usize, Option<Record>),
    /// A worker hears of the changes.
    Tell(usize),
}

fn scope() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(&PROVIDERS[..], 0..=PROVIDERS.len())
}

fn record() -> impl Strategy<Value = Record> {
    let expires = prop_oneof![3 => Just(None), 1 => (1..100_i64).prop_map(Some)];
    (scope(), prop::bool::weighted(0.8), expires).prop_map(|(scope, is_active, expires)| Record {
        scope,
        is_active,
        expires,
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let limit = || proptest::option::of(select(&[(2, 10), (3, 60), (1, 5)][..]));
    let slots = prop_oneof![
        2 => Just(SLOTS.to_vec()),
        1 => subsequence(&SLOTS[..], 1..=SLOTS.len()).prop_shuffle(),
    ];
    let registry = proptest::option::weighted(0.8, select(&[(60, 10), (20, 5)][..]));
    (scope(), slots, any::<bool>(), limit(), limit(), registry).prop_map(
        |(scope, slots, refuses_second, limit, own_limit, registry)| Policy {
            // A token must have a provider.
            scope: if scope.is_empty() { vec!["openai"] } else { scope },
            slots,
            refuses_second,
            limit,
            own_limit,
            registry,
        },
    )
}

fn ask() -> impl Strategy<Value = Ask> {
    let slot = (select(&SLOTS[..]), select(&[0, 0, 1, 2, 3, 3, 4, 5, 6][..]));
    let slots =
        prop_oneof![5 => prop::collection::vec(slot.clone(), 1), 2 => prop::collection::vec(slot, 0..=3)];
    let request = prop_oneof![3 => select(&[0, 3][..]), 1 => 0..REQUESTS.len()];
    let headers = subsequence((0..HEADERS.len()).collect::<Vec<_>>(), 0..=3);
    let note = proptest::option::weighted(0.2, 0..TOKENS.len());
    (0..2_usize, request, slots, headers, note).prop_map(|(worker, request, slots, headers, note)| Ask {
        worker,
        request,
        slots,
        headers,
        note,
    })
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let health = prop_oneof![
        4 => Just(Health::Well),
        1 => Just(Health::Silent),
        1 => select(&[401, 429, 500, 503][..]).prop_map(Health::Status),
        1 => Just(Health::Lies),
        1 => Just(Health::NotFound),
        1 => Just(Health::Garbage),
    ];
    let clock =
        prop_oneof![6 => 0..3000_i64, 3 => 3000..40_000_i64, 1 => -5000..0_i64, 1 => Just(-3_600_000)];
    let changed = prop_oneof![3 => record().prop_map(Some), 1 => Just(None)];
    prop_oneof![
        8 => ask().prop_map(Event::Ask),
        5 => clock.prop_map(Event::Clock),
        2 => health.prop_map(Event::Registry),
        2 => (select(&OF_REGISTRY[..]), changed).prop_map(|(token, record)| Event::Change(token, record)),
        1 => (0..2_usize).prop_map(Event::Tell),
    ]
}

impl Policy {
    /// Returns the document.
    pub(super) fn document(&self, time: impl Fn(i64) -> String) -> Value {
        let limit = |(requests, seconds): Limit| json!({"requests": requests, "per": format!("{seconds}s")});
        let token = |index: usize, more: Value| {
            let mut token = json!({
                "sha256": Digest::of(TOKENS[index].as_bytes()).to_hex(), "label": "l", "providers": self.scope,
            });
            for (name, value) in more.as_object().into_iter().flatten() {
                token[name] = value.clone();
            }
            token
        };
        let own = self.own_limit.map_or(json!({}), |own| json!({"rate_limit": limit(own)}));
        let mut document = json!({
            "version": "keyswap/v1",
            "tokens": [
                token(0, own),
                token(DISABLED, json!({"status": "disabled"})),
                token(EXPIRING, json!({"expires_at": time(EXPIRES)})),
            ],
            "slots": self.slots,
            "objects": "shared",
            "credentials": PROVIDERS.iter().map(|name| ((*name).to_owned(), json!([{"env": name}]))).collect::<serde_json::Map<_, _>>(),
        });
        if self.refuses_second {
            document["second_credential"] = "refuse".into();
        }
        if let Some(all) = self.limit {
            document["rate_limit"] = limit(all);
        }
        if let Some((positive, negative)) = self.registry {
            document["registry"] = json!({
                "url": "https://registry.example", "credential": {"env": "REGISTRY"},
                "cache": {"positive": format!("{positive}s"), "negative": format!("{negative}s")},
            });
        }
        document
    }
}
