//! Every kind of finding, with a policy that has it, the same policy mended, and what is no finding but an error.

use keyswap_core::base::UnixTime;
use keyswap_core::policy::{Lint, Policy};
use serde_json::{Value, json};

/// 2027-01-15T08:00:00Z.
const NOW: UnixTime = UnixTime(1_800_000_000);

/// Returns a policy without findings, with `changes` at their pointers; null removes.
fn document(changes: &[(&str, Value)]) -> Value {
    let mut document = json!({
        "version": "keyswap/v1",
        "tokens": [token(&json!({}))],
        "credentials": {"openai": [{"env": "A"}], "anthropic": [{"env": "B"}], "cf": [{"env": "C"}],
                        "compat": [{"env": "D"}]},
        "gateway": {"cloudflare": {
            "account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key", "universal_endpoint": true,
        }},
    });
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap();
        match (parent, value) {
            (Value::Object(members), Value::Null) => _ = members.remove(name),
            (Value::Object(members), value) => _ = members.insert(name.to_owned(), value.clone()),
            (Value::Array(items), value) if name == "-" => items.push(value.clone()),
            (other, _) => panic!("{pointer}: {other}"),
        }
    }
    document
}

fn token(changes: &Value) -> Value {
    let mut token = json!({
        "sha256": "0".repeat(64), "label": "t", "owner": "a@b.c", "providers": ["openai"],
        "expires_at": "2027-06-30T00:00:00Z",
    });
    for (name, value) in changes.as_object().unwrap() {
        token[name] = value.clone();
    }
    token.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    token
}

fn issuer(changes: &Value) -> Value {
    let mut issuer = json!({
        "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["a"], "principals": "any",
        "providers": ["openai"],
    });
    for (name, value) in changes.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    issuer.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    issuer
}

fn read(document: &Value) -> Policy {
    Policy::from_json(document.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}\n{document}"))
}

/// Returns the findings, each as `code path`.
fn findings(document: &Value) -> Vec<String> {
    let findings = read(document).lint(NOW);
    findings.iter().map(|finding| format!("{} {}", finding.lint.code(), finding.path)).collect()
}

