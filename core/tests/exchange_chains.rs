//! Exchanges in several calls: a credential that stands in the call for another one.

use std::cell::RefCell;

use keyswap_core::host::MemoryStore;
use keyswap_core::policy::Policy;
use serde_json::{Value, json};

use crate::support::exchange::{ask, jwt, policy};
use crate::support::worker::{Answer, Worker, at, nobody_is_asked};
use crate::support::{NOW, Signer, claims, with};

/// Returns the source of the first call, by the caller's JWT, with these changes.
fn first(changes: &Value) -> Value {
    let source = json!({
        "url": "https://sts.example/first", "form": {"subject_token": {"caller": "jwt"}}, "subject": "caller",
        "expect": {"/subject": {"claim": "sub"}}, "value": "/access_token", "expires_in": "/expires_in",
        "refresh_before": "10s",
    });
    with(&source, changes)
}

/// Returns the source of the second call, by the credential of the first, with these changes.
fn second(changes: &Value) -> Value {
    let source = json!({
        "url": "https://iam.example/second", "json": {"scope": ["a"]}, "credential": {"credential": "federated"},
        "subject": "caller", "expect": {"/subject": {"claim": "sub"}}, "value": "/access_token",
        "expires_in": "/expires_in", "refresh_before": "10s",
    });
    with(&source, changes)
}

fn chained(signer: &Signer, first: &Value, second: &Value) -> Value {
    let mut document = policy(signer, &json!([{"http": second}]));
    document["credentials"]["federated"] = json!([{"http": first}]);
    document
}

fn of(subject: &str, token: &str, seconds: u64) -> Answer {
    Answer(200, json!({"access_token": token, "expires_in": seconds, "subject": subject}).to_string())
}

/// Answers both calls for a subject.
fn both(subject: &str, [first, second]: [u64; 2]) -> impl Fn(&str) -> Answer {
    let subject = subject.to_owned();
    move |path| match path {
        "/first" => of(&subject, &format!("fed-{subject}"), first),
        _ => of(&subject, &format!("of-{subject}"), second),
    }
}

/// A change of a policy.
type Change<'c> = &'c dyn Fn(&mut Value);

