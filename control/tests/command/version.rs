//! `version`: the release, its formats, and what changed for a policy of an older release.

use serde_json::{Value, json};

use crate::support::{Folder, Run, assert_only_text, keyswap, keyswap_with};

const RELEASE: &str = env!("CARGO_PKG_VERSION");

fn check(policy: &Value, more: &[&str]) -> Run {
    keyswap_with(&[&["version", "--check", "-"], more].concat(), policy.to_string().as_bytes(), &[])
}

/// Returns a policy that no change concerns.
fn settled(more: &Value) -> Value {
    let mut policy = json!({
        "version": "keyswap/v1", "credentials": {"openai": [{"env": "K"}]}, "objects": "shared",
        "answers": {"pass": ["limits", "account"]},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    policy
}

/// Returns the codes of the changes that concern a policy, each with its places.
fn changes(run: &Run) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let places = |change: &Value| change["places"].as_array().unwrap().iter().map(text).collect();
    let changes = run.json()["changes"].as_array().unwrap().clone();
    changes.iter().map(|change| (text(&change["code"]), places(change))).collect()
}

#[test]
fn the_release_and_its_formats_are_printed() {
    let run = keyswap(&["version"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.starts_with(&format!("keyswap {RELEASE}\n")), "{}", run.stdout);
    let json = keyswap(&["version", "--format", "json"]).json();
    assert_eq!(json["version"], RELEASE);
    for format in json["formats"].as_array().unwrap() {
        // Each format is read by `policy check`: its errors are about the rest of the document.
        let document = json!({"version": format}).to_string();
        let checked = keyswap_with(&["policy", "check", "-"], document.as_bytes(), &[]);
        assert!(!checked.all().contains("error at `version`"), "{}", checked.all());
        assert!(run.stdout.contains(format.as_str().unwrap()), "{}", run.stdout);
    }
}

#[test]
fn a_policy_that_no_change_concerns_is_fine() {
    let run = check(&settled(&json!({})), &[]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    assert!(run.stdout.contains(&format!("nothing that changed from 0.1.0 to {RELEASE} concerns it")));
}

#[test]
fn each_change_is_found_at_its_place() {
    let token = |providers: Value| {
        json!([{"sha256": "1".repeat(64), "label": "l", "providers": ["openai:files"]},
               {"sha256": "2".repeat(64), "label": "m", "providers": providers}])
    };
    let issuer = |more: &Value| {
        let mut issuer = json!({
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["a"],
            "unverified_email": "allow", "principals": "any",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            issuer[name] = value.clone();
        }
        issuer
    };
    let cors = json!({"allow_origins": ["https://app.example"]});
    let gateway = json!({"account": "a", "gateway": "g", "credential": "cf"});
    let plain = json!({"url": "http://registry:7070", "credential": {"env": "R"}});
    let person = json!([{"email": "a@example.com", "providers": ["openai:files"]}]);
    let rows = [
        ("scope-classes", json!({"tokens": token(json!(["openai"]))}), "tokens[1].providers"),
        (
            "scope-of-models",
            json!({"tokens": token(json!(["compat:files"])), "gateway": {"cloudflare": with_headers(&gateway)}}),
            "tokens[1].providers",
        ),
        ("objects", json!({"objects": null}), "objects"),
        ("plaintext", json!({"registry": plain}), "registry.url"),
        (
            "unverified-email",
            json!({"issuers": [issuer(&json!({"unverified_email": null}))], "cors": cors}),
            "issuers[0]",
        ),
        (
            "people-narrow",
            json!({"issuers": [issuer(&json!({}))], "principals": person, "cors": cors}),
            "issuers[0]",
        ),
        ("pages", json!({"issuers": [issuer(&json!({}))]}), "cors"),
        ("cache-headers", json!({"gateway": {"cloudflare": gateway}}), "gateway.cloudflare.client_headers"),
        ("account-headers", json!({"answers": null}), "answers"),
    ];
    for (code, more, place) in rows {
        let policy = without_nulls(settled(&more));
        let run = check(&policy, &["--format", "json"]);
        let found = changes(&run);
        assert_eq!(found, [(code.to_owned(), vec![place.to_owned()])], "{code}: {policy}");
        // A policy that is valid exits with 2; one that is not, with 3.
        let valid = run.json()["valid"] == true;
        assert_eq!(run.code, if valid { 2 } else { 3 }, "{code}: {}", run.stdout);
        let newer = check(&policy, &["--format", "json", "--from", RELEASE]);
        assert_eq!(changes(&newer), [], "{code}");
    }
}

fn with_headers(gateway: &Value) -> Value {
    let mut gateway = gateway.clone();
    gateway["client_headers"] = json!([]);
    gateway
}

/// Removes members that are null: a row without a member of the usual policy.
fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(|member| *member = without_nulls(member.take()));
    }
    if let Value::Array(items) = &mut value {
        for item in items {
            *item = without_nulls(item.take());
        }
    }
    value
}

#[test]
fn policies_within_rollouts_and_sources_are_checked_at_their_places() {
    let old = without_nulls(settled(&json!({"objects": null})));
    let rollout = json!({"version": "keyswap-rollout/v1", "stable": settled(&json!({})), "candidate": old});
    let run = check(&rollout, &["--format", "json"]);
    assert_eq!(changes(&run), [("objects".to_owned(), vec!["candidate.objects".to_owned()])]);
    let source = json!({"version": "keyswap-bundle/v1", "initial": rollout});
    let run = check(&source, &["--format", "json"]);
    assert_eq!(changes(&run), [("objects".to_owned(), vec!["initial.candidate.objects".to_owned()])]);
}

#[test]
fn a_policy_of_another_format_or_with_unknown_fields_is_not_read() {
    for (more, expected) in [
        (json!({"version": "keyswap/v2"}), "error at `version`: expected `keyswap/v1`"),
        (json!({"models": []}), "error at `models`: unknown field"),
    ] {
        let run = check(&settled(&more), &[]);
        assert_eq!(run.code, 3, "{}", run.stdout);
        assert!(run.stdout.contains(expected), "{}", run.stdout);
        assert!(run.stdout.ends_with("does not read it as it is\n"), "{}", run.stdout);
        assert_only_text(&run);
    }
}

#[test]
fn wrong_usage_fails_and_says_how() {
    let folder = Folder::new();
    let file = folder.file("policy.json", settled(&json!({})).to_string());
    for (arguments, expected) in [
        (vec!["--from", "0.1.0"], "--check"),
        (vec!["--check", &file, "--from", "newest"], "expected a release such as"),
        (vec!["--check", &file, "--from", "99.0.0"], "take a newer one"),
        (vec!["--check", "no-such-file.yaml"], "no-such-file.yaml"),
    ] {
        let run = keyswap(&[&["version"], arguments.as_slice()].concat());
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{arguments:?}");
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn no_credential_that_stands_in_a_policy_is_printed() {
    const SECRET: &str = "sk-SENTINELsentinelSENTINEL";
    let http = json!([{"http": {"url": "http://agent.example/token"}}]);
    let policy = settled(&json!({"credentials": {SECRET: http}}));
    for format in ["human", "json"] {
        let run = check(&policy, &["--format", format]);
        assert_eq!(run.code, 3);
        assert!(!run.all().contains(SECRET), "{}", run.all());
    }
}
