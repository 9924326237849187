//! Tokens and key sets as issuers really make them.

use keyswap_core::identity::jwt::{ClaimsError, JwsError, JwtError, NoKey};
use serde_json::{Value, json};

use crate::support::{NOW, Signer, claims, oidc, policy, verify, verify_with_keys, with};

fn signer() -> Signer {
    Signer::new(7, "k1")
}

/// Judges a token with these claims by an issuer with these members.
fn judge(issuer: &Value, changed: &Value) -> Result<Option<String>, String> {
    let policy = policy(&json!([with(&oidc(&json!([signer().jwk()])), issuer)]));
    let token = signer().sign(&with(&claims(), changed));
    let identity = verify(&policy, &token).map_err(|error| error.to_string())?;
    Ok(identity.email().map(str::to_owned))
}

#[test]
fn a_key_without_kid_is_meant_by_every_token_that_names_no_other() {
    let unnamed = |jwk: &Value| with(jwk, &json!({"kid": null}));
    let (one, other) = (signer().jwk(), Signer::new(8, "k2").jwk());
    let rsa = with(&unnamed(&one), &json!({"use": "enc"}));
    let policy = policy(&json!([oidc(&json!([one]))]));
    let named = signer().sign(&claims());
    for (keys, expect) in [
        (json!([unnamed(&one)]), None),
        (json!([unnamed(&one), other]), None),
        (json!([rsa, unnamed(&one)]), None),
        (json!([unnamed(&one), unnamed(&other)]), Some(NoKey::Unknown)),
        // It may be older than the token.
        (json!([unnamed(&other)]), Some(NoKey::Unproven)),
        (json!([other]), Some(NoKey::Unknown)),
        // A key of this name is the one that is meant.
        (json!([with(&other, &json!({"kid": "k1"})), unnamed(&one)]), None),
    ] {
        let verdict = verify_with_keys(&policy, &named, &keys).err();
        let is_signature = keys[0]["kid"] == "k1";
        let expect = if is_signature { Some(JwtError::Signature) } else { expect.map(JwtError::Key) };
        assert_eq!(verdict, expect, "{keys}");
        let is_newer = matches!(expect, Some(JwtError::Key(_)));
        assert_eq!(verdict.is_some_and(|error| error.may_pass_with_newer_keys()), is_newer);
    }
}

#[test]
fn a_date_may_have_a_fraction_and_never_lengthens_a_token() {
    let strict = json!({"clock_skew": "0s"});
    let at = |seconds: f64| f64::from(i32::try_from(NOW).unwrap()) + seconds;
    for (name, offset, expect) in [
        ("exp", 1.5, None),
        ("exp", 0.5, Some(ClaimsError::Expired)),
        ("nbf", 0.0, None),
        ("nbf", 0.5, Some(ClaimsError::NotYetValid)),
        ("iat", -0.5, None),
        ("iat", 0.5, Some(ClaimsError::IssuedInFuture)),
    ] {
        let verdict = judge(&strict, &json!({name: at(offset)}));
        let expect = expect.map(|error| JwtError::Claims(error).to_string());
        assert_eq!(verdict.err(), expect, "{name} {offset}");
    }
    for exp in ["1.9e9", "1900000000.0", "19E8"] {
        let exp: Value = serde_json::from_str(exp).unwrap();
        assert!(judge(&json!({}), &json!({"exp": exp})).is_ok(), "{exp}");
    }
}

