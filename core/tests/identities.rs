//! Identity JWTs over time, through the whole engine: the time for which an issuer's keys are used, and the budget of a
//! person.

use keyswap_core::host::MemoryStore;
use keyswap_core::judge::Decision;
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::worker::{Answer, Worker, at, introspection, nobody_is_asked, registry_policy};
use crate::support::{NOW, Signer, access, claims, oidc, vercel, with};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// Returns a token of Alice's, good for five minutes from then on.
fn token(signer: &Signer, second: i64) -> String {
    let times = json!({"iat": NOW + second, "nbf": NOW + second, "exp": NOW + second + 300});
    signer.sign(&with(&claims(), &times))
}

/// Returns a worker whose issuer keeps its keys at an address.
fn remote(stale_if_error: &str) -> Worker {
    let jwks = json!({
        "url": "https://id.example/keys", "cache_duration": "10m", "stale_if_error": stale_if_error,
    });
    let issuer = with(&oidc(&json!([])), &json!({"jwks": jwks}));
    Worker::new(&registry_policy(&json!({
        "registry": null, "issuers": [issuer],
        "principals": [{"email": "alice@example.com", "providers": ["openai"]}],
    })))
}

/// Returns the answers of the issuer while it has this key.
fn publishes(signer: &Signer) -> impl Fn(&str) -> Answer {
    let keys = json!({"keys": [signer.jwk()]}).to_string();
    move |path| {
        assert_eq!(path, "/keys");
        Answer(200, keys.clone())
    }
}

fn fails(_: &str) -> Answer {
    Answer(0, String::new())
}

