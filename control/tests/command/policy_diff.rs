//! `policy diff`: the changes in words, and for recorded requests.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{DIGEST, Folder, Run, assert_only_text, keyswap, keyswap_with, policy};

fn diff(old: &str, new: &str, args: &[&str]) -> Run {
    let folder = Folder::new();
    let (old, new) = (folder.file("old.yaml", old), folder.file("new.yaml", new));
    keyswap(&[&["policy", "diff", &old, &new], args].concat())
}

#[test]
fn what_only_looks_different_is_no_change() {
    let old = policy("");
    let new = format!("# the same\ncors: {{allow_origins: ['*']}}\n{old}")
        .replace("2027-06-30T00:00:00Z", "2027-06-30T02:00:00+02:00")
        .replace("mode: provider_key", "mode: provider_key\n    openai: native");
    let run = diff(&old, &new, &[]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "no changes\n", ""));
    assert_eq!(diff(&old, &new, &["--format", "json"]).json(), json!({"changes": []}));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_change_is_told_in_words_with_what_it_does() {
    let bob = format!("  - {{sha256: {}, label: bob, providers: [openai]}}\n", "ab".repeat(32));
    let id = &DIGEST[..16];
    let issuer = |more: &str| {
        format!(
            "issuers: [{{name: id, preset: oidc, issuer: 'https://id.example', audiences: [a], principals: any{more}}}]\n"
        )
    };
    let registry = |more: &str| {
        format!(
            "registry: {{url: 'http://r:7070', plaintext: trusted_network, credential: {{env: R}}{more}}}\n"
        )
    };
    let cases = [
        (policy(""), policy(&bob), "tokens\n  + bob (abababababababab): for openai"),
        (policy(&bob), policy(""), "tokens\n  - bob (abababababababab): for openai"),
        (
            policy(""),
            policy("").replace("[openai]", "[openai, anthropic]"),
            "tokens\n  ~ alice-laptop (ID): providers + anthropic (wider)",
        ),
        (
            policy("").replace("[openai]", "[openai, anthropic]"),
            policy(""),
            "tokens\n  ~ alice-laptop (ID): providers - anthropic (narrower)",
        ),
        (
            policy("").replace("[openai]\n    exp", "[anthropic]\n    exp"),
            policy(""),
            "tokens\n  ~ alice-laptop (ID): providers + openai, - anthropic",
        ),
        (
            policy(""),
            policy("").replace("2027", "2028"),
            "tokens\n  ~ alice-laptop (ID): expires_at 2027-06-30T00:00:00Z → 2028-06-30T00:00:00Z (wider)",
        ),
        (
            policy(""),
            policy("").replace("    expires_at: 2027-06-30T00:00:00Z\n", ""),
            "tokens\n  ~ alice-laptop (ID): expires_at 2027-06-30T00:00:00Z → none (wider)",
        ),
        (
            policy(""),
            policy("    status: disabled\n"),
            "tokens\n  ~ alice-laptop (ID): status active → disabled (narrower)",
        ),
        (
            policy(""),
            policy("    rate_limit: {requests: 5, per: 1m}\n"),
            "tokens\n  ~ alice-laptop (ID): rate_limit none → 5 per 60s",
        ),
        (
            policy("    rate_limit: {requests: 5, per: 1m}\n"),
            policy("    rate_limit: {requests: 6, per: 1m}\n"),
            "tokens\n  ~ alice-laptop (ID): rate_limit 5 per 60s → 6 per 60s (wider)",
        ),
        (
            policy("    rate_limit: {requests: 5, per: 1m}\n"),
            policy("    rate_limit: {requests: 200, per: 1h}\n"),
            "tokens\n  ~ alice-laptop (ID): rate_limit 5 per 60s → 200 per 3600s",
        ),
        (
            policy("    rate_limit: {requests: 5, per: 1m}\n"),
            policy("    rate_limit: {requests: 5, tokens: 900, per: 1m}\n"),
            "tokens\n  ~ alice-laptop (ID): rate_limit 5 per 60s → 5 and 900 tokens per 60s",
        ),
        (
            policy("    rate_limit: {tokens: 900, per: 1m}\n"),
            policy("    rate_limit: {tokens: 800, per: 1m}\n"),
            "tokens\n  ~ alice-laptop (ID): rate_limit 900 tokens per 60s → 800 tokens per 60s (narrower)",
        ),
        (
            policy("    rate_limit: {requests: 5, tokens: 900, per: 1m}\n"),
            policy("    rate_limit: {requests: 6, tokens: 800, per: 1m}\n"),
            "tokens\n  ~ alice-laptop (ID): rate_limit 5 and 900 tokens per 60s → 6 and 800 tokens per 60s",
        ),
        (
            policy("metering: {}\n"),
            policy("metering: {when_left: seen}\n"),
            "metering\n  ~ when_left estimate → seen",
        ),
        (
            policy("prices: {m: {input: 1, output: 2}}\n"),
            policy("prices: {m: {input: 1, output: 2, factors: {us: 1.1}}}\n"),
            "prices\n  ~ m: factors  → us 1.1",
        ),
        (
            policy(""),
            policy("").replace("alice-laptop", "alice"),
            "tokens\n  ~ alice (ID): label alice-laptop → alice",
        ),
        (policy(""), policy("") + "rate_limit: {requests: 10}\n", "rate_limit\n  + 10 per 60s"),
        (
            policy("") + "rate_limit: {requests: 10}\n",
            policy("") + "rate_limit: {requests: 5, failure_mode_allow: true}\n",
            "rate_limit\n  ~ failure_mode_allow false → true (wider)\n  ~ limit 10 per 60s → 5 per 60s (narrower)",
        ),
        (
            policy(""),
            policy("")
                .replace("provider_key", "byok")
                .replace("  openai: [{env: OPENAI_API_KEY}]\n  anthropic: [{env: ANTHROPIC_API_KEY}]\n", ""),
            "gateway\n  ~ mode provider_key → byok",
        ),
        (
            policy(""),
            policy("").replace("env: OPENAI_API_KEY", "env: OTHER"),
            "credentials\n  ~ openai: env OPENAI_API_KEY → env OTHER",
        ),
        (
            policy("") + &issuer(""),
            policy("") + &issuer(", providers: [openai]"),
            "issuers\n  ~ id: providers none → openai (narrower)",
        ),
        (
            policy("") + &issuer(""),
            policy("") + &issuer("").replace("[a]", "[a, b]"),
            "issuers\n  ~ id: audiences + b (wider)",
        ),
        (
            policy("") + &issuer("") + "principals: []\n",
            policy("") + &issuer("").replace("any", "known") + "principals: []\n",
            "issuers\n  ~ id: principals any → known (narrower)",
        ),
        (policy(""), policy("") + &registry(""), "registry\n  + http://r:7070"),
        (
            policy("") + &registry(""),
            policy("") + &registry(", timeout: 1s"),
            "registry\n  ~ timeout 500ms → 1s",
        ),
        (
            policy(""),
            policy("") + "cors: {allow_origins: ['https://a.example']}\n",
            "cors\n  ~ allow_origins + https://a.example, - * (narrower)",
        ),
        (
            policy(""),
            policy("") + "status: {allow: [loopback]}\n",
            "status\n  ~ allow none → loopback (wider)",
        ),
        (
            policy(""),
            policy("") + "slots: [authorization, x-api-key]\n",
            "slots\n  ~ - api-key, - query:access_token, - query:api-key, - query:key, - subprotocol, - x-goog-api-key, - xi-api-key",
        ),
    ];
    for (old, new, expect) in cases {
        let run = diff(&old, &new, &[]);
        assert_eq!((run.code, run.stderr.as_str()), (2, ""), "{expect}\n{}", run.all());
        let expect = expect.replace("(ID)", &format!("({id})"));
        assert!(run.stdout.contains(&expect), "{expect}\n---\n{}", run.stdout);
        assert!(!run.all().contains(DIGEST), "{}", run.all());
    }
}

