//! Policies that several keys must have signed: the signatures that count, and those that do not.

use keyswap_core::host::MemoryStore;
use keyswap_core::identity::jwt::{JwkSet, JwsSignatures, PureRust, Quorum};
use keyswap_core::services::{Agreed, BUNDLE_TYPE, MAX_BUNDLE_BYTES, SignedBundle};
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::worker::{Answer, at};
use crate::support::{Signer, b64u, with};

const OPENAI: &str = "/v1/chat/completions";

fn payload(revision: u64, provider: &str) -> String {
    json!({"name": "prod", "revision": revision, "policy": policy(&[provider])}).to_string()
}

fn header(signer: &Signer) -> Value {
    with(&signer.header(), &json!({"typ": BUNDLE_TYPE}))
}

/// Returns the compact JWS of a signer.
fn compact(signer: &Signer, payload: &str) -> String {
    signer.sign_raw(&header(signer).to_string(), payload)
}

/// Returns a member of `signatures`, taken from a compact JWS.
fn part(jws: &str) -> Value {
    let parts: Vec<&str> = jws.split('.').collect();
    json!({"protected": parts[0], "signature": parts[2]})
}

/// Returns the general form of a payload with these signatures.
fn general(payload: &str, parts: &[Value]) -> String {
    json!({"payload": b64u(payload), "signatures": parts}).to_string()
}

fn set(keys: &[&Signer]) -> JwkSet {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    JwkSet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn open(text: &str, signers: &Quorum) -> Result<Vec<String>, &'static str> {
    SignedBundle::open(text.as_bytes(), "prod", signers, &PureRust)
        .map(|bundle| bundle.signed_by)
        .map_err(|error| error.code())
}