#[test]
fn each_call_is_made_once_for_a_caller_and_renewed_ahead() {
    let signer = Signer::new(1, "k");
    let worker = Worker::new(&chained(&signer, &first(&json!({})), &second(&json!({}))));
    let [alice, bob] = ["alice", "bob"].map(|subject| jwt(&signer, subject));
    assert_eq!(ask(&worker, &alice, at(0), &both("alice", [60, 100])), "Bearer of-alice");
    assert_eq!((worker.calls(), worker.authorization()), (2, "Bearer fed-alice".to_owned()));
    assert_eq!(worker.body(), r#"{"scope":["a"]}"#);
    assert_eq!(ask(&worker, &alice, at(1), &nobody_is_asked), "Bearer of-alice");
    assert_eq!(ask(&worker, &bob, at(1), &both("bob", [600, 100])), "Bearer of-bob");
    assert_eq!((worker.calls(), worker.authorization()), (2, "Bearer fed-bob".to_owned()));
    // Bob's first value is good for the renewal, Alice's has ended: it is renewed first. No request waits.
    worker.work(&MemoryStore::default(), at(95), &nobody_is_asked);
    assert_eq!(ask(&worker, &bob, at(95), &both("bob", [600, 100])), "Bearer of-bob");
    assert_eq!(worker.calls(), 1);
    let newer = |path: &str| of("alice", if path == "/first" { "fed-2" } else { "of-2" }, 600);
    assert_eq!(ask(&worker, &alice, at(95), &newer), "Bearer of-alice");
    assert_eq!((worker.calls(), worker.authorization()), (1, String::new()));
    assert_eq!(ask(&worker, &alice, at(97), &newer), "Bearer of-alice");
    assert_eq!((worker.calls(), worker.authorization()), (1, "Bearer fed-2".to_owned()));
    assert_eq!(ask(&worker, &alice, at(98), &nobody_is_asked), "Bearer of-2");
}

#[test]
fn a_fault_of_either_call_lets_nobody_new_in_and_takes_nothing_from_others() {
    let signer = Signer::new(1, "k");
    let for_bob = of("bob", "fed-bob", 60).1;
    let expired = of("alice", "sentinel", 0).1;
    let faults = [
        (0, ""),
        (503, "sentinel"),
        (429, "sentinel"),
        (400, "sentinel"),
        (401, "sentinel"),
        (302, "sentinel"),
        (200, "sentinel"),
        (200, "{}"),
        (200, for_bob.as_str()),
        (200, expired.as_str()),
    ];
    for at_call in ["/first", "/second"] {
        for (status, body) in faults {
            let worker = Worker::new(&chained(&signer, &first(&json!({})), &second(&json!({}))));
            let [alice, known] = ["alice", "known"].map(|subject| jwt(&signer, subject));
            assert_eq!(ask(&worker, &known, at(0), &both("known", [600, 600])), "Bearer of-known");
            worker.calls();
            for second in 0..30 {
                let good = both("alice", [600, 600]);
                let service = |path: &str| match path {
                    path if path == at_call => Answer(status, body.to_owned()),
                    path => good(path),
                };
                let got = ask(&worker, &alice, at(second), &service);
                assert_eq!(got, "upstream_credential_unavailable", "{at_call} {status} {body}");
            }
            // The pauses of the call that fails keep the other one from being made, too.
            let calls = worker.calls();
            assert!((3..=9).contains(&calls), "{calls} calls: {at_call} {status} {body}");
            assert_eq!(ask(&worker, &known, at(30), &nobody_is_asked), "Bearer of-known");
            assert_eq!(ask(&worker, &jwt(&signer, "new"), at(30), &both("new", [60, 60])), "Bearer of-new");
            let back = ask(&worker, &alice, at(70), &both("alice", [60, 60]));
            assert_eq!(back, "Bearer of-alice", "{at_call} {status} {body}");
            let notes = worker.notes.borrow().join("\n");
            for secret in ["sentinel", "fed-", "of-", alice.as_str(), "bob"] {
                assert!(!notes.contains(secret), "{at_call} {status} {body}: {notes}");
            }
        }
    }
}

#[test]
fn a_value_that_the_next_service_refuses_is_renewed() {
    let signer = Signer::new(1, "k");
    let worker = Worker::new(&chained(&signer, &first(&json!({})), &second(&json!({}))));
    let alice = jwt(&signer, "alice");
    assert_eq!(ask(&worker, &alice, at(0), &both("alice", [600, 40])), "Bearer of-alice");
    // The service of the second call knows the first value no more.
    let calls = RefCell::new(Vec::new());
    let service = |path: &str| {
        calls.borrow_mut().push(path.to_owned());
        match path {
            "/first" => of("alice", "fed-2", 600),
            _ if worker.authorization() == "Bearer fed-2" => of("alice", "of-2", 600),
            _ => Answer(401, String::new()),
        }
    };
    assert_eq!(ask(&worker, &alice, at(50), &service), "upstream_credential_unavailable");
    assert_eq!(ask(&worker, &alice, at(52), &service), "Bearer of-2");
    assert_eq!(*calls.borrow(), ["/second", "/first", "/second"]);
}

#[test]
fn one_credential_of_the_data_plane_stands_in_the_calls_for_all_callers() {
    let signer = Signer::new(1, "k");
    let of_client = json!({"subject": null, "form": {"client_secret": {"env": "CLIENT"}}, "expect": null});
    let mut client = first(&of_client);
    client.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let body = json!({"assertion": {"caller": "jwt"}, "actor_token": {"credential": "federated"}});
    let mut exchange = second(&json!({"form": body}));
    exchange.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "json" | "credential"));
    let worker = Worker::new(&chained(&signer, &client, &exchange));
    for subject in ["alice", "bob"] {
        let caller = jwt(&signer, subject);
        assert_eq!(ask(&worker, &caller, at(0), &both(subject, [600, 600])), format!("Bearer of-{subject}"));
        assert_eq!(worker.body(), format!("actor_token=fed-alice&assertion={caller}"));
    }
    assert_eq!(worker.calls(), 3);
}

#[test]
fn a_chain_for_all_callers_is_fetched_ahead_of_requests() {
    let signer = Signer::new(1, "k");
    let strip = |source: &Value| {
        let mut source = source.clone();
        source
            .as_object_mut()
            .unwrap()
            .retain(|name, _| !matches!(name.as_str(), "subject" | "expect" | "form"));
        source
    };
    let worker = Worker::new(&chained(&signer, &strip(&first(&json!({}))), &strip(&second(&json!({})))));
    let store = MemoryStore::default();
    let service = both("all", [600, 600]);
    worker.work(&store, at(0), &service);
    worker.work(&store, at(1), &service);
    assert_eq!((worker.calls(), worker.authorization()), (2, "Bearer fed-all".to_owned()));
    worker.work(&store, at(2), &nobody_is_asked);
    assert_eq!(ask(&worker, &jwt(&signer, "alice"), at(2), &nobody_is_asked), "Bearer of-all");
}