#[test]
fn a_claim_within_others_is_named_by_its_pointer() {
    let token = json!({
        "realm_access": {"roles": ["user", "ai"]},
        "kubernetes.io": {"namespace": "agents", "serviceaccount": {"name": "coder"}},
        "a/b": {"~": "x"}, "list": [{"x": "y"}], "/plain": "z",
    });
    for (name, value, holds) in [
        ("/realm_access/roles", "ai", true),
        ("/realm_access/roles", "admin", false),
        ("/realm_access", "ai", false),
        ("realm_access.roles", "ai", false),
        ("/kubernetes.io/namespace", "agents", true),
        ("/kubernetes.io/serviceaccount/name", "coder", true),
        ("/kubernetes.io/serviceaccount/name/more", "coder", false),
        ("/a~1b/~0", "x", true),
        ("/list/0/x", "y", false),
        ("/~1plain", "z", true),
        ("/plain", "z", false),
        ("/", "z", false),
    ] {
        let verdict = judge(&json!({"claims": {name: [value]}}), &token);
        let words = format!("the claim `{name}` has none of the required values");
        assert_eq!(verdict.err(), (!holds).then_some(words), "{name} {value}");
    }
}

#[test]
fn a_scope_is_a_list_of_words() {
    for (claim, text, holds) in [
        ("scope", json!("openid llm:call email"), true),
        ("scp", json!("llm:call"), true),
        ("scope", json!(["openid", "llm:call"]), true),
        ("scope", json!("llm:call:admin openid"), false),
        ("scope", json!("openid,llm:call"), false),
        ("scope", json!("openid\tllm:call"), false),
        ("scope", json!(""), false),
        // A list of words in another claim is a text.
        ("groups", json!("openid llm:call"), false),
    ] {
        let verdict = judge(&json!({"claims": {claim: ["llm:call"]}}), &json!({claim: text}));
        assert_eq!(verdict.is_ok(), holds, "{claim} {text}");
    }
}

#[test]
fn an_issuer_may_have_any_name_where_its_keys_are_given() {
    for name in ["testing@secure.istio.io", "auth.example.com", "urn:issuer:1", "https://id.example/?x=1"] {
        assert!(judge(&json!({"issuer": name}), &json!({"iss": name})).is_ok(), "{name}");
        let other = judge(&json!({"issuer": name}), &json!({"iss": format!("{name} ")}));
        assert!(other.is_err(), "{name}");
    }
}

#[test]
fn the_policy_says_which_claim_has_the_address() {
    let address = "alice@example.com";
    let of = |claim: &str| json!({"email_claim": claim, "unverified_email": "allow"});
    let token = json!({
        "email": "other@example.com", "email_verified": false, "preferred_username": "Alice@Example.com",
        "identity": {"upn": address},
    });
    assert_eq!(judge(&of("preferred_username"), &token), Ok(Some(address.to_owned())));
    assert_eq!(judge(&of("/identity/upn"), &token), Ok(Some(address.to_owned())));
    assert_eq!(judge(&of("upn"), &token), Ok(None));
    assert_eq!(judge(&of("email"), &token), Ok(None), "the issuer says that it is not verified");
}

#[test]
fn ed25519_has_two_names() {
    let policy = policy(&json!([with(&oidc(&json!([signer().jwk()])), &json!({"algorithms": ["Ed25519"]}))]));
    let names: Vec<&str> = policy.issuers()[0].algorithms().iter().map(|it| it.name()).collect();
    assert_eq!(names, ["EdDSA"]);
}

#[test]
fn a_policy_may_take_longer_tokens_of_an_issuer() {
    let groups: Vec<String> =
        (0..180).map(|number| format!("{number:08}-2222-3333-4444-555555555555")).collect();
    let long = json!({"groups": groups});
    let too_long = JwtError::Jws(JwsError::TooLong).to_string();
    assert_eq!(judge(&json!({}), &long), Err(too_long.clone()));
    assert!(judge(&json!({"max_token_bytes": 16_384}), &long).is_ok());
    // The limit of one issuer is not that of another.
    let keys = json!([signer().jwk()]);
    let other = json!({"name": "other", "issuer": "https://other.example", "max_token_bytes": 16_384});
    let policy = policy(&json!([oidc(&keys), with(&oidc(&keys), &other)]));
    let token = signer().sign(&with(&claims(), &long));
    assert_eq!(verify(&policy, &token).map_err(|error| error.to_string()).err(), Some(too_long));
}