#[test]
fn the_same_as_data() {
    let run =
        diff(&policy(""), &policy("").replace("[openai]", "[openai, anthropic]"), &["--format", "json"]);
    let expect = json!({"changes": [{
        "section": "tokens", "name": &DIGEST[..16], "label": "alice-laptop", "field": "providers", "kind": "changed",
        "effect": "wider", "before": ["openai"], "after": ["openai", "anthropic"],
    }]});
    assert_eq!((run.code, run.json()), (2, expect));
}

/// Returns a line of Envoy's access log, with some fields changed.
fn line(changes: &Value) -> String {
    let mut line = json!({
        "start_time": "2026-06-30T00:00:00.123Z", "request_id": "x", "method": "POST", "client": "127.0.0.1",
        "path": "/v1/0123456789abcdef/prod/openai/v1/chat/completions", "protocol": "HTTP/1.1", "status": 200,
        "flags": "-", "details": "via_upstream", "duration_ms": 5, "bytes_received": 1, "bytes_sent": 1,
        "upstream_cluster": "cloudflare-ai-gateway", "principal": &DIGEST[..16], "label": "alice-laptop",
        "provider": "openai", "reason": "allowed",
    });
    for (name, value) in changes.as_object().unwrap() {
        line[name] = value.clone();
    }
    format!("{line}\n")
}

