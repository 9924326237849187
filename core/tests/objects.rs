//! Objects belong to callers: two callers of one account, and the registry that knows the holders.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{AnswerFields, Request, Verdict};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::{Fetch, FetchAnswer, Resolution};
use keyswap_core::worker::{Exchange, Worker};
use serde_json::{Value, json};
use support::worker::{Secrets, at};

const A: &str = "ptk_token-of-a-0123456789";
const B: &str = "ptk_token-of-b-0123456789";
/// A token of A's team.
const C: &str = "ptk_token-of-c-0123456789";

/// A registry that keeps objects.
#[derive(Default)]
struct Registry {
    objects: RefCell<BTreeMap<String, Value>>,
    is_down: Cell<bool>,
    calls: RefCell<Vec<String>>,
}

impl Registry {
    fn answer(&self, fetch: &Fetch) -> Option<(u16, String)> {
        let target = fetch.request.target().to_owned();
        let body: Value =
            fetch.request.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
        self.calls.borrow_mut().push(target.clone());
        if self.is_down.get() {
            return None;
        }
        let mut objects = self.objects.borrow_mut();
        let told = |found: Vec<Value>| Some((200, json!({"objects": found}).to_string()));
        match target.as_str() {
            "/v1/objects/find" => {
                let asked = body["sha256"].as_array().unwrap();
                assert!(asked.len() <= 200);
                told(asked.iter().filter_map(|it| objects.get(it.as_str().unwrap()).cloned()).collect())
            }
            "/v1/objects/claim" => {
                let claimed = body["objects"].as_array().unwrap();
                assert!(!claimed.is_empty() && claimed.len() <= 50);
                let claim = |claim: &Value| {
                    let text = format!(
                        "object\0{}\0{}",
                        claim["provider"].as_str().unwrap(),
                        claim["id"].as_str().unwrap()
                    );
                    let digest = Digest::of(text.as_bytes()).to_hex();
                    let mut object = claim.clone();
                    object["sha256"] = digest.clone().into();
                    object["version"] = 1.into();
                    objects.entry(digest).or_insert(object).clone()
                };
                told(claimed.iter().map(claim).collect())
            }
            "/v1/objects/remove" => {
                for digest in body["sha256"].as_array().unwrap() {
                    objects.remove(digest.as_str().unwrap());
                }
                Some((204, String::new()))
            }
            _ => None,
        }
    }

    /// Returns the calls about objects since this was last asked.
    fn calls(&self) -> Vec<String> {
        self.calls
            .take()
            .into_iter()
            .filter_map(|it| Some(it.strip_prefix("/v1/objects/")?.to_owned()))
            .collect()
    }

    fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self
            .objects
            .borrow()
            .values()
            .map(|it| format!("{} {}", it["kind"].as_str().unwrap(), it["id"].as_str().unwrap()))
            .collect();
        kinds.sort();
        kinds
    }
}

/// A data plane, and its registry.
struct Plane<'r> {
    worker: Worker,
    store: MemoryStore,
    registry: &'r Registry,
    now: Cell<Moment>,
}

/// An upstream's answer, in slices.
struct Answered<'a>(u16, &'a str, Vec<&'a str>);

fn json_answer(body: &str) -> Answered<'_> {
    Answered(200, "application/json", vec![body])
}

