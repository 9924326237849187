//! Attacks on JWTs, by their number in the threat list: J1 to J17. Each is refused for the reason that it should be.

mod support;

use keyswap_core::answer::{CheckError, Reason};
use keyswap_core::identity::jwt::{
    Algorithm, ClaimsError, IdentityError, JwkError, JwkSet, JwkSetError, JwsError, JwtError, MAX_KEYS,
    MAX_SET_BYTES, MAX_TOKEN_BYTES, NoKey, PureRust, SignatureCheck, SignatureVerifier, VerifierUnavailable,
};
use keyswap_core::policy::Policy;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{NOW, Signer, b64u, claims, oidc, policy, verify, verify_in, verify_with_keys, with};

const ALGORITHM: JwtError<'static> = JwtError::Jws(JwsError::Algorithm);
const FORM: JwtError<'static> = JwtError::Jws(JwsError::Form);
const ENCODING: JwtError<'static> = JwtError::Jws(JwsError::Encoding);
const HEADER: JwtError<'static> = JwtError::Jws(JwsError::Header);

fn signer() -> Signer {
    Signer::new(7, "k1")
}

fn trusted() -> Policy {
    policy(&json!([oidc(&json!([signer().jwk()]))]))
}

#[track_caller]
fn refused(token: &str, fault: JwtError<'_>) {
    let policy = trusted();
    assert_eq!(verify(&policy, token).err(), Some(fault), "{token:.120}");
}

#[track_caller]
fn header_refused(changes: &Value, fault: JwtError<'_>) {
    let header = with(&signer().header(), changes);
    refused(&signer().sign_raw(&header.to_string(), claims().to_string()), fault);
}

#[track_caller]
fn claims_refused(changes: &Value, fault: ClaimsError<'_>) {
    refused(&signer().sign(&with(&claims(), changes)), JwtError::Claims(fault));
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
    for name in ["none", "None", "NONE", "nOnE", "", " none", "es256", "ES256 ", "ES256K", "ES512"] {
        header_refused(&json!({"alg": name}), ALGORITHM);
        let text = format!("{}.{}", b64u(json!({"alg": name}).to_string()), b64u(claims().to_string()));
        refused(&format!("{text}."), FORM);
        refused(&text, FORM);
    }
    for odd in [json!(null), json!(["ES256"]), json!(256)] {
        header_refused(&json!({"alg": odd}), ALGORITHM);
    }
}

#[test]
fn j2_no_public_key_is_the_secret_of_an_hmac_and_each_key_is_bound_to_its_algorithms() {
    for name in ["HS256", "HS384", "HS512"] {
        header_refused(&json!({"alg": name}), ALGORITHM);
    }
    // An RSA key without `alg` checks no ECDSA signature, and the other way round.
    for name in ["RS256", "PS256", "ES384", "EdDSA"] {
        let policy = policy(&json!([with(
            &oidc(&json!([signer().jwk()])),
            &json!({"algorithms": Algorithm::ALL.map(Algorithm::name)})
        )]));
        let header = with(&signer().header(), &json!({"alg": name})).to_string();
        let token = signer().sign_raw(&header, claims().to_string());
        assert_eq!(verify(&policy, &token).err(), Some(JwtError::Key(NoKey::Algorithm)), "{name}");
    }
    // What the policy does not allow is not even looked up.
    let policy = policy(&json!([with(&oidc(&json!([signer().jwk()])), &json!({"algorithms": ["RS256"]}))]));
    assert_eq!(verify(&policy, &signer().sign(&claims())).err(), Some(JwtError::Algorithm));
}

#[test]
fn j3_a_key_that_the_token_brings_is_ignored() {
    let attacker = Signer::new(9, "k1");
    let brought = json!({
        "alg": "ES256", "kid": "k1", "jwk": attacker.jwk(), "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain", "x5c": ["MIIB"],
    });
    refused(&attacker.sign_raw(&brought.to_string(), claims().to_string()), JwtError::Signature);
    let unknown = with(&brought, &json!({"kid": "attacker"}));
    refused(&attacker.sign_raw(&unknown.to_string(), claims().to_string()), JwtError::Key(NoKey::Unknown));
    let policy = trusted();
    assert!(verify(&policy, &signer().sign_raw(&brought.to_string(), claims().to_string())).is_ok());
}

