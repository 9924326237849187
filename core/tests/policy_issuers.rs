//! The section `issuers` of a policy: the defaults of a preset, and every error with its place.

use std::time::Duration;

use keyswap_core::identity::Scope;
use keyswap_core::identity::jwt::{Issuer, KeySource, Principals, RemoteKeys};
use keyswap_core::policy::Policy;
use serde_json::{Value, json};

use crate::support::{Signer, access, oidc, policy, vercel, with};

fn generic() -> Value {
    json!({"name": "id", "preset": "oidc", "issuer": "https://id.example/a/", "audiences": ["keyswap"]})
}

/// Returns all errors, a line each.
fn errors(issuers: &Value) -> String {
    let document = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": issuers,
        "principals": [{"email": "somebody@example.com", "providers": ["openai"]}],
    });
    Policy::from_json(document.to_string().as_bytes())
        .map_or_else(|errors| errors.to_string(), |_| String::new())
}

fn remote(issuer: &Issuer) -> &RemoteKeys {
    match issuer.keys() {
        KeySource::Jwks(keys) | KeySource::Discovery(keys) => keys,
        KeySource::Inline(_) => panic!("the keys are inline"),
    }
}

fn address(issuer: &Issuer) -> String {
    let keys = remote(issuer);
    let scheme = if keys.endpoint.https { "https" } else { "http" };
    format!("{scheme}://{}{} by {}", keys.endpoint.authority, keys.endpoint.path, keys.cluster)
}

#[test]
fn a_preset_knows_slots_keys_and_principals() {
    for (entry, url, keys, slots, principals) in [
        (
            access(),
            "https://acme.cloudflareaccess.com",
            "https://acme.cloudflareaccess.com/cdn-cgi/access/certs by acme.cloudflareaccess.com",
            "header:cf-access-jwt-assertion header:cf-access-token cookie:CF_Authorization",
            Principals::Known,
        ),
        (
            vercel(),
            "https://oidc.vercel.com/acme",
            "https://oidc.vercel.com/acme/.well-known/jwks by oidc.vercel.com",
            "header:x-vercel-oidc-token",
            Principals::Any,
        ),
        (
            generic(),
            "https://id.example/a/",
            "https://id.example/a/.well-known/openid-configuration by id.example",
            "",
            Principals::Known,
        ),
    ] {
        let policy = policy(&json!([entry]));
        let issuer = &policy.issuers()[0];
        assert_eq!((issuer.url(), address(issuer).as_str()), (url, keys));
        let own: Vec<String> = issuer.slots().iter().map(ToString::to_string).collect();
        assert_eq!((own.join(" ").as_str(), issuer.principals()), (slots, principals));
        assert_eq!(issuer.clock_skew(), Duration::from_mins(1));
        assert_eq!(issuer.rights()[0].scope(), None);
        let is_discovery = matches!(issuer.keys(), KeySource::Discovery(_));
        assert_eq!(is_discovery, issuer.name() == "id");
    }
}

#[test]
fn a_team_domain_is_written_as_people_know_it() {
    for text in [
        "acme.cloudflareaccess.com",
        "acme.cloudflareaccess.com/",
        "https://acme.cloudflareaccess.com/",
        "https://ACME.cloudflareaccess.com",
    ] {
        let policy = policy(&json!([with(&access(), &json!({"issuer": text}))]));
        assert_eq!(policy.issuers()[0].url(), "https://acme.cloudflareaccess.com", "{text}");
    }
    for text in ["http://acme.cloudflareaccess.com", "acme.cloudflareaccess.com//", "acme/x", "", "https://"]
    {
        let text = errors(&json!([with(&access(), &json!({"issuer": text}))]));
        assert!(text.starts_with("error at `issuers[0].issuer`: expected the domain of a team"), "{text}");
    }
}

