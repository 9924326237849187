//! Lists of objects, as a caller sees them.

use serde_json::{Value, json};

use crate::plane::{A, Got, Plane, json_answer};
use crate::registry::Registry;

#[test]
fn a_page_shows_no_id_at_its_edges_that_it_does_not_show() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for id in ["b", "d"] {
        plane.post(A, "/openai/v1/files", "{}", &json_answer(&format!(r#"{{"id":"{id}"}}"#)));
    }
    for (page, expect) in [
        (
            r#"{"data":[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d"},{"id":"e"}],"first_id":"a","last_id":"e","has_more":true}"#,
            r#"{"data":[{"id":"b"},{"id":"d"}],"first_id":"b","last_id":"d","has_more":true}"#,
        ),
        (
            r#"{"data":[{"id":"a"}], "first_id": "a", "last_id": "a" ,"has_more":false}"#,
            r#"{"data":[], "first_id": null, "last_id": null ,"has_more":false}"#,
        ),
        (
            r#"{"last_id":7,"first_id":"a","data":[{"id":"b"}]}"#,
            r#"{"last_id":null,"first_id":null,"data":[{"id":"b"}]}"#,
        ),
        (r#"{"last_id":null,"first_id":"b","data":[]}"#, r#"{"last_id":null,"first_id":"b","data":[]}"#),
    ] {
        let got = plane.ask(A, ("GET", "/openai/v1/files"), &Value::Null, &json_answer(page));
        assert_eq!(got, Got::Answer(expect.to_owned()), "{page}");
    }
    // What may hold objects in another place does not pass.
    for page in
        [r#"{"items":[{"id":"a"}]}"#, r#"[{"id":"a"}]"#, r#"{"result":{"data":[{"id":"a"}]}}"#, "x", "{"]
    {
        let got = plane.ask(A, ("GET", "/openai/v1/files"), &Value::Null, &json_answer(page));
        assert_eq!(got, Got::CutOff, "{page}");
    }
    let models = r#"{"data":[{"id":"gpt-5"},{"id":"ft:gpt-5:o::1"}]}"#;
    let got = plane.ask(A, ("GET", "/openai/v1/models"), &Value::Null, &json_answer(models));
    assert_eq!(got, Got::Answer(r#"{"data":[{"id":"gpt-5"}]}"#.to_owned()));
}

#[test]
fn a_long_list_asks_in_calls_of_what_the_registry_takes_and_shows_nothing_it_cannot_ask_for() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"f450"}"#));
    let elements: Vec<Value> = (0..500).map(|id| json!({"id": format!("f{id}")})).collect();
    let list = json!({"data": elements}).to_string();
    let own = Got::Answer(r#"{"data":[{"id":"f450"}]}"#.to_owned());
    registry.calls();
    assert_eq!(plane.ask(A, ("GET", "/openai/v1/files"), &Value::Null, &json_answer(&list)), own);
    assert_eq!(registry.calls(), ["find", "find", "find"]);
    registry.is_down.set(true);
    assert_eq!(plane.ask(A, ("GET", "/openai/v1/files"), &Value::Null, &json_answer(&list)), own);
}

#[test]
fn a_request_that_neither_names_nor_makes_an_object_asks_nothing() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for path in ["/openai/v1/chat/completions", "/openai/v1/embeddings", "/anthropic/v1/messages"] {
        plane.post(A, path, r#"{"model":"m","messages":[]}"#, &json_answer(r#"{"id":"x"}"#));
    }
    assert!(registry.calls().is_empty());
}
