//! Lists of objects, as a caller sees them.

use keyswap_core::judge::AnswerFields;
use serde_json::{Value, json};

use crate::plane::{A, Answered, Got, Plane, json_answer};
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

#[test]
fn an_answer_that_waits_for_a_call_is_held_up_to_a_size_and_then_cut_off() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (path, begin) in [
        ("/openai/v1/files", r#"{"data":[{"id":"a"},{"id":"b","x":""#),
        ("/openai/v1/responses/own", r#"{"output":[{"id":"rs_1"}]}"#),
    ] {
        plane.post(A, "/openai/v1/responses", "{}", &json_answer(r#"{"id":"own"}"#));
        let mut exchange = plane.exchange(A, path, &[]);
        let fields = [(&b"content-type"[..], &b"application/json"[..])];
        exchange.begin_answer(&AnswerFields { status: 200, fields: &fields });
        let first = exchange.answer_body(begin.as_bytes(), false, plane.now.get(), &plane.store).unwrap();
        assert!(first.waits && first.fetch.is_some(), "{path}");
        let mut held = begin.len();
        let filler = if path.ends_with("files") { b"x" } else { b" " }.repeat(64 * 1024);
        let cut_off = loop {
            match exchange.answer_body(&filler, false, plane.now.get(), &plane.store) {
                Ok(slice) => assert!(slice.waits && slice.bytes.is_none(), "{path}: nothing goes on"),
                Err(_) => break held,
            }
            held += filler.len();
        };
        assert!((4_000_000..4_300_000).contains(&cut_off), "{path}: {cut_off}");
    }
}

/// Returns a page of elements with these ids.
fn page(ids: &[&str], has_more: bool) -> Value {
    let elements: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    let edge = |id: Option<&&str>| id.map_or(Value::Null, |id| json!(id));
    json!({"data": elements, "first_id": edge(ids.first()), "last_id": edge(ids.last()), "has_more": has_more})
}

#[test]
fn upstream_is_asked_for_a_greater_page_and_the_caller_sees_as_much_as_it_asked_for() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for id in ["b", "d", "e"] {
        for path in ["/openai/v1/batches", "/openai/v1/files", "/anthropic/v1/files"] {
            plane.post(A, path, "{}", &json_answer(&json!({"id": id}).to_string()));
        }
    }
    let all = ["a", "b", "c", "d", "e", "f"];
    let whole = page(&["b", "d", "e"], false);
    for (path, asked, expect) in [
        ("/openai/v1/batches", "?limit=100", &whole),
        ("/openai/v1/batches?limit=2", "?limit=100", &page(&["b", "d"], true)),
        ("/openai/v1/batches?limit=1&after=d", "?after=d&limit=100", &page(&["b"], true)),
        ("/openai/v1/batches?after=d&l%69mit=1", "?after=d&limit=100", &page(&["b"], true)),
        ("/openai/v1/batches?limit=3", "?limit=100", &whole),
        ("/openai/v1/batches?limit=100", "?limit=100", &whole),
        ("/openai/v1/batches?limit=0", "?limit=0", &whole),
        ("/openai/v1/batches?limit=x", "?limit=x", &whole),
        ("/openai/v1/batches?limit=1&limit=2", "?limit=1&limit=2", &whole),
        ("/openai/v1/batches?limit=1&before=d", "?limit=1&before=d", &whole),
        ("/openai/v1/files", "", &whole),
        ("/openai/v1/files?limit=2", "?limit=100", &page(&["b", "d"], true)),
        ("/anthropic/v1/files?limit=2", "?limit=100", &page(&["b", "d"], true)),
    ] {
        let answer = page(&all, false).to_string();
        let (begin, rest) = answer.split_at(answer.len() / 2);
        let sliced = Answered(200, "application/json", vec![begin, rest]);
        let got = plane.ask(A, ("GET", path), &Value::Null, &sliced);
        assert_eq!(got, Got::Answer(expect.to_string()), "{path}");
        assert_eq!(
            plane.target(A, path).split_once('?').map_or("", |(_, query)| query),
            asked.trim_start_matches('?')
        );
    }
    for (path, asked) in [
        ("/google-ai-studio/v1beta/files", "pageSize=100"),
        ("/google-ai-studio/v1beta/files?pageToken=t", "pageToken=t&pageSize=100"),
        ("/google-ai-studio/v1beta/cachedContents", "pageSize=100"),
        ("/google-ai-studio/v1beta/fileSearchStores", "pageSize=20"),
        // A size that the caller says is kept: of a greater page nothing may be left out.
        ("/google-ai-studio/v1beta/files?pageSize=5", "pageSize=5"),
        ("/google-ai-studio/v1beta/files?page%5fsize=5", "page%5fsize=5"),
        ("/google-ai-studio/v1beta/batches", ""),
        ("/google-ai-studio/v1beta/openai/files", ""),
    ] {
        assert_eq!(plane.target(A, path).split_once('?').map_or("", |(_, query)| query), asked, "{path}");
    }
    // Where the end of the page comes first, all of the caller's elements follow.
    let other = r#"{"has_more":false,"data":[{"id":"b"},{"id":"d"}]}"#;
    let got = plane.ask(A, ("GET", "/openai/v1/batches?limit=1"), &Value::Null, &json_answer(other));
    assert_eq!(got, Got::Answer(other.to_owned()));
    let shared = Plane::new(&registry, &json!({"objects": "shared"}));
    assert!(shared.target(A, "/openai/v1/batches?limit=2").ends_with("?limit=2"));
}

/// Pages like the SDKs of OpenAI and Anthropic: on from the last element, until a page has none or is the last.
#[test]
fn a_caller_that_pages_finds_all_of_its_own_as_far_as_its_pages_have_any() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let ids: Vec<String> = (0..350).map(|id| format!("batch_{id:03}")).collect();
    let own: Vec<&str> = ids.iter().step_by(37).map(String::as_str).collect();
    for id in &own {
        plane.post(A, "/openai/v1/batches", "{}", &json_answer(&json!({"id": id}).to_string()));
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/openai/v1/batches?limit=2{after}");
        let asked = plane.target(A, &path);
        let from = asked.split("after=").nth(1).map_or(0, |id| {
            let id = id.split('&').next().unwrap();
            ids.iter().position(|own| own == id).unwrap() + 1
        });
        let shown: Vec<&str> = ids[from..].iter().take(100).map(String::as_str).collect();
        let answer = page(&shown, from + 100 < ids.len()).to_string();
        let Got::Answer(got) = plane.ask(A, ("GET", &path), &Value::Null, &json_answer(&answer)) else {
            panic!("{path}")
        };
        let got: Value = serde_json::from_str(&got).unwrap();
        let got_ids: Vec<String> =
            got["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        assert!(got_ids.len() <= 2);
        assert_eq!(got["last_id"], json!(got_ids.last()));
        let Some(last) = got_ids.last() else { break };
        after = format!("&after={last}");
        seen.extend(got_ids);
        if got["has_more"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, own);
}
