//! Files of batches: the requests in them name objects like requests of their own.

use serde_json::{Value, json};

use crate::plane::{A, Answered, B, Got, Plane, json_answer};
use crate::registry::Registry;

const FORM: (&str, &str) = ("multipart/form-data; boundary=b", "/openai/v1/files");

fn part(field: &str, content: &str) -> String {
    let file = if field == "file" { "; filename=\"f.jsonl\"\r\nContent-Type: application/jsonl" } else { "" };
    format!("--b\r\nContent-Disposition: form-data; name=\"{field}\"{file}\r\n\r\n{content}\r\n")
}

fn line(body: &Value) -> String {
    json!({"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": body}).to_string()
}

/// Uploads a form, byte by byte and whole.
fn upload(plane: &Plane<'_>, token: &str, parts: &[String]) -> String {
    let form = format!("{}--b--\r\n", parts.concat());
    let bytes: Vec<&[u8]> = form.as_bytes().chunks(1).collect();
    let answer = json_answer("{}");
    let got = plane.send(token, ("POST", FORM.1), (FORM.0, &[form.as_bytes()]), &answer);
    let by_bytes = plane.send(token, ("POST", FORM.1), (FORM.0, &bytes), &answer);
    assert_eq!(got.reason(), by_bytes.reason(), "{form}");
    got.reason().to_owned()
}

#[test]
fn the_requests_in_the_file_of_a_batch_name_only_objects_of_its_caller() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    plane.post(A, "/openai/v1/responses", "{}", &json_answer(r#"{"id":"resp_1","output":[{"id":"rs_1"}]}"#));
    plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#));
    let plain = line(&json!({"model": "m", "input": "previous_response_id"}));
    for body in [
        json!({"previous_response_id": "resp_1"}),
        json!({"input": [{"type": "item_reference", "id": "rs_1"}]}),
        json!({"input": [{"content": [{"type": "input_file", "file_id": "file-1"}]}]}),
        json!({"messages": [{"content": [{"file": {"file_id": "file-1"}}]}]}),
        json!({"model": "ft:m:o::1"}),
    ] {
        let is_own = body.get("model").is_none();
        let bad = line(&body);
        for lines in [
            format!("{plain}\n{bad}\n{plain}\n"),
            format!("{bad}\r\n\r\n{plain}"),
            format!("{plain}\n \t\n{bad}"),
            format!("{plain}\n\r\n  {bad}"),
        ] {
            let (file, purpose) = (part("file", &lines), part("purpose", "batch"));
            for form in [[file.clone(), purpose.clone()], [purpose.clone(), file.clone()]] {
                let own = if is_own { "forward" } else { "object_not_found" };
                assert_eq!(upload(&plane, A, &form), own, "{form:?}");
                assert_eq!(upload(&plane, B, &form), "object_not_found", "{form:?}");
            }
            for form in
                [[file.clone(), part("purpose", "user_data")], [part("purpose", "evals"), file.clone()]]
            {
                assert_eq!(upload(&plane, B, &form), "forward", "it is no batch: {form:?}");
            }
        }
    }
}

#[test]
fn a_file_of_a_batch_that_can_be_read_otherwise_is_refused() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let good = line(&json!({"model": "m"}));
    let (batch, file) = (part("purpose", "batch"), |content: &str| part("file", content));
    let many: Vec<String> = (0..501).map(|id| line(&json!({"file_id": format!("f{id}")}))).collect();
    for (form, reason) in [
        (vec![batch.clone(), file(&good)], "forward"),
        (vec![batch.clone(), file("")], "forward"),
        (vec![batch.clone(), file("no JSON")], "body_invalid"),
        (vec![batch.clone(), file(&format!("{good}{good}"))], "body_invalid"),
        (vec![batch.clone(), file(&good[..good.len() - 1])], "body_invalid"),
        (vec![batch.clone(), file(&format!("\u{feff}{good}"))], "body_invalid"),
        (vec![file("no JSON"), batch.clone()], "body_invalid"),
        (vec![file("no JSON"), part("purpose", "assistants")], "forward"),
        (vec![file("no JSON")], "forward"),
        (vec![part("purpose", "BATCH"), file("no JSON")], "body_invalid"),
        (vec![part("purpose", "evals"), batch.clone(), file(&good)], "body_invalid"),
        (vec![part("purpose[]", "batch"), file("no JSON")], "body_invalid"),
        (vec![batch.clone(), part("File", "no JSON")], "body_invalid"),
    ] {
        assert_eq!(upload(&plane, B, &form), reason, "{form:?}");
    }
    let form = [&*batch, &file(&many.join("\n")), "--b--\r\n"].concat();
    let got = plane.send(B, ("POST", FORM.1), (FORM.0, &[form.as_bytes()]), &json_answer("{}"));
    assert_eq!(got.reason(), "body_invalid", "it names too many objects");
}

