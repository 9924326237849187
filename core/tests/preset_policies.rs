//! Policies with presets: what a preset needs, what it leaves to the policy, and whom a policy must name.

use std::time::Duration;

use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::KeySource;
use serde_json::{Value, json};

use crate::support::{NOW, Signer, errors, of_preset, policy, with};

const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const POOL: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI";

fn signer() -> Signer {
    Signer::new(9, "k1")
}

fn entry(preset: &str, more: &Value) -> Value {
    of_preset(preset, &signer(), more)
}

#[test]
fn whoever_anyone_can_be_is_named_by_the_policy() {
    let rules = |when: &[Value]| json!({"rules": when.iter().map(|it| json!({"when": it, "team": "x"})).collect::<Vec<_>>()});
    let open = "anyone can have a token of this issuer";
    for (preset, more, is_open) in [
        ("github_actions", json!({}), true),
        ("github_actions", json!({"claims": {"ref": ["refs/heads/main"]}}), true),
        ("github_actions", json!({"claims": {"actor": ["octocat"], "environment": ["prod"]}}), true),
        (
            "github_actions",
            json!({"claims": {"job_workflow_ref": ["octo-org/a/.github/workflows/b.yml@main"]}}),
            true,
        ),
        ("github_actions", json!({"claims": {"repository_id": ["74"]}}), false),
        ("github_actions", json!({"claims": {"repository": ["octo-org/octo-repo"]}}), false),
        ("github_actions", rules(&[json!({"repository": ["octo-org/*"]})]), false),
        ("github_actions", rules(&[json!({"repository": ["octo-org*"]})]), true),
        ("github_actions", rules(&[json!({"repository": ["*/octo-repo"]})]), true),
        ("github_actions", rules(&[json!({"repository": ["octo-org/*", "*"]})]), true),
        ("github_actions", rules(&[json!({"repository_owner": ["octo*"]})]), true),
        ("github_actions", rules(&[json!({"sub": ["repo:octo-org/*"]})]), false),
        ("github_actions", rules(&[json!({"sub": ["repo:*"]})]), true),
        ("github_actions", rules(&[json!({"repository_id": [true]})]), true),
        // Any owner may choose that its subjects begin so.
        ("github_actions", json!({"claims": {"sub": ["environment:prod"]}}), true),
        ("github_actions", json!({"claims": {"sub": ["repo:octo-org/octo-repo:environment:prod"]}}), false),
        ("github_actions", rules(&[json!({"repository_id": ["74"]}), json!({"ref": ["x"]})]), true),
        ("gitlab", json!({}), true),
        ("gitlab", json!({"claims": {"user_login": ["a"]}}), true),
        ("gitlab", json!({"claims": {"namespace_path": ["my-group"]}}), false),
        ("gitlab", rules(&[json!({"project_path": ["my-group/*"]})]), false),
        ("gitlab", rules(&[json!({"project_path": ["my-group*"]})]), true),
        ("google", json!({}), true),
        ("google", json!({"claims": {"azp": ["1"]}}), true),
        ("google", json!({"claims": {"hd": ["example.com"]}}), false),
        // Known people are named by their addresses.
        ("google", json!({"principals": "known"}), false),
        ("kubernetes", json!({"issuer": "https://k8s.example"}), false),
    ] {
        let errors = errors(&entry(preset, &more));
        assert_eq!(errors.contains(open), is_open, "{preset} {more}: {errors}");
        assert_eq!(errors.is_empty(), !is_open, "{preset} {more}: {errors}");
    }
}

#[test]
fn a_preset_without_what_it_needs_is_an_error() {
    let issuer = |text: &str| json!({"issuer": text});
    let ids = "expected the ids of directories as tokens have them, in lower case: no token has a domain or `common`";
    for (preset, more, expect) in [
        ("kubernetes", json!({}), "issuers[0]`: the field `issuer` is missing"),
        (
            "okta",
            issuer("https://acme.okta.com"),
            "issuer`: expected an issuer of the preset, such as `https://acme.okta.com/oauth2/default`",
        ),
        (
            "auth0",
            issuer("https://acme.eu.auth0.com"),
            "issuer`: expected an issuer of the preset, such as `https://acme.eu.auth0.com/`",
        ),
        ("keycloak", issuer("https://login.example.com"), "such as `https://login.example.com/realms/acme`"),
        (
            "cognito",
            issuer("https://cognito-idp.eu-west-1.example.com/x"),
            "such as `https://cognito-idp.eu-west-1.",
        ),
        ("entra", json!({}), "issuers[0].issuer`: list the `tenants` whose tokens count"),
        ("entra", json!({"tenants": []}), "expected at least one tenant"),
        ("entra", json!({"tenants": ["common"]}), ids),
        ("entra", json!({"tenants": ["organizations", TENANT]}), ids),
        ("entra", json!({"tenants": ["acme.onmicrosoft.com"]}), ids),
        ("entra", json!({"tenants": [TENANT.to_uppercase()]}), ids),
        ("entra", json!({"tenants": ["9188040d-6c67-4c5b-b112-36a304b66dad"]}), "every personal account"),
        (
            "entra",
            json!({"tenants": [TENANT], "issuer": "https://login.example/v2.0"}),
            "expected a URL with `{tenant}` once",
        ),
        (
            "oidc",
            json!({"tenants": ["a"], "issuer": "https://{tenant}.example/{tenant}"}),
            "expected a URL with `{tenant}` once",
        ),
        (
            "oidc",
            json!({"tenants": ["a/b"], "issuer": "https://id.example/{tenant}"}),
            "expected letters, digits",
        ),
        (
            "oidc",
            json!({"tenants": ["a"], "issuer": "https://id.example/{tenant}", "jwks": null}),
            "name it in `jwks.url`",
        ),
        (
            "okta",
            json!({"tenants": ["a"], "issuer": "https://acme.okta.com/oauth2/{tenant}"}),
            "tenants are for `entra`",
        ),
        ("oidc", json!({"issuer": "https://id.example/{tenantid}"}), "list the `tenants`"),
        ("spiffe", json!({}), "issuers[0]`: the field `trust_domain` is missing"),
        ("spiffe", json!({"trust_domain": "spiffe://example.org"}), "expected the name of a trust domain"),
        ("spiffe", json!({"trust_domain": "example.org", "jwks": null}), "name its trust bundle"),
        (
            "spiffe",
            json!({"trust_domain": "example.org", "issuer": "https://id.example"}),
            "leave one of them out",
        ),
        ("gitlab", json!({"trust_domain": "example.org"}), "a trust domain is for `spiffe` and `oidc`"),
        (
            "cloudflare_access",
            json!({"trust_domain": "example.org"}),
            "a trust domain is for `spiffe` and `oidc`",
        ),
        (
            "cognito",
            json!({"issuer": POOL, "audience_claim": "/a~b"}),
            "audience_claim`: expected the name of a claim",
        ),
    ] {
        let errors = errors(&entry(preset, &more));
        assert!(errors.contains(expect), "{preset} {more}: {errors}");
    }
}