/// The outcome of a request: the refusal, or the answer.
#[derive(Debug, PartialEq)]
enum Got {
    Refused(u16, &'static str, String),
    Answer(String),
    CutOff,
}

impl Got {
    fn reason(&self) -> &str {
        match self {
            Self::Refused(_, reason, _) => reason,
            Self::Answer(_) => "forward",
            Self::CutOff => "cut off",
        }
    }
}

fn policy(changes: &Value) -> Value {
    let token = |token: &str, label: &str, team: Option<&str>| {
        json!({
            "sha256": Digest::of(token.as_bytes()).to_hex(), "label": label, "team": team, "owner": format!("{label}@b.c"),
            "providers": ["openai:*", "anthropic:*", "gemini:*", "grok:*", "deepseek", "cohere:*"],
        })
    };
    let mut document = json!({
        "version": "keyswap/v1",
        "tokens": [token(A, "a", Some("x")), token(B, "b", Some("y")), token(C, "c", Some("x"))],
        "credentials": {"openai": [{"env": "A"}], "anthropic": [{"env": "B"}], "gemini": [{"env": "C"}], "grok": [{"env": "D"}],
                        "deepseek": [{"env": "E"}], "cohere": [{"env": "F"}]},
        "registry": {"url": "https://r.example", "credential": {"env": "R"}},
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = document.as_object_mut().unwrap().remove(name),
            value => document[name] = value.clone(),
        }
    }
    document
}

impl<'r> Plane<'r> {
    fn new(registry: &'r Registry, changes: &Value) -> Self {
        let policy = RolloutPolicy::from_json(policy(changes).to_string().as_bytes()).unwrap();
        let worker = Worker::of(policy, Box::new(Secrets), Box::new(PureRust), Capabilities::ENVOY).unwrap();
        Self { worker, store: MemoryStore::default(), registry, now: Cell::new(at(0)) }
    }

    fn fetch(&self, fetch: &Fetch) -> Resolution {
        if !self.worker.may_call(&fetch.key, self.now.get()) {
            return Resolution::Unavailable;
        }
        let answer = self.registry.answer(fetch);
        let answer = answer.as_ref().map(|(status, body)| (*status, body.as_bytes())).into();
        let answer: FetchAnswer<'_> = answer;
        self.worker.accept(&fetch.key, fetch.as_of, &answer, self.now.get(), &self.store).resolution
    }

    /// Makes the calls that are due.
    fn tick(&self) {
        for fetch in self.worker.due(self.now.get(), &self.store).fetches {
            if fetch.request.target().starts_with("/v1/objects/") {
                self.fetch(&fetch);
            }
        }
    }

    fn ask(&self, token: &str, request: (&str, &str), body: &Value, answer: &Answered<'_>) -> Got {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send(token, request, ("application/json", &[text.as_bytes()]), answer)
    }

    fn post(&self, token: &str, path: &str, body: &str, answer: &Answered<'_>) -> Got {
        let (begin, rest) = body.split_at(body.len() / 2);
        self.send(token, ("POST", path), ("application/json", &[begin.as_bytes(), rest.as_bytes()]), answer)
    }

    fn get(&self, token: &str, path: &str) -> Got {
        self.ask(token, ("GET", path), &Value::Null, &json_answer("{}"))
    }

