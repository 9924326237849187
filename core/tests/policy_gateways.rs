//! The sections `gateway` and `providers` of a policy: the providers that they enable, and every error with its place.

use keyswap_core::policy::Policy;
use serde_json::{Value, json};

/// Returns a policy with a Cloudflare AI Gateway, with these sections.
fn document(gateway: &Value, providers: &Value, credentials: &[&str], scope: &[&str]) -> Value {
    let mut cloudflare = json!({"account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key"});
    for (name, value) in gateway.as_object().into_iter().flatten() {
        cloudflare[name] = value.clone();
    }
    if let Some(members) = cloudflare.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let credentials: serde_json::Map<String, Value> =
        credentials.iter().chain(&["cf"]).map(|name| ((*name).to_owned(), json!([{"env": "K"}]))).collect();
    json!({
        "version": "keyswap/v1",
        "credentials": credentials,
        "tokens": [{"sha256": "0".repeat(64), "label": "t", "providers": scope}],
        "providers": providers,
        "gateway": {"cloudflare": cloudflare},
    })
}

/// Returns all errors, a line each.
fn errors(document: &Value) -> String {
    Policy::from_json(document.to_string().as_bytes())
        .map_or_else(|errors| errors.to_string(), |_| String::new())
}

#[test]
fn a_provider_is_enabled_where_its_requests_would_be_authorised() {
    for (mode, credentials, scope, expect) in [
        ("provider_key", &["groq"][..], "groq", ""),
        ("provider_key", &[], "groq", "the provider has no key: add `groq` to `credentials`"),
        ("byok", &[], "groq", ""),
        ("byok", &[], "workers-ai", "the provider has no key: add `workers-ai` to `credentials`"),
        ("byok", &["workers-ai"], "workers-ai", ""),
        ("unified_billing", &[], "groq", ""),
        (
            "unified_billing",
            &[],
            "mistral",
            "Cloudflare does not bill for this provider: set `via: direct` in `providers`",
        ),
        (
            "byok",
            &[],
            "azure-openai",
            "the path chooses the host that gets the key: pin it by a `path` in `providers`",
        ),
        ("provider_key", &[], "compat", "the provider has no key: add `compat` to `credentials`"),
        ("provider_key", &["compat"], "compat", ""),
        ("unified_billing", &[], "compat", ""),
        ("byok", &[], "cloudflare-rest", "no such provider; expected one of"),
        ("unified_billing", &[], "universal", "no such provider; expected one of"),
        ("byok", &[], "vercel", "no such provider; expected one of"),
    ] {
        let found = errors(&document(&json!({"mode": mode}), &json!({}), credentials, &[scope]));
        let place = "error at `tokens[0].providers[0]`: ";
        let expected = if expect.is_empty() { String::new() } else { format!("{place}{expect}") };
        assert!(
            found.starts_with(&expected) && found.is_empty() == expect.is_empty(),
            "{mode} {scope}: {found}"
        );
    }
}

#[test]
fn what_a_gateway_cannot_mean_is_an_error() {
    for (gateway, expect) in [
        (json!({"openai": "compat", "mode": "byok", "byok_alias": "prod"}), ""),
        (json!({"url": "https://llm.example.com", "account": null, "gateway": null}), ""),
        (
            json!({"account": null, "gateway": null}),
            "error at `gateway.cloudflare`: the field `account` is missing\nerror at `gateway.cloudflare`: the field `gateway` is missing",
        ),
        (
            json!({"url": "https://llm.example.com", "account": null}),
            "error at `gateway.cloudflare`: the field `account` is missing",
        ),
        (
            json!({"account": "../a"}),
            "error at `gateway.cloudflare.account`: expected 1 to 64 letters, digits, `-` or `_`",
        ),
        (
            json!({"url": "https://llm.example.com", "account": null, "gateway": null, "openai": "rest"}),
            "error at `gateway.cloudflare.openai`: the REST API needs `account` and `gateway`",
        ),
        (
            json!({"byok_alias": "prod"}),
            "error at `gateway.cloudflare.byok_alias`: an alias names a key that is stored at the gateway: it needs `mode: byok`",
        ),
        (
            json!({"no_wholesale": true}),
            "error at `gateway.cloudflare.no_wholesale`: nothing is billed by Cloudflare with `mode: provider_key`: remove it",
        ),
        (
            json!({"universal_endpoint": "yes"}),
            "error at `gateway.cloudflare.universal_endpoint`: expected `true` or `false`",
        ),
        (
            json!({"client_headers": ["cache-key", "metadata"]}),
            "error at `gateway.cloudflare.client_headers[0]`: expected one of `request-timeout`, `max-attempts`, `retry-delay`, `backoff`, `cache-ttl`",
        ),
        (
            json!({"client_headers": ["cache-ttl", "cache-ttl"]}),
            "error at `gateway.cloudflare.client_headers[1]`: this header stands twice in the list",
        ),
        (
            json!({"metadata": {"cf.user": "principal.id"}}),
            "error at `gateway.cloudflare.metadata.cf.user`: names beginning with `cf.` are reserved",
        ),
        (
            json!({"metadata": {"a": "principal.id", "b": "principal.id", "c": "principal.id", "d": "principal.id", "e": "principal.id", "f": "principal.id"}}),
            "error at `gateway.cloudflare.metadata`: the gateway keeps 5 members, and there are 6",
        ),
        (
            json!({"metadata": {"a": {"b": "principal.id"}}}),
            "error at `gateway.cloudflare.metadata.a`: expected one of",
        ),
    ] {
        let found = errors(&document(&gateway, &json!({}), &["workers-ai"], &["workers-ai"]));
        assert!(found.starts_with(expect) && found.is_empty() == expect.is_empty(), "{gateway}: {found}");
    }
}

