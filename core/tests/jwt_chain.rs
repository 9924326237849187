//! Tokens of jwt-simple, from their bytes to an identity: parse, issuer, key, signature, claims.

use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike as _, ECDSAP384KeyPairLike as _, ES256KeyPair, ES384KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike as _, PS256KeyPair, RS256KeyPair, RS384KeyPair, RS512KeyPair, RSAKeyPairLike as _,
};
use jwt_simple::claims::{Claims, JWTClaims};
use jwt_simple::prelude::{Duration, UnixTimeStamp};
use keyswap_core::identity::Scope;
use keyswap_core::identity::jwt::{
    Algorithm, ClaimsError, Issuer, JwtError, NoKey, PureRust, UnverifiedJwt, is_jwt_shaped,
};
use keyswap_core::request::{Header, IdentitySlot, RequestHead, find_identity};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support;
use crate::support::{NOW, Signer, claims, oidc, policy, verify, verify_in, with};

/// The published key of RFC 7520 section 3.4: making one anew takes long without optimisation.
const RSA: &str = include_str!("../../tests/vectors/rfc7520/jws/4_1.rsa_v15_signature.json");

#[derive(Serialize, Deserialize)]
struct Custom {
    email: String,
    email_verified: bool,
}

fn of_alice() -> JWTClaims<Custom> {
    let at = |offset: i64| Some(UnixTimeStamp::from_secs(u64::try_from(NOW + offset).unwrap()));
    let custom = Custom { email: "Alice@example.com".to_owned(), email_verified: true };
    let mut claims = Claims::with_custom_claims(custom, Duration::from_secs(300))
        .with_issuer("https://id.example")
        .with_audience("keyswap")
        .with_subject("u1");
    (claims.issued_at, claims.invalid_before, claims.expires_at) = (at(-10), at(-10), at(300));
    claims
}

/// Returns a key set and a token of Alice's, both by jwt-simple.
fn signed(algorithm: Algorithm) -> (Value, String) {
    let rsa = {
        let vector: Value = serde_json::from_str(RSA).unwrap();
        with(&vector["input"]["key"], &json!({"kid": null})).to_string()
    };
    macro_rules! sign {
        ($key:expr) => {{
            let key = $key.with_key_id("k1");
            let jwk = serde_json::from_str(&key.public_key().with_key_id("k1").to_jwk()).unwrap();
            (jwk, key.sign(of_alice()).unwrap())
        }};
    }
    match algorithm {
        Algorithm::Rs256 => sign!(RS256KeyPair::from_jwk(&rsa).unwrap()),
        Algorithm::Rs384 => sign!(RS384KeyPair::from_jwk(&rsa).unwrap()),
        Algorithm::Rs512 => sign!(RS512KeyPair::from_jwk(&rsa).unwrap()),
        Algorithm::Ps256 => sign!(PS256KeyPair::from_jwk(&rsa).unwrap()),
        Algorithm::Es256 => sign!(ES256KeyPair::generate()),
        Algorithm::Es384 => sign!(ES384KeyPair::generate()),
        Algorithm::EdDsa => sign!(Ed25519KeyPair::generate()),
    }
}

#[test]
fn a_token_of_every_algorithm_becomes_an_identity() {
    for algorithm in Algorithm::ALL {
        let (jwk, token) = signed(algorithm);
        assert!(is_jwt_shaped(token.as_bytes()));
        let issuer = with(&oidc(&json!([jwk])), &json!({"algorithms": [algorithm.name()]}));
        let policy = policy(&json!([issuer]));
        let identity = verify(&policy, &token).unwrap();
        assert_eq!((identity.issuer(), identity.subject()), ("id", "u1"), "{algorithm:?}");
        assert_eq!(identity.email(), Some("alice@example.com"));

        // The same key, under an algorithm that the token does not have.
        let others: Vec<&str> =
            Algorithm::ALL.into_iter().filter(|other| *other != algorithm).map(Algorithm::name).collect();
        let issuer = with(&oidc(&json!([jwk])), &json!({"algorithms": others}));
        assert_eq!(
            verify(&support::policy(&json!([issuer])), &token).err(),
            Some(JwtError::Algorithm),
            "{algorithm:?}"
        );
    }
}

#[test]
fn of_two_entries_for_one_issuer_the_one_that_the_token_is_for_judges_it() {
    let signer = Signer::new(7, "k1");
    let entry = |name: &str, audience: &str| {
        with(&oidc(&json!([signer.jwk()])), &json!({"name": name, "audiences": [audience]}))
    };
    let policy = policy(&json!([entry("a", "app-a"), entry("b", "app-b"), entry("c", "app-b")]));
    let judge = |aud: Value| {
        let token = signer.sign(&with(&claims(), &json!({"aud": aud})));
        verify(&policy, &token).map(|identity| identity.issuer().to_owned())
    };
    assert_eq!(judge(json!("app-a")), Ok("a".to_owned()));
    assert_eq!(judge(json!(["x", "app-b"])), Ok("b".to_owned()));
    assert_eq!(judge(json!("app-c")), Err(JwtError::Claims(ClaimsError::Audience)));
}