    fn send(
        &self,
        token: &str,
        (method, path): (&str, &str),
        (content_type, slices): (&str, &[&[u8]]),
        answer: &Answered<'_>,
    ) -> Got {
        let authorization = format!("Bearer {token}");
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"content-type", value: content_type.as_bytes() },
        ];
        let head = RequestHead::new(method.as_bytes(), path.as_bytes(), &headers);
        let request = Request { head: &head, now: self.now.get(), store: &self.store };
        let in_force = self.worker.in_force(&self.store);
        let (mut decision, _) = in_force.decide(&request, &mut |fetch| (self.fetch(&fetch), self.now.get()));
        if let Verdict::Reply(reason, reply) = &decision.verdict {
            return Got::Refused(reply.status, reason.code(), reply.body.clone());
        }
        let mut exchange = in_force.exchange(&mut decision);
        if let Err(refused) = self.upload(&mut exchange, slices) {
            return refused;
        }
        self.download(&mut exchange, answer)
    }

    fn upload(&self, exchange: &mut Exchange, slices: &[&[u8]]) -> Result<(), Got> {
        let slices: Vec<&[u8]> = slices.iter().copied().chain([&b""[..]]).collect();
        for (index, slice) in slices.iter().enumerate() {
            let is_last = index + 1 == slices.len();
            let mut judged = exchange.request_body(slice, is_last, self.now.get(), &self.store);
            loop {
                match judged {
                    Ok(slice) => {
                        let Some(fetch) = slice.fetch else { break };
                        self.fetch(&fetch);
                        judged = exchange.resume_request(self.now.get(), &self.store);
                    }
                    Err(refusal) => {
                        return Err(Got::Refused(refusal.reply.status, refusal.reason, refusal.reply.body));
                    }
                }
            }
        }
        Ok(())
    }

    fn download(
        &self,
        exchange: &mut Exchange,
        Answered(status, content_type, slices): &Answered<'_>,
    ) -> Got {
        let fields = [(&b"content-type"[..], content_type.as_bytes())];
        let head = AnswerFields { status: *status, fields: &fields };
        exchange.begin_answer(&head);
        exchange.answered(&head, self.now.get(), &self.store);
        if !exchange.reads_answer() {
            return Got::Answer(slices.concat());
        }
        let mut out = Vec::new();
        let slices: Vec<&[u8]> = slices.iter().map(|it| it.as_bytes()).chain([&b""[..]]).collect();
        for (index, slice) in slices.iter().enumerate() {
            let is_last = index + 1 == slices.len();
            let mut read = exchange.answer_body(slice, is_last, self.now.get(), &self.store);
            loop {
                let Ok(passed) = read else { return Got::CutOff };
                if let Some(fetch) = &passed.fetch {
                    self.fetch(fetch);
                }
                if !passed.waits {
                    out.extend(passed.bytes.unwrap_or_else(|| slice.to_vec()));
                    break;
                }
                assert!(passed.bytes.is_none(), "nothing goes on of a slice that waits");
                read = exchange.resume_answer(self.now.get(), &self.store);
            }
        }
        Got::Answer(String::from_utf8(out).unwrap())
    }
}

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
                (
                    "/google-ai-studio/v1beta/models/gemini-2.5-pro:batchGenerateContent",
                    r#"{"batch":{"inputConfig":{"fileName":"files/@"}}}"#,
                ),
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
        let [first, second] = [(); 2].map(|()| Plane::new(&registry, &json!({})));
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
        let plane = Plane::new(&registry, &json!({}));
        let made = made.to_string();
        plane.ask(A, ("POST", base), &Value::Null, &json_answer(&made));
        plane.ask(A, ("POST", "/openai/v1/files"), &Value::Null, &json_answer(r#"{"id":"x"}"#));
        registry.calls();
        let elsewhere = Plane::new(&registry, &json!({}));
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

/// The stream of a response, in two parts.
const STREAM: [&str; 2] = [
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_s\"}}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"item\":{\"container_id\":\"cntr_s\"}}\n\n\
     data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_s\"}}\n\n",
];

#[test]
fn a_stream_is_claimed_by_its_first_event_and_ends_when_the_registry_knows() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let stream = Answered(200, "text/event-stream; charset=utf-8", STREAM.to_vec());
    let got = plane.post(A, "/openai/v1/responses", r#"{"model":"m","stream":true}"#, &stream);
    assert_eq!(got, Got::Answer(STREAM.concat()));
    assert_eq!(registry.calls(), ["claim", "claim"]);
    assert_eq!(registry.kinds(), ["container cntr_s", "response resp_s"]);
    // Another answer that tells of the same objects needs no call.
    plane.post(A, "/openai/v1/responses", r#"{"model":"m","stream":true}"#, &stream);
    assert!(registry.calls().is_empty());
}

#[test]
fn an_answer_is_claimed_as_its_body_asks_to_keep_it() {
    for (path, body, kept) in [
        ("/openai/v1/responses", r#"{"input":"x"}"#, true),
        ("/openai/v1/responses", r#"{"input":"x","store":true}"#, true),
        ("/openai/v1/responses", r#"{"input":"x","store":null}"#, true),
        ("/openai/v1/responses", r#"{"input":"x","store":false}"#, false),
        ("/openai/v1/chat/completions", r#"{"messages":[]}"#, false),
        ("/openai/v1/chat/completions", r#"{"messages":[],"store":false}"#, false),
        ("/openai/v1/chat/completions", r#"{"messages":[],"store":true}"#, true),
        ("/openai/v1/embeddings", r#"{"input":"x"}"#, false),
        ("/anthropic/v1/messages", r#"{"messages":[]}"#, false),
        ("/openai/v1/responses/compact", r#"{"input":"x"}"#, false),
    ] {
        let registry = Registry::default();
        let plane = Plane::new(&registry, &json!({}));
        let got = plane.post(A, path, body, &json_answer(r#"{"id":"made"}"#));
        assert_eq!(got.reason(), "forward", "{path} {body}");
        assert_eq!(registry.calls().len(), usize::from(kept), "{path} {body}");
        let refused = Answered(400, "application/json", vec![r#"{"id":"made"}"#]);
        plane.post(A, path, &body.replace('x', "y"), &refused);
        assert_eq!(registry.kinds().len(), usize::from(kept), "{path} {body}");
    }
}

#[test]
fn objects_that_are_made_on_the_way_are_the_callers() {
    for (request, answer, kinds) in [
        (
            ("GET", "/openai/v1/batches/made"),
            r#"{"id":"made","input_file_id":"not-this","output_file_id":"out","error_file_id":null}"#,
            vec!["batch made", "file out"],
        ),
        (
            ("GET", "/openai/v1/fine_tuning/jobs/made"),
            r#"{"fine_tuned_model":"ft:m:o::1","result_files":["r1","r2"]}"#,
            vec!["file r1", "file r2", "job made", "model ft:m:o::1"],
        ),
        (
            ("POST", "/openai/v1/uploads/made/complete"),
            r#"{"id":"made","file":{"id":"file-up"}}"#,
            vec!["file file-up", "upload made"],
        ),
        (
            ("POST", "/openai/v1/videos/made/remix"),
            r#"{"id":"remixed"}"#,
            vec!["video made", "video remixed"],
        ),
        (
            ("POST", "/openai/v1/threads/runs"),
            r#"{"id":"run","thread_id":"t"}"#,
            vec!["thread made", "thread t"],
        ),
        (("POST", "/openai/v1/threads/made/runs"), r#"{"id":"run"}"#, vec!["thread made"]),
        (
            ("POST", "/anthropic/v1/messages"),
            r#"{"id":"msg","container":{"id":"c"},"content":[{"content":{"content":[{"file_id":"f"}]}}]}"#,
            vec!["container c", "file f", "file made"],
        ),
        (
            ("POST", "/google-ai-studio/v1beta/models/m:batchGenerateContent"),
            r#"{"name":"batches/b1"}"#,
            vec!["batch b1", "batch made"],
        ),
    ] {
        let registry = Registry::default();
        let plane = Plane::new(&registry, &json!({}));
        let base = match request.1.split("/made").next().unwrap() {
            "/openai/v1/threads/runs" => "/openai/v1/threads",
            "/anthropic/v1/messages" => "/anthropic/v1/files",
            "/google-ai-studio/v1beta/models/m:batchGenerateContent" => "/google-ai-studio/v1beta/batches",
            base => base,
        };
        plane.post(A, base, "{}", &json_answer(r#"{"id":"made"}"#));
        let got = plane.ask(A, request, &json!({}), &json_answer(answer));
        assert_eq!(got.reason(), "forward", "{request:?}");
        assert_eq!(registry.kinds(), kinds, "{request:?}");
        registry.calls();
        plane.ask(A, request, &json!({}), &json_answer(answer));
        assert!(registry.calls().is_empty(), "{request:?}: all is known");
    }
}

#[test]
fn an_object_that_the_registry_cannot_be_told_of_is_withheld_and_told_later() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    registry.is_down.set(true);
    let stream = Answered(200, "text/event-stream", STREAM.to_vec());
    for answer in [json_answer(r#"{"id":"resp_1"}"#), stream] {
        assert_eq!(plane.post(A, "/openai/v1/responses", "{}", &answer), Got::CutOff);
    }
    assert_eq!(plane.get(A, "/openai/v1/responses/resp_1").reason(), "forward", "the worker knows");
    assert_eq!(plane.get(B, "/openai/v1/responses/resp_1").reason(), "registry_unavailable");
    assert_eq!(plane.get(B, "/openai/v1/responses/never-was").reason(), "registry_unavailable");
    let named = r#"{"previous_response_id":"resp_1"}"#;
    let got = plane.post(B, "/openai/v1/responses", named, &json_answer("{}"));
    assert_eq!(got.reason(), "registry_unavailable");
    registry.is_down.set(false);
    plane.now.set(at(8));
    plane.tick();
    assert_eq!(registry.kinds(), ["container cntr_s", "response resp_1", "response resp_s"]);
    registry.calls();
    plane.now.set(at(30));
    plane.tick();
    assert!(registry.calls().is_empty(), "all is told");
}

#[test]
fn the_first_claim_holds() {
    let registry = Registry::default();
    let [first, second] = [(); 2].map(|()| Plane::new(&registry, &json!({})));
    let answer = json_answer(r#"{"id":"file-1"}"#);
    first.post(A, "/openai/v1/files", "{}", &answer);
    assert_eq!(second.post(B, "/openai/v1/files", "{}", &answer).reason(), "forward");
    assert_eq!(second.get(B, "/openai/v1/files/file-1").reason(), "object_not_found");
    assert_eq!(second.get(A, "/openai/v1/files/file-1").reason(), "forward");
    // The same id at another provider is another object.
    assert_eq!(first.get(A, "/anthropic/v1/files/file-1").reason(), "object_not_found");
}

#[test]
fn what_was_deleted_is_forgotten() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (status, left) in [(404, 1), (200, 0)] {
        plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#));
        for path in ["/openai/v1/files/file-1/content", "/openai/v1/files/file-1"] {
            let answer = Answered(status, "application/json", vec!["{}"]);
            assert_eq!(plane.ask(A, ("DELETE", path), &Value::Null, &answer).reason(), "forward");
            let known = plane.registry.calls().iter().filter(|it| *it == "find").count();
            assert_eq!(known, 0, "{path}");
        }
        plane.tick();
        assert_eq!(registry.kinds().len(), left, "{status}");
    }
    assert_eq!(plane.get(A, "/openai/v1/files/file-1").reason(), "object_not_found");
}

#[test]
fn a_team_shares_where_the_policy_says_so_and_all_do_where_objects_are_shared() {
    for (changes, c, b) in [
        (json!({}), "object_not_found", "object_not_found"),
        (json!({"objects": "own"}), "object_not_found", "object_not_found"),
        (json!({"objects": "team"}), "forward", "object_not_found"),
        (json!({"objects": "shared"}), "forward", "forward"),
        (
            json!({"objects": "shared", "providers": {"openai": {"objects": "team"}}}),
            "forward",
            "object_not_found",
        ),
        (json!({"providers": {"openai": {"objects": "shared"}}}), "forward", "forward"),
        (json!({"objects": "shared", "registry": null}), "forward", "forward"),
        (json!({"registry": null}), "objects_unkept", "objects_unkept"),
    ] {
        let registry = Registry::default();
        let plane = Plane::new(&registry, &changes);
        plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#));
        assert_eq!(plane.get(C, "/openai/v1/files/file-1").reason(), c, "{changes}");
        assert_eq!(plane.get(B, "/openai/v1/files/file-1").reason(), b, "{changes}");
        if b == "forward" {
            assert!(registry.calls().is_empty(), "{changes}");
        }
    }
}

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
        ("/openai/v1/responses", r#"{"input":[{"id":"item_1"},["\u0066ile_id",{"\ud800":1}]]}"#, "forward"),
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
    let body = |count| json!({"file_ids": ids(count)}).to_string();
    let got = |count| plane.post(A, "/openai/v1/responses", &body(count), &json_answer("{}"));
    assert_eq!(got(64).reason(), "object_not_found");
    assert_eq!(got(65).reason(), "body_invalid");
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
        ("multipart/form-data; boundary=b", form("purpose"), "forward"),
        ("application/json", r#"{"file_id":"file-other"}"#.to_owned(), "object_not_found"),
        ("", r#"{"file_id":"file-other"}"#.to_owned(), "object_not_found"),
        ("text/plain", r#"{"file_id":"file-other"}"#.to_owned(), "object_not_found"),
        ("text/plain", "file_id = file-other".to_owned(), "forward"),
        ("application/json", "file_id = file-other".to_owned(), "body_invalid"),
    ] {
        let request = ("POST", "/openai/v1/containers/cntr_1/files");
        let got = plane.send(A, request, (content_type, &[body.as_bytes()]), &json_answer("{}"));
        assert_eq!(got.reason(), reason, "{content_type} {body}");
    }
}

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
