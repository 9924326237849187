//! Lookups of objects that a new history of the registry overtakes: their answers are of a state that is no more.

use serde_json::{Value, json};

use crate::plane::{A, Answered, B, Got, Plane, json_answer};
use crate::registry::Registry;

#[test]
fn an_object_is_asked_for_again_when_a_new_history_overtakes_the_answer() {
    let registry = Registry::default();
    let made = Plane::new(&registry, &json!({}));
    made.post(A, "/openai/v1/responses", "{}", &json_answer(r#"{"id":"resp_1"}"#));
    let in_body = r#"{"previous_response_id":"resp_1"}"#;
    for (method, path, body) in
        [("POST", "/openai/v1/responses", in_body), ("GET", "/openai/v1/responses/resp_1", "")]
    {
        for (token, outcome) in [(A, "forward"), (B, "object_not_found")] {
            for (overtaken, outcome, calls) in
                [(0, outcome, 1), (1, outcome, 2), (2, outcome, 3), (3, "registry_unavailable", 3)]
            {
                let plane = Plane::new(&registry, &json!({}));
                registry.calls();
                registry.overtaken.set(overtaken);
                let slices: &[&[u8]] = &[body.as_bytes()];
                let got = plane.send(token, (method, path), ("application/json", slices), &json_answer("{}"));
                assert_eq!(got.reason(), outcome, "{method} {overtaken}");
                assert_eq!(registry.calls().iter().filter(|call| *call == "find").count(), calls);
            }
        }
    }
}

#[test]
fn a_list_is_looked_up_again_when_a_new_history_overtakes_the_answer() {
    let registry = Registry::default();
    let made = Plane::new(&registry, &json!({}));
    for id in ["f1", "f250"] {
        made.post(A, "/openai/v1/files", "{}", &json_answer(&json!({"id": id}).to_string()));
    }
    let elements: Vec<Value> = (0..300).map(|id| json!({"id": format!("f{id}")})).collect();
    let list = json!({"data": elements}).to_string();
    let (begin, end) = list.split_at(list.len() / 2);
    for (overtaken, shown) in [(0, "f1 f250"), (1, "f1 f250"), (2, "f1 f250"), (9, "")] {
        let plane = Plane::new(&registry, &json!({}));
        registry.overtaken.set(overtaken);
        for slices in [vec![list.as_str()], vec![begin, end]] {
            let answer = Answered(200, "application/json", slices);
            let Got::Answer(page) = plane.ask(A, ("GET", "/openai/v1/files"), &Value::Null, &answer) else {
                panic!("no page")
            };
            let page: Value = serde_json::from_str(&page).unwrap();
            let ids = page["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap());
            assert_eq!(ids.collect::<Vec<_>>().join(" "), shown, "{overtaken}");
        }
    }
}
