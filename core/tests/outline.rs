//! The outline of a policy: the same for two with the same meaning, another for two with different ones, and never a
//! secret.

use keyswap_core::policy::Policy;
use serde_json::{Value, json};

use crate::support::{Signer, with};

fn whole() -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{
            "sha256": "0".repeat(64), "label": "t", "owner": "a@b.c", "team": "x", "providers": ["openai"], "status": "active",
            "expires_at": "2027-06-30T00:00:00Z", "rate_limit": {"requests": 5, "per": "60s"},
            "budget": {"usd": 10, "per": "month", "timezone": "UTC"},
        }],
        "principals": [{"email": "p@b.c", "providers": ["openai"], "label": "P", "team": "x", "rate_limit": {"requests": 5, "per": "60s"}}],
        "issuers": [{
            "name": "access", "preset": "cloudflare_access", "issuer": "https://acme.cloudflareaccess.com",
            "audiences": ["a"], "algorithms": ["RS256"], "clock_skew": "60s", "claims": {"country": ["NL"]},
            "service_tokens": ["s"], "principals": "known", "slots": ["cookie:CF_Authorization"], "providers": ["openai"],
            "jwks": {"cluster": "c", "timeout": "5s", "cache_duration": "5m", "stale_if_error": "24h", "refetch_cooldown": "30s"},
        }, {
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"],
            "unverified_email": "allow",
        }],
        "credentials": {
            "openai": [{"env": "A"}, {"http": {
                "url": "http://agent/token?for=x", "plaintext": "trusted_network", "cluster": "agent", "headers": {"metadata-flavor": "Google"},
                "credential": {"env": "T"}, "auth": "bearer", "timeout": "2s", "value": "/v", "expires_in": "/e",
                "max_age": "1h", "refresh_before": "10m",
            }}, {"http": {
                "url": "https://sts/t", "form": {"a": "b", "t": {"caller": "jwt"}, "c": {"claim": "sub"}, "s": {"env": "S"}},
                "subject": "caller", "expect": {"/s": "x"}, "value": "/v", "max_age": "1m",
            }}, {"http": {"url": "https://sts/t", "json": {"a": [true, "b"]}, "value": "/v", "max_age": "1m"}}, {"http": {
                "url": "https://sts/t", "form": {"a": {"credential": "step"}}, "value": "/v", "max_age": "1m",
                "bedrock_key": {"region": "us-east-1"},
            }}],
            "step": [{"http": {"url": "https://sts/s", "max_age": "1m"}}],
            "second": [{"env": "B"}], "own": [{"env": "C"}], "cf": [{"env": "D"}],
        },
        "providers": {
            "openai": {"credentials": {"openai": 3, "second": 1}, "cooldown": "60s",
                       "bindings": {"teams": {"x": "second"}, "owners": {"A@b.c": "second"}}},
            "own": {"url": "https://own/v1", "credential": "own", "auth": "header:x-own", "dialect": "anthropic",
                    "native_prefix": "/api", "via": "direct", "slug": "mine"},
        },
        "gateway": {"cloudflare": {
            "account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key", "openai": "native",
            "universal_endpoint": false, "metadata": {"user": "principal.email"}, "client_headers": ["backoff"],
        }},
        "registry": {
            "url": "http://r:7070", "plaintext": "trusted_network", "cluster": "r", "credential": {"env": "R"}, "timeout": "500ms",
            "cache": {"positive": "60s", "negative": "10s"},
        },
        "rate_limit": {"requests": 100, "per": "60s", "failure_mode_allow": false},
        "metering": {"ask_usage": true},
        "prices": {"gpt-5": {"input": 1.25, "output": 10, "cached": "0.125", "above": [{"input_tokens": 272_000, "input": 2.5}],
                             "flex": {"input": 0.625}, "max_output": 128_000}},
        "budgets": {"token": {"usd": "2.5", "per": "day", "timezone": "Europe/Berlin"}, "owner": {"tokens": 1000, "per": "hour"},
                    "team": {"tokens": 5000, "per": "week"}, "unpriced": "refuse", "failure_mode_allow": false,
                    "default_output": 4096},
        "cors": {"allow_origins": ["https://app.example"]},
        "resource": {"url": "https://llm.example", "sign_in": "https://id.example/start"},
        "status": {"allow": ["loopback"]},
        "answers": {"pass": ["limits"]},
        "slots": ["authorization"],
    })
}

fn outline(document: &Value) -> Value {
    Policy::from_json(document.to_string().as_bytes())
        .unwrap_or_else(|errors| panic!("{errors}\n{document}"))
        .outline()
}

