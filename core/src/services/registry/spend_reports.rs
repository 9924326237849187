//! Reports of what was spent: rows, batches, ids, and what is lost.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::Registry;
use super::spend::Metered;
use crate::base::{Digest, Moment};
use crate::host::{Capabilities, MemoryStore};
use crate::identity::CallerRecord;
use crate::policy::Policy;
use crate::price::{Counts, Nano};
use crate::secret::ServiceSecret;
use crate::services::fetch::{FetchAnswer, FetchOutcome, ServiceId};

/// 2027-01-15T08:00:00Z.
const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

fn at(seconds: u64) -> Moment {
    NOW.after(Duration::from_secs(seconds))
}

fn policy() -> Policy {
    let document = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": "0".repeat(64), "label": "t", "owner": "a@b.c", "team": "x", "providers": ["openai"]}],
        "credentials": {"openai": [{"env": "A"}]},
        "registry": {"url": "https://r", "credential": {"env": "R"}},
    });
    Policy::from_json(document.to_string().as_bytes()).unwrap()
}

fn worker() -> Registry {
    worker_of(Capabilities::ENVOY)
}

fn worker_of(host: Capabilities) -> Registry {
    let secret = ServiceSecret::new(b"secret".to_vec()).unwrap();
    Registry::new(ServiceId::default(), policy().registry.unwrap(), &secret, host, ("envoy-1", [0; 16]))
}

fn caller(number: u64) -> CallerRecord {
    CallerRecord { digest: Digest::of(&number.to_be_bytes()), ..(*policy().tokens[0]).clone() }
}

fn spend(worker: &Registry, caller: &CallerRecord, model: Option<&str>, cost: Option<u64>, now: Moment) {
    let counts = Counts {
        input: 10,
        cached: 4,
        cache_write: 2,
        output: 5,
        reasoning: 1,
        audio_input: 3,
        ..Counts::default()
    };
    let cost = cost.map(Nano);
    worker.spent(&Metered { caller, provider: "openai", model, counts: Some(counts), cost }, now);
}

fn due(worker: &Registry, now: Moment, store: &MemoryStore) -> Option<Value> {
    let fetch = worker.spend_due(&mut worker.state.borrow_mut(), now, store)?;
    assert_eq!((fetch.request.target(), fetch.key.kind()), ("/v1/usage", "spend"));
    Some(serde_json::from_slice(fetch.request.body.as_ref().unwrap()).unwrap())
}

fn status(worker: &Registry, status: u16, now: Moment) -> FetchOutcome {
    worker.accept_spend(&FetchAnswer::Response { status, body: b"" }, now)
}

fn rows(report: &Value) -> usize {
    report["rows"].as_array().unwrap().len()
}

#[test]
fn requests_of_an_hour_are_one_row_and_what_is_unknown_is_counted_as_such() {
    let (worker, store) = (worker(), MemoryStore::default());
    let own = (*policy().tokens[0]).clone();
    spend(&worker, &own, Some("gpt-5"), Some(7), NOW);
    spend(&worker, &own, Some("gpt-5"), Some(8), NOW);
    worker.spent(
        &Metered {
            caller: &own,
            provider: "openai",
            model: Some("gpt-5"),
            counts: None,
            cost: Some(Nano(9)),
        },
        NOW,
    );
    spend(&worker, &own, None, None, NOW);
    spend(&worker, &own, Some("gpt-5"), Some(1), at(3600));
    assert_eq!(due(&worker, at(1), &store), None, "rows are gathered first");
    let report = due(&worker, at(2), &store).unwrap();
    assert_eq!(report["report"].as_str().unwrap().len(), 32);
    assert_eq!(
        report["rows"][0],
        json!({"hour": "2027-01-15T08:00:00Z", "sha256": "0".repeat(64), "kind": "token", "label": "t", "owner": "a@b.c",
               "team": "x", "provider": "openai", "model": "gpt-5", "requests": 3, "unmetered": 1, "unpriced": 0, "input": 20,
               "cached": 8, "cache_write": 4, "output": 10, "reasoning": 2, "audio": 6, "cost": 24})
    );
    let other = &report["rows"][1];
    assert_eq!(
        (&other["model"], &other["unpriced"], &other["cost"]),
        (&json!("other"), &json!(1), &json!(0))
    );
    assert_eq!((rows(&report), &report["rows"][2]["hour"]), (3, &json!("2027-01-15T09:00:00Z")));
}

