//! Issuers that are known by more than one name, or by none: tenants of a provider, and SPIFFE trust domains.

use keyswap_core::identity::Scope;
use serde_json::{Value, json};

use crate::support::{NOW, Signer, errors, of_preset, policy, verify, with};

const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const OTHER_TENANT: &str = "bbbbcccc-1111-dddd-2222-eeee3333ffff";

fn signer() -> Signer {
    Signer::new(9, "k1")
}

fn entry(preset: &str, more: &Value) -> Value {
    of_preset(preset, &signer(), more)
}

#[test]
fn the_same_subject_of_two_tenants_is_two_callers() {
    let policy = policy(&json!([entry("entra", &json!({"tenants": [TENANT, OTHER_TENANT]}))]));
    let id = |tenant: &str| {
        let iss = format!("https://login.microsoftonline.com/{tenant}/v2.0");
        let claims = json!({"iss": iss, "aud": "keyswap", "ver": "2.0", "tid": tenant, "sub": "ABC123", "exp": NOW + 300});
        let identity = verify(&policy, &signer().sign(&claims)).unwrap();
        identity.record(Scope::default()).digest
    };
    assert_ne!(id(TENANT), id(OTHER_TENANT));
    assert_eq!(id(TENANT), id(TENANT));
}

#[test]
fn a_key_signs_for_the_tenants_that_it_says() {
    let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let claims = json!({"iss": issuer(TENANT), "aud": "keyswap", "ver": "2.0", "tid": TENANT, "sub": "ABC123", "exp": NOW + 300});
    for (of, holds) in [
        (json!(null), true),
        (json!(issuer("{tenantid}")), true),
        (json!(issuer(TENANT)), true),
        (json!(issuer(OTHER_TENANT)), false),
        // The key for personal accounts.
        (json!(issuer("9188040d-6c67-4c5b-b112-36a304b66dad")), false),
    ] {
        let keys = json!({"inline": {"keys": [with(&signer().jwk(), &json!({"issuer": of}))]}});
        let policy = policy(&json!([entry("entra", &json!({"tenants": [TENANT], "jwks": keys}))]));
        let verdict = verify(&policy, &signer().sign(&claims)).map(|_| ()).map_err(|error| error.to_string());
        let other = "the key is of another tenant than the token".to_owned();
        assert_eq!(verdict, if holds { Ok(()) } else { Err(other) }, "{of}");
    }
}

#[test]
fn keys_of_a_trust_domain_and_keys_of_issuers_stand_for_each_other_never() {
    let key = |purpose: &str| with(&signer().jwk(), &json!({"use": purpose}));
    let other = with(&Signer::new(3, "k2").jwk(), &json!({"use": "jwt-svid"}));
    let svid = json!({"sub": "spiffe://example.org/a", "aud": "keyswap", "exp": NOW + 300});
    let jwt = with(&svid, &json!({"iss": "https://id.example"}));
    let domain = json!({"trust_domain": "example.org", "issuer": null});
    let plain = json!({"issuer": "https://id.example"});
    for (entry_of, keys, claims, holds) in [
        (&domain, json!([key("jwt-svid")]), &svid, true),
        (&domain, json!([key("sig"), other]), &svid, false),
        (&domain, json!([key("x509-svid"), other]), &svid, false),
        (&plain, json!([key("sig")]), &jwt, true),
        (&plain, json!([key("jwt-svid"), with(&other, &json!({"use": "sig"}))]), &jwt, false),
        // A token that says both is of the issuer that the policy has.
        (&domain, json!([key("jwt-svid")]), &jwt, true),
    ] {
        let more = with(entry_of, &json!({"jwks": {"inline": {"keys": keys}}}));
        let policy = policy(&json!([entry("oidc", &more)]));
        assert_eq!(verify(&policy, &signer().sign(claims)).is_ok(), holds, "{more}");
    }
    let wrong = entry("oidc", &with(&domain, &json!({"jwks": {"inline": {"keys": [key("sig")]}}})));
    assert!(errors(&wrong).contains("have the use `jwt-svid`"), "{}", errors(&wrong));
}