#[test]
fn a_preset_leaves_the_policy_its_other_fields() {
    let keys = json!({"jwks": {"timeout": "1s"}, "slots": ["header:x-id"], "label": "ci"});
    let entry = with(&entry("google_iap", &json!({})), &keys);
    let policy = policy(&json!([entry]));
    let issuer = &policy.issuers()[0];
    let KeySource::Jwks(keys) = issuer.keys() else { panic!("an address") };
    assert_eq!(keys.endpoint.to_string(), "https://www.gstatic.com/iap/verify/public_key-jwk");
    assert_eq!(keys.timeout, Duration::from_secs(1));
    assert_eq!(issuer.slots()[0].to_string(), "header:x-id");
    assert_eq!((issuer.preset(), issuer.names()), ("google_iap", vec!["https://cloud.google.com/iap"]));
}

#[test]
fn a_token_that_was_made_for_others_or_by_any_workload_is_a_finding() {
    let kubernetes = |more: &Value| with(&json!({"issuer": "https://k8s.example"}), more);
    let keycloak = |more: &Value| with(&json!({"issuer": "https://id.example/realms/a"}), more);
    for (preset, more, expect) in [
        ("kubernetes", kubernetes(&json!({})), "customers-unnamed issuers[0].claims"),
        (
            "kubernetes",
            kubernetes(&json!({"claims": {"/kubernetes.io/serviceaccount/name": ["x"]}})),
            "customers-unnamed issuers[0].claims",
        ),
        ("kubernetes", kubernetes(&json!({"claims": {"/kubernetes.io/namespace": ["x"]}})), ""),
        ("kubernetes", kubernetes(&json!({"rules": [{"when": {"sub": ["system:serviceaccount:x:*"]}}]})), ""),
        (
            "kubernetes",
            kubernetes(&json!({"rules": [{"when": {"sub": ["system:serviceaccount:*"]}}]})),
            "customers-unnamed issuers[0].claims",
        ),
        (
            "kubernetes",
            kubernetes(
                &json!({"audiences": ["https://k8s.example"], "claims": {"/kubernetes.io/namespace": ["x"]}}),
            ),
            "audience-open issuers[0].audiences",
        ),
        ("spiffe", json!({"trust_domain": "example.org"}), "customers-unnamed issuers[0].claims"),
        (
            "spiffe",
            json!({"trust_domain": "example.org", "rules": [{"when": {"sub": ["spiffe://example.org/*"]}}]}),
            "customers-unnamed issuers[0].claims",
        ),
        (
            "spiffe",
            json!({"trust_domain": "example.org", "rules": [{"when": {"sub": ["spiffe://example.org/ns/*"]}}]}),
            "",
        ),
        ("keycloak", keycloak(&json!({"audiences": ["account"]})), "audience-open issuers[0].audiences"),
        ("keycloak", keycloak(&json!({"audiences": ["account"], "claims": {"azp": ["agents"]}})), ""),
        (
            "auth0",
            json!({"issuer": "https://acme.auth0.com/", "audiences": ["https://acme.auth0.com/userinfo"]}),
            "audience-open issuers[0].audiences",
        ),
        (
            "entra",
            json!({"tenants": [TENANT], "audiences": ["https://graph.microsoft.com"]}),
            "audience-open issuers[0].audiences",
        ),
        // The proxy vouches for its addresses.
        ("google_iap", json!({"principals": "known"}), ""),
    ] {
        let findings = policy(&json!([entry(preset, &more)])).lint(UnixTime(NOW));
        let findings: Vec<String> =
            findings.iter().map(|finding| format!("{} {}", finding.lint.code(), finding.path)).collect();
        assert_eq!(findings.join(" "), expect, "{preset} {more}");
    }
}
