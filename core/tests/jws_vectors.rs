//! Signature vectors written by others, each judged as its authors say, or refused for a reason that stands here.
//!
//! The verdict on the signature is compared: the payloads are no claims.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _, Encoder as _};
use keyswap_core::identity::jwt::{
    Algorithm, JwkError, JwkSet, JwsError, NoKey, PureRust, SignatureCheck, SignatureVerifier, UnverifiedJws,
    VerifierUnavailable,
};
use serde_json::{Value, json};

const WYCHEPROOF: &str = include_str!("../../tests/vectors/wycheproof/json_web_signature_test.json");
const RFC_7515: &str = include_str!("../../tests/vectors/rfc7515/appendix_a.json");
const OPENSSL: &str = include_str!("../../tests/vectors/openssl/signatures.json");
const RFC_7520: [(&str, &str); 11] = [
    ("4.1", include_str!("../../tests/vectors/rfc7520/jws/4_1.rsa_v15_signature.json")),
    ("4.2", include_str!("../../tests/vectors/rfc7520/jws/4_2.rsa-pss_signature.json")),
    ("4.3", include_str!("../../tests/vectors/rfc7520/jws/4_3.ecdsa_signature.json")),
    ("4.4", include_str!("../../tests/vectors/rfc7520/jws/4_4.hmac-sha2_integrity_protection.json")),
    ("4.5", include_str!("../../tests/vectors/rfc7520/jws/4_5.signature_with_detached_content.json")),
    ("4.6", include_str!("../../tests/vectors/rfc7520/jws/4_6.protecting_specific_header_fields.json")),
    ("4.7", include_str!("../../tests/vectors/rfc7520/jws/4_7.protecting_content_only.json")),
    ("4.8", include_str!("../../tests/vectors/rfc7520/jws/4_8.multiple_signatures.json")),
    ("RFC 7797", include_str!("../../tests/vectors/rfc7520/rfc7797/hmac-sha2_b64_false.json")),
    ("RFC 7797 4.2", include_str!("../../tests/vectors/rfc7520/rfc7797/4.2.hmac-sha2_b64_false.json")),
    ("RFC 8037", include_str!("../../tests/vectors/rfc7520/curve25519/jws.json")),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Invalid,
    Jws(JwsError),
    NoKey(NoKey),
}

fn judge(key: &Value, token: &str) -> Verdict {
    judge_with(key, token, &PureRust)
}

fn judge_with(key: &Value, token: &str, verifier: &dyn SignatureVerifier) -> Verdict {
    let keys = JwkSet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
    let jws = match UnverifiedJws::parse(token.as_bytes()) {
        Ok(jws) => jws,
        Err(fault) => return Verdict::Jws(fault),
    };
    match keys.select(&jws) {
        Ok(key) if jws.signature_holds(key, verifier).unwrap() => Verdict::Valid,
        Ok(_) => Verdict::Invalid,
        Err(fault) => Verdict::NoKey(fault),
    }
}

/// Returns a token as a client would send it; a JSON serialization is sent as its text.
fn text(token: &Value) -> String {
    token.as_str().map_or_else(|| token.to_string(), str::to_owned)
}

/// Returns the verdict where Wycheproof says *valid* and the policy is stricter.
fn stricter(case: u64) -> Option<Verdict> {
    match case {
        // Symmetric: HS256.
        1 | 348 | 352 | 357..=359 | 373 | 376 | 377
        // PS384 (346 and 350 say so in the token), PS512, ES512: algorithms that no policy can allow.
        | 321..=323 | 326..=328 | 346 | 347 | 350 | 351 => Some(Verdict::Jws(JwsError::Algorithm)),
        // Symmetric, with a character in the header that is not base64url.
        372 => Some(Verdict::Jws(JwsError::Encoding)),
        // An empty payload holds no claims.
        259 | 264 | 268 | 272 | 320 | 325 => Some(Verdict::Jws(JwsError::Form)),
        _ => None,
    }
}

