//! Attacks on JWTs, by their number in the threat list: J1 to J17. Each is refused for the reason that it should be.

#[path = "../../tests/shared/jwt_attacks/mod.rs"]
mod attacks;

use attacks::forge::{ALGORITHM, Attack, Forge, KeyPair, ended, joined};
use attacks::keys::{self, modulus};
use attacks::{form, header, signature};
use keyswap_core::answer::{CheckError, Reason};
use keyswap_core::identity::jwt::{
    Algorithm, ClaimsError, IdentityError, JwkError, JwkSet, JwkSetError, JwsError, JwtError, MAX_KEYS,
    MAX_SET_BYTES, NoKey, PureRust, SignatureCheck, SignatureVerifier, VerifierUnavailable,
};
use keyswap_core::policy::Policy;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::b64u as base64url;
use crate::support::{
    NOW, Signer, access, claims, oidc, policy, vercel, verify, verify_in, verify_with_keys, with,
};

fn signer() -> Signer {
    Signer::new(7, "k1")
}

fn trusted() -> Policy {
    policy(&json!([oidc(&json!([signer().jwk()]))]))
}

impl KeyPair for Signer {
    fn header(&self) -> Value {
        self.header()
    }

    fn jwk(&self) -> Value {
        self.jwk()
    }

    fn signature(&self, text: &str) -> Vec<u8> {
        self.signature(text)
    }
}

