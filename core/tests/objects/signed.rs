//! Holders that the registry signs, where a policy pins its keys.

use keyswap_core::base::Digest;
use keyswap_core::services::objects_name;
use serde_json::{Value, json};

use crate::plane::{A, B, Got, Plane, json_answer};
use crate::registry::{Form, Registry};
use crate::support::Signer;
use crate::support::worker::at;

const HEADER: &str = r#"{"alg":"ES256","kid":"r","typ":"keyswap-record+jws"}"#;

fn signed(name: &str, issued_at: i64, answer: &Value) -> String {
    let payload = json!({"sub": name, "iat": issued_at, "exp": issued_at + 15, "record": answer});
    Signer::new(1, "r").sign_raw(HEADER, payload.to_string())
}

fn pinned() -> Value {
    let keys = json!({"keys": [Signer::new(1, "r").jwk()]});
    json!({"registry": {"url": "https://r.example", "credential": {"env": "R"}, "keys": keys}})
}

/// Returns what the registry signs at a second of the tests' clock.
fn honest(second: i64) -> Form {
    Box::new(move |asked, answer| signed(&objects_name(asked), at(second).unix().0, &answer))
}

fn make(plane: &Plane<'_>) -> Got {
    plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#))
}

#[test]
fn what_the_registry_signed_about_these_objects_counts() {
    for second in [-10, 0, 10] {
        let registry = Registry::default();
        *registry.form.borrow_mut() = Some(honest(second));
        let [first, second] = [(); 2].map(|()| Plane::new(&registry, &pinned()));
        assert_eq!(make(&first).reason(), "forward");
        for plane in [&first, &second] {
            assert_eq!(plane.get(A, "/openai/v1/files/file-1").reason(), "forward");
            assert_eq!(plane.get(B, "/openai/v1/files/file-1").reason(), "object_not_found");
            assert_eq!(plane.get(A, "/openai/v1/files/never-was").reason(), "object_not_found");
            let body = r#"{"input_file_id":"file-1"}"#;
            for (token, reason) in [(A, "forward"), (B, "object_not_found")] {
                let got = plane.post(token, "/openai/v1/batches", body, &json_answer("{}"));
                assert_eq!(got.reason(), reason);
            }
            let list = json_answer(r#"{"data":[{"id":"file-1"},{"id":"file-2"}]}"#);
            let got = plane.ask(A, ("GET", "/openai/v1/files"), &Value::Null, &list);
            assert_eq!(got, Got::Answer(r#"{"data":[{"id":"file-1"}]}"#.to_owned()));
        }
    }
}

#[test]
fn whatever_else_comes_gives_no_object_to_any_caller() {
    let of_b = |asked: &[Digest]| {
        let holder = Digest::of(B.as_bytes()).to_hex();
        let held = asked.iter().map(|it| json!({"sha256": it.to_hex(), "principal": holder, "version": 9}));
        json!({"objects": held.collect::<Vec<_>>()})
    };
    let now = at(0).unix().0;
    let lies: Vec<(&str, Form)> = vec![
        ("no signature", Box::new(move |asked, _| of_b(asked).to_string())),
        ("the honest answer without a signature", Box::new(|_, answer| answer.to_string())),
        (
            "the key of another",
            Box::new(move |asked, _| {
                let payload =
                    json!({"sub": objects_name(asked), "iat": now, "exp": now + 15, "record": of_b(asked)});
                Signer::new(2, "r").sign_raw(HEADER, payload.to_string())
            }),
        ),
        ("an answer about no objects", Box::new(move |_, answer| signed(&objects_name(&[]), now, &answer))),
        (
            "an answer about more objects",
            Box::new(move |asked, answer| {
                signed(&objects_name(&[asked, &[Digest::of(b"x")]].concat()), now, &answer)
            }),
        ),
        (
            "an answer about a token",
            Box::new(move |asked, answer| signed(&format!("token:{}", asked[0].to_hex()), now, &answer)),
        ),
        ("an old answer", Box::new(move |asked, answer| signed(&objects_name(asked), now - 31, &answer))),
        ("no list", Box::new(move |asked, _| signed(&objects_name(asked), now, &Value::Null))),
    ];
    for (what, lie) in lies {
        let registry = Registry::default();
        *registry.form.borrow_mut() = Some(honest(0));
        make(&Plane::new(&registry, &pinned()));
        let plane = Plane::new(&registry, &pinned());
        *registry.form.borrow_mut() = Some(lie);
        for token in [A, B] {
            let got = plane.get(token, "/openai/v1/files/file-1");
            assert_eq!(got.reason(), "registry_unavailable", "{what}");
            let body = r#"{"input_file_id":"file-1"}"#;
            let got = plane.post(token, "/openai/v1/batches", body, &json_answer("{}"));
            assert_eq!(got.reason(), "registry_unavailable", "{what}");
            let list = json_answer(r#"{"data":[{"id":"file-1"}]}"#);
            let got = plane.ask(token, ("GET", "/openai/v1/files"), &Value::Null, &list);
            assert_eq!(got, Got::Answer(r#"{"data":[]}"#.to_owned()), "{what}");
        }
        let fresh = Plane::new(&registry, &pinned());
        let got = fresh.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-2"}"#));
        assert_eq!(got, Got::CutOff, "{what}: a claim");
    }
}

#[test]
fn a_holder_is_believed_for_no_longer_than_from_its_issue() {
    let registry = Registry::default();
    *registry.form.borrow_mut() = Some(honest(0));
    make(&Plane::new(&registry, &pinned()));
    let plane = Plane::new(&registry, &pinned());
    plane.now.set(at(20));
    assert_eq!(plane.get(A, "/openai/v1/files/file-1").reason(), "forward");
    registry.is_down.set(true);
    for (second, reason) in [(59, "forward"), (61, "registry_unavailable")] {
        plane.now.set(at(second));
        assert_eq!(plane.get(A, "/openai/v1/files/file-1").reason(), reason, "{second}");
    }
}