#[test]
fn a_batch_of_requests_that_nothing_has_judged_is_refused() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let gemini = "/google-ai-studio/v1beta";
    let made = json_answer(r#"{"file":{"name":"files/f"}}"#);
    let upload = ("POST", "/google-ai-studio/upload/v1beta/files");
    plane.send(A, upload, ("application/pdf", &[b"%PDF"]), &made);
    plane.post(
        A,
        "/google-ai-studio/v1beta/fileSearchStores",
        "{}",
        &json_answer(r#"{"name":"fileSearchStores/s"}"#),
    );
    for (path, body, reason) in [
        ("/openai/v1/uploads".to_owned(), r#"{"purpose":"batch","bytes":1}"#, "objects_unkept"),
        ("/openai/v1/uploads".to_owned(), r#"{"purpose":"user_data","bytes":1}"#, "forward"),
        (
            "/openai/v1/vector_stores".to_owned(),
            r#"{"metadata":{},"attributes":{"purpose":"batch"}}"#,
            "forward",
        ),
        (
            format!("{gemini}/models/m:batchGenerateContent"),
            r#"{"batch":{"inputConfig":{"fileName":"files/f"}}}"#,
            "objects_unkept",
        ),
        (
            format!("{gemini}/models/m:batchGenerateContent"),
            r#"{"batch":{"input_config":{"file_name":"files/f"}}}"#,
            "objects_unkept",
        ),
        (
            format!("{gemini}/models/m:batchGenerateContent"),
            r#"{"batch":{"inputConfig":{"requests":{"requests":[]}}}}"#,
            "forward",
        ),
        (format!("{gemini}/openai/batches"), r#"{"input_file_id":"files/f"}"#, "objects_unkept"),
        (format!("{gemini}/fileSearchStores/s:importFile"), r#"{"fileName":"files/f"}"#, "forward"),
    ] {
        let got = plane.post(A, &path, body, &Answered(200, "application/json", vec!["{}"]));
        assert_eq!(got.reason(), reason, "{path} {body}");
    }
}

#[test]
fn a_batch_that_has_its_requests_in_its_body_is_judged_by_them() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for path in ["/openai/v1/files", "/anthropic/v1/files"] {
        plane.post(A, path, "{}", &json_answer(r#"{"id":"file-1"}"#));
    }
    plane.post(A, "/anthropic/v1/skills", "{}", &json_answer(r#"{"id":"skill_1"}"#));
    for params in [
        json!({"messages": [{"content": [{"source": {"file_id": "file-1"}}]}]}),
        json!({"messages": [{"content": [{"type": "container_upload", "file_id": "file-1"}]}]}),
        json!({"container": {"skills": [{"type": "custom", "skill_id": "skill_1"}]}, "messages": []}),
    ] {
        let requests = json!({"requests": [{"custom_id": "0", "params": {"messages": []}}, {"custom_id": "1", "params": params}]});
        for (token, reason) in [(A, "forward"), (B, "object_not_found")] {
            let got = plane.post(
                token,
                "/anthropic/v1/messages/batches",
                &requests.to_string(),
                &json_answer("{}"),
            );
            assert_eq!(got.reason(), reason, "{requests}");
            assert!(matches!(got, Got::Answer(_)) == (token == A));
        }
    }
}