#[test]
fn where_keys_come_from_and_how_long_they_are_kept_is_the_policys() {
    let jwks = json!({
        "url": "https://keys.example:8443/a?p=b", "cluster": "outbound|443||keys", "timeout": "500ms",
        "cache_duration": "1h", "stale_if_error": "7d", "refetch_cooldown": "10s",
    });
    let policy = policy(&json!([with(
        &generic(),
        &json!({"jwks": jwks, "providers": ["openai"], "clock_skew": "0s"})
    )]));
    let issuer = &policy.issuers()[0];
    assert_eq!(address(issuer), "https://keys.example:8443/a?p=b by outbound|443||keys");
    let keys = remote(issuer);
    assert_eq!(keys.timeout, Duration::from_millis(500));
    assert_eq!(keys.cache_duration, Duration::from_hours(1));
    assert_eq!(keys.stale_if_error, Duration::from_hours(168));
    assert_eq!(keys.refetch_cooldown, Duration::from_secs(10));
    assert_eq!(issuer.rights()[0].scope(), Some(&Scope::read(["openai"])));
    assert_eq!(issuer.clock_skew(), Duration::ZERO);
    assert!(matches!(issuer.keys(), KeySource::Jwks(_)));
}

#[test]
fn a_mistake_in_thousands_of_entries_is_told_some_hundred_times_with_few_of_a_thousand_names() {
    let names: Vec<String> = (0..1000).map(|number| format!("provider-{number}")).collect();
    let keys: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!([{"env": "KEY"}]))).collect();
    let rows: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({"url": "https://api.example/v1"}))).collect();
    let token =
        |number: usize| json!({"sha256": format!("{number:064x}"), "label": "l", "providers": ["nobody"]});
    let policy = json!({
        "version": "keyswap/v1", "providers": rows, "credentials": keys,
        "tokens": (0..5000).map(token).collect::<Vec<_>>(),
    });
    let errors = Policy::from_json(policy.to_string().as_bytes()).unwrap_err().to_string();
    assert_eq!(errors.lines().count(), 201);
    assert!(errors.lines().all(|line| line.len() < 800), "{}", errors.lines().next().unwrap());
    assert!(errors.lines().next().unwrap().ends_with("`provider-126`, and 968 more"), "{errors:.900}");
    assert!(errors.ends_with("error: there are 4800 more errors, which show when these are mended"));
}

#[test]
fn every_error_is_told_at_once_with_its_place() {
    let entry = json!({
        "name": "a b", "preset": "oidc", "issuer": "id.example", "audiences": ["", "x", "x"],
        "algorithms": ["HS256", "none"], "clock_skew": "10m", "claims": {"aud": ["x"], "groups": [], "n": [1]},
        "service_tokens": ["x"], "principals": "all", "slots": ["header:authorization", "header:host", "query:x"],
        "providers": ["nobody"], "jwks": {"cache_duration": "5", "url": "ftp://x", "cluster": "a b", "x": 1},
    });
    let expect = "\
error at `issuers[0].name`: expected 1 to 64 letters, digits, `-` or `_`
error at `issuers[0].audiences[0]`: expected 1 to 1024 bytes
error at `issuers[0].audiences[2]`: this stands twice in the list
error at `issuers[0].algorithms[0]`: expected one of `RS256`, `RS384`, `RS512`, `PS256`, `ES256`, `ES384`, `EdDSA`, `Ed25519`
error at `issuers[0].algorithms[1]`: expected one of `RS256`, `RS384`, `RS512`, `PS256`, `ES256`, `ES384`, `EdDSA`, `Ed25519`
error at `issuers[0].algorithms`: expected at least one algorithm
error at `issuers[0].clock_skew`: expected a duration from `0s` to `5m`
error at `issuers[0].slots[0]`: expected `header:` and the name of a header in lower case that carries nothing else, or `cookie:` and a name; auth slots carry JWTs anyway
error at `issuers[0].slots[1]`: expected `header:` and the name of a header in lower case that carries nothing else, or `cookie:` and a name; auth slots carry JWTs anyway
error at `issuers[0].slots[2]`: expected `header:` and the name of a header in lower case that carries nothing else, or `cookie:` and a name; auth slots carry JWTs anyway
error at `issuers[0].providers[0]`: no such provider; expected one of `openai`
error at `issuers[0].claims.aud`: this claim is always judged, by fields of its own: remove it
error at `issuers[0].claims.groups`: expected at least one value
error at `issuers[0].claims.n[0]`: expected a string, `true` or `false`
error at `issuers[0].claims.n`: expected at least one value
error at `issuers[0].service_tokens`: only `cloudflare_access` has service tokens: remove it
error at `issuers[0].principals`: expected one of `known`, `any`
error at `issuers[0].jwks.url`: expected a URL that begins with `https://`
error at `issuers[0].jwks.cluster`: expected the name of a cluster, without spaces
error at `issuers[0].jwks.cache_duration`: expected a duration such as `500ms`, `60s`, `10m`, `1h` or `7d`
error at `issuers[0].jwks.x`: unknown field; expected `inline`, `url`, `plaintext`, `cluster`, `timeout`, `cache_duration`, `stale_if_error`, `refetch_cooldown`";
    assert_eq!(errors(&json!([entry])), expect);
}