#[test]
fn what_is_said_and_what_is_left_out_are_the_same_where_they_mean_the_same() {
    for (pointer, same) in [
        ("/tokens/0/status", Value::Null),
        ("/tokens/0/rate_limit", json!({"requests": 5, "per": "1m"})),
        ("/tokens/0/expires_at", json!("2027-06-30T02:00:00+02:00")),
        ("/issuers/0/clock_skew", Value::Null),
        ("/issuers/0/algorithms", Value::Null),
        ("/issuers/0/issuer", json!("acme.cloudflareaccess.com")),
        ("/issuers/0/jwks/cache_duration", json!("300s")),
        ("/registry/timeout", Value::Null),
        ("/registry/cache", Value::Null),
        ("/rate_limit", json!({})),
        ("/metering", Value::Null),
        ("/metering", json!({})),
        ("/tokens/0/budget/usd", json!("10.00")),
        ("/tokens/0/budget/timezone", Value::Null),
        ("/budgets/token/usd", json!(2.5)),
        ("/budgets/unpriced", Value::Null),
        ("/budgets/failure_mode_allow", Value::Null),
        ("/budgets/default_output", Value::Null),
        ("/prices/gpt-5/input", json!("1.250")),
        ("/gateway/cloudflare/openai", Value::Null),
        ("/gateway/cloudflare/url", Value::Null),
        ("/providers/openai/cooldown", json!("1m")),
        ("/providers/openai/bindings/owners", json!({"a@B.c": "second"})),
        ("/providers/own/dialect", json!("anthropic")),
        ("/mode", json!("enforce")),
    ] {
        assert_eq!(outline(&changed(pointer, &same)), outline(&whole()), "{pointer}");
    }
}

#[test]
fn every_field_that_means_something_shows_in_the_outline() {
    for (pointer, other) in [
        ("/tokens/0/sha256", json!("1".repeat(64))),
        ("/tokens/0/label", json!("u")),
        ("/tokens/0/owner", json!("b@b.c")),
        ("/tokens/0/team", json!("y")),
        ("/principals/0/team", Value::Null),
        ("/providers/openai/bindings/teams/x", json!("openai")),
        ("/providers/openai/bindings/teams/y", json!("openai")),
        ("/providers/openai/bindings/people", json!({"a@b.c": "second"})),
        ("/providers/openai/bindings/tokens", json!({"0123456789abcdef": "second"})),
        ("/tokens/0/status", json!("disabled")),
        ("/tokens/0/providers", json!(["openai", "own"])),
        ("/tokens/0/expires_at", Value::Null),
        ("/tokens/0/rate_limit", Value::Null),
        ("/principals/0/email", json!("q@b.c")),
        ("/principals/0/label", json!("Q")),
        ("/principals/0/providers", json!(["own"])),
        ("/issuers/0/name", json!("other")),
        ("/issuers/0/issuer", json!("https://other.cloudflareaccess.com")),
        ("/issuers/0/audiences", json!(["b"])),
        ("/issuers/1/audience_claim", json!("azp")),
        ("/issuers/0/algorithms", json!(["ES256"])),
        ("/issuers/0/clock_skew", json!("0s")),
        ("/issuers/0/claims", json!({"country": ["DE"]})),
        ("/issuers/0/service_tokens", json!(["t"])),
        ("/issuers/0/principals", json!("any")),
        ("/issuers/0/slots", json!(["header:x-id"])),
        ("/issuers/0/providers", Value::Null),
        ("/issuers/1/unverified_email", Value::Null),
        ("/issuers/0/jwks/cluster", json!("d")),
        ("/issuers/0/jwks/url", json!("https://keys/jwks")),
        ("/issuers/0/jwks/stale_if_error", json!("1h")),
        ("/providers/openai/credentials/second", json!(2)),
        ("/providers/openai/cooldown", json!("30s")),
        ("/providers/own/url", json!("https://own/v2")),
        ("/providers/own/auth", json!("bearer")),
        ("/providers/own/dialect", json!("google")),
        ("/providers/own/native_prefix", json!("/v9")),
        ("/providers/own/slug", json!("theirs")),
        ("/gateway/cloudflare/account", json!("b")),
        ("/gateway/cloudflare/gateway", json!("h")),
        ("/gateway/cloudflare/url", json!("https://llm.example")),
        ("/gateway/cloudflare/metadata", json!({"user": "principal.id"})),
        ("/gateway/cloudflare/client_headers", json!([])),
        ("/gateway/cloudflare/universal_endpoint", json!(true)),
        ("/registry/url", json!("http://s:7070")),
        ("/registry/cluster", json!("s")),
        ("/registry/credential/env", json!("S")),
        ("/registry/timeout", json!("1s")),
        ("/registry/cache/positive", json!("61s")),
        ("/rate_limit/requests", json!(99)),
        ("/rate_limit/per", json!("61s")),
        ("/rate_limit/failure_mode_allow", json!(true)),
        ("/rate_limit/store", json!("registry")),
        ("/metering/ask_usage", json!(false)),
        ("/tokens/0/budget", Value::Null),
        ("/principals/0/budget", json!({"tokens": 5, "per": "day"})),
        ("/tokens/0/budget/usd", json!(11)),
        ("/tokens/0/budget/per", json!("week")),
        ("/tokens/0/budget/timezone", json!("Asia/Tokyo")),
        ("/budgets/token", Value::Null),
        ("/budgets/owner/tokens", json!(1001)),
        ("/budgets/team", Value::Null),
        ("/budgets/unpriced", json!("allow")),
        ("/budgets/failure_mode_allow", json!(true)),
        ("/budgets/default_output", json!(1)),
        ("/prices/gpt-5/output", json!(11)),
        ("/prices/gpt-5/cached", Value::Null),
        ("/prices/gpt-5/max_output", Value::Null),
        ("/prices/gpt-5/above", json!([{"input_tokens": 200_000, "input": 2.5}])),
        ("/prices/gpt-5/flex/input", json!(0.5)),
        ("/prices/other", json!({"input": 1, "output": 1})),
        ("/cors/allow_origins", json!(["*"])),
        ("/resource/url", json!("https://other.example")),
        ("/resource/sign_in", Value::Null),
        ("/status/allow", json!(["tokens"])),
        ("/answers/pass", json!([])),
        ("/answers", Value::Null),
        ("/answers/pass", json!(["limits", "account"])),
        ("/slots", json!(["authorization", "x-api-key"])),
        ("/mode", json!("shadow")),
    ] {
        assert_ne!(outline(&changed(pointer, &other)), outline(&whole()), "{pointer}");
    }
}