#[test]
fn as_many_different_keys_as_required_have_signed_the_same_payload() {
    let [a, b, c] = [Signer::new(1, "a"), Signer::new(2, "b"), Signer::new(3, "c")];
    let (a_again, thief, thief_as_b) =
        (Signer::new(1, "a-again"), Signer::new(9, "thief"), Signer::new(9, "b"));
    let two = Quorum::new(set(&[&a, &b, &c, &a_again]), 2).unwrap();
    let text = payload(7, "openai");
    let of = |signer: &Signer| part(&compact(signer, &text));
    let old = part(&compact(&b, &payload(6, "openai")));
    let both = general(&text, &[of(&a), of(&b)]);
    let bad = json!({"protected": of(&b)["protected"], "signature": b64u([7; 64])});
    let spliced = json!({"protected": of(&a)["protected"], "signature": of(&b)["signature"]});
    let typ = |value: Value| part(&b.sign_raw(&with(&b.header(), &value).to_string(), &text));
    let edited = |from: &str, to: &str| both.replacen(from, to, 1);
    let long = general(&format!("{text}{}", " ".repeat(MAX_BUNDLE_BYTES)), &[of(&a), of(&b)]);
    for (what, text, expect) in [
        ("both", both.clone(), Ok(vec!["a", "b"])),
        ("both, and a line's end", format!("{both}\n"), Ok(vec!["a", "b"])),
        ("in the other order", general(&text, &[of(&b), of(&a)]), Ok(vec!["b", "a"])),
        ("all", general(&text, &[of(&a), of(&b), of(&c)]), Ok(vec!["a", "b", "c"])),
        ("a bad one beside", general(&text, &[of(&a), bad.clone(), of(&c)]), Ok(vec!["a", "c"])),
        ("a bad one, then the good one", general(&text, &[bad.clone(), of(&b), of(&a)]), Ok(vec!["b", "a"])),
        ("an unknown key beside", general(&text, &[of(&thief), of(&a), of(&b)]), Ok(vec!["a", "b"])),
        ("one, compact", compact(&a, &text), Err("missing_signatures")),
        ("the same twice", general(&text, &[of(&a), of(&a)]), Err("missing_signatures")),
        ("one key under two names", general(&text, &[of(&a), of(&a_again)]), Err("missing_signatures")),
        ("good and bad", general(&text, &[of(&a), bad.clone()]), Err("missing_signatures")),
        ("a name of another key", general(&text, &[of(&a), of(&thief_as_b)]), Err("missing_signatures")),
        ("an unknown key", general(&text, &[of(&a), of(&thief)]), Err("missing_signatures")),
        ("of an old revision", general(&text, &[of(&a), old]), Err("missing_signatures")),
        ("spliced", general(&text, &[of(&a), spliced]), Err("missing_signatures")),
        ("bad ones", general(&text, &[bad.clone(), bad.clone()]), Err("bad_signature")),
        ("unknown ones", general(&text, &[of(&thief), of(&thief)]), Err("bad_signature")),
        ("of another type", general(&text, &[of(&a), typ(json!({"typ": "JWT"}))]), Err("malformed")),
        ("of no type", general(&text, &[of(&a), typ(json!({}))]), Err("malformed")),
        (
            "critical",
            general(&text, &[of(&a), typ(json!({"typ": BUNDLE_TYPE, "crit": []}))]),
            Err("malformed"),
        ),
        ("too many", general(&text, &vec![of(&a); 9]), Err("malformed")),
        (
            "as many as can be",
            general(&text, &[vec![bad; 6], vec![of(&a), of(&b)]].concat()),
            Ok(vec!["a", "b"]),
        ),
        ("general with one", general(&text, &[of(&a)]), Err("malformed")),
        ("general with none", general(&text, &[]), Err("malformed")),
        (
            "an unprotected header",
            edited("{\"protected\"", "{\"header\":{\"kid\":\"b\"},\"protected\""),
            Err("malformed"),
        ),
        ("another member", edited("{\"payload\"", "{\"x\":1,\"payload\""), Err("malformed")),
        ("a payload twice", edited("{\"payload\"", "{\"payload\":\"e30\",\"payload\""), Err("malformed")),
        (
            "a signature twice",
            edited("{\"protected\"", "{\"protected\":\"e30\",\"protected\""),
            Err("malformed"),
        ),
        ("flattened", with(&of(&a), &json!({"payload": b64u(&text)})).to_string(), Err("malformed")),
        ("a dot in the payload", edited(&b64u(&text), &format!("e30.{}", b64u(&text))), Err("malformed")),
        ("no text", edited(&format!("\"{}\"", b64u(&text)), "7"), Err("malformed")),
        ("two documents", format!("{both}{both}"), Err("malformed")),
        ("too long", long, Err("malformed")),
    ] {
        let expect = expect.map(|kids| kids.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(open(&text, &two), expect, "{what}");
    }
    let one = Quorum::new(set(&[&a, &b]), 1).unwrap();
    assert_eq!(open(&both, &one).unwrap(), ["a", "b"]);
    assert_eq!(open(&compact(&a, &text), &one).unwrap(), ["a"]);
}

#[test]
fn no_more_signatures_can_be_required_than_there_are_different_keys() {
    let [a, b, again] = [Signer::new(1, "a"), Signer::new(2, "b"), Signer::new(1, "again")];
    let many: Vec<Signer> =
        (1..=20).map(|seed| Signer::new(seed, ["k", "l"][usize::from(seed % 2)])).collect();
    for (keys, most) in [
        (vec![&a], 1),
        (vec![&a, &b], 2),
        (vec![&a, &again], 1),
        (vec![&a, &b, &again], 2),
        (many.iter().collect(), 8),
    ] {
        assert_eq!(Quorum::most(&set(&keys)), most);
        let fits = |required| Quorum::new(set(&keys), required).is_some();
        assert_eq!([fits(0), fits(1), fits(most), fits(most + 1)], [false, true, true, false], "{most}");
    }
}

#[test]
fn signatures_are_gathered_for_one_payload_once_for_each_key() {
    let [a, b] = [Signer::new(1, "a"), Signer::new(2, "b")];
    let any = Quorum::new(set(&[&a, &b]), 1).unwrap();
    let verify = |text: &str| Agreed::verify(text.as_bytes(), BUNDLE_TYPE, &any, &PureRust).unwrap();
    let text = payload(7, "openai");
    let first = verify(&compact(&a, &text));
    let join = |text: &str| first.with(&verify(text), BUNDLE_TYPE, &any, &PureRust);
    let both = join(&compact(&b, &text)).unwrap();
    assert_eq!(both.signed_by, ["a", "b"]);
    assert_eq!(open(&both.jws.to_text(), &Quorum::new(set(&[&a, &b]), 2).unwrap()).unwrap(), ["a", "b"]);
    let again = join(&compact(&a, &text)).unwrap();
    assert_eq!((again.signed_by.len(), again.jws.to_text()), (1, compact(&a, &text)));
    assert!(join(&compact(&b, &payload(7, "anthropic"))).is_none());
    // Only signatures that count are kept.
    let thief = part(&compact(&Signer::new(9, "b"), &text));
    let mixed = verify(&general(&text, &[thief, part(&compact(&a, &text))]));
    assert_eq!(mixed.jws.to_text(), compact(&a, &text));
    for text in [both.jws.to_text(), compact(&a, &text)] {
        assert_eq!(JwsSignatures::parse(text.as_bytes(), MAX_BUNDLE_BYTES).unwrap().to_text(), text);
    }
}

#[test]
fn a_data_plane_and_each_of_its_workers_count_the_signatures() {
    let [a, b] = [Signer::new(1, "a"), Signer::new(2, "b")];
    let configuration = |required: u8| {
        json!({
            "version": "keyswap-bundle/v1", "url": "https://registry.example:7070", "credential": {"env": "REGISTRY"},
            "name": "prod", "keys": {"keys": [a.jwk(), b.jwk()]}, "required": required, "poll": "5s",
        })
    };
    let store = MemoryStore::default();
    let text = payload(7, "openai");
    let one = compact(&a, &text);
    let both = general(&text, &[part(&one), part(&compact(&b, &text))]);
    let plane = Plane::new(&configuration(2));
    let ask = |plane: &Plane, store: &MemoryStore, second, text: &str| {
        plane.ask(store, TOKEN, OPENAI, at(second), &|_| Answer(200, text.to_owned()))
    };
    assert_eq!(ask(&plane, &store, 0, &one), "policy_unavailable");
    assert!(plane.notes.borrow().iter().any(|note| note.contains("fewer keys")), "{:?}", plane.notes);
    assert_eq!(ask(&plane, &store, 9, &both), "forward to api.openai.com");
    // One of the signers changes nothing.
    let theirs = compact(&a, &payload(8, "anthropic"));
    for second in 10..30 {
        plane.work(&store, at(second), &|_| Answer(200, theirs.clone()));
    }
    assert_eq!(ask(&plane, &store, 30, &theirs), "forward to api.openai.com");
    // A policy in shared memory counts for a worker by its signatures.
    let shared = MemoryStore::default();
    assert_eq!(ask(&Plane::new(&configuration(1)), &shared, 0, &one), "forward to api.openai.com");
    assert_eq!(ask(&Plane::new(&configuration(2)), &shared, 1, &one), "policy_unavailable");
}