fn log() -> String {
    let refused = |reason: &str, path: &str, provider: &str| {
        line(&json!({"path": path, "reason": reason, "provider": provider, "status": 403}))
    };
    [
        line(&json!({})),
        line(&json!({"method": "GET", "path": "/v1/0123456789abcdef/prod/openai/v1/models"})),
        refused("provider_not_allowed", "/v1/messages", "anthropic"),
        refused("rate_limited", "/v1/chat/completions", "openai"),
        line(&json!({"principal": null, "label": null, "reason": "credential_missing", "status": 401})),
        line(&json!({"principal": "-", "reason": "token_invalid", "status": 401})),
        line(&json!({"principal": "0123456789abcdef"})),
        line(&json!({"reason": "answered", "principal": null, "path": "/.well-known/keyswap"})),
        line(&json!({"reason": null, "provider": null})),
        "[2026-06-30 00:00:00.000][1][info] starting\n".to_owned(),
        "{not json}\n".to_owned(),
        "\n".to_owned(),
        "[\"x\"]\n".to_owned(),
    ]
    .concat()
}

#[test]
fn recorded_requests_that_change_are_told_in_groups_and_all_others_are_counted() {
    let new = policy("").replace("providers: [openai]", "providers: [anthropic]");
    let folder = Folder::new();
    let log = folder.file("access.log", log());
    let run = diff(&policy(""), &new, &["--requests", &log]);
    let expect = "\
12 lines: 4 judged, 4 changed
         3  alice-laptop, openai: allowed → provider_not_allowed
            such as POST /v1/0123456789abcdef/prod/openai/v1/chat/completions at 2026-06-30T00:00:00Z
         1  alice-laptop, anthropic: provider_not_allowed → allowed
            such as POST /v1/messages at 2026-06-30T00:00:00Z
not judged: 8
         1  answered by Keyswap itself: a preflight, metadata, the status
         2  refused before the caller was known: the log does not say whose credential it was
         1  of a principal that neither policy knows
         1  lines without method, path, provider or reason: not decided by the filter
         3  lines that are not entries of the access log
";
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (2, expect, ""));

    let answer = diff(&policy(""), &new, &["--requests", &log, "--format", "json"]).json();
    assert_eq!((&answer["lines"], &answer["judged"], &answer["changed"]), (&json!(12), &json!(4), &json!(4)));
    let group = json!({
        "before": {"reason": "allowed", "provider": "openai"},
        "after": {"reason": "provider_not_allowed", "provider": "openai"},
        "label": "alice-laptop",
        "count": 3,
        "example": "POST /v1/0123456789abcdef/prod/openai/v1/chat/completions at 2026-06-30T00:00:00Z",
    });
    assert_eq!(answer["groups"][0], group);
    let expect =
        json!({"answered": 1, "no_principal": 2, "unknown_principal": 1, "incomplete": 1, "foreign": 3});
    assert_eq!(answer["unjudged"], expect);
}