#[test]
fn what_is_missing_or_cannot_be_meant_is_an_error() {
    let keys = json!([Signer::new(7, "k1").jwk()]);
    for (issuers, expect) in [
        (
            json!([{}]),
            "error at `issuers[0]`: the field `name` is missing\nerror at `issuers[0]`: the field `preset` is missing\nerror at `issuers[0]`: the field `issuer` is missing\nerror at `issuers[0]`: the field `audiences` is missing",
        ),
        (json!([generic(), generic()]), "error at `issuers[1]`: another issuer is named `id`, too"),
        (
            json!([with(&access(), &json!({"audiences": []}))]),
            "error at `issuers[0].audiences`: expected at least one audience",
        ),
        (
            json!([with(&access(), &json!({"claims": {"type": ["org"]}}))]),
            "error at `issuers[0]`: the claim `type` is fixed to `app` by the preset: remove it",
        ),
        (
            json!([with(&vercel(), &json!({"claims": {"project": ["web"]}}))]),
            "error at `issuers[0]`: the claims need a `project_id` or an `owner_id`: names change hands, such as `claims: {project_id: [prj_123]}`",
        ),
        (
            json!([with(&vercel(), &json!({"principals": "known"}))]),
            "error at `issuers[0].principals`: people are known by their email, and a Vercel token has none: write `any`",
        ),
        (
            json!([with(&access(), &json!({"unverified_email": "refuse"}))]),
            "error at `issuers[0].unverified_email`: the preset knows which addresses are verified: remove it",
        ),
        (
            json!([with(&vercel(), &json!({"unverified_email": "allow"}))]),
            "error at `issuers[0].unverified_email`: the preset knows which addresses are verified: remove it",
        ),
        (
            json!([with(&generic(), &json!({"unverified_email": true}))]),
            "error at `issuers[0].unverified_email`: expected one of `refuse`, `allow`",
        ),
        (
            json!([with(&generic(), &json!({"issuer": "https://id.example/?a"}))]),
            "error at `issuers[0].issuer`: a URL here has no query",
        ),
        (
            json!([with(
                &generic(),
                &json!({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"})
            )]),
            "error at `issuers[0].issuer`: no token has this issuer: put the id of the tenant in place of `{…}`, or write `{tenant}` and list the `tenants`",
        ),
        (
            json!([with(&oidc(&keys), &json!({"issuer": "a\u{202e}b"}))]),
            "error at `issuers[0].issuer`: expected a URL that begins with `https://`",
        ),
        (
            json!([with(&oidc(&keys), &json!({"max_token_bytes": 16_385}))]),
            "error at `issuers[0].max_token_bytes`: expected a number of bytes from 1024 to 16384",
        ),
        (
            json!([with(&oidc(&keys), &json!({"email_claim": "upn"}))]),
            "error at `issuers[0].email_claim`: `email_verified` is of `email` alone: if every address in this claim is verified some other way, add `unverified_email: allow`",
        ),
        (
            json!([with(&access(), &json!({"email_claim": "upn"}))]),
            "error at `issuers[0].email_claim`: the preset knows which addresses are verified: remove it",
        ),
        (
            json!([with(&oidc(&keys), &json!({"claims": {"/aud": ["x"], "/a~2b": ["x"]}}))]),
            "error at `issuers[0].claims./aud`: this claim is always judged, by fields of its own: remove it\nerror at `issuers[0].claims.\"/a~2b\"`: expected the name of a claim, or a JSON pointer such as `/realm_access/roles`",
        ),
    ] {
        assert_eq!(errors(&issuers), expect);
    }
}

#[test]
fn where_nobody_can_be_known_it_is_an_error_to_ask_for_known_people() {
    let document = |more: &Value| {
        let policy = json!({
            "version": "keyswap/v1",
            "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
            "issuers": [generic()],
        });
        Policy::from_json(with(&policy, more).to_string().as_bytes())
    };
    let registry = json!({"url": "http://r", "plaintext": "trusted_network", "credential": {"env": "R"}});
    let introspection = with(&registry, &json!({"introspection": {"providers": ["openai"]}}));
    let people = json!([{"email": "a@b.c", "providers": ["openai"]}]);
    for (more, is_error) in [
        (json!({}), true),
        (json!({"registry": introspection}), true),
        (json!({"registry": registry}), false),
        (json!({"principals": people}), false),
        (json!({"issuers": [with(&generic(), &json!({"principals": "any"}))]}), false),
    ] {
        let errors = document(&more).err().map(|errors| errors.to_string());
        let expect = "error at `issuers[0].principals`: no person can be known: add `principals` or a `registry`, or write `any`";
        assert_eq!(errors.as_deref(), is_error.then_some(expect), "{more}");
    }
}

#[test]
fn inline_keys_without_use_are_passed_over_and_a_private_one_is_an_error() {
    let good = Signer::new(7, "k1").jwk();
    let weak = json!({"kty": "RSA", "kid": "k2", "n": "AQAB", "e": "AQAB"});
    let encrypts = with(&good, &json!({"use": "enc", "kid": "k3"}));
    let private = with(&good, &json!({"d": "AA"}));
    for (keys, expect) in [
        (json!([good]), ""),
        (json!([]), "error at `issuers[0].jwks.inline`: expected at least one key in `keys`"),
        (json!([encrypts, good, weak]), ""),
        (
            json!([weak]),
            "error at `issuers[0].jwks.inline`: the key `keys[0]` cannot be used: an RSA key must have 2048 to 4096 bits and the exponent 65537, another key must be a point on its curve",
        ),
        (
            json!([good, private]),
            "error at `issuers[0].jwks.inline`: the key `keys[1]` cannot be used: the private part of the key is published with it",
        ),
        (
            json!([good, good]),
            "error at `issuers[0].jwks.inline`: two keys have the same `kid`, so that neither would be used",
        ),
        (
            json!({}),
            "error at `issuers[0].jwks.inline`: the key set is not one strict JSON object with a list `keys`",
        ),
    ] {
        assert_eq!(errors(&json!([oidc(&keys)])), expect);
    }
    let both = json!({"inline": {"keys": [good]}, "cache_duration": "1h"});
    assert_eq!(
        errors(&json!([with(&generic(), &json!({"jwks": both}))])),
        "error at `issuers[0].jwks`: `inline` keys are fetched from nowhere: remove the other fields"
    );
}