fn has_no_key(_: &str) -> Answer {
    Answer(200, r#"{"keys":[]}"#.to_owned())
}

fn has_no_usable_key(_: &str) -> Answer {
    Answer(200, r#"{"keys":[{"kty":"oct","kid":"k1","k":"AAAA"}]}"#.to_owned())
}

#[test]
fn a_new_key_is_fetched_at_its_first_use_and_an_invented_one_once_in_a_while() {
    let (old, new, invented) = (Signer::new(1, "k1"), Signer::new(2, "k2"), Signer::new(3, "k3"));
    let (worker, store) = (remote("1h"), MemoryStore::default());
    assert_eq!(worker.ask(&store, &token(&old, 0), at(0), &publishes(&old)), 200);
    assert_eq!(worker.calls(), 1);
    assert_eq!(worker.ask(&store, &token(&new, 1), at(1), &publishes(&new)), 200);
    assert_eq!(worker.calls(), 1);
    let refused =
        (2..12).map(|second| worker.ask(&store, &token(&invented, second), at(second), &publishes(&new)));
    assert!(refused.into_iter().all(|status| status == 401));
    assert!(worker.calls() <= 1);
}

#[test]
fn a_key_that_the_issuer_took_back_is_good_for_one_more_cache_duration_at_most() {
    let (old, new) = (Signer::new(1, "old"), Signer::new(2, "new"));
    for (second, calls, status) in [
        (10 * MINUTE - 1, 0, 200),
        // Renewed behind the request.
        (10 * MINUTE, 1, 200),
        (20 * MINUTE - 1, 1, 200),
        // Renewed before it is judged.
        (20 * MINUTE, 1, 401),
        (3 * HOUR, 1, 401),
        (30 * HOUR, 1, 401),
    ] {
        let (worker, store) = (remote("24h"), MemoryStore::default());
        assert_eq!(worker.ask(&store, &token(&old, 0), at(0), &publishes(&old)), 200);
        assert_eq!(worker.calls(), 1);
        let issuer = publishes(&new);
        assert_eq!(worker.ask(&store, &token(&old, second), at(second), &issuer), status, "after {second} s");
        assert_eq!(worker.calls(), calls, "after {second} s");
        if calls > 0 {
            let next = second + 1;
            assert_eq!(worker.ask(&store, &token(&old, next), at(next), &issuer), 401, "after {next} s");
            assert_eq!(worker.ask(&store, &token(&new, next), at(next), &issuer), 200, "after {next} s");
        }
    }
}

#[test]
fn keys_are_used_for_long_only_where_newer_ones_could_not_be_had() {
    let signer = Signer::new(1, "k1");
    for (stale_if_error, second, status) in [
        ("6h", 20 * MINUTE, 200),
        ("6h", 6 * HOUR + 10 * MINUTE - 1, 200),
        ("6h", 6 * HOUR + 10 * MINUTE, 503),
        ("5m", 15 * MINUTE - 1, 200),
        ("5m", 15 * MINUTE, 503),
        ("0s", 10 * MINUTE, 503),
    ] {
        for fault in [fails, has_no_key, has_no_usable_key] {
            let (worker, store) = (remote(stale_if_error), MemoryStore::default());
            assert_eq!(worker.ask(&store, &token(&signer, 0), at(0), &publishes(&signer)), 200);
            worker.calls();
            let seen = worker.ask(&store, &token(&signer, second), at(second), &fault);
            assert_eq!((seen, worker.calls()), (status, 1), "{stale_if_error} after {second} s");
            // The issuer is back.
            let later = second + 2;
            worker.ask(&store, &token(&signer, later), at(later), &publishes(&signer));
            let seen = worker.ask(&store, &token(&signer, later), at(later), &fault);
            assert_eq!((seen, worker.calls()), (200, 1), "{stale_if_error} after {later} s");
        }
    }
}

#[test]
fn a_guest_who_claims_the_address_of_a_known_person_is_not_that_person() {
    let signer = Signer::new(1, "k1");
    let issuer = oidc(&json!([signer.jwk()]));
    let policy = |issuer: Value| {
        registry_policy(&json!({
            "registry": null, "issuers": [issuer],
            "principals": [{"email": "alice@example.com", "providers": ["openai"]}],
        }))
    };
    let strict = Worker::new(&policy(issuer.clone()));
    let lax = Worker::new(&policy(with(&issuer, &json!({"unverified_email": "allow"}))));
    for (verified, strictly, laxly) in [
        (json!(true), 200, 200),
        (json!("true"), 200, 200),
        (json!(null), 403, 200),
        (json!(false), 403, 403),
        (json!("false"), 403, 403),
    ] {
        let token = signer.sign(&with(&claims(), &json!({"sub": "guest", "email_verified": verified})));
        for (worker, expect) in [(&strict, strictly), (&lax, laxly)] {
            // The second time it comes from the cache.
            for _ in 0..2 {
                let status = worker.ask(&MemoryStore::default(), &token, at(0), &nobody_is_asked);
                assert_eq!(status, expect, "email_verified is {verified}");
            }
        }
    }
}

#[test]
fn an_identity_that_browsers_send_by_themselves_is_of_no_use_to_another_sites_page() {
    const APPLICATION: &str = "4714c1358e65";
    let signer = Signer::new(1, "k1");
    let keys = json!({"inline": {"keys": [signer.jwk()]}});
    let access = with(
        &access(),
        &json!({
            "jwks": keys, "algorithms": ["ES256"], "service_tokens": ["robot.access"], "providers": ["openai"],
        }),
    );
    let slots = json!(["cookie:session", "header:x-id"]);
    let own = with(&oidc(&json!([signer.jwk()])), &json!({"slots": slots, "principals": "any"}));
    let vercel = with(&vercel(), &json!({"jwks": keys, "algorithms": ["ES256"]}));
    let policy = with(
        &registry_policy(&json!({
            "registry": null, "issuers": [access, own, vercel],
            "principals": [{"email": "alice@example.com", "providers": ["openai"]}],
        })),
        &json!({"cors": {"allow_origins": ["https://app.example"]}}),
    );
    let worker = Worker::new(&policy);
    let person = with(
        &claims(),
        &json!({"iss": "https://acme.cloudflareaccess.com", "aud": [APPLICATION], "type": "app"}),
    );
    let service = with(&person, &json!({"common_name": "robot.access", "sub": "", "email": null}));
    let function = with(
        &claims(),
        &json!({
            "iss": "https://oidc.vercel.com/acme", "aud": "https://vercel.com/acme", "email": null,
            "project_id": "prj_123", "environment": "production",
        }),
    );
    let [person, service, function, id] =
        [&person, &service, &function, &claims()].map(|claims| signer.sign(claims));
    let evil = ("origin", "https://evil.example");
    let websocket = ("upgrade", "websocket");
    for (header, value, is_of_browsers) in [
        ("cf-access-jwt-assertion", person.clone(), true),
        ("cookie", format!("CF_Authorization={person}"), true),
        ("cookie", format!("a=b; session={id}"), true),
        // A proxy may make it of a cookie.
        ("x-id", id.clone(), true),
        ("cf-access-token", person.clone(), false),
        ("cf-access-jwt-assertion", service, false),
        ("x-vercel-oidc-token", function, false),
        ("authorization", format!("Bearer {person}"), false),
        ("authorization", format!("Bearer {id}"), false),
        ("x-api-key", id, false),
    ] {
        for (lines, is_page_refused) in [
            (&[][..], false),
            (&[("origin", "https://app.example")], false),
            (&[("origin", "https://llm.example")], false),
            (&[websocket, ("origin", "https://app.example")], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[evil], true),
            (&[websocket, evil], true),
            (&[websocket, ("origin", "https://llm.example")], true),
            (&[websocket], true),
            (&[("sec-fetch-site", "cross-site")], true),
        ] {
            let lines = [&[(header, value.as_str())], lines].concat();
            let headers: Vec<Header<'_>> = lines
                .iter()
                .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
                .collect();
            let (method, path) = if lines.contains(&websocket) {
                ("GET", "/openai/v1/realtime")
            } else {
                ("POST", "/openai/v1/chat/completions")
            };
            let head = RequestHead::new(method.as_bytes(), path.as_bytes(), &headers);
            let head = RequestHead { authority: b"llm.example", ..head };
            let reason = |decision: &Decision<'_>| decision.reason_code();
            let reason = worker.decide(&MemoryStore::default(), &head, at(0), &nobody_is_asked, reason);
            let is_refused = is_of_browsers && is_page_refused;
            let expect = if is_refused { "origin_not_allowed" } else { "allowed" };
            assert_eq!(reason, expect, "{header}: {:?}", &lines[1..]);
        }
    }
}

#[test]
fn a_token_that_was_verified_is_judged_as_a_jwt_elsewhere_only_where_it_has_the_shape_of_one() {
    let signer = Signer::new(1, "k1");
    let keys = json!({"algorithms": ["ES256"], "jwks": {"inline": {"keys": [signer.jwk()]}}});
    let policy = registry_policy(&json!({
        "registry": null, "issuers": [with(&access(), &keys)],
        "principals": [{"email": "alice@example.com", "providers": ["openai"]}],
    }));
    let changes = json!({"iss": "https://acme.cloudflareaccess.com", "aud": ["4714c1358e65"], "type": "app"});
    let payload = with(&claims(), &changes).to_string();
    let header = signer.header().to_string();
    for (header, elsewhere) in [(header.clone(), "allowed"), (header.replacen('{', "{ ", 1), "token_invalid")]
    {
        let (worker, store) = (Worker::new(&policy), MemoryStore::default());
        let token = signer.sign_raw(&header, &payload);
        let bearer = format!("Bearer {token}");
        let own = ("cf-access-jwt-assertion", token.as_str(), "allowed");
        for (name, value, expect) in [own, own, ("authorization", bearer.as_str(), elsewhere), own] {
            let headers = [Header { name: name.as_bytes(), value: value.as_bytes() }];
            let head = RequestHead::new(b"POST", b"/openai/v1/chat/completions", &headers);
            let reason = |decision: &Decision<'_>| decision.reason_code();
            let reason = worker.decide(&store, &head, at(0), &nobody_is_asked, reason);
            assert_eq!(reason, expect, "{name}: {header}");
        }
    }
}

/// Returns a policy with an issuer that admits all its subjects.
fn open(signer: &Signer, changes: &Value) -> Value {
    let issuer = with(&oidc(&json!([signer.jwk()])), &json!({"principals": "any"}));
    with(&registry_policy(&json!({"issuers": [issuer]})), changes)
}

#[test]
fn where_all_are_admitted_a_persons_own_record_narrows_what_they_may() {
    let signer = Signer::new(1, "k1");
    let all = json!(["openai", "gemini"]);
    let person = |changes: Value| {
        let known = json!({"email": "alice@example.com", "providers": all, "version": 1});
        Answer(200, with(&known, &changes).to_string())
    };
    for (verified, answer, expect) in [
        (true, person(json!({})), 200),
        (true, person(json!({"providers": ["gemini"]})), 403),
        (true, person(json!({"status": "disabled"})), 403),
        (true, Answer::unknown(), 200),
        // It fails closed, like all that the registry decides.
        (true, Answer(500, String::new()), 503),
        (true, Answer(0, String::new()), 503),
        // Whoever claims the address of a disabled person gets no further than that person.
        (false, person(json!({})), 200),
        (false, person(json!({"providers": ["gemini"]})), 403),
        (false, person(json!({"status": "disabled"})), 403),
        (false, Answer::unknown(), 200),
    ] {
        let worker = Worker::new(&open(&signer, &json!({})));
        let token = signer.sign(&with(&claims(), &json!({"email_verified": verified})));
        let registry = |path: &str| {
            assert_eq!(path, "/v1/principals/alice%40example.com");
            Answer(answer.0, answer.1.clone())
        };
        let status = worker.ask(&MemoryStore::default(), &token, at(0), &registry);
        assert_eq!((status, worker.calls()), (expect, 1), "{verified}, {}", answer.1);
    }
    let in_policy = json!({
        "registry": null, "principals": [{"email": "alice@example.com", "providers": ["gemini"]}],
    });
    let worker = Worker::new(&open(&signer, &in_policy));
    for (email, expect) in [("alice@example.com", 403), ("bob@example.com", 200)] {
        let token = signer.sign(&with(&claims(), &json!({"email": email})));
        let status = worker.ask(&MemoryStore::default(), &token, at(0), &nobody_is_asked);
        assert_eq!(status, expect, "{email}");
    }
}

#[test]
fn the_limit_of_an_issuer_holds_where_its_subject_has_none_and_goes_before_the_policys() {
    let signer = Signer::new(1, "k1");
    for (of_person, of_issuer, of_policy, passed) in [
        (None, None, 1, 1),
        (None, Some(json!({"requests": 2, "per": "60s"})), 1, 2),
        (Some(json!({"requests": 3, "per": "60s"})), Some(json!({"requests": 2, "per": "60s"})), 1, 3),
        // For requests and tokens each.
        (Some(json!({"tokens": 9000, "per": "60s"})), Some(json!({"requests": 2, "per": "60s"})), 1, 2),
        (None, Some(json!({"tokens": 9000, "per": "60s"})), 1, 1),
    ] {
        let mut person = json!({"email": "alice@example.com", "providers": ["openai"]});
        if let Some(limit) = &of_person {
            person["rate_limit"] = limit.clone();
        }
        let rule = json!({"requests": of_policy, "per": "60s"});
        let people = json!({"registry": null, "rate_limit": rule, "principals": [person]});
        let mut policy = open(&signer, &people);
        if let Some(limit) = &of_issuer {
            policy["issuers"][0]["rate_limit"] = limit.clone();
        }
        let (worker, store) = (Worker::new(&policy), MemoryStore::default());
        let token = signer.sign(&claims());
        let answers = (0..5).map(|_| worker.ask(&store, &token, at(0), &nobody_is_asked));
        let found = answers.filter(|status| *status == 200).count();
        assert_eq!(found, passed, "{of_person:?} {of_issuer:?}");
    }
}

#[test]
fn the_address_of_another_gives_neither_their_budget_nor_their_name() {
    let signer = Signer::new(1, "k1");
    let people = json!({
        "registry": null, "rate_limit": {"requests": 1, "per": "60s"},
        "principals": [{
            "email": "alice@example.com", "providers": ["openai"], "rate_limit": {"requests": 3, "per": "60s"},
        }],
    });
    let (worker, store) = (Worker::new(&open(&signer, &people)), MemoryStore::default());
    for (changes, statuses) in [
        (json!({"sub": "guest", "email_verified": false}), vec![200, 429]),
        (json!({}), vec![200, 200, 200, 429]),
    ] {
        let token = signer.sign(&with(&claims(), &changes));
        let ask = |_: &u16| worker.ask(&store, &token, at(0), &nobody_is_asked);
        assert_eq!(statuses.iter().map(ask).collect::<Vec<_>>(), statuses, "{changes}");
    }
}

#[test]
fn a_person_without_a_record_costs_one_call_and_renewals_that_nobody_waits_for() {
    let signer = Signer::new(1, "k1");
    let (worker, store) = (Worker::new(&open(&signer, &json!({}))), MemoryStore::default());
    let token = signer.sign(&with(&claims(), &json!({"exp": NOW + HOUR})));
    // An absence is kept as long as a record: for a minute, and renewed behind a request after half of it.
    for (second, calls) in [(0, 1), (1, 0), (11, 0), (29, 0), (30, 1), (31, 0), (59, 0), (60, 1), (300, 1)] {
        let status = worker.ask(&store, &token, at(second), &|_| Answer::unknown());
        assert_eq!((status, worker.calls()), (200, calls), "after {second} s");
    }
    // The registry is gone: the absence holds for its minute, like a record.
    for (second, expect) in [(301, 200), (359, 200), (361, 503)] {
        assert_eq!(worker.ask(&store, &token, at(second), &fails), expect, "after {second} s");
    }
    // The feed tells of a person that is created disabled.
    let worker = Worker::new(&open(&signer, &json!({})));
    worker.hear(&store, at(0), &json!({"sequence": 1, "reset": false, "changes": []}));
    assert_eq!(worker.ask(&store, &token, at(1), &|_| Answer::unknown()), 200);
    let change = json!({"kind": "user", "key": "alice@example.com", "sequence": 2});
    worker.hear(&store, at(2), &json!({"sequence": 2, "reset": false, "changes": [change]}));
    let disabled = |_: &str| {
        let person =
            json!({"email": "alice@example.com", "providers": [], "status": "disabled", "version": 2});
        Answer(200, person.to_string())
    };
    assert_eq!(worker.ask(&store, &token, at(3), &disabled), 403);
}

#[test]
fn guesses_of_tokens_push_out_no_persons_absence_and_take_no_call_from_it() {
    let signer = Signer::new(1, "k1");
    let (worker, store) = (Worker::new(&open(&signer, &json!({}))), MemoryStore::default());
    let of = |name: &str| {
        signer.sign(&with(&claims(), &json!({"email": format!("{name}@example.com"), "exp": NOW + HOUR})))
    };
    let guess = |at_second: i64, number: i64| {
        worker.ask(&store, &format!("guess-{at_second}-{number:06}-0123456789"), at(at_second), &|_| {
            Answer::unknown()
        })
    };
    assert_eq!(worker.ask(&store, &of("alice"), at(0), &|_| Answer::unknown()), 200);
    for second in 1..=29 {
        (0..100).for_each(|number| {
            guess(second, number);
        });
    }
    assert_eq!(guess(29, 100), 503, "the budget of guesses is spent");
    assert_eq!(worker.ask(&store, &of("bob"), at(29), &|_| Answer::unknown()), 200);
    for name in ["alice", "bob"] {
        assert_eq!(worker.ask(&store, &of(name), at(59), &fails), 200, "{name}: the registry is gone");
    }
}

#[test]
fn a_server_that_knows_tokens_only_is_asked_for_no_person() {
    let signer = Signer::new(1, "k1");
    let issuer = |principals: &str| with(&oidc(&json!([signer.jwk()])), &json!({"principals": principals}));
    for (principals, expect) in [("any", 200), ("known", 403)] {
        let policy = with(
            &introspection(),
            &json!({
                "issuers": [issuer(principals)],
                "principals": [{"email": "bob@example.com", "providers": ["openai"]}],
            }),
        );
        let worker = Worker::new(&policy);
        let status = worker.ask(&MemoryStore::default(), &signer.sign(&claims()), at(0), &nobody_is_asked);
        assert_eq!(status, expect, "{principals}");
    }
}

#[test]
fn a_person_has_one_budget_whichever_issuer_vouches_and_however_it_calls_them() {
    let signer = Signer::new(1, "k1");
    let keys = json!([signer.jwk()]);
    let other = json!({"name": "other", "issuer": "https://other.example"});
    let in_policy = json!({
        "registry": null,
        "principals": [
            {"email": "alice@example.com", "providers": ["openai"]},
            {"email": "bob@example.com", "providers": ["openai"]},
        ],
    });
    for (place, changes) in [("the policy", in_policy), ("the registry", json!({}))] {
        let people = with(
            &changes,
            &json!({
                "issuers": [oidc(&keys), with(&oidc(&keys), &other)],
                "rate_limit": {"requests": 3, "per": "60s"},
            }),
        );
        let policy =
            people.as_object().unwrap().iter().fold(registry_policy(&json!({})), |policy, (name, value)| {
                with(&policy, &json!({name: value}))
            });
        let (worker, store) = (Worker::new(&policy), MemoryStore::default());
        let person = |path: &str| {
            let email = path.strip_prefix("/v1/principals/").unwrap().replace("%40", "@");
            Answer(200, json!({"email": email, "providers": ["openai"], "version": 1}).to_string())
        };
        let ask = |changes: Value| {
            let token = signer.sign(&with(&claims(), &changes));
            worker.ask(&store, &token, at(0), &person)
        };
        let alice = [
            json!({}),
            json!({"sub": "u2"}),
            json!({"iss": "https://other.example"}),
            json!({"iss": "https://other.example", "sub": "u9", "email": "Alice@Example.com"}),
        ];
        assert_eq!(alice.map(&ask), [200, 200, 200, 429], "of {place}");
        assert_eq!(ask(json!({"email": "bob@example.com"})), 200, "of {place}");
    }
}
