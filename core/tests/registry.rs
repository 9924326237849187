//! Tokens of a registry over time, as workers that share memory see them. Neither guesses, odd answers nor a clock that
//! was put back changes the time for which a record is used.

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::Verdict;
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::worker::{
    Answer, Kind, TOKEN, Worker, active, at, at_ms, inactive, introspection, keyswap, kinds, known,
    nobody_is_asked, registry_policy, registry_with, unknown,
};

const HOUR: i64 = 3600;

#[test]
fn a_token_that_is_no_longer_known_is_refused_for_good_by_every_worker() {
    for (kind, policy, yes, no) in kinds() {
        let store = MemoryStore::default();
        let [first, second, new] = [(); 3].map(|()| Worker::new(&policy));
        assert_eq!(first.ask(&store, TOKEN, at(0), &yes), 200, "{kind}");
        assert_eq!(second.ask(&store, TOKEN, at(1), &nobody_is_asked), 200, "{kind}: it is shared");
        // The renewal is made behind a request that still finds the record in memory.
        assert_eq!(first.ask(&store, TOKEN, at(31), &no), 200, "{kind}");
        assert_eq!(second.ask(&store, TOKEN, at(31), &no), 200, "{kind}");
        for worker in [&first, &second, &new] {
            worker.calls();
            for second in 32..200 {
                assert_eq!(worker.ask(&store, TOKEN, at(second), &no), 401, "{kind} after {second} s");
            }
            let calls = worker.calls();
            assert!((16..=17).contains(&calls), "{kind}: {calls} calls, one per ten seconds");
        }
        // The token comes into being again.
        for worker in [&first, &second, &new] {
            assert_eq!(worker.ask(&store, TOKEN, at(210), &yes), 200, "{kind}");
        }
        let calls: usize = [first, second, new].iter().map(Worker::calls).sum();
        assert_eq!(calls, 1, "{kind}: the others find it in shared memory");
    }
}

#[test]
fn a_clock_that_was_put_back_keeps_no_known_token_out() {
    for (kind, policy, yes, _) in kinds() {
        let store = MemoryStore::default();
        let worker = Worker::new(&policy);
        assert_eq!(worker.ask(&store, TOKEN, at(0), &yes), 200, "{kind}");
        for second in [0, 3, 10, 60, 600, 1800, 3500, 3590, 3599, 3601] {
            assert_eq!(worker.ask(&store, TOKEN, at(second - HOUR), &yes), 200, "{kind} after {second} s");
        }
    }
}

#[test]
fn a_clock_that_was_put_back_keeps_out_nothing_that_became_known_since() {
    for (kind, policy, yes, no) in kinds() {
        let store = MemoryStore::default();
        let worker = Worker::new(&policy);
        assert_eq!(worker.ask(&store, TOKEN, at(0), &no), 401, "{kind}");
        assert_eq!(worker.ask(&store, TOKEN, at(-HOUR), &yes), 200, "{kind}");
        assert_eq!(worker.ask(&store, TOKEN, at(1 - HOUR), &yes), 200, "{kind}");
    }
}