#[test]
fn however_many_callers_there_are_each_gets_its_own_credential_by_its_own_calls() {
    let signer = Signer::new(1, "k");
    let document = chained(&signer, &first(&json!({})), &second(&json!({})));
    let callers: Vec<(String, String)> =
        (0..1100).map(|number| format!("c{number}")).map(|name| (jwt(&signer, &name), name)).collect();
    let worker = Worker::new(&document);
    for (round, asking) in [(0, callers.as_slice()), (1, &callers[..50]), (2, &callers[1000..])] {
        for (caller, name) in asking {
            let service = |path: &str| {
                if path == "/second" {
                    assert_eq!(worker.authorization(), format!("Bearer fed-{name}"));
                }
                both(name, [600, 600])(path)
            };
            assert_eq!(ask(&worker, caller, at(round), &service), format!("Bearer of-{name}"));
        }
    }
    // The oldest were dropped, and asked for again.
    assert!(worker.calls() > 2 * callers.len());
}

#[test]
fn a_caller_with_many_jwts_pushes_out_only_its_own() {
    let signer = Signer::new(1, "k");
    let worker = Worker::new(&policy(&signer, &json!([{"http": first(&json!({}))}])));
    let bob = jwt(&signer, "bob");
    assert_eq!(ask(&worker, &bob, at(0), &both("bob", [600, 600])), "Bearer fed-bob");
    let many: Vec<String> = (0..1020)
        .map(|number| signer.sign(&with(&claims(), &json!({"sub": "alice", "exp": NOW + 1000 + number}))))
        .collect();
    for (number, alice) in many.iter().enumerate() {
        // Failures are counted among them.
        let got = ask(&worker, alice, at(0), &|path| match number % 2 {
            0 => both("alice", [600, 600])(path),
            _ => Answer(503, String::new()),
        });
        assert_eq!(got == "Bearer fed-alice", number % 2 == 0, "{got}");
    }
    assert_eq!(ask(&worker, &many[1018], at(1), &nobody_is_asked), "Bearer fed-alice");
    // Nor are many failures of one principal an outage.
    worker.calls();
    for alice in &many[..50] {
        ask(&worker, alice, at(1), &|_| Answer(503, String::new()));
    }
    assert_eq!(worker.calls(), 50);
    assert_eq!(ask(&worker, &bob, at(1), &nobody_is_asked), "Bearer fed-bob");
    let carol = jwt(&signer, "carol");
    assert_eq!(ask(&worker, &carol, at(1), &both("carol", [60, 60])), "Bearer fed-carol");
}

