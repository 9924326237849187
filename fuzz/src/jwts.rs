//! JWTs: their form, the keys of issuers, and the claims.

use std::sync::LazyLock;

use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::{
    Endpoint, Issuer, JwkSet, JwsSignatures, KeySource, MAX_KEYS, UnverifiedJwt, is_jwt_shaped, jwks_endpoint,
};
use keyswap_core::policy::Policy;
use serde_json::{Value, json};

use super::driver::{Always, NOW};

/// The public key of RFC 7517, appendix A.1.
pub(super) static KEY: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "kty": "EC", "crv": "P-256", "kid": "k",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    })
});

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let document = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI"}]},
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap", "other"],
            "jwks": {"inline": {"keys": [KEY.clone()]}},
        }],
        "principals": [{"email": "alice@example.com", "providers": ["openai"]}],
    });
    Policy::from_json(document.to_string().as_bytes()).expect("this policy holds")
});

/// The alphabet of base64url (RFC 4648 section 5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        let letter = |place: usize| {
            char::from(ALPHABET[usize::from((bits >> (18 - 6 * place) & 63).to_le_bytes()[0])])
        };
        text.extend((0..=chunk.len()).map(letter));
    }
    text
}

/// Returns the bytes of a canonical base64url text without padding.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text {
        let value = ALPHABET.iter().position(|other| other == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
        bits &= (1 << count) - 1;
    }
    (encode(&bytes).as_bytes() == text).then_some(bytes)
}

/// Reads a JWT, a JWS with several signatures, and a token of unknown shape.
pub(super) fn jws(data: &[u8]) {
    let _ = (JwsSignatures::parse(data, data.len()), is_jwt_shaped(data));
    let Ok(jwt) = UnverifiedJwt::parse(data) else { return };
    let parts: Vec<&[u8]> = data.split(|byte| *byte == b'.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{} parts", parts.len()) };
    let [header, payload, _] = [header, payload, signature].map(|part| decode(part).expect("base64url"));
    let header: Value = serde_json::from_slice(&header).expect("the header is JSON");
    let algorithm = header["alg"].as_str().expect("the header names an algorithm");
    assert!(["RS", "PS", "ES", "Ed"].iter().any(|family| algorithm.starts_with(family)), "{algorithm}");
    assert!(["crit", "b64", "zip"].iter().all(|name| header.get(name).is_none()));
    assert_eq!(jwt.jws().kid(), header["kid"].as_str());
    assert!(serde_json::from_slice::<Value>(&payload).expect("the payload is JSON").is_object());
}

/// Reads the keys of an issuer.
pub(super) fn jwk_set(data: &[u8]) {
    let Ok(set) = JwkSet::parse(data) else { return };
    let document: Value = serde_json::from_slice(data).expect("a set is JSON");
    let keys = document["keys"].as_array().expect("a set has keys");
    assert!(keys.len() <= MAX_KEYS && set.keys().len() + set.dropped().len() == keys.len());
    for (place, _) in set.dropped() {
        assert!(*place < keys.len());
    }
    let of_type = |name: &str| keys.iter().filter(|key| key["kty"] == name).count();
    assert!(set.keys().len() <= of_type("RSA") + of_type("EC") + of_type("OKP"), "a key of another type");
}

/// Reads the document in which an issuer names the address of its keys.
pub(super) fn discovery(data: &[u8]) {
    let source = Endpoint {
        https: true,
        authority: "id.example".to_owned(),
        path: "/.well-known/openid-configuration".to_owned(),
    };
    let Ok(keys) = jwks_endpoint(data, "https://id.example", &source) else { return };
    let document: Value = serde_json::from_slice(data).expect("the document is JSON");
    assert_eq!(document["issuer"], "https://id.example");
    assert!(keys.https && keys.authority == source.authority && keys.path.starts_with('/'), "{keys}");
    assert!(keys.path.bytes().all(|byte| byte.is_ascii_graphic()), "{keys}");
}

/// Reads claims that are signed.
pub(super) fn claims(data: &[u8]) {
    let header = encode(br#"{"alg":"ES256","kid":"k"}"#);
    // The smallest numbers that an ECDSA signature may have.
    let signature: Vec<u8> = [[0; 31].as_slice(), &[1], &[0; 31], &[1]].concat();
    let token = format!("{header}.{}.{}", encode(data), encode(&signature));
    let Ok(jwt) = UnverifiedJwt::parse(token.as_bytes()) else { return };
    let Ok(issuer) = Issuer::find(POLICY.issuers(), &jwt, None) else { return };
    let KeySource::Inline(keys) = issuer.keys() else { panic!("the keys are in the policy") };
    if issuer.verify(jwt, keys, &Always(true), UnixTime(NOW.into())).is_err() {
        return;
    }
    let claims: Value = serde_json::from_slice(data).expect("claims are JSON");
    let number = |name: &str| claims[name].as_f64();
    let is_ours = |audience: &Value| audience == "keyswap" || audience == "other";
    assert_eq!(claims["iss"], "https://id.example");
    assert!(is_ours(&claims["aud"]) || claims["aud"].as_array().is_some_and(|list| list.iter().any(is_ours)));
    assert!(number("exp").is_some_and(|exp| exp > f64::from(NOW) - 61.0), "it has an expiry");
    for name in ["nbf", "iat"] {
        assert!(
            claims[name].is_null() || number(name).is_some_and(|time| time < f64::from(NOW) + 61.0),
            "{name}"
        );
    }
    assert!(claims["sub"].as_str().is_some_and(|subject| !subject.is_empty()));
}