#[test]
fn wycheproof_is_judged_as_its_authors_say_or_more_strictly_for_a_listed_reason() {
    let vectors: Value = serde_json::from_str(WYCHEPROOF).unwrap();
    let mut counts = BTreeMap::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let key = group.get("public").or_else(|| group.get("private")).unwrap();
        for case in group["tests"].as_array().unwrap() {
            let id = case["tcId"].as_u64().unwrap();
            let verdict = judge(key, &text(&case["jws"]));
            let authors = case["result"].as_str().unwrap();
            *counts.entry((authors.to_owned(), verdict == Verdict::Valid)).or_insert(0) += 1;
            match (authors, stricter(id)) {
                ("valid", None) => assert_eq!(verdict, Verdict::Valid, "{id}"),
                ("valid", Some(refusal)) => assert_eq!(verdict, refusal, "{id}"),
                ("invalid", None) => assert_ne!(verdict, Verdict::Valid, "{id}"),
                other => panic!("{id}: {other:?}"),
            }
        }
    }
    let count = |authors: &str, accepted| counts.get(&(authors.to_owned(), accepted)).copied().unwrap_or(0);
    assert_eq!((count("valid", true), count("valid", false)), (20, 26));
    assert_eq!((count("invalid", true), count("invalid", false)), (0, 355));
}

#[test]
fn rfc_7515_appendix_a() {
    let vectors: Value = serde_json::from_str(RFC_7515).unwrap();
    let verdicts: Vec<(&str, Verdict)> = vectors["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            (case["name"].as_str().unwrap().get(..3).unwrap(), judge(&case["jwk"], &text(&case["jws"])))
        })
        .collect();
    let expect = [
        // Symmetric.
        ("A.1", Verdict::Jws(JwsError::Algorithm)),
        ("A.2", Verdict::Valid),
        // The same with loose bits at the end.
        ("A.2", Verdict::Jws(JwsError::Encoding)),
        ("A.3", Verdict::Valid),
        // ES512 is no algorithm that a policy can allow.
        ("A.4", Verdict::Jws(JwsError::Algorithm)),
        // `none`, with an empty signature.
        ("A.5", Verdict::Jws(JwsError::Form)),
    ];
    assert_eq!(verdicts, expect);
}