#[test]
fn where_no_recorded_request_changes_the_code_is_0_whatever_else_does() {
    let folder = Folder::new();
    let log = folder.file("access.log", log());
    let new = policy("") + "cors: {allow_origins: ['https://a.example']}\n";
    let run = diff(&policy(""), &new, &["--requests", &log]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.starts_with("12 lines: 4 judged, 0 changed\n"), "{}", run.stdout);
}

#[test]
fn a_file_of_another_kind_is_an_error_and_a_log_without_a_judged_request_is_not() {
    let folder = Folder::new();
    let health = line(&json!({"reason": null, "provider": null}));
    for (log, code) in [
        ("127.0.0.1 - - \"GET / HTTP/1.1\" 200\n", 1),
        ("{\"time\": 1}\n{\"time\": 2}\n", 1),
        (health.as_str(), 0),
        (&line(&json!({"principal": null, "reason": "credential_missing", "status": 401})), 0),
        ("\n", 0),
        ("", 0),
    ] {
        let path = folder.file("access.log", log);
        for format in ["human", "json"] {
            let run = diff(&policy(""), &policy(""), &["--requests", &path, "--format", format]);
            assert_eq!((run.code, run.stdout.is_empty()), (code, code == 1), "{log}: {}", run.all());
            assert_eq!(run.stderr.contains("`keyswap render`"), code == 1, "{log}: {}", run.stderr);
        }
    }
}

#[test]
fn a_log_comes_from_standard_input_too_and_its_lines_write_nothing_but_text() {
    const HOSTILE: &str = "a\n\u{1b}[2J\u{202e}";
    let folder = Folder::new();
    let old = folder.file("old.yaml", policy(""));
    let new = folder.file("new.yaml", policy("").replace("providers: [openai]", "providers: [anthropic]"));
    let log = line(&json!({"label": HOSTILE})) + &line(&json!({"principal": HOSTILE, "path": HOSTILE}));
    let run = keyswap_with(&["policy", "diff", &old, &new, "--requests", "-"], log.as_bytes(), &[]);
    assert_eq!(run.code, 2, "{}", run.all());
    assert_only_text(&run);
}

#[test]
fn a_log_of_any_size_takes_little_memory() {
    let folder = Folder::new();
    let new = folder.file("new.yaml", policy("").replace("providers: [openai]", "providers: [anthropic]"));
    let old = folder.file("old.yaml", policy(""));
    // One line exceeds the limit, and the labels exceed the number of groups.
    let lines: String =
        (0..20_000).map(|n| line(&json!({"label": format!("label-{n}-{}", "x".repeat(60))}))).collect();
    let log = folder.file("access.log", lines + &"{".repeat(30_000_000) + "\n" + &line(&json!({})));
    let child = Command::new("bash")
        .args(["-c", r#"ulimit -v 300000; exec "$@""#, "bash", env!("CARGO_BIN_EXE_keyswap")])
        .args(["policy", "diff", &old, &new, "--requests", &log, "--format", "json"])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&child.stdout).unwrap();
    assert_eq!((&answer["judged"], &answer["changed"]), (&json!(20_001), &json!(20_001)));
    assert_eq!(answer["groups"].as_array().map(Vec::len), Some(1000));
    assert_eq!((&answer["ungrouped"], &answer["unjudged"]), (&json!(19_001), &json!({"foreign": 1})));
}

#[test]
fn an_invalid_policy_is_3_and_what_cannot_be_read_is_1() {
    let bad = "version: keyswap/v2\ncredentials: {}\n";
    for (old, new) in [(bad.to_owned(), policy("")), (policy(""), bad.to_owned())] {
        let run = diff(&old, &new, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""));
        assert!(run.stderr.starts_with("error at `version`: expected `keyswap/v1`\n"), "{}", run.stderr);
        assert_eq!(diff(&old, &new, &["--format", "json"]).json()["valid"], json!(false));
    }
    let run = diff(&policy(""), &policy(""), &["--requests", "missing.log"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("cannot read `missing.log`"), "{}", run.stderr);
    let run = keyswap(&["policy", "diff", "-", "-"]);
    assert_eq!(run.code, 1);
}
