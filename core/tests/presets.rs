//! Identity providers by their presets: tokens in the shape that each provider documents, and those that come near.
//!
//! Only the keys and their algorithm are the tests' own.

use keyswap_core::policy::presets;
use serde_json::{Value, json};

use crate::support::{NOW, Signer, of_preset, policy, verify, with};

const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const OTHER_TENANT: &str = "bbbbcccc-1111-dddd-2222-eeee3333ffff";
const POOL: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI";
const ISSUER: &str = "no issuer of the policy takes this token from this slot";
const AUDIENCE: &str = "the token is for none of the `audiences`";

fn signer() -> Signer {
    Signer::new(9, "k1")
}

fn lacks(claim: &str) -> String {
    format!("the claim `{claim}` has none of the required values")
}

fn entry(preset: &str, more: &Value) -> Value {
    of_preset(preset, &signer(), more)
}

/// A preset: what an entry adds, the claims of a token that counts, and the changes with which it does not.
struct Provider {
    preset: &'static str,
    entry: Value,
    claims: Value,
    near: Vec<(Value, String)>,
}

fn workloads() -> Vec<Provider> {
    vec![
        Provider {
            preset: "kubernetes",
            entry: json!({
                "issuer": "https://kubernetes.default.svc.cluster.local", "claims": {"/kubernetes.io/namespace": ["agents"]},
            }),
            claims: json!({
                "aud": ["keyswap"], "iss": "https://kubernetes.default.svc.cluster.local",
                "jti": "aed34954-b33a-4142-b1ec-389d6bbb4936", "kubernetes.io": {
                    "namespace": "agents", "node": {"name": "node-1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
                    "pod": {"name": "coder-0", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
                    "serviceaccount": {"name": "coder", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
                },
                "sub": "system:serviceaccount:agents:coder",
            }),
            near: vec![
                (json!({"kubernetes.io": {"namespace": "default"}}), lacks("/kubernetes.io/namespace")),
                (json!({"aud": ["https://kubernetes.default.svc.cluster.local"]}), AUDIENCE.into()),
                // The form of a token that lives as long as its Secret.
                (json!({"iss": "kubernetes/serviceaccount"}), ISSUER.into()),
            ],
        },
        Provider {
            preset: "github_actions",
            entry: json!({"claims": {"repository_owner_id": ["65"]}}),
            claims: json!({
                "jti": "example-id", "sub": "repo:octo-org/octo-repo:environment:prod", "environment": "prod",
                "aud": "keyswap", "ref": "refs/heads/main", "sha": "example-sha", "repository": "octo-org/octo-repo",
                "repository_owner": "octo-org", "actor_id": "12", "repository_visibility": "private",
                "repository_id": "74", "repository_owner_id": "65", "run_id": "example-run-id", "run_number": "10",
                "run_attempt": "2", "runner_environment": "github-hosted", "actor": "octocat", "workflow": "example-workflow",
                "head_ref": "", "base_ref": "", "event_name": "workflow_dispatch", "ref_type": "branch",
                "job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
                "iss": "https://token.actions.githubusercontent.com",
            }),
            near: vec![
                (json!({"repository_owner_id": "66"}), lacks("repository_owner_id")),
                (json!({"repository_owner_id": 65}), lacks("repository_owner_id")),
                (json!({"aud": "https://github.com/octo-org"}), AUDIENCE.into()),
                (json!({"iss": "https://token.actions.githubusercontent.com/octo"}), ISSUER.into()),
            ],
        },
        Provider {
            preset: "gitlab",
            entry: json!({"claims": {"namespace_id": ["72"], "ref_protected": ["true"]}}),
            claims: json!({
                "namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project",
                "user_id": "1", "user_login": "sample-user", "user_email": "sample-user@example.com",
                "pipeline_id": "574", "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch",
                "ref_path": "refs/heads/main", "ref_protected": "true", "runner_environment": "gitlab-hosted",
                "project_visibility": "private", "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b", "iss": "https://gitlab.com",
                "aud": "keyswap", "sub": "project_path:my-group/my-project:ref_type:branch:ref:main",
            }),
            near: vec![
                (json!({"namespace_id": "73"}), lacks("namespace_id")),
                (json!({"ref_protected": "false"}), lacks("ref_protected")),
                (json!({"aud": "https://gitlab.com"}), AUDIENCE.into()),
                (json!({"iss": "https://gitlab.example.com"}), ISSUER.into()),
            ],
        },
        Provider {
            preset: "spiffe",
            entry: json!({"trust_domain": "example.org", "rules": [{"when": {"sub": ["spiffe://example.org/ns/agents/*"]}}]}),
            claims: json!({"aud": ["keyswap"], "sub": "spiffe://example.org/ns/agents/sa/coder"}),
            near: vec![
                (json!({"sub": "spiffe://evil.example/ns/agents/sa/coder"}), ISSUER.into()),
                (json!({"sub": "spiffe://example.org/ns/agents/../x"}), ISSUER.into()),
                (json!({"sub": null, "iss": "spiffe://example.org"}), ISSUER.into()),
                (json!({"aud": ["spiffe://example.org/other"]}), AUDIENCE.into()),
                (json!({"aud": null}), AUDIENCE.into()),
                (json!({"exp": null}), "`exp` is not a date in seconds since 1970".into()),
            ],
        },
    ]
}

fn of_google() -> Vec<Provider> {
    vec![
        Provider {
            preset: "google",
            entry: json!({"claims": {"email": ["coder@acme-prod.iam.gserviceaccount.com"]}}),
            claims: json!({
                "iss": "https://accounts.google.com", "aud": "keyswap", "azp": "107517467455664443765",
                "sub": "107517467455664443765", "email": "coder@acme-prod.iam.gserviceaccount.com", "email_verified": true,
            }),
            near: vec![
                (json!({"email": "coder@evil.iam.gserviceaccount.com"}), lacks("email")),
                (json!({"email_verified": false}), lacks("email_verified")),
                (json!({"email_verified": null}), lacks("email_verified")),
                (json!({"aud": "https://other.example"}), AUDIENCE.into()),
                (json!({"iss": "https://cloud.google.com/iap"}), ISSUER.into()),
            ],
        },
        Provider {
            preset: "google_iap",
            entry: json!({"audiences": ["/projects/123456789/global/backendServices/987654321"]}),
            claims: json!({
                "iss": "https://cloud.google.com/iap", "aud": "/projects/123456789/global/backendServices/987654321",
                "sub": "accounts.google.com:118273645", "email": "alice@example.com", "hd": "example.com",
                "azp": "/projects/123456789/global/backendServices/987654321", "identity_source": "GOOGLE",
            }),
            near: vec![
                (json!({"aud": "/projects/123456789/global/backendServices/1"}), AUDIENCE.into()),
                (json!({"aud": "/projects/123456789/apps/acme"}), AUDIENCE.into()),
                (json!({"iss": "https://accounts.google.com"}), ISSUER.into()),
            ],
        },
    ]
}

fn of_microsoft() -> Vec<Provider> {
    let v2 = json!({
        "aud": "keyswap", "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "azp": "00001111-aaaa-2222-bbbb-3333cccc4444",
        "azpacr": "1", "oid": "bbbbbbbb-1111-2222-3333-cccccccccccc", "scp": "llm.call", "tid": TENANT, "ver": "2.0",
        "sub": "SN4cvRHY1nXrJ4lXWNfc1CCXyZ6Rqjn2a8kqf_z8NeE", "preferred_username": "alice@example.com", "uti": "fqiBqXLPj0eQa82S-IYFAA",
    });
    let v1 = with(
        &v2,
        &json!({
            "iss": format!("https://sts.windows.net/{TENANT}/"), "ver": "1.0", "azp": null, "azpacr": null,
            "appid": "00001111-aaaa-2222-bbbb-3333cccc4444", "appidacr": "1", "upn": "alice@example.com", "preferred_username": null,
        }),
    );
    let other_v2 = format!("https://login.microsoftonline.com/{OTHER_TENANT}/v2.0");
    let tenants = json!({"tenants": [TENANT]});
    vec![
        Provider {
            preset: "entra",
            entry: with(&tenants, &json!({"claims": {"scp": ["llm.call"]}})),
            near: vec![
                (json!({"iss": other_v2, "tid": OTHER_TENANT}), ISSUER.into()),
                (json!({"iss": other_v2}), ISSUER.into()),
                (json!({"tid": OTHER_TENANT}), lacks("tid")),
                (json!({"iss": "https://login.microsoftonline.com/{tenantid}/v2.0"}), ISSUER.into()),
                (json!({"iss": "https://login.microsoftonline.com/common/v2.0"}), ISSUER.into()),
                (json!({"iss": v1["iss"], "ver": "1.0"}), ISSUER.into()),
                (json!({"ver": "1.0"}), lacks("ver")),
                // An ID token has no `scp`.
                (json!({"scp": null, "nonce": "12345"}), lacks("scp")),
                (json!({"aud": "00000003-0000-0000-c000-000000000000"}), AUDIENCE.into()),
            ],
            claims: v2.clone(),
        },
        Provider {
            preset: "entra_v1",
            entry: with(&tenants, &json!({"audiences": ["api://keyswap"]})),
            claims: with(&v1, &json!({"aud": "api://keyswap"})),
            near: vec![
                (json!({"iss": format!("https://sts.windows.net/{TENANT}")}), ISSUER.into()),
                (json!({"iss": format!("https://sts.windows.net/{OTHER_TENANT}/")}), ISSUER.into()),
                (json!({"iss": v2["iss"], "ver": "2.0"}), ISSUER.into()),
                (json!({"ver": "2.0"}), lacks("ver")),
                (json!({"aud": "keyswap"}), AUDIENCE.into()),
            ],
        },
    ]
}

fn of_people() -> Vec<Provider> {
    vec![
        Provider {
            preset: "okta",
            entry: json!({"issuer": "https://acme.okta.com/oauth2/default", "claims": {"scp": ["llm.call"]}}),
            claims: json!({
                "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": "https://acme.okta.com/oauth2/default",
                "aud": "keyswap", "cid": "nmdP1fcyvdVO11AL7ECm", "uid": "00ulteiOOwTR0PIqc0g4", "scp": ["openid", "llm.call"],
                "sub": "alice@example.com", "auth_time": NOW - 20,
            }),
            near: vec![
                (json!({"iss": "https://acme.okta.com"}), ISSUER.into()),
                (json!({"iss": "https://acme.okta.com/oauth2/aus9o8wvkhockw9TL0h7"}), ISSUER.into()),
                (json!({"iss": "https://evil.okta.com/oauth2/default"}), ISSUER.into()),
                // An ID token is for the client.
                (json!({"aud": "nmdP1fcyvdVO11AL7ECm", "scp": null}), AUDIENCE.into()),
                (json!({"scp": ["openid"]}), lacks("scp")),
            ],
        },
        Provider {
            preset: "auth0",
            entry: json!({"issuer": "https://acme.eu.auth0.com/", "claims": {"scope": ["llm:call"]}}),
            claims: json!({
                "iss": "https://acme.eu.auth0.com/", "sub": "auth0|123456", "azp": "my_client_id", "scope": "openid profile llm:call",
                "aud": ["keyswap", "https://acme.eu.auth0.com/userinfo"],
            }),
            near: vec![
                (json!({"iss": "https://acme.eu.auth0.com"}), ISSUER.into()),
                (json!({"iss": "https://evil.eu.auth0.com/"}), ISSUER.into()),
                (json!({"aud": "my_client_id"}), AUDIENCE.into()),
                (json!({"aud": ["https://acme.eu.auth0.com/userinfo"]}), AUDIENCE.into()),
                (json!({"scope": "openid llm:calls"}), lacks("scope")),
            ],
        },
        Provider {
            preset: "keycloak",
            entry: json!({"issuer": "https://login.example.com/realms/acme", "claims": {"/realm_access/roles": ["llm"]}}),
            claims: json!({
                "jti": "onrtac:3f2a", "iss": "https://login.example.com/realms/acme", "aud": ["keyswap", "account"],
                "sub": "f3b4a9d2-0d5f-4b8e-9d65-4e3a2f1c0b9a", "typ": "Bearer", "azp": "agents", "acr": "1",
                "realm_access": {"roles": ["offline_access", "llm"]}, "scope": "profile email", "email_verified": true,
                "preferred_username": "alice", "email": "alice@example.com",
            }),
            near: vec![
                (json!({"typ": "ID"}), lacks("typ")),
                (json!({"typ": "Refresh"}), lacks("typ")),
                (json!({"iss": "https://login.example.com/realms/master"}), ISSUER.into()),
                (json!({"aud": "account"}), AUDIENCE.into()),
                (json!({"realm_access": {"roles": ["offline_access"]}}), lacks("/realm_access/roles")),
            ],
        },
        Provider {
            preset: "cognito",
            entry: json!({"issuer": POOL, "audiences": ["1example23456789"], "claims": {"cognito:groups": ["llm"]}}),
            claims: json!({
                "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "cognito:groups": ["testgroup", "llm"], "iss": POOL,
                "version": 2, "client_id": "1example23456789", "origin_jti": "b0e1c2d3", "token_use": "access",
                "scope": "phone openid profile email", "auth_time": NOW - 20, "jti": "aaaaaaaa-bbbb", "username": "alice",
            }),
            near: vec![
                (json!({"client_id": "2other"}), AUDIENCE.into()),
                (json!({"client_id": null}), AUDIENCE.into()),
                // An ID token has the client in `aud`.
                (json!({"client_id": null, "aud": "1example23456789", "token_use": "id"}), AUDIENCE.into()),
                (json!({"token_use": "id"}), lacks("token_use")),
                (json!({"aud": "https://other.example"}), AUDIENCE.into()),
                (
                    json!({"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other"}),
                    ISSUER.into(),
                ),
                (
                    json!({"iss": "https://cognito-idp.us-east-1.amazonaws.com/eu-west-1_AbCdEfGhI"}),
                    ISSUER.into(),
                ),
            ],
        },
    ]
}

fn providers() -> Vec<Provider> {
    [workloads(), of_google(), of_microsoft(), of_people()].into_iter().flatten().collect()
}

#[test]
fn a_token_as_its_provider_makes_it_counts_and_one_that_comes_near_does_not() {
    for Provider { preset, entry: more, claims, near } in providers() {
        let policy = policy(&json!([entry(preset, &more)]));
        let dated = with(&json!({"iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 300}), &claims);
        let judge = |changes: &Value| {
            let token = signer().sign(&with(&dated, changes));
            verify(&policy, &token).map(|identity| identity.subject().to_owned()).map_err(|it| it.to_string())
        };
        assert_eq!(judge(&json!({})), Ok(claims["sub"].as_str().unwrap().to_owned()), "{preset}");
        for (changes, error) in near {
            assert_eq!(judge(&changes), Err(error), "{preset} {changes}");
        }
        assert!(judge(&json!({"exp": NOW - 3600})).is_err(), "{preset}");
    }
}

#[test]
fn every_preset_is_tried() {
    let tried: Vec<&str> = providers().iter().map(|provider| provider.preset).collect();
    assert!(presets().all(|preset| tried.contains(&preset)), "{tried:?}");
}

#[test]
fn the_algorithms_are_those_of_the_provider_unless_the_policy_says_otherwise() {
    for Provider { preset, entry: more, .. } in providers() {
        let policy = policy(&json!([with(&entry(preset, &more), &json!({"algorithms": null}))]));
        let algorithms = policy.issuers()[0].algorithms();
        let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        assert_eq!(names.contains(&"RS256"), preset != "google_iap", "{preset} {names:?}");
        assert!(!names.contains(&"EdDSA"), "{preset}");
    }
}