/// A policy that has a finding, the place of that, and the same policy mended.
struct Row {
    expect: &'static str,
    bad: Vec<(&'static str, Value)>,
    mended: Vec<(&'static str, Value)>,
}

fn shared() -> (&'static str, Value) {
    ("/objects", json!("shared"))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let row = |expect, bad: &[(&'static str, Value)], mended: &[(&'static str, Value)]| Row {
        expect,
        bad: bad.to_vec(),
        mended: mended.to_vec(),
    };
    let registry = json!({"url": "https://r", "credential": {"env": "R"}});
    let introspection = |audiences: &Value| {
        let mut registry = registry.clone();
        registry["introspection"] = json!({"providers": ["openai"]});
        if !audiences.is_null() {
            registry["introspection"]["audiences"] = audiences.clone();
        }
        registry
    };
    let plain = |url: &str| json!({"url": url, "plaintext": "trusted_network"});
    let with_age = |mut source: Value| {
        source["max_age"] = json!("1m");
        source
    };
    let person = |provider: &str| json!([{"email": "p@b.c", "providers": [provider]}]);
    let known = issuer(&json!({"principals": "known"}));
    let sources = |second: &Value| json!([{"env": "A"}, second]);
    let second = issuer(&json!({"name": "second", "providers": ["anthropic"]}));
    let other = "1".repeat(64);
    let files = |changes: &Value| {
        let mut token = token(changes);
        token["providers"] = json!(["openai:files"]);
        token
    };
    let two_teams =
        ("/tokens", json!([files(&json!({"team": "x"})), files(&json!({"sha256": other, "team": "y"}))]));
    let of_github = |claims: &Value| {
        let url = "https://token.actions.githubusercontent.com";
        json!([issuer(&json!({"issuer": url, "claims": claims}))])
    };
    let bound = |bindings: &Value| json!({"openai": {"credential": "openai", "bindings": bindings}});
    let added = |slug: &str| json!({"own": {"url": "https://own", "credential": "openai", "slug": slug}});
    let with_endpoints =
        |rows: &Value| json!({"own": {"url": "https://own", "credential": "openai", "endpoints": rows}});
    vec![
        row(
            "token-without-expiry tokens[0]",
            &[("/tokens", json!([token(&json!({"expires_at": null}))]))],
            // A token that is disabled needs none.
            &[("/tokens", json!([token(&json!({"expires_at": null, "status": "disabled"}))]))],
        ),
        row(
            "token-expired tokens[0].expires_at",
            &[("/tokens", json!([token(&json!({"expires_at": "2027-01-15T08:00:00Z"}))]))],
            &[("/tokens", json!([token(&json!({"expires_at": "2027-01-15T08:00:01Z"}))]))],
        ),
        row("token-without-owner tokens[0]", &[("/tokens", json!([token(&json!({"owner": null}))]))], &[]),
        row(
            "scope-wide tokens[0].providers",
            &[("/tokens", json!([token(&json!({"providers": ["openai", "compat"]}))]))],
            &[
                ("/tokens", json!([token(&json!({"providers": ["openai", "compat"]}))])),
                ("/gateway/cloudflare/mode", json!("byok")),
                ("/credentials", json!({"cf": [{"env": "C"}]})),
            ],
        ),
        row(
            "scope-wide tokens[0].providers",
            &[("/tokens", json!([token(&json!({"providers": ["universal"]}))]))],
            &[],
        ),
        row(
            "scope-wide registry.introspection.providers",
            &[("/registry", {
                let mut registry = introspection(&json!(["a"]));
                registry["introspection"]["providers"] = json!(["compat"]);
                registry
            })],
            &[("/registry", introspection(&json!(["a"])))],
        ),
        row(
            "person-without-scope principals",
            &[("/principals", person("anthropic")), ("/issuers", json!([known]))],
            &[("/principals", person("openai")), ("/issuers", json!([known]))],
        ),
        row(
            "issuer-without-people issuers[0]",
            &[("/principals", json!([])), ("/issuers", json!([known]))],
            &[("/registry", registry.clone()), ("/issuers", json!([known]))],
        ),
        row(
            "issuer-open issuers[0]",
            &[("/issuers", json!([issuer(&json!({"providers": null}))]))],
            &[("/issuers", json!([issuer(&json!({}))]))],
        ),
        row(
            "email-unverified issuers[0].unverified_email",
            &[
                ("/principals", person("openai")),
                ("/issuers", json!([issuer(&json!({"principals": "known", "unverified_email": "allow"}))])),
            ],
            &[("/issuers", json!([issuer(&json!({"unverified_email": "allow"}))]))],
        ),
        row(
            "customers-unnamed issuers[0].claims",
            &[("/issuers", of_github(&json!({"environment": ["prod"]})))],
            &[("/issuers", of_github(&json!({"repository_id": ["74"]})))],
        ),
        row(
            "issuer-shadowed issuers[1].audiences",
            &[("/issuers", json!([issuer(&json!({})), second]))],
            &[("/issuers", json!([issuer(&json!({"audiences": ["b"]})), second]))],
        ),
        row(
            "audience-open registry.introspection",
            &[("/registry", introspection(&Value::Null))],
            &[("/registry", introspection(&json!(["a"])))],
        ),
        row(
            "plaintext-channel registry.plaintext",
            &[(
                "/registry",
                json!({"url": "http://r", "plaintext": "trusted_network", "credential": {"env": "R"}}),
            )],
            &[("/registry", json!({"url": "http://127.0.0.1:7070", "credential": {"env": "R"}}))],
        ),
        row(
            "plaintext-channel issuers[0].jwks.plaintext",
            &[("/issuers", json!([issuer(&json!({"jwks": plain("http://k/jwks")}))]))],
            &[("/issuers", json!([issuer(&json!({"jwks": {"url": "https://k/jwks"}}))]))],
        ),
        row(
            "plaintext-channel credentials.openai[1].http.plaintext",
            &[("/credentials/openai", sources(&json!({"http": with_age(plain("http://agent/t"))})))],
            &[(
                "/credentials/openai",
                sources(&json!({"http": {"url": "http://169.254.169.254/t", "max_age": "1m"}})),
            )],
        ),
        row(
            "source-repeated credentials.openai[1]",
            &[("/credentials/openai", sources(&json!({"env": "A"})))],
            &[("/credentials/openai", sources(&json!({"env": "Z"})))],
        ),
        row(
            "slot-left-out slots",
            &[("/slots", json!(["authorization"]))],
            &[("/slots", json!(["authorization", "x-api-key"]))],
        ),
        row(
            "provider-shadowed providers.own",
            &[("/providers", added("gemini")), ("/credentials/gemini", json!([{"env": "G"}]))],
            &[("/providers", added("mine")), ("/credentials/gemini", json!([{"env": "G"}]))],
        ),
        row(
            "endpoints-any providers.own.endpoints",
            &[("/providers", with_endpoints(&json!("any")))],
            &[(
                "/providers",
                with_endpoints(&json!([{"methods": ["GET"], "path": "/v1/models", "class": "models"}])),
            )],
        ),
        row(
            "email-unverified issuers[0].unverified_email",
            &[
                ("/providers", bound(&json!({"people": {"x@y.z": "anthropic"}}))),
                ("/issuers", json!([issuer(&json!({"unverified_email": "allow"}))])),
            ],
            &[
                ("/providers", bound(&json!({"people": {"x@y.z": "anthropic"}}))),
                ("/issuers", json!([issuer(&json!({}))])),
            ],
        ),
        row(
            "objects-shared providers.openai",
            &[shared(), two_teams.clone()],
            &[shared(), two_teams.clone(), ("/providers", bound(&json!({"teams": {"y": "anthropic"}})))],
        ),
        row(
            "objects-shared providers.openai",
            &[
                shared(),
                ("/tokens", json!([files(&json!({})), files(&json!({"sha256": other, "owner": "b@b.c"}))])),
            ],
            // One owner, and tokens that reach no objects.
            &[
                shared(),
                (
                    "/tokens",
                    json!([
                        files(&json!({})),
                        files(&json!({"sha256": other, "owner": "A@b.c"})),
                        token(&json!({"sha256": "2".repeat(64), "owner": "b@b.c"}))
                    ]),
                ),
            ],
        ),
        row(
            "objects-shared providers.openai",
            &[shared(), ("/issuers", json!([issuer(&json!({"providers": ["openai:stateful"]}))]))],
            &[shared(), ("/issuers", json!([issuer(&json!({"providers": ["openai"]}))]))],
        ),
        row(
            "objects-shared providers.openai",
            &[("/providers", json!({"openai": {"objects": "shared"}})), ("/registry", registry.clone())],
            &[("/providers", json!({"openai": {"objects": "team"}})), ("/registry", registry.clone())],
        ),
        row(
            "objects-unkept providers.openai",
            &[("/tokens", json!([files(&json!({}))]))],
            &[("/tokens", json!([files(&json!({}))])), ("/registry", registry.clone())],
        ),
        row(
            "objects-unkept providers.openai",
            &[("/tokens", json!([files(&json!({}))])), ("/objects", json!("team"))],
            &[("/tokens", json!([files(&json!({}))])), ("/objects", json!("shared"))],
        ),
        row(
            "binding-unmatched providers.openai.bindings.teams.X",
            &[
                ("/tokens", json!([token(&json!({"team": "x"}))])),
                ("/providers", bound(&json!({"teams": {"X": "anthropic"}}))),
            ],
            &[
                ("/tokens", json!([token(&json!({"team": "x"}))])),
                ("/providers", bound(&json!({"teams": {"x": "anthropic"}}))),
            ],
        ),
        row(
            "binding-unmatched providers.openai.bindings.owners.\"a@b.c\"",
            // The only token of the owner has a binding of its own.
            &[(
                "/providers",
                bound(
                    &json!({"owners": {"a@b.c": "anthropic"}, "tokens": {"0000000000000000": "anthropic"}}),
                ),
            )],
            &[("/providers", bound(&json!({"tokens": {"0000000000000000": "anthropic"}})))],
        ),
        row(
            "binding-unmatched providers.openai.bindings.people.\"a@b.c\"",
            // A token's owner is no person that comes with a JWT.
            &[("/providers", bound(&json!({"people": {"a@b.c": "anthropic"}})))],
            &[
                ("/providers", bound(&json!({"people": {"a@b.c": "anthropic"}}))),
                ("/issuers", json!([issuer(&json!({}))])),
            ],
        ),
        row(
            "binding-unmatched providers.openai.bindings.tokens.1111111111111111",
            &[("/providers", bound(&json!({"tokens": {"1111111111111111": "anthropic"}})))],
            &[
                ("/providers", bound(&json!({"tokens": {"1111111111111111": "anthropic"}}))),
                ("/registry", registry.clone()),
            ],
        ),
        row(
            "unpriced-allowed budgets.unpriced",
            &[("/registry", registry.clone()), ("/budgets", json!({"unpriced": "allow"}))],
            &[("/registry", registry.clone()), ("/budgets", json!({"unpriced": "refuse"}))],
        ),
        row(
            "budget-fails-open budgets.failure_mode_allow",
            &[("/registry", registry.clone()), ("/budgets", json!({"failure_mode_allow": true}))],
            &[("/registry", registry.clone()), ("/budgets", json!({}))],
        ),
        row(
            "class-unmetered tokens[0].providers",
            &[
                ("/registry", registry.clone()),
                ("/budgets", json!({})),
                ("/tokens", json!([token(&json!({"providers": ["openai:batches"]}))])),
            ],
            &[
                ("/registry", registry.clone()),
                ("/budgets", json!({})),
                ("/tokens", json!([token(&json!({"providers": ["openai:files"]}))])),
            ],
        ),
        row(
            "status-for-nobody status.allow",
            &[("/status", json!({"allow": ["tokens"]}))],
            &[
                ("/status", json!({"allow": ["tokens"]})),
                ("/tokens", json!([token(&json!({"providers": ["openai", "keyswap-status"]}))])),
            ],
        ),
    ]
}

#[test]
fn each_finding_is_told_with_its_place_and_gone_once_mended() {
    for Row { expect, bad, mended } in rows() {
        assert_eq!(findings(&document(&bad)), [expect], "{bad:?}");
        let left = findings(&document(&mended));
        assert_eq!(left, Vec::<String>::new(), "{expect}: {mended:?}");
    }
}

#[test]
fn every_kind_of_finding_has_a_row_here_and_words_for_people() {
    let rows = rows();
    for lint in Lint::ALL {
        let is_of_it = |row: &Row| row.expect.split(' ').next() == Some(lint.code());
        assert!(rows.iter().any(is_of_it), "no policy here has `{}`", lint.code());
        for words in [lint.about(), lint.remedy()] {
            assert!(!words.is_empty() && !words.ends_with('.') && !words.contains('|'), "{words}");
        }
        let name = lint.code();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
    }
}

#[test]
fn what_is_wrong_whatever_was_meant_is_an_error_and_no_finding() {
    for (changes, error) in [
        (
            ("/tokens", json!([token(&json!({"label": "sk-0123456789abcdef0123"}))])),
            "this looks like a credential",
        ),
        (("/credentials/groq2", json!([{"env": "X"}])), "nothing uses this credential"),
        (("/tokens", json!([token(&json!({"providers": ["mistral"]}))])), "the provider has no key"),
        (("/tokens", json!([token(&json!({})), token(&json!({}))])), "the same `sha256`"),
        (
            ("/providers", json!({"own": {"url": "https://own", "credential": "openai", "slug": "groq"}})),
            "already belongs to another provider",
        ),
    ] {
        let document = document(&[changes]);
        let errors = Policy::from_json(document.to_string().as_bytes()).unwrap_err().to_string();
        assert!(errors.contains(error), "{errors}");
    }
}