#[test]
fn a_report_is_sent_as_it_was_until_it_is_taken_and_no_two_have_an_id_in_common() {
    let (store, first, second) = (MemoryStore::default(), worker(), worker());
    for worker in [&first, &second] {
        spend(worker, &caller(1), Some("m"), Some(1), NOW);
    }
    assert!(!first.is_told(&store) && worker().is_told(&store));
    let report = due(&first, at(2), &store).unwrap();
    let other = due(&second, at(2), &store).unwrap();
    assert_eq!(report["rows"], other["rows"]);
    assert_ne!(report["report"], other["report"]);
    spend(&first, &caller(1), Some("m"), Some(1), at(2));
    assert_eq!(due(&first, at(31), &store), None, "one report at a time");
    assert_eq!(due(&first, at(32), &store).as_ref(), Some(&report), "a lost one is sent again");
    assert_eq!(status(&first, 503, at(33)), FetchOutcome::Unavailable);
    assert_eq!(due(&first, at(35), &store).as_ref(), Some(&report));
    assert_eq!(first.accept_spend(&FetchAnswer::Failed, at(36)), FetchOutcome::Failed);
    assert_eq!(due(&first, at(38), &store).as_ref(), Some(&report));
    assert_eq!(status(&first, 204, at(39)), FetchOutcome::Found);
    let next = due(&first, at(41), &store).unwrap();
    assert_ne!(next["report"], report["report"]);
    assert_eq!((rows(&next), &next["rows"][0]["requests"]), (1, &json!(1)));
    assert!(!first.is_told(&store), "it is on its way");
    assert_eq!(status(&first, 422, at(42)), FetchOutcome::Malformed);
    assert!(first.is_told(&store));
    assert_eq!(due(&first, at(99), &store), None, "what the registry refuses is not sent for ever");
    assert_eq!(first.report()["lost_spend"], 1);
}

#[test]
fn batches_and_memory_are_bounded_and_no_request_is_lost_in_silence() {
    let (worker, store) = (worker(), MemoryStore::default());
    let own = caller(1);
    for model in 0..3000 {
        spend(&worker, &own, Some(&format!("m{model}")), Some(1), NOW);
    }
    for number in 0..5000 {
        spend(&worker, &caller(number), Some("m"), Some(1), NOW);
    }
    let (mut requests, mut reports, mut now) = (0, 0, at(2));
    while let Some(report) = due(&worker, now, &store) {
        assert!(rows(&report) <= 500);
        requests += report["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["requests"].as_u64().unwrap())
            .sum::<u64>();
        reports += 1;
        status(&worker, 204, now);
        now = now.after(Duration::from_secs(2));
    }
    assert_eq!(reports, 8, "4000 rows");
    assert_eq!(requests + worker.report()["lost_spend"].as_u64().unwrap(), 8000);
    assert_eq!(worker.report()["unreported_spend"], 0);
}

#[test]
fn a_host_that_does_not_tick_gathers_nothing_and_waits_only_after_a_failure() {
    let (worker, store) = (worker_of(Capabilities::COMPONENT), MemoryStore::default());
    let own = (*policy().tokens[0]).clone();
    for second in [0, 5] {
        spend(&worker, &own, Some("gpt-5"), Some(7), at(second));
        let report = due(&worker, at(second), &store).unwrap();
        assert_eq!(status(&worker, 503, at(second)), FetchOutcome::Unavailable);
        spend(&worker, &own, Some("gpt-5"), Some(7), at(second));
        assert_eq!(due(&worker, at(second), &store), None);
        assert_eq!(due(&worker, at(second + 2), &store), Some(report), "it is sent again as it was");
        assert_eq!(status(&worker, 204, at(second + 2)), FetchOutcome::Found);
        assert_eq!(rows(&due(&worker, at(second + 2), &store).unwrap()), 1, "the rest follows");
        assert_eq!(status(&worker, 204, at(second + 2)), FetchOutcome::Found);
    }
}
