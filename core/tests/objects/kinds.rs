//! Every kind of object: no caller lists, reads, names or deletes what another one made.

use serde_json::{Value, json};

use crate::plane::{A, Answered, B, Got, Plane, json_answer, with_more_providers};
use crate::registry::Registry;

/// A kind of object: where it is made, with what, and by what answer; paths and bodies that use it; the list that has it.
struct Kind {
    base: &'static str,
    id: &'static str,
    made: Value,
    uses: &'static [(&'static str, &'static str)],
    list: Option<&'static str>,
}

fn kind(base: &'static str, id: &'static str, uses: &'static [(&'static str, &'static str)]) -> Kind {
    Kind { base, id, made: json!({"object": "x", "id": id}), uses, list: Some("data") }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn kinds() -> Vec<Kind> {
    const RESPONSES: &str = "/openai/v1/responses";
    const MESSAGES: &str = "/anthropic/v1/messages";
    const GENERATE: &str = "/google-ai-studio/v1beta/models/gemini-2.5-pro:generateContent";
    vec![
        kind(
            "/openai/v1/files",
            "file-Abc123",
            &[
                ("/openai/v1/batches", r#"{"input_file_id":"@"}"#),
                ("/openai/v1/fine_tuning/jobs", r#"{"model":"gpt-5","training_file":"@"}"#),
                ("/openai/v1/fine_tuning/jobs", r#"{"model":"gpt-5","validation_file":"@"}"#),
                (RESPONSES, r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"@"}]}]}"#),
                (
                    RESPONSES,
                    r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["@"]}}]}"#,
                ),
                ("/openai/v1/chat/completions", r#"{"messages":[{"content":[{"file":{"file_id":"@"}}]}]}"#),
                ("/openai/v1/threads", r#"{"tool_resources":{"code_interpreter":{"file_ids":["x","@"]}}}"#),
                ("/openai/v1/threads", r#"{"messages":[{"attachments":[{"file_id":"@","tools":[]}]}]}"#),
                (RESPONSES, r#"{"input":[{"content":[{"f\u0069le_id":"@"}]}]}"#),
                (
                    RESPONSES,
                    r#"{"prompt":{"id":"pmpt_1","variables":{"f":{"type":"input_file","FILE_ID":"@"}}}}"#,
                ),
            ],
        ),
        kind("/openai/v1/batches", "batch_1", &[]),
        kind("/openai/v1/uploads", "upload_1", &[]),
        kind("/openai/v1/fine_tuning/jobs", "ftjob-1", &[]),
        kind("/openai/v1/responses", "resp_1", &[(RESPONSES, r#"{"previous_response_id":"@","input":"x"}"#)]),
        kind(
            "/openai/v1/conversations",
            "conv_1",
            &[(RESPONSES, r#"{"conversation":"@"}"#), (RESPONSES, r#"{"conversation":{"id":"@"}}"#)],
        ),
        kind(
            "/openai/v1/vector_stores",
            "vs_1",
            &[
                (RESPONSES, r#"{"tools":[{"type":"file_search","vector_store_ids":["@"]}]}"#),
                ("/openai/v1/threads", r#"{"tool_resources":{"file_search":{"vector_store_ids":["@"]}}}"#),
            ],
        ),
        kind("/openai/v1/assistants", "asst_1", &[("/openai/v1/threads/runs", r#"{"assistant_id":"@"}"#)]),
        kind("/openai/v1/threads", "thread_1", &[]),
        kind(
            "/openai/v1/containers",
            "cntr_1",
            &[(RESPONSES, r#"{"tools":[{"type":"code_interpreter","container":"@"}]}"#)],
        ),
        kind("/openai/v1/videos", "video_1", &[("/openai/v1/videos/edits", r#"{"video":{"id":"@"}}"#)]),
        kind(
            "/openai/v1/skills",
            "skill_1",
            &[(RESPONSES, r#"{"tools":[{"environment":{"skills":[{"skill_id":"@"}]}}]}"#)],
        ),
        kind(
            "/anthropic/v1/files",
            "file_011C",
            &[
                (
                    MESSAGES,
                    r#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"@"}}]}]}"#,
                ),
                (MESSAGES, r#"{"messages":[{"content":[{"type":"container_upload","file_id":"@"}]}]}"#),
                (
                    "/anthropic/v1/messages/batches",
                    r#"{"requests":[{"params":{"messages":[{"content":[{"source":{"file_id":"@"}}]}]}}]}"#,
                ),
            ],
        ),
        kind("/anthropic/v1/messages/batches", "msgbatch_1", &[]),
        kind(
            "/anthropic/v1/skills",
            "skill_01A",
            &[(MESSAGES, r#"{"container":{"skills":[{"type":"custom","skill_id":"@"}]},"messages":[]}"#)],
        ),
        kind(
            "/azure-openai/files",
            "file-1",
            &[("/azure-openai/responses", r#"{"input":[{"file_id":"@"}]}"#)],
        ),
        kind("/azure-openai/batches", "batch_1", &[]),
        kind(
            "/azure-openai/responses",
            "resp_1",
            &[("/azure-openai/responses", r#"{"previous_response_id":"@"}"#)],
        ),
        kind("/azure-openai/vector_stores", "vs_1", &[]),
        kind("/groq/openai/v1/files", "file_1", &[("/groq/openai/v1/batches", r#"{"input_file_id":"@"}"#)]),
        kind("/groq/openai/v1/batches", "batch_1", &[]),
        kind(
            "/mistral/v1/files",
            "00edaf84",
            &[
                ("/mistral/v1/batch/jobs", r#"{"input_files":["@"],"model":"m"}"#),
                ("/mistral/v1/fine_tuning/jobs", r#"{"model":"m","training_files":[{"file_id":"@"}]}"#),
                ("/mistral/v1/ocr", r#"{"model":"m","document":{"type":"file","file_id":"@"}}"#),
            ],
        ),
        kind("/mistral/v1/batch/jobs", "b-1", &[]),
        kind(
            "/mistral/v1/libraries",
            "lib-1",
            &[(
                "/mistral/v1/chat/completions",
                r#"{"tools":[{"type":"document_library","library_ids":["@"]}]}"#,
            )],
        ),
        Kind {
            base: "/google-vertex-ai/v1/projects/p/locations/l/cachedContents",
            id: "cc1",
            made: json!({"name": "projects/p/locations/l/cachedContents/cc1"}),
            uses: &[(
                "/google-vertex-ai/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
                r#"{"cachedContent":"projects/p/locations/l/cachedContents/@"}"#,
            )],
            list: Some("cachedContents"),
        },
        Kind {
            base: "/google-vertex-ai/v1/projects/p/locations/l/batchPredictionJobs",
            id: "job7",
            made: json!({"name": "projects/p/locations/l/batchPredictionJobs/job7"}),
            uses: &[],
            list: Some("batchPredictionJobs"),
        },
        kind("/anthropic/v1/agents", "agent_1", &[("/anthropic/v1/sessions", r#"{"agent":"@"}"#)]),
        Kind {
            base: "/google-ai-studio/v1beta/files",
            id: "abc-123",
            made: json!({"file": {"name": "files/abc-123"}}),
            uses: &[
                (
                    GENERATE,
                    r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/@"}}]}]}"#,
                ),
                (GENERATE, r#"{"contents":[{"parts":[{"file_data":{"file_uri":"files/@"}}]}]}"#),
            ],
            list: Some("files"),
        },
        Kind {
            base: "/google-ai-studio/v1beta/cachedContents",
            id: "cc1",
            made: json!({"name": "cachedContents/cc1"}),
            uses: &[(GENERATE, r#"{"cachedContent":"cachedContents/@","contents":[]}"#)],
            list: Some("cachedContents"),
        },
        Kind {
            base: "/google-ai-studio/v1beta/fileSearchStores",
            id: "store1",
            made: json!({"name": "fileSearchStores/store1"}),
            uses: &[(
                GENERATE,
                r#"{"tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/@"]}}]}"#,
            )],
            list: Some("fileSearchStores"),
        },
    ]
}

#[test]
fn what_a_caller_made_is_its_own_whatever_the_kind() {
    let found = json_answer("{}");
    for Kind { base, id, made, uses, list } in kinds() {
        let registry = Registry::default();
        let [first, second] = [(); 2].map(|()| Plane::new(&registry, &with_more_providers()));
        let made = made.to_string();
        let got = first.ask(A, ("POST", base), &json!({"model": "m"}), &json_answer(&made));
        assert_eq!(got, Got::Answer(made.clone()), "{base}");
        assert_eq!(registry.calls(), ["claim"], "{base}");
        let member = format!("{base}/{id}");
        for plane in [&first, &second] {
            assert_eq!(plane.get(A, &member).reason(), "forward", "{member}");
            assert_eq!(plane.get(A, &format!("{member}/")).reason(), "forward", "{member}");
            let never = plane.get(B, &format!("{base}/never-was"));
            assert_eq!(never.reason(), "object_not_found", "{base}");
            let encoded = format!("{base}/%{:02x}{}", id.as_bytes()[0], &id[1..]);
            let other_case = format!("{base}/{}", id.to_uppercase());
            for path in [&member, &encoded, &other_case, &format!("{member}/content")] {
                for method in ["GET", "DELETE"] {
                    let got = plane.ask(B, (method, path), &Value::Null, &found);
                    assert_eq!(got, never, "{method} {path}");
                }
            }
            assert_eq!(plane.get(A, &encoded).reason(), "forward", "{encoded}");
            assert_eq!(plane.get(A, &other_case).reason(), "object_not_found", "{other_case}");
            for (path, body) in uses {
                let body = body.replace('@', id);
                let got = plane.post(B, path, &body, &found);
                assert_eq!(got.reason(), "object_not_found", "{path} {body}");
            }
            if let Some(list) = list {
                let name = if base.starts_with("/google") { ("name", "x/") } else { ("id", "") };
                let all = json!({list: [
                    {name.0: format!("{}other", name.1), "a": 1}, {name.0: format!("{}{id}", name.1), "b": [2]}, {"a": {}}
                ]});
                let text = all.to_string();
                let own = json!({list: [all[list][1]]}).to_string();
                let (begin, rest) = text.split_at(text.len() / 2);
                let sliced = Answered(200, "application/json", vec![begin, rest]);
                let listed = |token| plane.ask(token, ("GET", base), &Value::Null, &sliced);
                assert_eq!(listed(A), Got::Answer(own), "{base}");
                assert_eq!(listed(B), Got::Answer(json!({list: []}).to_string()), "{base}");
            }
        }
    }
}

#[test]
fn a_caller_uses_what_is_its_own_in_every_body() {
    for Kind { base, id, made, uses, .. } in kinds() {
        let registry = Registry::default();
        let plane = Plane::new(&registry, &with_more_providers());
        let made = made.to_string();
        plane.ask(A, ("POST", base), &Value::Null, &json_answer(&made));
        plane.ask(A, ("POST", "/openai/v1/files"), &Value::Null, &json_answer(r#"{"id":"x"}"#));
        registry.calls();
        let elsewhere = Plane::new(&registry, &with_more_providers());
        for (path, body) in uses {
            let body = body.replace('@', id);
            assert_eq!(plane.post(A, path, &body, &json_answer("{}")).reason(), "forward", "{path} {body}");
            assert_eq!(registry.calls().len(), 0, "{path}: it is known");
            let got = elsewhere.post(A, path, &body, &json_answer("{}"));
            assert_eq!(got.reason(), "forward", "{path} {body}, on another data plane");
            registry.calls();
        }
    }
}
