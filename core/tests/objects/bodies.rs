//! Paths, queries and bodies that name objects, and those that name none.

use keyswap_core::base::Digest;
use keyswap_core::request::Header;
use serde_json::{Value, json};

use crate::plane::{A, B, Plane, json_answer};
use crate::registry::Registry;

#[test]
fn an_endpoint_of_unknown_objects_is_refused_and_one_that_keeps_nothing_is_not_judged() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (method, path, reason) in [
        ("POST", "/openai/v1/evals", "objects_unkept"),
        ("GET", "/openai/v1/evals/e", "objects_unkept"),
        ("GET", "/openai/v1/agents/sessions", "objects_unkept"),
        ("DELETE", "/openai/v1/files", "objects_unkept"),
        ("PUT", "/openai/v1/batches", "objects_unkept"),
        ("POST", "/grok/v1/batches", "objects_unkept"),
        ("GET", "/cohere/v1/datasets", "objects_unkept"),
        ("GET", "/google-ai-studio/v1beta/generatedFiles", "objects_unkept"),
        ("POST", "/openai/v1/fine_tuning/alpha/graders/run", "forward"),
        ("POST", "/openai/v1/responses/input_tokens", "forward"),
        ("POST", "/anthropic/v1/messages/count_tokens", "forward"),
        ("POST", "/deepseek/chat/completions", "forward"),
        ("GET", "/openai/v1/models/gpt-5", "forward"),
        ("GET", "/openai/v1/models/ft:gpt-5:other::1", "object_not_found"),
        ("DELETE", "/openai/v1/models/ft:gpt-5:other::1", "object_not_found"),
        ("GET", "/openai/v1/files?after=file-other", "object_not_found"),
        ("GET", "/openai/v1/files?%61fter=file%2Dother", "object_not_found"),
        ("GET", "/openai/v1/files?limit=7&order=asc", "forward"),
        ("GET", "/google-ai-studio/v1beta/files/abc:download", "object_not_found"),
        ("POST", "/google-ai-studio/v1beta/tunedModels/abc:generateContent", "object_not_found"),
    ] {
        let body = if method == "POST" { json!({}) } else { Value::Null };
        let got = plane.ask(A, (method, path), &body, &json_answer(r#"{"data":[]}"#));
        assert_eq!(got.reason(), reason, "{method} {path}");
    }
}

#[test]
fn a_body_is_judged_by_what_it_names_and_by_nothing_that_is_the_callers_own_text() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (path, body, reason) in [
        (
            "/openai/v1/chat/completions",
            r#"{"model":"gpt-5","messages":[{"content":"file_id: file-1"}]}"#,
            "forward",
        ),
        ("/openai/v1/chat/completions", r#"{"model":"ft:gpt-5:o::1","messages":[]}"#, "object_not_found"),
        ("/openai/v1/chat/completions", r#"{"model":"FT:gpt-5:o::1","messages":[]}"#, "object_not_found"),
        (
            "/openai/v1/responses",
            r#"{"metadata":{"file_id":"mine"},"tools":[{"parameters":{"default":{"file_id":"x"}}}]}"#,
            "forward",
        ),
        ("/openai/v1/responses", r#"{"previous_response_id":null,"conversation":null}"#, "forward"),
        ("/openai/v1/responses", r#"{"previous_response_id":""}"#, "forward"),
        (
            "/openai/v1/responses",
            r#"{"previous_response_id":"a","previous_response_id":null}"#,
            "object_not_found",
        ),
        ("/openai/v1/responses", r#"{"tools":[{"container":{"type":"auto"}}],"x":["file_id"]}"#, "forward"),
        (
            "/openai/v1/responses",
            r#"{"input":[{"type":"message","id":"item_1"},["\u0066ile_id",{"\ud800":1}]]}"#,
            "forward",
        ),
        ("/openai/v1/responses", r#"{"previous_response_id":"a"#, "body_invalid"),
        (
            "/anthropic/v1/messages",
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"file_id":"mine"}}]}]}"#,
            "forward",
        ),
        ("/anthropic/v1/messages", r#"{"container":{"skills":[{"skill_id":"pptx"}]}}"#, "forward"),
        ("/anthropic/v1/messages", r#"{"container":"container_1"}"#, "object_not_found"),
        (
            "/google-ai-studio/v1beta/models/m:generateContent",
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://www.youtube.com/watch?v=files"}}]}]}"#,
            "forward",
        ),
        (
            "/google-ai-studio/v1beta/models/m:generateContent",
            r#"{"contents":[{"parts":[{"fileData":{"fileUri":"HTTPS://GenerativeLanguage.GoogleApis.com/v1beta/Files/abc?x"}}]}]}"#,
            "object_not_found",
        ),
        (
            "/google-ai-studio/v1beta/models/m:generateContent",
            r#"{"contents":[{"parts":[{"functionCall":{"args":{"fileUri":"files/mine"}}}]}]}"#,
            "forward",
        ),
    ] {
        let got = plane.post(A, path, body, &json_answer("{}"));
        assert_eq!(got.reason(), reason, "{path} {body}");
    }
    let ids = |count: usize| (0..count).map(|id| format!("f{id}")).collect::<Vec<_>>();
    let body = |count| json!({"file_ids": ids(count)});
    let request = ("POST", "/openai/v1/responses");
    let got = |count| plane.ask(A, request, &body(count), &json_answer("{}"));
    assert_eq!(got(500).reason(), "object_not_found");
    assert_eq!(got(501).reason(), "body_invalid");
    for id in ids(450) {
        plane.post(A, "/openai/v1/files", "{}", &json_answer(&json!({"id": id}).to_string()));
    }
    let elsewhere = Plane::new(&registry, &json!({}));
    registry.calls();
    for calls in [3, 0] {
        let got = elsewhere.ask(A, request, &body(450), &json_answer("{}"));
        assert_eq!((got.reason(), registry.calls().len()), ("forward", calls));
    }
    let long = json!({"file_id": "f".repeat(5000)}).to_string();
    assert_eq!(plane.post(A, "/openai/v1/responses", &long, &json_answer("{}")).reason(), "object_not_found");
}

#[test]
fn a_form_names_objects_and_a_file_is_not_read() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    plane.post(A, "/openai/v1/containers", "{}", &json_answer(r#"{"id":"cntr_1"}"#));
    let form = |field: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\nfile-other\r\n--b--\r\n")
    };
    for (content_type, body, reason) in [
        ("multipart/form-data; boundary=b", form("file_id"), "object_not_found"),
        ("multipart/form-data; boundary=b", form("file_ids[]"), "object_not_found"),
        ("multipart/form-data; boundary=b", form("File.ID"), "forward"),
        ("multipart/form-data; boundary=b", form("input_reference[fileId]"), "object_not_found"),
        ("multipart/form-data; boundary=b", form("video[id]"), "object_not_found"),
        ("multipart/form-data; boundary=b", form("video[0][id]"), "object_not_found"),
        ("multipart/form-data; boundary=b", form("image[id]"), "forward"),
        ("multipart/form-data; boundary=b", form("metadata[file_id]"), "forward"),
        ("multipart/form-data; boundary=b", form("purpose"), "forward"),
        ("application/json", r#"{"file_id":"file-other"}"#.to_owned(), "object_not_found"),
        ("", r#"{"file_id":"file-other"}"#.to_owned(), "object_not_found"),
        ("text/plain", r#"{"file_id":"file-other"}"#.to_owned(), "object_not_found"),
        ("text/plain", "file_id = file-other".to_owned(), "body_invalid"),
        ("application/octet-stream", r#"{"file_id":"file-other"}"#.to_owned(), "object_not_found"),
        ("application/json", "file_id = file-other".to_owned(), "body_invalid"),
    ] {
        let request = ("POST", "/openai/v1/containers/cntr_1/files");
        let got = plane.send(A, request, (content_type, &[body.as_bytes()]), &json_answer("{}"));
        assert_eq!(got.reason(), reason, "{content_type} {body}");
    }
}

#[test]
fn a_body_that_is_said_to_be_no_text_is_judged_where_it_begins_as_json() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let (responses, gemini) =
        ("/openai/v1/responses", "/google-ai-studio/v1beta/models/gemini-2.5-pro:generateContent");
    let foreign = r#"{"previous_response_id":"resp_other"}"#.as_bytes();
    let file = br#"{"contents":[{"parts":[{"fileData":{"fileUri":"files/other"}}]}]}"#;
    let wide: Vec<u8> = foreign.iter().flat_map(|byte| [0, *byte]).collect();
    for content_type in [
        "application/octet-stream",
        "application/octet-stream; charset=utf-8",
        "application/octet-stream+json",
        "audio/wav",
        "Image/PNG",
        "video/x+json",
    ] {
        for (path, body, reason) in [
            (responses, &[foreign][..], "object_not_found"),
            (responses, &[b" \r\n", foreign], "object_not_found"),
            (responses, &[b"\n", b"\t", foreign], "object_not_found"),
            (responses, &[b"\xef\xbb\xbf{}"], "body_invalid"),
            (responses, &[&wide], "body_invalid"),
            (responses, &[b"[", foreign, b"]"], "object_not_found"),
            (gemini, &[file], "object_not_found"),
        ] {
            let got = plane.send(A, ("POST", path), (content_type, body), &json_answer("{}"));
            assert_eq!(got.reason(), reason, "{content_type} {path} {body:?}");
        }
        if content_type.ends_with("+json") {
            continue;
        }
        let marked = &[b"\xef\xbb\xbf", foreign];
        let got = plane.send(A, ("POST", responses), (content_type, marked), &json_answer("{}"));
        assert_eq!(got.reason(), "object_not_found", "{content_type}: a mark in a slice of its own");
        for body in [&[&b"RIFF{"[..]][..], &[b"\0\0\0 ftyp", b"{"], &[b"\xff\xd8{}"], &[b" ", b"\n"], &[b""]]
        {
            let got = plane.send(A, ("POST", gemini), (content_type, body), &json_answer("{}"));
            assert_eq!(got.reason(), "forward", "{content_type} {body:?}");
        }
    }
}

#[test]
fn a_file_is_uploaded_as_it_is() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (path, content_type, body) in [
        ("/google-ai-studio/upload/v1beta/files", "application/pdf", &b"%PDF\xff{"[..]),
        ("/google-ai-studio/upload/v1beta/files", "text/plain", b"{ not JSON"),
        (
            "/google-ai-studio/upload/v1beta/files",
            "multipart/related; boundary=b",
            b"--b\r\n\r\n{}\r\n--b--\r\n",
        ),
        ("/openai/v1/files", "application/octet-stream", b"\x00"),
    ] {
        let made = json_answer(r#"{"id":"f","file":{"name":"files/f"}}"#);
        let got = plane.send(A, ("POST", path), (content_type, &[body]), &made);
        assert_eq!(got.reason(), "forward", "{path} {content_type}");
    }
    assert_eq!(registry.kinds(), ["file f", "file f"]);
    // A file in parts, each of which is said to be JSON.
    for (command, content_type, body, reason) in [
        ("upload", "application/json", "no JSON", "forward"),
        ("upload, finalize", "application/json", "no JSON", "forward"),
        ("start", "application/json", "no JSON", "body_invalid"),
        ("upload", "application/json", r#"{"fileUri":"files/other"}"#, "object_not_found"),
        ("finalize", "application/json", "no JSON", "body_invalid"),
    ] {
        let path = "/google-ai-studio/upload/v1beta/files";
        let headers = [Header { name: b"x-goog-upload-command", value: command.as_bytes() }];
        let made = json_answer(r#"{"file":{"name":"files/part"}}"#);
        let sent = (content_type, &[body.as_bytes()][..]);
        let got = plane.send_with(A, ("POST", path), sent, &headers, &made);
        assert_eq!(got.reason(), reason, "{command}");
    }
    assert_eq!(registry.kinds(), ["file f", "file f", "file part"]);
}

#[test]
fn a_tuned_model_is_its_holders_at_a_gateway_too() {
    let registry = Registry::default();
    let gateway = json!({"cloudflare": {"account": "a", "gateway": "g", "credential": "cf", "mode": "unified_billing"}});
    let mut changes = json!({"gateway": gateway, "credentials": {"cf": [{"env": "A"}]}});
    let tokens = [A, B].map(|token| {
        json!({"sha256": Digest::of(token.as_bytes()).to_hex(), "label": "t", "providers": ["compat", "openai:*"]})
    });
    changes["tokens"] = json!(tokens);
    let plane = Plane::new(&registry, &changes);
    plane.post(
        A,
        "/openai/v1/fine_tuning/jobs",
        "{}",
        &json_answer(r#"{"id":"j","fine_tuned_model":"ft:m:o::1"}"#),
    );
    let body = r#"{"model":"openai/ft:m:o::1","messages":[]}"#;
    for (token, reason) in [(A, "forward"), (B, "object_not_found")] {
        let got = plane.post(token, "/compat/chat/completions", body, &json_answer("{}"));
        assert_eq!(got.reason(), reason);
    }
}

#[test]
fn the_stateful_paths_of_a_provider_that_is_not_known_are_refused_unless_the_policy_opens_them() {
    let rows = json!([
        {"methods": ["POST"], "path": "/generate", "class": "inference"},
        {"methods": ["POST", "GET"], "path": "/files/{...}", "class": "files"},
        {"methods": ["POST"], "path": "/jobs", "class": "batches"},
        {"methods": ["POST"], "path": "/tunings", "class": "fine_tuning"},
        {"methods": ["GET", "DELETE"], "path": "/results/{...}", "class": "stateful"},
    ]);
    let requests = [
        ("POST", "/files"),
        ("GET", "/files/f"),
        ("POST", "/jobs"),
        ("POST", "/tunings"),
        ("GET", "/results"),
        ("DELETE", "/results/r"),
    ];
    let registry = Registry::default();
    for (more, kept) in [
        (json!({"endpoints": rows}), "objects_unkept"),
        (json!({"endpoints": rows, "objects": "team"}), "objects_unkept"),
        (json!({"endpoints": rows, "objects": "shared"}), "forward"),
        (json!({"endpoints": "any"}), "forward"),
    ] {
        let mut lab = json!({"url": "https://lab.example.com"});
        lab.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let token =
            json!({"sha256": Digest::of(A.as_bytes()).to_hex(), "label": "t", "providers": ["lab:*"]});
        let changes =
            json!({"providers": {"lab": lab}, "credentials": {"lab": [{"env": "A"}]}, "tokens": [token]});
        let plane = Plane::new(&registry, &changes);
        for (method, path) in requests {
            let path = format!("/lab{path}");
            let body = if method == "POST" { json!({}) } else { Value::Null };
            let got = plane.ask(A, (method, &path), &body, &json_answer(r#"{"id":"r"}"#));
            assert_eq!(got.reason(), kept, "{more} {method} {path}");
        }
        assert_eq!(plane.post(A, "/lab/generate", "{}", &json_answer("{}")).reason(), "forward", "{more}");
    }
    assert!(registry.calls().is_empty(), "nothing of it is known to the registry");
}