#[test]
fn what_a_chain_cannot_be_is_an_error_with_its_place() {
    let signer = Signer::new(1, "k");
    let check = |document: &Value| {
        Policy::from_json(document.to_string().as_bytes()).err().map(|errors| errors.to_string())
    };
    let good = || chained(&signer, &first(&json!({})), &second(&json!({})));
    assert_eq!(check(&good()), None);
    let at = |place: &str, message: &str| Some(format!("error at `credentials.{place}`: {message}"));
    let for_caller = "the call is made for one caller: say so with `subject: caller`";
    let no_chain = "`federated` cannot stand in a call: expected a credential whose only source is `http`";
    let too_long = "more than 3 calls come before this one, or it comes before itself";
    let unsaid = |document: &mut Value| {
        document["credentials"]["openai"][0]["http"].as_object_mut().unwrap().remove("subject");
    };
    let gone = |document: &mut Value| {
        document["credentials"].as_object_mut().unwrap().remove("federated");
    };
    let two = |document: &mut Value| {
        document["credentials"]["federated"].as_array_mut().unwrap().push(json!({"env": "A"}));
    };
    let circle = |document: &mut Value| {
        document["credentials"]["federated"][0]["http"]["form"]["a"] = json!({"credential": "federated"});
    };
    let upstream = |document: &mut Value| {
        document["providers"] = json!({"groq": {"credential": "federated"}});
    };
    let cases: [(Change<'_>, Option<String>); 5] = [
        (&unsaid, at("openai[0].http", for_caller)),
        (&gone, at("openai[0].http", no_chain)),
        (&two, at("openai[0].http", no_chain)),
        (
            &upstream,
            at(
                "federated",
                "this credential stands in a call to a service, so no provider may use it: name another",
            ),
        ),
        (
            &circle,
            Some(format!(
                "{}\n{}",
                at("federated[0].http", too_long).unwrap(),
                at("openai[0].http", too_long).unwrap()
            )),
        ),
    ];
    for (number, (change, expect)) in cases.iter().enumerate() {
        let mut document = good();
        change(&mut document);
        assert_eq!(&check(&document), expect, "{number}");
    }
    for credential in
        [json!({"credential": "federated", "env": "A"}), json!({}), json!({"credential": "a b"})]
    {
        let mut document = good();
        document["credentials"]["openai"][0]["http"]["credential"] = credential;
        assert!(check(&document).unwrap().starts_with("error at `credentials.openai[0].http.credential"));
    }
}

/// Returns a policy by which callers get short-term keys of Bedrock.
fn aws(signer: &Signer) -> Value {
    let result = "/AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult";
    let source = json!({
        "url": "https://sts.us-east-1.amazonaws.com/",
        "form": {
            "Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15",
            "RoleArn": "arn:aws:iam::123456789012:role/agents", "RoleSessionName": {"claim": "/team/account"},
            "WebIdentityToken": {"caller": "jwt"},
        },
        "subject": "caller",
        "expect": {(format!("{result}/Audience")): "keyswap", (format!("{result}/SubjectFromWebIdentityToken")): {"claim": "sub"}},
        "value": format!("{result}/Credentials"),
        "bedrock_key": {"region": "us-east-1"},
        "expires_at": format!("{result}/Credentials/Expiration"),
    });
    policy(signer, &json!([{"http": source}]))
}

#[test]
fn a_role_of_aws_becomes_a_key_of_bedrock_for_its_caller() {
    let signer = Signer::new(1, "k");
    let worker = Worker::new(&aws(&signer));
    let alice = jwt(&signer, "alice");
    let answer = |audience: &str, subject: &str, expiration: Value| {
        Answer(
            200,
            json!({"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {
                "Audience": audience, "SubjectFromWebIdentityToken": subject, "Provider": "arn:aws:iam::1:oidc-provider/id",
                "Credentials": {
                    "AccessKeyId": "ASIASENTINEL", "SecretAccessKey": "sentinel-secret", "SessionToken": "sentinel-session",
                    "Expiration": expiration,
                },
            }}})
            .to_string(),
        )
    };
    let mut now = 0;
    for (audience, subject, expiration) in [
        ("foreign", "alice", json!(1.800_003_6e9)),
        ("keyswap", "bob", json!(1.800_003_6e9)),
        ("keyswap", "alice", json!(1.7e9)),
        ("keyswap", "alice", json!("never")),
    ] {
        let got = ask(&worker, &alice, at(now), &|_| answer(audience, subject, expiration.clone()));
        assert_eq!(got, "upstream_credential_unavailable", "{audience} {subject} {expiration}");
        now += 60;
    }
    let got = ask(&worker, &alice, at(now), &|_| answer("keyswap", "alice", json!(1.800_003_6e9)));
    assert!(got.starts_with("Bearer bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249"), "{got}");
    assert_eq!(worker.accepted(), "application/json");
    let form = worker.body();
    assert!(form.contains("RoleSessionName=sa-alice&Version=2011-06-15&WebIdentityToken=eyJ"), "{form}");
    assert_eq!(ask(&worker, &alice, at(now + 1), &nobody_is_asked), got);
    let notes = worker.notes.borrow().join("\n");
    assert!(
        !notes.contains("entinel") && !notes.contains("SENTINEL") && !notes.contains("foreign"),
        "{notes}"
    );
}

#[test]
fn no_text_of_a_caller_adds_a_member_to_a_call() {
    let signer = Signer::new(1, "k");
    let evil = "a&scope=all\r\nx: y\"},\"scope\":\"all\u{0}%26é;+ {claim}";
    let caller =
        signer.sign(&with(&claims(), &json!({"sub": "alice", "evil": evil, "team": {"account": "a"}})));
    let form =
        first(&json!({"form": {"subject_token": {"caller": "jwt"}, "a": {"claim": "evil"}, "b": "c"}}));
    let worker = Worker::new(&policy(&signer, &json!([{"http": form}])));
    assert_eq!(ask(&worker, &caller, at(0), &both("alice", [60, 60])), "Bearer fed-alice");
    let body = worker.body();
    assert_eq!(body.matches('&').count(), 2, "{body}");
    assert!(body.is_ascii() && !body.contains(['\r', '\n', '"', ' ', '\0']), "{body}");
    let mut in_json = first(&json!({"json": {"t": {"caller": "jwt"}, "a": {"claim": "evil"}, "b": "c"}}));
    in_json.as_object_mut().unwrap().remove("form");
    let worker = Worker::new(&policy(&signer, &json!([{"http": in_json}])));
    assert_eq!(ask(&worker, &caller, at(0), &both("alice", [60, 60])), "Bearer fed-alice");
    let body: Value = serde_json::from_str(&worker.body()).unwrap();
    assert_eq!(body, json!({"t": caller, "a": evil, "b": "c"}));
    // A value of a service that would break a header is refused, for a call as for upstream.
    let document = chained(&signer, &first(&json!({})), &second(&json!({})));
    let worker = Worker::new(&document);
    let broken = |_: &str| of("alice", "a\r\nx: y", 60);
    assert_eq!(ask(&worker, &caller, at(0), &broken), "upstream_credential_unavailable");
    assert_eq!(worker.calls(), 1);
}