#[test]
fn what_a_provider_cannot_mean_is_an_error() {
    for (providers, expect) in [
        (json!({"azure-openai": {"path": "/acme", "credential": "openai"}}), ""),
        (json!({"openai": {"path": "acme"}}), "error at `providers.openai.path`: expected a plain path"),
        (json!({"openai": {"path": "/a/../b"}}), "error at `providers.openai.path`: expected a plain path"),
        (json!({"openai": {"path": "/a/"}}), "error at `providers.openai.path`: expected a plain path"),
        (
            json!({"openai": {"path": "/a", "via": "direct"}}),
            "error at `providers.openai`: `path` is for requests through the gateway: put it at the end of `url`",
        ),
        (json!({"anthropic": {"auth": "bearer", "credential": "openai"}}), ""),
        (
            json!({"google-vertex-ai": {"auth": "bearer"}}),
            "error at `providers.google-vertex-ai`: `auth` of a built-in provider is fixed, but",
        ),
        (
            json!({"anthropic": {"auth": "header:x-api-key"}}),
            "error at `providers.anthropic`: `auth` of a built-in provider is fixed, but",
        ),
        (
            json!({"groq": {"auth": "token"}}),
            "error at `providers.groq`: `auth` of a built-in provider is fixed, but",
        ),
        (
            json!({"compat": {"url": "https://evil.example", "credential": "openai"}}),
            "error at `providers.compat`: an endpoint of a gateway takes a `credential` or `credentials` only: remove the rest",
        ),
        (
            json!({"google": {"url": "https://g.example", "credential": "openai"}}),
            "error at `providers.google`: `google` is a segment of the providers' own paths: choose another `slug`",
        ),
        (
            json!({"mine": {"slug": "groq", "credential": "openai"}}),
            "error at `providers.mine`: the segment `groq` already belongs to another provider",
        ),
        (
            json!({"lab": {"slug": "custom-lab", "credential": "openai", "auth": "token", "native_prefix": "/api"}}),
            "",
        ),
        (
            json!({"groq": {"endpoints": "any"}}),
            "error at `providers.groq`: `slug`, `dialect`, `native_prefix` and `endpoints`",
        ),
        (
            json!({"lab": {"slug": "l", "credential": "openai", "endpoints": [
                {"methods": ["GET", "DELETE"], "path": "/v1/files/{...}", "class": "files"},
                {"methods": ["WEBSOCKET"], "path": "/", "class": "inference"},
                {"methods": ["POST"], "path": "/keys", "class": "mint"},
            ]}}),
            "",
        ),
        (
            json!({"lab": {"slug": "l", "credential": "openai", "endpoints": "all"}}),
            "error at `providers.lab.endpoints`: expected `any`, or a list",
        ),
        (
            json!({"lab": {"slug": "l", "credential": "openai", "endpoints": []}}),
            "error at `providers.lab.endpoints`: expected at least one endpoint",
        ),
        (
            json!({"lab": {"slug": "l", "credential": "openai", "endpoints": [
                {"methods": ["TRACE"], "path": "/v1/{...}/x", "class": "file"},
            ]}}),
            "error at `providers.lab.endpoints[0].methods[0]`: expected one of `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `WEBSOCKET`
error at `providers.lab.endpoints[0].path`: expected a path such as",
        ),
        (
            json!({"lab": {"slug": "l", "credential": "openai", "auth": "basic"}}),
            "error at `providers.lab.auth`: expected `bearer`, `token`, or `header:`",
        ),
    ] {
        let found = errors(&document(&json!({}), &providers, &["openai"], &["openai"]));
        assert!(found.starts_with(expect) && found.is_empty() == expect.is_empty(), "{providers}: {found}");
    }
}

#[test]
fn a_policy_has_one_gateway_and_its_credential() {
    let vercel = |gateway: &Value| {
        errors(&json!({
            "version": "keyswap/v1",
            "credentials": {"ai_gateway": [{"env": "K"}]},
            "tokens": [{"sha256": "0".repeat(64), "label": "t", "providers": ["vercel"]}],
            "gateway": gateway,
        }))
    };
    assert_eq!(vercel(&json!({"vercel": {"credential": "ai_gateway"}})), "");
    assert_eq!(vercel(&json!({"vercel": {"credential": "ai_gateway", "url": "https://v.example/v1"}})), "");
    let missing = vercel(&json!({"vercel": {"credential": "other"}}));
    assert!(missing.contains("error at `gateway.vercel.credential`: no such credential"), "{missing}");
    let cloudflare = json!({"account": "a", "gateway": "g", "credential": "ai_gateway", "mode": "byok"});
    for gateway in [json!({}), json!({"vercel": {"credential": "ai_gateway"}, "cloudflare": cloudflare})] {
        let text = vercel(&gateway);
        assert!(
            text.contains("error at `gateway`: expected one gateway: `cloudflare` or `vercel`"),
            "{text}"
        );
    }
}

#[test]
fn a_credential_that_no_request_would_carry_is_an_error() {
    for (mode, credential, expect) in [
        ("provider_key", "openai", ""),
        ("byok", "openai", "error at `credentials.openai`: nothing uses this credential"),
        ("provider_key", "azure-openai", "error at `credentials.azure-openai`: the path chooses the host"),
        ("provider_key", "universal", "error at `credentials.universal`: nothing uses this credential"),
    ] {
        let found = errors(&document(
            &json!({"mode": mode}),
            &json!({"cloudflare-rest": {}}),
            &[credential],
            &["cloudflare-rest"],
        ));
        assert!(
            found.starts_with(expect) && found.is_empty() == expect.is_empty(),
            "{mode} {credential}: {found}"
        );
    }
}