#[test]
fn what_was_learnt_after_the_clock_was_put_back_takes_the_place_of_what_was_shared_before() {
    let scoped = r#"{"active":true,"providers":["gemini"]}"#;
    for (body, status) in [(scoped, 403), (r#"{"active":false}"#, 401)] {
        let since = |_: &str| Answer(200, body.to_owned());
        let store = MemoryStore::default();
        let [first, second, new] = [(); 3].map(|()| Worker::new(&introspection()));
        assert_eq!(first.ask(&store, TOKEN, at(0), &active), 200);
        assert_eq!(second.ask(&store, TOKEN, at(-HOUR), &since), status);
        if status == 403 {
            assert_eq!(new.ask(&store, TOKEN, at(1 - HOUR), &nobody_is_asked), status, "it is shared");
        }
        for worker in [second, new] {
            assert_eq!(worker.ask(&store, TOKEN, at(1), &since), status, "the clock has caught up");
        }
    }
}

#[test]
fn a_clock_that_was_put_back_closes_neither_the_way_to_the_registry_nor_the_budget_for_long() {
    let store = MemoryStore::default();
    let worker = Worker::new(&keyswap());
    for number in 0..200 {
        worker.ask(&store, &format!("bad-token-{number:012}"), at(0), &unknown);
    }
    assert_eq!(worker.ask(&store, TOKEN, at(0), &known), 503, "guesses have spent the budget");
    assert_eq!(worker.ask(&store, TOKEN, at(-HOUR), &known), 503);
    assert_eq!(worker.ask(&store, TOKEN, at(1 - HOUR), &known), 200);

    let worker = Worker::new(&keyswap());
    let down = |_: &str| Answer(503, String::new());
    for _ in 0..5 {
        assert_eq!(worker.ask(&store, "other-token-0123456789", at(0), &down), 503);
    }
    let known = |_: &str| Answer::record("other-token-0123456789", 1);
    assert_eq!(worker.ask(&store, "other-token-0123456789", at(0), &known), 503, "it is left alone");
    // Of the budget for guesses, too, all is taken by then; it comes back fifty times a second.
    worker.ask(&store, "other-token-0123456789", at(-HOUR), &known);
    assert_eq!(worker.ask(&store, "other-token-0123456789", at(1 - HOUR), &known), 200);
}

#[test]
fn a_clock_that_was_put_back_takes_nothing_from_the_budget_for_guesses() {
    const OTHER: &str = "other-token-0123456789";
    for back in [1, 1981, 2000, 5000, 3_600_000] {
        let store = MemoryStore::default();
        let worker = Worker::new(&keyswap());
        assert_eq!(worker.ask(&store, TOKEN, at(0), &known), 200);
        let other = worker.ask(&store, OTHER, at_ms(-back), &|_| Answer::record(OTHER, 1));
        assert_eq!(other, 200, "{back} ms");
        // What was taken is no more than before, and comes back at the same pace.
        let guess =
            |number: usize, now| worker.ask(&store, &format!("bad-token-{number:012}"), now, &unknown);
        let asked = (0..200).filter(|number| guess(*number, at_ms(-back)) == 401).count();
        let later = (200..400).filter(|number| guess(*number, at_ms(-2 * back)) == 401).count();
        let at_last = (400..600).filter(|number| guess(*number, at_ms(1000 - 2 * back)) == 401).count();
        assert_eq!((asked, later, at_last), (100, 0, 50), "{back} ms");
    }
}

#[test]
fn a_clock_that_was_put_back_keeps_a_rate_limit_for_no_longer_than_its_own_window() {
    let limited = registry_policy(&json!({"rate_limit": {"requests": 3, "per": "60s"}}));
    let store = MemoryStore::default();
    let before = Worker::new(&limited);
    let spent = [0; 4].map(|second| before.ask(&store, TOKEN, at(second), &known));
    assert_eq!(spent, [200, 200, 200, 429]);
    for worker in [before, Worker::new(&limited)] {
        assert_eq!(worker.ask(&store, TOKEN, at(-HOUR), &known), 429);
    }
    let after = Worker::new(&limited);
    let came_back = [19, 21, 22, 41, 61].map(|second| after.ask(&store, TOKEN, at(second - HOUR), &known));
    assert_eq!(came_back, [429, 200, 429, 200, 200], "one per twenty seconds");
    let all = [200; 3].map(|second| after.ask(&store, TOKEN, at(second - HOUR), &known));
    assert_eq!(all, [200; 3]);
}

#[test]
fn guesses_by_the_hundred_keep_no_known_token_out_and_load_the_registry_within_bounds() {
    const SECONDS: i64 = 120;
    const IDLE: &str = "idle-token-0123456789";
    for (rate, is_edited) in [(100, false), (500, false), (500, true)] {
        let store = MemoryStore::default();
        let worker = Worker::new(&keyswap());
        worker.hear(&store, at(0), &json!({"sequence": 1, "reset": false, "changes": []}));
        assert_eq!(worker.ask(&store, TOKEN, at(0), &known), 200);
        let idle = |_: &str| Answer::record(IDLE, 1);
        assert_eq!(worker.ask(&store, IDLE, at(0), &idle), 200);
        worker.calls();
        let mut most = 0;
        for second in 1..=SECONDS {
            let version = if is_edited { 1 + second / 20 } else { 1 };
            if is_edited && second % 20 == 0 {
                worker.hear(&store, at(second), &change(TOKEN, version));
            }
            let known = |_: &str| Answer::record(TOKEN, u64::try_from(version).unwrap());
            for number in 0..rate {
                let now = at_ms(second * 1000 + number * 1000 / rate);
                worker.ask(&store, &format!("bad-token-{second:06}{number:06}"), now, &unknown);
                if number % 10 == 0 {
                    assert_eq!(worker.ask(&store, TOKEN, now, &known), 200, "{rate}/s at {now:?}");
                }
            }
            most = most.max(worker.calls());
        }
        assert_eq!(worker.ask(&store, IDLE, at(SECONDS + 1), &idle), 200, "{rate}/s: known, and too old");
        // A burst of 100 and 50 in a second, and one for the known token.
        assert!((50..=151).contains(&most), "{rate}/s: {most} calls in a second");
    }
}

/// Returns the feed, where a token changed.
fn change(token: &str, sequence: i64) -> Value {
    let key = Digest::of(token.as_bytes()).to_hex();
    let changes = json!([{"kind": "token", "key": key, "sequence": sequence}]);
    json!({"sequence": sequence, "reset": false, "changes": changes})
}

#[test]
fn registries_that_differ_never_see_each_others_records_and_the_same_one_is_shared() {
    let at_url = |url: &str| registry_with("url", &json!(url));
    let introspected = |providers: Value| registry_with("introspection", &json!({"providers": providers}));
    let url = "http://registry.example:8200";
    let policies: [Kind; 6] = [
        ("one", at_url(url), known, unknown),
        ("another port", at_url("http://registry.example:8201"), known, unknown),
        ("another host", at_url("http://other.example:8200"), known, unknown),
        ("another path", at_url(&format!("{url}/a")), known, unknown),
        ("introspection", introspected(json!(["openai"])), active, inactive),
        ("introspection with another scope", introspected(json!(["openai", "gemini"])), active, inactive),
    ];
    for (one, policy, yes, _) in &policies {
        for (other, others, _, no) in policies.iter().filter(|(other, ..)| other != one) {
            let store = MemoryStore::default();
            assert_eq!(Worker::new(policy).ask(&store, TOKEN, at(0), yes), 200);
            assert_eq!(Worker::new(others).ask(&store, TOKEN, at(1), no), 401, "{other} has what {one} said");
            let worker = Worker::new(policy);
            assert_eq!(worker.ask(&store, TOKEN, at(2), &nobody_is_asked), 200, "{one} lost it to {other}");
        }
    }
}

#[test]
fn a_change_that_one_worker_heard_of_holds_for_those_that_follow_no_feed_yet() {
    let store = MemoryStore::default();
    let worker = Worker::new(&keyswap());
    worker.hear(&store, at(0), &json!({"sequence": 1, "reset": false, "changes": []}));
    assert_eq!(worker.ask(&store, TOKEN, at(0), &known), 200);
    assert_eq!(Worker::new(&keyswap()).ask(&store, TOKEN, at(1), &nobody_is_asked), 200);
    worker.hear(&store, at(2), &change(TOKEN, 2));
    for worker in [Worker::new(&keyswap()), worker] {
        assert_eq!(worker.ask(&store, TOKEN, at(2), &unknown), 401);
    }
}

#[test]
fn after_the_registry_was_put_back_what_it_knew_before_is_not_believed_and_what_it_revokes_is_gone() {
    let store = MemoryStore::default();
    let part = |sequence: u64, reset: bool| json!({"sequence": sequence, "reset": reset, "changes": []});
    let lost = |_: &str| Answer::record(TOKEN, 90);
    let restored = |_: &str| Answer::record(TOKEN, 3);
    let [first, second] = [(); 2].map(|()| Worker::new(&keyswap()));
    for worker in [&first, &second] {
        worker.hear(&store, at(0), &part(100, false));
        assert_eq!(worker.ask(&store, TOKEN, at(0), &lost), 200);
    }
    assert_eq!((first.calls(), second.calls()), (1, 0));

    let new = Worker::new(&keyswap());
    for worker in [&first, &second] {
        worker.hear(&store, at(1), &part(5, true));
    }
    new.hear(&store, at(1), &part(5, false));
    assert_eq!(first.ask(&store, TOKEN, at(2), &restored), 200);
    assert_eq!(second.ask(&store, TOKEN, at(2), &nobody_is_asked), 200, "they share the new timeline");
    assert_eq!(new.ask(&store, TOKEN, at(2), &restored), 200);
    assert_eq!((first.calls(), new.calls()), (1, 1), "nobody believed what was known before");

    for worker in [&first, &second, &new] {
        worker.hear(&store, at(3), &change(TOKEN, 6));
    }
    let late = Worker::new(&keyswap());
    late.hear(&store, at(4), &part(6, false));
    for second_of in 4..130 {
        for worker in [&first, &second, &new, &late] {
            assert_eq!(worker.ask(&store, TOKEN, at(second_of), &unknown), 401, "after {second_of} s");
        }
    }
}

#[test]
fn of_a_registry_with_another_history_nothing_is_missed_whatever_its_numbers() {
    let part = |sequence: u64, history: Option<&str>, reset: bool| json!({"sequence": sequence, "history": history, "reset": reset, "changes": []});
    let (one, other) = (Some("00000000000000aa"), Some("00000000000000bb"));
    // The first two are told by a registry that compares histories; the rest must be seen without its help.
    for (what, sequence, history, reset) in [
        ("restored, and ahead by now", 12, other, true),
        ("restored, with as many changes", 9, other, true),
        ("another one with as many changes", 9, other, false),
        ("an earlier state", 8, one, false),
        ("one that tells no history", 9, None, false),
        ("one that tells no history any more", 10, None, false),
    ] {
        let store = MemoryStore::default();
        let worker = Worker::new(&keyswap());
        worker.hear(&store, at(0), &part(9, one, false));
        assert_eq!(worker.ask(&store, TOKEN, at(0), &known), 200, "{what}");
        worker.hear(&store, at(1), &part(9, one, false));
        assert_eq!(worker.ask(&store, TOKEN, at(1), &nobody_is_asked), 200, "{what}: nothing changed");
        worker.hear(&store, at(2), &part(sequence, history, reset));
        assert_eq!(worker.ask(&store, TOKEN, at(2), &unknown), 401, "{what}");
    }
}

#[test]
fn a_record_of_a_lost_future_is_not_believed_once_the_numbers_have_caught_up() {
    let part = |sequence: u64, history: &str| json!({"sequence": sequence, "history": history, "reset": false, "changes": []});
    let lost = |_: &str| Answer::record(TOKEN, 3);
    let store = MemoryStore::default();
    let old = Worker::new(&keyswap());
    old.hear(&store, at(0), &part(9, "00000000000000aa"));
    assert_eq!(old.ask(&store, TOKEN, at(0), &lost), 200);
    // A worker that begins after the restore follows the new history past the old number.
    let new = Worker::new(&keyswap());
    new.hear(&store, at(1), &part(5, "0000000000000005"));
    new.hear(&store, at(2), &part(9, "00000000000000bb"));
    assert_eq!(
        new.ask(&store, TOKEN, at(3), &unknown),
        401,
        "what the old one shared is not of this history"
    );
}

#[test]
fn an_answer_that_makes_no_sense_is_about_its_own_token_only() {
    let bodies = [String::new(), "{}".to_owned(), "<html>".to_owned(), Answer::record("another", 1).1];
    for body in bodies {
        let store = MemoryStore::default();
        let worker = Worker::new(&keyswap());
        let odd = |_: &str| Answer(200, body.clone());
        for second in 0..10 {
            assert_eq!(worker.ask(&store, "odd-token-0123456789", at(second), &odd), 503, "{body}");
        }
        assert_eq!(worker.calls(), 1, "{body}: it is asked for once while absences are believed");
        assert_eq!(worker.ask(&store, "odd-token-0123456789", at(10), &odd), 503, "{body}");
        assert_eq!(worker.calls(), 1, "{body}: and then again");
        for number in 0..5 {
            assert_eq!(worker.ask(&store, &format!("odd-token-{number:010}"), at(11), &odd), 503, "{body}");
        }
        assert_eq!(worker.ask(&store, TOKEN, at(11), &known), 200, "{body}");
        let mended = |_: &str| Answer::record("odd-token-0123456789", 1);
        assert_eq!(worker.ask(&store, "odd-token-0123456789", at(20), &mended), 200, "{body}");
    }
}

#[test]
fn a_404_in_other_words_than_the_registrys_says_nothing_of_a_token() {
    let bodies = [
        "",
        "<html>404 Not Found</html>",
        "{}",
        r#"{"code":"not_found"}"#,
        r#"{"code":["unknown_token"]}"#,
        r#"{"message":"unknown_token"}"#,
        r#""unknown_token""#,
    ];
    for (kind, policy, yes, _) in kinds() {
        for body in bodies {
            let not_found = |_: &str| Answer(404, body.to_owned());
            let store = MemoryStore::default();
            let worker = Worker::new(&policy);
            assert_eq!(
                worker.ask(&store, "other-token-0123456789", at(0), &not_found),
                503,
                "{kind}: {body}"
            );
            assert_eq!(worker.ask(&store, TOKEN, at(0), &yes), 200, "{kind}: {body}");
            worker.calls();
            for second in [31, 32, 45, 59] {
                assert_eq!(worker.ask(&store, TOKEN, at(second), &not_found), 200, "{kind}: {body}");
            }
            assert!(worker.calls() > 0, "{kind}: it was to be renewed");
            assert_eq!(Worker::new(&policy).ask(&store, TOKEN, at(59), &not_found), 200, "{kind}: {body}");
            assert_eq!(worker.ask(&store, TOKEN, at(60), &not_found), 503, "{kind}: too old to be believed");
        }
        // The words of a registry of ours mean nothing to an introspection endpoint.
        let expect = if kind == "keyswap" { 401 } else { 503 };
        let worker = Worker::new(&policy);
        assert_eq!(worker.ask(&MemoryStore::default(), TOKEN, at(0), &unknown), expect, "{kind}");
    }
}

#[test]
fn an_answer_does_not_tell_whether_a_token_exists() {
    const OTHER: &str = "never-seen-token-0123456789";
    let digest = |token: &str| Digest::of(token.as_bytes()).to_hex();
    let disabled =
        json!({"sha256": digest(TOKEN), "label": "l", "providers": ["openai"], "status": "disabled"});
    let of_policy = registry_policy(&json!({"registry": null, "tokens": [disabled]}));
    let of_registry = |path: &str| {
        if path.ends_with(&digest(TOKEN)) { Answer(200, disabled.to_string()) } else { Answer::unknown() }
    };
    let services: [&dyn Fn(&str) -> Answer; 3] = [&nobody_is_asked, &of_registry, &inactive];
    let policies = [("a policy", of_policy), ("a registry", keyswap()), ("introspection", introspection())];
    for ((what, policy), service) in policies.into_iter().zip(services) {
        let (worker, store) = (Worker::new(&policy), MemoryStore::default());
        let reply = |token: &str| {
            let authorization = format!("Bearer {token}");
            let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
            let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
            worker.decide(&store, &head, at(0), service, |decision| match &decision.verdict {
                Verdict::Reply(_, reply) => reply.clone(),
                _ => panic!("{what}: `{token}` is let in"),
            })
        };
        // Whatever the order, and whatever is cached by then.
        let first = reply(OTHER);
        assert_eq!(first, reply(TOKEN), "{what}");
        assert_eq!(first, reply(OTHER), "{what}");
    }
}