#[test]
fn a_slot_of_one_issuer_carries_no_tokens_of_another() {
    let signer = Signer::new(7, "k1");
    let keys = json!([signer.jwk()]);
    let first = with(&oidc(&keys), &json!({"slots": ["header:x-id-token", "cookie:id"]}));
    let second = with(
        &oidc(&keys),
        &json!({"name": "other", "issuer": "https://other.example", "slots": ["header:x-other"]}),
    );
    let policy = policy(&json!([first, second]));
    assert_eq!(policy.identity_headers().collect::<Vec<_>>(), ["cookie", "x-id-token", "x-other"]);
    let token = signer.sign(&claims());
    let header = |name: &str| IdentitySlot::Header(name.to_owned());
    let judge = |slot: Option<&IdentitySlot>| verify_in(&policy, &token, slot, &PureRust, NOW).err();
    assert_eq!(judge(None), None);
    assert_eq!(judge(Some(&header("x-id-token"))), None);
    assert_eq!(judge(Some(&IdentitySlot::Cookie("id".to_owned()))), None);
    assert_eq!(judge(Some(&header("x-other"))), Some(JwtError::Issuer));
}

#[test]
fn a_jwt_is_told_by_its_shape_and_keeps_it_however_broken() {
    let token = Signer::new(7, "k1").sign(&claims());
    for jwt in [token.as_str(), "eyJ.a.b", "eyJ..", "eyJhbGciOiJub25lIn0.e30.", "eyJ.a.b.c.d"] {
        assert!(is_jwt_shaped(jwt.as_bytes()), "{jwt}");
    }
    let proxy_token = "ptk_0123456789abcdefghijklmnopqrstuv";
    for other in ["", "..", "eyJ", "eyJ.a", "a.b.c", " eyJ.a.b", "EYJ.a.b", proxy_token] {
        assert!(!is_jwt_shaped(other.as_bytes()), "{other}");
    }
}

#[test]
fn the_access_token_is_found_in_the_request_and_judged() {
    let signer = Signer::new(7, "k1");
    let policy = policy(&json!([{
        "name": "access", "preset": "cloudflare_access", "issuer": "https://acme.cloudflareaccess.com",
        "audiences": ["4714"], "algorithms": ["ES256"], "jwks": {"inline": {"keys": [signer.jwk()]}},
    }]));
    let token = signer.sign(&json!({
        "iss": "https://acme.cloudflareaccess.com", "aud": ["4714"], "type": "app", "sub": "7335",
        "email": "alice@example.com", "iat": NOW, "exp": NOW + 300,
    }));
    let cookie = format!("theme=dark; CF_Authorization={token}");
    for (name, value) in
        [("Cf-Access-Jwt-Assertion", &token), ("cf-access-token", &token), ("Cookie", &cookie)]
    {
        let headers = [
            Header { name: name.as_bytes(), value: value.as_bytes() },
            // Never trusted: any caller can send it.
            Header { name: b"cf-access-authenticated-user-email", value: b"eve@example.com" },
        ];
        let head = RequestHead::new(b"POST", b"/", &headers);
        let slots = policy.issuers().iter().flat_map(Issuer::slots);
        let found = find_identity(slots, &head).ok().flatten().unwrap();
        let text = str::from_utf8(found.token).unwrap();
        let identity = verify_in(&policy, text, Some(found.slot), &PureRust, NOW).unwrap();
        assert_eq!(identity.email(), Some("alice@example.com"), "{name}");
    }
}

#[test]
fn a_fault_in_words_holds_nothing_of_the_token() {
    let signer = Signer::new(7, "k1");
    let policy = policy(&json!([oidc(&json!([signer.jwk()]))]));
    let sentinel = "sentinel";
    let headers = [
        json!({"alg": sentinel}),
        json!({"alg": "ES256", "kid": sentinel}),
        json!({"alg": "ES256", "kid": "k1", "typ": sentinel}),
        signer.header(),
    ];
    let payload = with(&claims(), &json!({"aud": sentinel, "email": sentinel, "exp": sentinel}));
    for header in headers {
        let fault = verify(&policy, &signer.sign_raw(&header.to_string(), payload.to_string())).unwrap_err();
        let words = format!("{fault} {fault:?}");
        assert!(!words.contains(sentinel), "{words}");
    }
    let unknown = with(&signer.header(), &json!({"kid": "k2"})).to_string();
    let token = signer.sign_raw(&unknown, claims().to_string());
    assert!(UnverifiedJwt::parse(token.as_bytes()).is_ok());
    assert_eq!(verify(&policy, &token).err(), Some(JwtError::Key(NoKey::Unknown)));
}

#[test]
fn the_record_of_an_identity_stays_the_same_from_token_to_token() {
    let signer = Signer::new(7, "k1");
    let policy = policy(&json!([
        oidc(&json!([signer.jwk()])),
        with(&oidc(&json!([signer.jwk()])), &json!({"name": "other", "issuer": "https://other.example"})),
    ]));
    let record = |changes: Value| {
        let token = signer.sign(&with(&claims(), &changes));
        verify(&policy, &token).unwrap().record(Scope::read(["openai"]))
    };
    let alice = record(json!({}));
    assert_eq!(
        (alice.label.as_str(), alice.owner.as_deref()),
        ("alice@example.com", Some("alice@example.com"))
    );
    assert_eq!(alice, record(json!({"iat": NOW, "exp": NOW + 60})));
    assert_ne!(alice.id(), record(json!({"sub": "u2"})).id());
    assert_ne!(alice.id(), record(json!({"iss": "https://other.example"})).id());
    let nameless = record(json!({"email": null, "sub": "s".repeat(300)}));
    assert_eq!((nameless.label, nameless.owner), ("s".repeat(64), None));
}