#[test]
fn j4_an_unknown_kid_is_never_the_last_key_and_an_odd_one_is_no_kid() {
    for kid in ["k2", "K1", "../../dev/null", "k1' OR '1'='1", "k1 ", "k"] {
        header_refused(&json!({"kid": kid}), JwtError::Key(NoKey::Unknown));
    }
    let long = "k".repeat(257);
    for kid in [json!(1), json!(["k1"]), json!({"k": 1}), json!(""), json!("k1\r\nx: y"), json!(long)] {
        header_refused(&json!({"kid": kid}), JwtError::Jws(JwsError::KeyId));
    }
    header_refused(&json!({"kid": "k".repeat(64 * 1024)}), JwtError::Jws(JwsError::TooLong));
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
    // Cloudflare and Vercel always name theirs.
    let access = access_policy();
    let token = signer().sign_raw(r#"{"alg":"ES256"}"#, access_claims().to_string());
    assert_eq!(verify(&access, &token).err(), Some(JwtError::KeyUnnamed));
}

#[test]
fn j5_a_bad_key_is_dropped_alone_and_a_shared_kid_names_nobody() {
    let policy = trusted();
    let token = signer().sign(&claims());
    let good = signer().jwk();
    let symmetric = json!({"kty": "oct", "kid": "k3", "k": "AAAA", "alg": "HS256"});
    let off_curve = with(&Signer::new(8, "k4").jwk(), &json!({"y": b64u([1; 32])}));
    let bad = json!([
        symmetric, off_curve, 7, null, {"kty": "EC"}, {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, good,
        with(&good, &json!({"kid": 5})), with(&good, &json!({"kid": "k6", "alg": "RS256"})),
        with(&good, &json!({"kid": "k7", "key_ops": ["sign"]})), with(&good, &json!({"kid": "k8", "d": "AA"})),
        with(&good, &json!({"kid": "k9", "x": "AA=="})),
    ]);
    assert!(verify_with_keys(&policy, &token, &bad).is_ok());
    let set = JwkSet::parse(json!({"keys": bad}).to_string().as_bytes()).unwrap();
    assert_eq!(set.keys().len(), 1);
    let faults: Vec<JwkError> = set.dropped().iter().map(|(_, fault)| *fault).collect();
    let expect = [
        JwkError::Type,
        JwkError::Unsafe,
        JwkError::Type,
        JwkError::Type,
        JwkError::Type,
        JwkError::Unsafe,
        JwkError::KeyId,
        JwkError::Algorithm,
        JwkError::Use,
        JwkError::Private,
        JwkError::Encoding,
    ];
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
    for changes in [
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": []}),
        json!({"crit": ["exp"]}),
        json!({"b64": true}),
        json!({"b64": false}),
        json!({"zip": "DEF"}),
    ] {
        header_refused(&changes, JwtError::Jws(JwsError::Extension));
    }
}

#[test]
fn j7_five_parts_are_refused_before_anything_in_them_is_read() {
    let header = b64u(r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM","zip":"DEF"}"#);
    refused(&format!("{header}.AA.AA.AA.AA"), FORM);
    refused("!.!.!.!.!", FORM);
}

#[test]
fn j8_dots_are_counted_once_and_exactly_two_are_right() {
    let token = signer().sign(&claims());
    for token in [
        format!(".{token}"),
        format!("{token}."),
        format!("{token}.AA"),
        token.replacen('.', "..", 1),
        token.replace('.', ".."),
        token.replacen('.', "", 1),
        ".".repeat(MAX_TOKEN_BYTES),
        "..".to_owned(),
        String::new(),
    ] {
        refused(&token, FORM);
    }
    refused(&".".repeat(1024 * 1024), JwtError::Jws(JwsError::TooLong));
}

#[test]
fn j9_a_date_is_a_whole_number_of_seconds() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            r#""1800000300""#,
            "null",
            "true",
            "[]",
            "{}",
            "-1",
            "1.5",
            "1800000300.0",
            "1.8e9",
            "9223372036854775808",
            "18446744073709551615",
            "253402300800",
            "1e30",
        ] {
            let mut payload = with(&claims(), &json!({name: null})).to_string();
            payload.truncate(payload.len() - 1);
            let payload = format!(r#"{payload},"{name}":{value}}}"#);
            let token = signer().sign_raw(&signer().header().to_string(), payload);
            refused(&token, JwtError::Claims(ClaimsError::Date(name)));
        }
        // Numbers beyond every float are not even JSON.
        let payload = format!(r#"{{"{name}":1e400}}"#);
        refused(
            &signer().sign_raw(&signer().header().to_string(), payload),
            JwtError::Claims(ClaimsError::Form),
        );
    }
    claims_refused(&json!({"exp": null}), ClaimsError::Date("exp"));
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
    claims_refused(&json!({"exp": NOW - 900}), ClaimsError::Expired);
    claims_refused(&json!({"exp": NOW - 900, "aud": "x"}), ClaimsError::Audience);
    for fault in [ALGORITHM, JwtError::Issuer, JwtError::Signature, JwtError::Claims(ClaimsError::Audience)] {
        assert_eq!(CheckError::Jwt(fault).reason(), Reason::TokenInvalid);
    }
    assert_eq!(CheckError::Jwt(JwtError::Unavailable).reason().status(), 503);
}

#[test]
fn j10_audiences_are_compared_whole() {
    for aud in [
        json!(null),
        json!([]),
        json!(""),
        json!([""]),
        json!("keyswa"),
        json!("keyswap2"),
        json!("Keyswap"),
        json!("keyswap "),
        json!("keyswap,other"),
        json!(["keyswap", 7]),
        json!([["keyswap"]]),
        json!({"keyswap": true}),
        json!(true),
    ] {
        claims_refused(&json!({"aud": aud}), ClaimsError::Audience);
    }
    let policy = trusted();
    for aud in [json!("keyswap"), json!("other"), json!(["x", "keyswap"]), json!(["keyswap"])] {
        assert!(verify(&policy, &signer().sign(&with(&claims(), &json!({"aud": aud})))).is_ok());
    }
}

#[test]
fn j10_the_issuer_is_compared_whole() {
    for iss in [
        json!(null),
        json!(""),
        json!("https://id.example/"),
        json!("https://id.exampl"),
        json!("https://id.example.evil"),
        json!("HTTPS://ID.EXAMPLE"),
        json!(["https://id.example"]),
        json!({"url": "https://id.example"}),
    ] {
        refused(&signer().sign(&with(&claims(), &json!({"iss": iss}))), JwtError::Issuer);
    }
}

#[test]
fn j11_a_member_that_stands_twice_and_anything_around_the_json_is_refused() {
    let (header, payload) = (signer().header().to_string(), claims().to_string());
    for odd in [
        r#"{"alg":"none","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k2","\u006bid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1"} "x""#,
        "\u{feff}{\"alg\":\"ES256\",\"kid\":\"k1\"}",
        r#"["ES256"]"#,
        r#"{"alg":"ES256","kid":"k1",}"#,
        r#"{"alg":"ES256","kid":"k1","x":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}"#,
    ] {
        refused(&signer().sign_raw(odd, &payload), HEADER);
    }
    for odd in [
        payload.replacen('{', r#"{"aud":"x","#, 1),
        payload.replacen('{', r#"{"email":"bob@example.com","#, 1),
        format!("{payload}{payload}"),
        format!("\u{feff}{payload}"),
        format!("[{payload}]"),
        payload.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1),
        payload.replacen('{', r#"{"x":"\ud800","#, 1),
    ] {
        refused(&signer().sign_raw(&header, odd), JwtError::Claims(ClaimsError::Form));
    }
    let not_text = [payload.replacen('{', r#"{"x":""#, 1).as_bytes(), b"\xff\"}"].concat();
    refused(&signer().sign_raw(&header, not_text), JwtError::Claims(ClaimsError::Form));
    let token = signer().sign(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let json = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    refused(&json.to_string(), FORM);
}

#[test]
fn j12_each_part_has_one_spelling() {
    let token = signer().sign(&claims());
    let (text, signature) = token.rsplit_once('.').unwrap();
    // 64 bytes end in a character with four loose bits.
    let (kept, last) = signature.split_at(signature.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let loose = &alphabet[alphabet.find(last).unwrap() + 1..][..1];
    for odd in [
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!("{text}. {signature}"),
        format!("{text}.{kept}{loose}"),
        token.replacen('.', "=.", 1),
        token.replacen('.', " .", 1),
    ] {
        refused(&odd, ENCODING);
    }
}

#[test]
fn j13_ecdsa_signatures_are_two_numbers_in_range_of_exactly_their_length() {
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let text = format!("{}.{}", b64u(signer().header().to_string()), b64u(claims().to_string()));
    let good = signer().signature(&text);
    let (r, s) = good.split_at(32);
    let der = p256::ecdsa::Signature::from_slice(&good).unwrap().to_der();
    let one = [&[0; 31][..], &[1]].concat();
    for signature in [
        [&[0; 32][..], &[0; 32]].concat(),
        [r, &[0; 32]].concat(),
        [&[0; 32], s].concat(),
        [r, &order].concat(),
        [&order, s].concat(),
        [&order[..], &order].concat(),
        [&[0xff; 32], s].concat(),
        [&one[..], &one].concat(),
        [s, r].concat(),
        [&good[..], &[0]].concat(),
        [&[0], &good[..]].concat(),
        good[..63].to_vec(),
        [r, r, s, s].concat(),
        der.as_bytes().to_vec(),
        vec![1],
    ] {
        refused(&format!("{text}.{}", b64u(signature)), JwtError::Signature);
    }
}

#[test]
fn j14_an_rsa_key_has_2048_to_4096_bits_and_the_usual_exponent() {
    let modulus = |bits: usize| {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        if !bits.is_multiple_of(8) {
            bytes[0] = 0xff >> (8 - bits % 8);
        }
        bytes
    };
    let verdict = |n: &[u8], e: &[u8]| {
        let key = json!({"kty": "RSA", "kid": "k", "n": b64u(n), "e": b64u(e)});
        let set = JwkSet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        set.dropped().first().map(|(_, fault)| *fault)
    };
    for bits in [512, 1024, 2047, 4097, 8192, 8193, 16384, 65536] {
        assert_eq!(verdict(&modulus(bits), &[1, 0, 1]), Some(JwkError::Unsafe), "{bits}");
    }
    for bits in [2048, 3072, 4096] {
        assert_eq!(verdict(&modulus(bits), &[1, 0, 1]), None, "{bits}");
    }
    for e in [&[][..], &[0], &[1], &[2], &[3], &[1, 0, 0], &[0xff; 256], &[1, 0, 0, 0, 1]] {
        assert_eq!(verdict(&modulus(2048), e), Some(JwkError::Unsafe), "{e:?}");
    }
    let even = [modulus(2040), vec![0xfe]].concat();
    assert_eq!(verdict(&even, &[1, 0, 1]), Some(JwkError::Unsafe));
    assert_eq!(verdict(&[], &[1, 0, 1]), Some(JwkError::Unsafe));
}

#[test]
fn j15_a_token_for_another_purpose_is_refused_by_its_type() {
    for typ in
        [json!("JWE"), json!("dpop+jwt"), json!("logout+jwt"), json!("secevent+jwt"), json!(1), json!("")]
    {
        header_refused(&json!({"typ": typ}), JwtError::Jws(JwsError::Type));
    }
    let policy = trusted();
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let header = with(&signer().header(), &json!({"typ": typ})).to_string();
        assert!(verify(&policy, &signer().sign_raw(&header, claims().to_string())).is_ok(), "{typ}");
    }
}

fn access_policy() -> Policy {
    policy(&json!([{
        "name": "access", "preset": "cloudflare_access", "issuer": "acme.cloudflareaccess.com/",
        "audiences": ["4714c1358e65"], "algorithms": ["ES256"], "service_tokens": ["e367.access"],
        "jwks": {"inline": {"keys": [signer().jwk()]}},
    }]))
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
        // A service that says it is a person, too.
        (json!({"common_name": "e367.access"}), identity(IdentityError::Service)),
        (json!({"common_name": "e367.access", "sub": ""}), identity(IdentityError::Service)),
    ] {
        assert_eq!(verdict(changes.clone()), Err(fault), "{changes}");
    }
}

#[test]
fn j15_a_preview_is_no_production_at_vercel() {
    let issuer = json!({
        "name": "vercel", "preset": "vercel_oidc", "issuer": "https://oidc.vercel.com/acme",
        "audiences": ["https://vercel.com/acme"], "algorithms": ["ES256"], "claims": {"project_id": ["prj_1"]},
        "jwks": {"inline": {"keys": [signer().jwk()]}},
    });
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
    let policy = trusted();
    for (verified, email) in [
        (json!(true), true),
        (json!(false), false),
        (json!("true"), false),
        (json!(1), false),
        (json!(null), true),
    ] {
        let token = signer().sign(&with(&claims(), &json!({"email_verified": verified})));
        assert_eq!(verify(&policy, &token).unwrap().email().is_some(), email, "{verified}");
    }
    // Nobody becomes Alice by a Kelvin sign.
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
        let token = format!("{}.{}.{}", b64u(header), b64u(payload), b64u(signature));
        prop_assert!(verify(&policy, &token).is_err());
    }
}