#[test]
fn rfc_7520_7797_and_8037_in_every_serialization() {
    let compact = |name| match name {
        "4.1" | "RFC 8037" => Verdict::Valid,
        // PS384, ES512, HS256.
        "4.2" | "4.3" | "4.4" => Verdict::Jws(JwsError::Algorithm),
        // A payload that is sent elsewhere.
        "4.5" => Verdict::Jws(JwsError::Form),
        // `b64` is false.
        "RFC 7797" => Verdict::Jws(JwsError::Extension),
        other => panic!("{other} has no compact form"),
    };
    for (name, document) in RFC_7520 {
        let vector: Value = serde_json::from_str(document).unwrap();
        // Vectors come with the signer's key.
        let mut key = match &vector["input"]["key"] {
            Value::Array(keys) => keys[0].clone(),
            key => key.clone(),
        };
        for private in ["d", "p", "q", "dp", "dq", "qi"] {
            key.as_object_mut().unwrap().remove(private);
        }
        for (form, token) in vector["output"].as_object().unwrap() {
            let verdict = judge(&key, &text(token));
            match (form.as_str(), verdict) {
                ("compact", verdict) => assert_eq!(verdict, compact(name), "{name}"),
                ("json" | "json_flat", Verdict::Jws(_)) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

/// A verifier that notes what a native one would be handed, and lets the pure one answer.
#[derive(Default)]
struct Recorder(RefCell<Option<Handed>>);

#[derive(Debug, PartialEq)]
struct Handed {
    public_key: Vec<u8>,
    signature: Vec<u8>,
    hash: &'static str,
}

impl SignatureVerifier for Recorder {
    fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        let native = check.native().map(|native| Handed {
            public_key: native.public_key.to_vec(),
            signature: native.signature.into_owned(),
            hash: native.hash,
        });
        self.0.replace(native);
        PureRust.verify(check)
    }
}

#[test]
fn openssl_and_we_agree_on_signatures_and_on_the_der_of_keys_and_of_ecdsa_signatures() {
    let vectors: Value = serde_json::from_str(OPENSSL).unwrap();
    let mut algorithms = Vec::new();
    for case in vectors["cases"].as_array().unwrap() {
        let algorithm = case["alg"].as_str().unwrap();
        let recorder = Recorder::default();
        assert_eq!(judge_with(&case["jwk"], &text(&case["jws"]), &recorder), Verdict::Valid, "{algorithm}");
        let of_openssl = |name: &str| hex::decode(case[name].as_str().unwrap()).unwrap();
        let hash = match algorithm {
            "RS256" | "ES256" => "sha256",
            "RS384" | "ES384" => "sha384",
            "RS512" => "sha512",
            _ => "",
        };
        match recorder.0.into_inner() {
            Some(handed) => {
                let (public_key, signature) = (of_openssl("spki"), of_openssl("signature"));
                assert_eq!(handed, Handed { public_key, signature, hash });
            }
            None => assert!(matches!(algorithm, "PS256" | "EdDSA"), "{algorithm}"),
        }
        algorithms.push(algorithm);
    }
    algorithms.dedup();
    assert_eq!(algorithms, Algorithm::ALL.map(Algorithm::name));
}

/// A verifier that fails when it is asked.
struct NeverAsked;

impl SignatureVerifier for NeverAsked {
    fn verify(&self, _: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        Err(VerifierUnavailable)
    }
}

#[test]
fn a_signature_of_another_length_is_refused_before_any_verifier_is_asked() {
    let vectors: Value = serde_json::from_str(OPENSSL).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let token = text(&case["jws"]);
        let (text, signature) = token.rsplit_once('.').unwrap();
        let signature = Base64UrlSafeNoPadding::decode_to_vec(signature, None).unwrap();
        for other in
            [[&[0], &signature[..]].concat(), [&signature[..], &[0]].concat(), signature[1..].to_vec()]
        {
            let token = format!("{text}.{}", Base64UrlSafeNoPadding::encode_to_string(other).unwrap());
            assert_eq!(judge_with(&case["jwk"], &token, &NeverAsked), Verdict::Invalid, "{}", case["alg"]);
        }
    }
}

#[test]
fn a_key_that_names_its_algorithm_is_for_no_other() {
    let vectors: Value = serde_json::from_str(OPENSSL).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let (own, token) = (case["alg"].as_str().unwrap(), text(&case["jws"]));
        for algorithm in Algorithm::ALL {
            let mut key = case["jwk"].clone();
            key["alg"] = algorithm.name().into();
            let verdict = judge(&key, &token);
            let expect = match (own, algorithm.name()) {
                (own, other) if own == other => Verdict::Valid,
                // RSA keys are for four algorithms, so this is a key, but not for this token.
                ("RS256" | "RS384" | "RS512" | "PS256", "RS256" | "RS384" | "RS512" | "PS256") => {
                    Verdict::NoKey(NoKey::Algorithm)
                }
                // No such key: it was dropped.
                _ => Verdict::NoKey(NoKey::Unknown),
            };
            assert_eq!(verdict, expect, "{own} {algorithm:?}");
        }
    }
}

#[test]
fn one_bit_flipped_anywhere_and_the_signature_does_not_hold() {
    let vectors: Value = serde_json::from_str(OPENSSL).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let token = text(&case["jws"]);
        for at in (0..token.len()).step_by(23) {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_ne!(judge(&case["jwk"], &changed), Verdict::Valid, "{} at {at}", case["alg"]);
        }
    }
}

#[test]
fn each_error_of_a_token_and_of_a_key_has_words_of_its_own() {
    let of_tokens = [
        JwsError::TooLong,
        JwsError::Form,
        JwsError::Encoding,
        JwsError::Header,
        JwsError::Algorithm,
        JwsError::KeyId,
        JwsError::Type,
        JwsError::Extension,
    ];
    let of_keys = [
        JwkError::Type,
        JwkError::KeyId,
        JwkError::Use,
        JwkError::Algorithm,
        JwkError::Private,
        JwkError::Encoding,
        JwkError::Unsafe,
    ];
    let words = of_tokens.iter().map(ToString::to_string).chain(of_keys.iter().map(ToString::to_string));
    let words: BTreeSet<String> = words.collect();
    assert_eq!(words.len(), of_tokens.len() + of_keys.len());
    assert!(words.iter().all(|words| words.len() > 20), "{words:?}");
}