/// Asserts that an attack is refused for the reason that it should be, where every algorithm is allowed.
#[track_caller]
fn refused(attacks: fn(&Forge<'_>) -> Vec<Attack>) {
    let (key, stranger) = (signer(), Signer::new(9, "k1"));
    let lure = "https://evil.example".to_owned();
    let forge = Forge { key: &key, stranger: &stranger, claims: claims(), now: NOW, lure };
    let algorithms = Algorithm::ALL.map(Algorithm::name);
    let policy = policy(&json!([with(&oidc(&json!([key.jwk()])), &json!({"algorithms": algorithms}))]));
    assert!(verify(&policy, &forge.good()).is_ok(), "the token that the attacks start from");
    for Attack { token, fault, answer } in attacks(&forge) {
        assert_eq!(verify(&policy, &token).err(), Some(fault), "{token:.300}");
        assert!(answer.is_none_or(|answer| answer.starts_with('4')), "{token:.300}");
    }
}

#[test]
fn the_token_that_the_attacks_start_from_is_accepted() {
    let policy = trusted();
    let identity = verify(&policy, &signer().sign(&claims())).unwrap();
    assert_eq!((identity.issuer(), identity.subject()), ("id", "u1"));
    assert_eq!(identity.email(), Some("alice@example.com"));
    assert_eq!(identity.expires_at().0, NOW + 300);
}

#[test]
fn j1_no_spelling_of_none_is_an_algorithm() {
    refused(header::j1);
}

#[test]
fn j2_no_public_key_is_the_secret_of_an_hmac_and_each_key_is_bound_to_its_algorithms() {
    refused(header::j2);
    // A token of an algorithm that the policy does not allow is not even looked up.
    let policy = policy(&json!([with(&oidc(&json!([signer().jwk()])), &json!({"algorithms": ["RS256"]}))]));
    assert_eq!(verify(&policy, &signer().sign(&claims())).err(), Some(JwtError::Algorithm));
}

#[test]
fn j3_a_key_that_the_token_brings_is_ignored() {
    refused(header::j3);
    let brought = json!({
        "alg": "ES256", "kid": "k1", "jwk": Signer::new(9, "k1").jwk(), "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain", "x5c": ["MIIB"],
    });
    let policy = trusted();
    assert!(verify(&policy, &signer().sign_raw(&brought.to_string(), claims().to_string())).is_ok());
}

#[test]
fn j4_an_unknown_kid_is_never_the_last_key_and_an_odd_one_is_no_kid() {
    refused(header::j4);
    assert!(JwtError::Key(NoKey::Unknown).may_pass_with_newer_keys());
    assert!(!JwtError::Signature.may_pass_with_newer_keys());
}

#[test]
fn j4_a_token_without_kid_finds_a_key_only_where_there_is_one_and_the_issuer_names_none() {
    let token = signer().sign_raw(r#"{"alg":"ES256"}"#, claims().to_string());
    let policy = trusted();
    let (one, other) = (signer().jwk(), Signer::new(8, "k2").jwk());
    let for_nothing = with(&other, &json!({"use": "enc"}));
    let verdict = |keys: Value| verify_with_keys(&policy, &token, &keys).err();
    assert_eq!(verdict(json!([one])), None);
    assert_eq!(verdict(json!([for_nothing, one])), None);
    assert_eq!(verdict(json!([one, other])), Some(JwtError::Key(NoKey::Ambiguous)));
    assert_eq!(verdict(json!([])), Some(JwtError::Key(NoKey::Unnamed)));
    // Tokens of Cloudflare and Vercel always name their key.
    let access = access_policy();
    let token = signer().sign_raw(r#"{"alg":"ES256"}"#, access_claims().to_string());
    assert_eq!(verify(&access, &token).err(), Some(JwtError::KeyUnnamed));
}

#[test]
fn j5_a_bad_key_is_dropped_alone_and_a_shared_kid_names_nobody() {
    let policy = trusted();
    let token = signer().sign(&claims());
    let good = signer().jwk();
    let (mut published, expect): (Vec<Value>, Vec<JwkError>) = keys::j5(&good).into_iter().unzip();
    published.insert(published.len() / 2, good.clone());
    assert!(verify_with_keys(&policy, &token, &json!(published)).is_ok());
    let set = JwkSet::parse(json!({"keys": published}).to_string().as_bytes()).unwrap();
    assert_eq!(set.keys().len(), 1);
    let faults: Vec<JwkError> = set.dropped().iter().map(|(_, fault)| *fault).collect();
    assert_eq!(faults, expect);

    let other = Signer::new(8, "k1").jwk();
    for keys in [json!([good, other]), json!([other, good]), json!([good, good])] {
        let verdict = verify_with_keys(&policy, &token, &keys).err();
        assert_eq!(verdict, Some(JwtError::Key(NoKey::Ambiguous)));
    }
}

#[test]
fn j5_a_set_that_is_too_large_or_not_strict_json_is_refused_whole() {
    let key = |index: usize| with(&signer().jwk(), &json!({"kid": format!("k{index}")}));
    let set = |count: usize| json!({"keys": (0..count).map(key).collect::<Vec<_>>()}).to_string();
    assert_eq!(JwkSet::parse(set(MAX_KEYS).as_bytes()).unwrap().keys().len(), MAX_KEYS);
    assert_eq!(JwkSet::parse(set(MAX_KEYS + 1).as_bytes()).err(), Some(JwkSetError::TooManyKeys));
    let padded = format!("{}{}", set(1), " ".repeat(MAX_SET_BYTES));
    assert_eq!(JwkSet::parse(padded.as_bytes()).err(), Some(JwkSetError::TooLong));
    let deep = format!(r#"{{"keys":[],"x":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    for text in
        ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[]} x"#, "<html>", &deep]
    {
        assert_eq!(JwkSet::parse(text.as_bytes()).err(), Some(JwkSetError::Form), "{text:.40}");
    }
    assert!(JwkSet::parse(br#"{"keys":[]}"#).unwrap().keys().is_empty());
}

#[test]
fn j6_extensions_that_change_how_a_token_is_read_are_refused() {
    refused(header::j6);
}

#[test]
fn j7_five_parts_are_refused_before_anything_in_them_is_read() {
    refused(form::j7);
}

#[test]
fn j8_dots_are_counted_once_and_exactly_two_are_right() {
    refused(form::j8);
}

#[test]
fn j9_a_date_is_a_number_of_seconds_that_is_not_negative() {
    refused(attacks::claims::j9);
    let policy = trusted();
    let undated = with(&claims(), &json!({"nbf": null, "iat": null, "exp": 253_402_300_799_u64}));
    assert!(verify(&policy, &signer().sign(&undated)).is_ok());
}

#[test]
fn j9_dates_are_judged_to_the_second_with_the_clock_skew() {
    let strict = policy(&json!([with(&oidc(&json!([signer().jwk()])), &json!({"clock_skew": "0s"}))]));
    for (policy, skew) in [(trusted(), 60), (strict, 0)] {
        for (name, first, last, fault) in [
            ("exp", -skew + 1, 1_000_000, ClaimsError::Expired),
            ("nbf", -1_000_000, skew, ClaimsError::NotYetValid),
            ("iat", -1_000_000, skew, ClaimsError::IssuedInFuture),
        ] {
            let verdict = |offset: i64| {
                let token = signer().sign(&with(&claims(), &json!({name: NOW + offset})));
                verify(&policy, &token).err()
            };
            assert_eq!(verdict(first), None, "{name} {skew}");
            assert_eq!(verdict(last), None, "{name} {skew}");
            let beyond = if name == "exp" { first - 1 } else { last + 1 };
            assert_eq!(verdict(beyond), Some(JwtError::Claims(fault)), "{name} {skew}");
        }
    }
    let policy = trusted();
    for now in [i64::MIN, i64::MAX] {
        assert!(verify_in(&policy, &signer().sign(&claims()), None, &PureRust, now).is_err());
    }
}

#[test]
fn j9_only_a_token_that_is_right_in_everything_else_learns_that_it_is_expired() {
    assert_eq!(CheckError::Jwt(JwtError::Claims(ClaimsError::Expired)).reason(), Reason::TokenExpired);
    for fault in [ALGORITHM, JwtError::Issuer, JwtError::Signature, JwtError::Claims(ClaimsError::Audience)] {
        assert_eq!(CheckError::Jwt(fault).reason(), Reason::TokenInvalid);
    }
    assert_eq!(CheckError::Jwt(JwtError::Unavailable).reason().status(), 503);
}

#[test]
fn j10_audiences_are_compared_whole() {
    refused(attacks::claims::j10_audience);
    let policy = trusted();
    for aud in [json!("keyswap"), json!("other"), json!(["x", "keyswap"]), json!(["keyswap"])] {
        assert!(verify(&policy, &signer().sign(&with(&claims(), &json!({"aud": aud})))).is_ok());
    }
}

#[test]
fn j10_the_issuer_is_compared_whole() {
    refused(attacks::claims::j10_issuer);
}

#[test]
fn j11_a_member_that_stands_twice_and_anything_around_the_json_is_refused() {
    refused(attacks::claims::j11);
}

#[test]
fn j12_each_part_has_one_spelling() {
    refused(form::j12);
    // No header can have this.
    let token = format!("{}\n", signer().sign(&claims()));
    assert_eq!(verify(&trusted(), &token).err(), Some(JwtError::Jws(JwsError::Encoding)));
}

#[test]
fn j13_ecdsa_signatures_are_two_numbers_in_range_of_exactly_their_length() {
    refused(signature::j13);
    // (r, n - s) is as good as (r, s): the standard allows both.
    let text = joined(&signer().header().to_string(), claims().to_string());
    let token = ended(&text, signature::mirrored(&signer().signature(&text)));
    assert!(verify(&trusted(), &token).is_ok());
}

#[test]
fn j14_an_rsa_key_has_2048_to_4096_bits_and_the_usual_exponent() {
    let good = json!({"kty": "RSA", "kid": "k", "n": base64url(modulus(2048)), "e": base64url([1, 0, 1])});
    let verdict = |key: &Value| {
        let set = JwkSet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        set.dropped().first().map(|(_, fault)| *fault)
    };
    for (key, fault) in keys::j14(&good) {
        assert_eq!(verdict(&key), Some(fault), "{}", key["kid"]);
    }
    for bits in [2048, 3072, 4096] {
        assert_eq!(verdict(&with(&good, &json!({"n": base64url(modulus(bits))}))), None, "{bits}");
    }
}

#[test]
fn j15_a_token_for_another_purpose_is_refused_by_its_type() {
    refused(header::j15);
    let policy = trusted();
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "JOSE"] {
        let header = with(&signer().header(), &json!({"typ": typ})).to_string();
        assert!(verify(&policy, &signer().sign_raw(&header, claims().to_string())).is_ok(), "{typ}");
    }
}

fn access_policy() -> Policy {
    policy(&json!([with(
        &access(),
        &json!({
            "issuer": "acme.cloudflareaccess.com/", "algorithms": ["ES256"], "service_tokens": ["e367.access"],
            "jwks": {"inline": {"keys": [signer().jwk()]}},
        })
    )]))
}

fn access_claims() -> Value {
    json!({
        "iss": "https://acme.cloudflareaccess.com", "aud": ["4714c1358e65"], "type": "app", "sub": "7335",
        "email": " Alice@Example.COM ", "iat": NOW - 10, "exp": NOW + 300, "country": "DE",
    })
}

#[test]
fn j15_access_takes_people_and_named_services_and_no_sign_in_token() {
    let policy = access_policy();
    let verdict = |changes: Value| {
        let token = signer().sign(&with(&access_claims(), &changes));
        verify(&policy, &token).map(|identity| {
            (identity.subject().to_owned(), identity.email().map(str::to_owned), identity.is_service())
        })
    };
    assert_eq!(verdict(json!({})), Ok(("7335".to_owned(), Some("alice@example.com".to_owned()), false)));
    let service = json!({"common_name": "e367.access", "sub": "", "email": null});
    assert_eq!(verdict(service.clone()), Ok(("e367.access".to_owned(), None, true)));

    let required = JwtError::Claims(ClaimsError::Required("type"));
    let identity = JwtError::Identity;
    for (changes, fault) in [
        (json!({"type": "org"}), required),
        (json!({"type": null}), required),
        (json!({"type": ["App"]}), required),
        (json!({"email": null}), identity(IdentityError::Email)),
        (json!({"email": "alice"}), identity(IdentityError::Email)),
        (json!({"email": ["alice@example.com"]}), identity(IdentityError::Email)),
        (json!({"email": "a@b\r\nx"}), identity(IdentityError::Email)),
        (json!({"sub": ""}), identity(IdentityError::Subject)),
        (json!({"sub": null}), identity(IdentityError::Subject)),
        (json!({"sub": 7}), identity(IdentityError::Subject)),
        (with(&service, &json!({"common_name": "other.access"})), identity(IdentityError::Service)),
        (with(&service, &json!({"common_name": ""})), identity(IdentityError::Service)),
        (with(&service, &json!({"sub": "7335"})), identity(IdentityError::Service)),
        // A service that claims to be a person, too.
        (json!({"common_name": "e367.access"}), identity(IdentityError::Service)),
        (json!({"common_name": "e367.access", "sub": ""}), identity(IdentityError::Service)),
    ] {
        assert_eq!(verdict(changes.clone()), Err(fault), "{changes}");
    }
}

#[test]
fn j15_a_preview_is_no_production_at_vercel() {
    let changes = json!({
        "algorithms": ["ES256"], "claims": {"project_id": ["prj_1"]}, "jwks": {"inline": {"keys": [signer().jwk()]}},
    });
    let issuer = with(&vercel(), &changes);
    let good = json!({
        "iss": "https://oidc.vercel.com/acme", "aud": "https://vercel.com/acme", "project_id": "prj_1",
        "sub": "owner:acme:project:web:environment:production", "environment": "production",
        "iat": NOW, "nbf": NOW, "exp": NOW + 3600,
    });
    let policy = policy(&json!([issuer]));
    let verdict = |changes: Value| verify(&policy, &signer().sign(&with(&good, &changes))).err();
    assert_eq!(verdict(json!({})), None);
    for environment in
        [json!("preview"), json!("development"), json!("Production"), json!(null), json!(["preview"])]
    {
        let fault = JwtError::Claims(ClaimsError::Required("environment"));
        assert_eq!(verdict(json!({"environment": environment})), Some(fault));
    }
    let fault = JwtError::Claims(ClaimsError::Required("project_id"));
    assert_eq!(verdict(json!({"project_id": "prj_2"})), Some(fault));
    assert_eq!(verdict(json!({"iss": "https://oidc.vercel.com"})), Some(JwtError::Issuer));
}

#[test]
fn j15_an_email_that_the_issuer_does_not_vouch_for_is_none() {
    let keys = json!([signer().jwk()]);
    let allows = json!({"name": "allows", "issuer": "https://allows.example", "unverified_email": "allow"});
    // Google's proxy signs in each person, and sends no such claim.
    let iap = json!({"name": "iap", "issuer": "https://cloud.google.com/iap"});
    let strict_iap = with(&iap, &json!({"unverified_email": "refuse"}));
    let issuers =
        |iap: &Value| policy(&json!([oidc(&keys), with(&oidc(&keys), &allows), with(&oidc(&keys), iap)]));
    let (policy, strict) = (issuers(&iap), issuers(&strict_iap));
    let vouches = |policy: &Policy, issuer: &str, verified: &Value| {
        let token = signer().sign(&with(&claims(), &json!({"iss": issuer, "email_verified": verified})));
        verify(policy, &token).unwrap().email().is_some()
    };
    // JSON null here takes the claim out.
    for (verified, strictly, if_allowed) in [
        (json!(true), true, true),
        (json!("true"), true, true),
        (json!(null), false, true),
        (json!(false), false, false),
        (json!("false"), false, false),
        (json!("True"), false, false),
        (json!("true "), false, false),
        (json!(""), false, false),
        (json!(1), false, false),
        (json!([true]), false, false),
        (json!({"true": true}), false, false),
    ] {
        for (issuer, policy, expect) in [
            ("https://id.example", &policy, strictly),
            ("https://allows.example", &policy, if_allowed),
            ("https://cloud.google.com/iap", &policy, if_allowed),
            ("https://cloud.google.com/iap", &strict, strictly),
        ] {
            assert_eq!(vouches(policy, issuer, &verified), expect, "{issuer}: {verified}");
        }
    }
    let null = format!("{}", with(&claims(), &json!({"email_verified": 0})))
        .replace(r#"verified":0"#, r#"verified":null"#);
    let token = signer().sign_raw(&signer().header().to_string(), null);
    assert_eq!(verify(&policy, &token).unwrap().email(), None);
    // An address that names nobody need not be one.
    let token = signer().sign(&with(&claims(), &json!({"email": "alice", "email_verified": false})));
    assert_eq!(verify(&policy, &token).unwrap().email(), None);
    // A Kelvin sign does not make another person Alice.
    let token = signer().sign(&with(&claims(), &json!({"email": "\u{212a}im@example.com"})));
    assert_eq!(verify(&policy, &token).unwrap().email(), Some("\u{212a}im@example.com"));
}

#[test]
fn required_claims_are_compared_whole_and_a_list_must_hold_one_of_the_values() {
    let issuer = with(
        &oidc(&json!([signer().jwk()])),
        &json!({"claims": {"groups": ["ml", "ops"], "email_verified": [true]}}),
    );
    let policy = policy(&json!([issuer]));
    let verdict = |groups: Value, verified: Value| {
        let token = signer().sign(&with(&claims(), &json!({"groups": groups, "email_verified": verified})));
        verify(&policy, &token).err()
    };
    for groups in [json!("ml"), json!(["x", "ops"])] {
        assert_eq!(verdict(groups, json!(true)), None);
    }
    for groups in
        [json!(null), json!("m"), json!("ml,ops"), json!([]), json!(["ml", 1]), json!([["ml"]]), json!(true)]
    {
        let fault = JwtError::Claims(ClaimsError::Required("groups"));
        assert_eq!(verdict(groups, json!(true)), Some(fault));
    }
    for verified in [json!(false), json!("true"), json!(null)] {
        let fault = JwtError::Claims(ClaimsError::Required("email_verified"));
        assert_eq!(verdict(json!("ml"), verified), Some(fault));
    }
}

#[test]
fn j16_a_signature_is_for_its_own_token_alone() {
    refused(|forge| {
        let (text, signature) = forge.signed();
        attacks::claims::j16(forge, &text, &signature)
    });
}

#[test]
fn j17_a_token_of_the_same_team_for_another_application_is_refused() {
    let policy = access_policy();
    let verdict = |changes: Value| verify(&policy, &signer().sign(&with(&access_claims(), &changes))).err();
    for aud in [json!(["0000c1358e65"]), json!("0000c1358e65"), json!([])] {
        assert_eq!(verdict(json!({"aud": aud})), Some(JwtError::Claims(ClaimsError::Audience)));
    }
    // A bare string has been seen.
    assert_eq!(verdict(json!({"aud": "4714c1358e65"})), None);
    assert_eq!(verdict(json!({"iss": "https://evil.cloudflareaccess.com"})), Some(JwtError::Issuer));
}

#[test]
fn j17_after_a_rotation_new_tokens_pass_and_old_ones_until_the_old_key_leaves() {
    let policy = access_policy();
    let (old, new) = (signer(), Signer::new(8, "k2"));
    let (old_token, new_token) = (old.sign(&access_claims()), new.sign(&access_claims()));
    let verdict = |token: &str, keys: &Value| verify_with_keys(&policy, token, keys).err();
    let unknown = Some(JwtError::Key(NoKey::Unknown));
    for (keys, of_old, of_new) in [
        (json!([old.jwk()]), None, unknown),
        (json!([new.jwk(), old.jwk()]), None, None),
        (json!([new.jwk()]), unknown, None),
    ] {
        assert_eq!((verdict(&old_token, &keys), verdict(&new_token, &keys)), (of_old, of_new));
    }
}

#[test]
fn a_verifier_that_cannot_tell_lets_nothing_pass() {
    struct Broken;
    impl SignatureVerifier for Broken {
        fn verify(&self, _: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
            Err(VerifierUnavailable)
        }
    }
    let policy = trusted();
    let token = signer().sign(&claims());
    assert_eq!(verify_in(&policy, &token, None, &Broken, NOW).err(), Some(JwtError::Unavailable));
}

proptest! {
    #[test]
    fn nothing_that_is_sent_panics(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let policy = trusted();
        prop_assert!(verify(&policy, &String::from_utf8_lossy(&bytes)).is_err());
        _ = JwkSet::parse(&bytes);
        _ = keyswap_core::identity::jwt::UnverifiedJwt::parse(&bytes);
    }

    #[test]
    fn parts_of_any_json_and_bytes_are_judged_without_a_panic(
        header in "\\{(\"(alg|kid|typ|crit|x)\":(\"(ES256|RS256|k1|JWT)\"|[0-9]{1,3}|null|\\[\\]),?){0,4}\\}",
        payload in proptest::collection::vec(any::<u8>(), 0..64),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let policy = trusted();
        let token = format!("{}.{}.{}", base64url(header), base64url(payload), base64url(signature));
        prop_assert!(verify(&policy, &token).is_err());
    }
}