#[test]
fn every_field_of_a_credential_shows_in_the_outline() {
    for (pointer, other) in [
        ("/credentials/openai/0/env", json!("Z")),
        ("/credentials/openai/1/http/url", json!("http://agent/other")),
        ("/credentials/openai/1/http/headers/metadata-flavor", json!("Other")),
        ("/credentials/openai/1/http/credential/env", json!("Z")),
        ("/credentials/openai/1/http/auth", json!("token")),
        ("/credentials/openai/1/http/value", json!("/w")),
        ("/credentials/openai/1/http/expires_in", Value::Null),
        ("/credentials/openai/1/http/max_age", json!("2h")),
        ("/credentials/openai/2/http/method", json!("PUT")),
        ("/credentials/openai/2/http/form/a", json!("z")),
        ("/credentials/openai/2/http/form/c", json!({"claim": "name"})),
        ("/credentials/openai/2/http/form/s", json!({"env": "R"})),
        ("/credentials/openai/2/http/expect", json!({"/s": "y"})),
        ("/credentials/openai/2/http/expect", Value::Null),
        ("/credentials/openai/3/http/json/a", json!([false, "b"])),
        ("/credentials/openai/3/http/json/a", json!([true, "c"])),
        ("/credentials/openai/4/http/credential", json!({"credential": "step"})),
        ("/credentials/openai/4/http/bedrock_key/region", json!("us-east-2")),
        ("/credentials/openai/4/http/value", Value::Null),
    ] {
        assert_ne!(outline(&changed(pointer, &other)), outline(&whole()), "{pointer}");
    }
}

#[test]
fn a_server_of_introspection_shows_in_the_outline() {
    let mut own = whole();
    for name in ["budgets", "tokens"] {
        own.as_object_mut().unwrap().remove(name);
    }
    let mut other = own.clone();
    other["registry"]["introspection"] = json!({"providers": ["openai"]});
    assert_ne!(outline(&own), outline(&other));
}

#[test]
fn an_issuers_own_keys_show_with_what_they_may_sign() {
    let with_keys = |more: &Value| {
        let key = with(&Signer::new(9, "k1").jwk(), more);
        outline(&changed("/issuers/1/jwks", &json!({"inline": {"keys": [key]}})))
    };
    let plain = with_keys(&json!({}));
    for more in [json!({"kid": "other"}), json!({"issuer": "https://id.example/tenant"})] {
        assert_ne!(with_keys(&more), plain, "{more}");
    }
}

#[test]
fn neither_digests_nor_values_of_headers_are_in_it() {
    let text = outline(&whole()).to_string();
    assert!(!text.contains(&"0".repeat(64)) && !text.contains("Google"), "{text}");
}

fn changed(pointer: &str, value: &Value) -> Value {
    let mut document = whole();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = match document.pointer_mut(parent).unwrap() {
        Value::Object(members) => members,
        other => panic!("{pointer}: {other}"),
    };
    match value {
        Value::Null => _ = members.remove(name),
        value => _ = members.insert(name.to_owned(), value.clone()),
    }
    document
}
