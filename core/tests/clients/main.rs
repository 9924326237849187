//! Requests as real clients write them: the slots of their SDKs, the paths below their base URLs, and the headers of
//! browsers.

mod browsers;
mod paths;
mod slots;
#[path = "../support/mod.rs"]
mod support;

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};
use support::with;
use support::worker::{Answer, Worker, at, nobody_is_asked};

const PTK: &str = "ptk_case0000case0000case0000case0000";
const OTHER: &str = "ptk_other000other000other000other000";
const OWN: &str = "sk-ant-api03-somebodys-own-key-000000000000";

type Lines<'l> = &'l [(&'l str, &'l str)];

const UPGRADE: [(&str, &str); 2] = [("connection", "Upgrade"), ("upgrade", "websocket")];

/// Returns a policy whose token `PTK` has all of its providers in scope; `changes` are made to it.
fn policy(changes: &Value) -> Value {
    const PROVIDERS: [&str; 12] = [
        "openai",
        "anthropic",
        "gemini",
        "google-vertex-ai",
        "azure-openai",
        "groq",
        "grok",
        "mistral",
        "huggingface",
        "deepgram",
        "elevenlabs",
        "cartesia",
    ];
    let names = PROVIDERS.iter().map(|name| json!(name));
    let own = changes["providers"].as_object().into_iter().flatten().map(|(id, _)| json!(id));
    let names: Vec<Value> = names.chain(own.filter(|id| !PROVIDERS.iter().any(|name| id == name))).collect();
    let credentials = names.iter().map(|name| (name.as_str().unwrap().to_owned(), json!([{"env": "KEY"}])));
    let token = |token: &str, label: &str| json!({"sha256": Digest::of(token.as_bytes()).to_hex(), "label": label, "providers": names});
    let mut document = json!({
        "version": "keyswap/v1",
        "tokens": [token(PTK, "alice"), token(OTHER, "bob")],
        "credentials": credentials.collect::<serde_json::Map<_, _>>(),
        "providers": {"azure-openai": {"url": "https://acme.openai.azure.com/openai/deployments"}},
    });
    let mut changes = changes.clone();
    if let Some(Value::Object(own)) = changes.as_object_mut().and_then(|changes| changes.remove("providers"))
    {
        document["providers"].as_object_mut().unwrap().extend(own);
    }
    with(&document, &changes)
}

/// Returns what becomes of a request: where it goes and with which headers, or the reason of its refusal.
fn shown(decision: &Decision<'_>, head: &RequestHead<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("secret-value-0123456789", "KEY");
    match &decision.verdict {
        Verdict::Forward(rewrite) => {
            let mut lines: Vec<String> = rewrite
                .fields(head)
                .map(|(name, value)| format!(" {}={}", text(name), text(value)))
                .collect();
            lines.sort();
            format!("{}{}{}", rewrite.authority, text(&rewrite.path), lines.concat())
        }
        Verdict::Reply(reason, _) => reason.code().to_owned(),
        Verdict::Answer(reply) => reply.status.to_string(),
        Verdict::Pass(_) => "pass".to_owned(),
    }
}

fn judge<T>(
    worker: &Worker,
    request: &str,
    lines: Lines<'_>,
    service: &dyn Fn(&str) -> Answer,
    show: impl FnOnce(&Decision<'_>, &RequestHead<'_>) -> T,
) -> T {
    let (method, target) = request.split_once(' ').unwrap();
    let upgrade = if method == "WS" { &UPGRADE[..] } else { &[] };
    let headers: Vec<Header<'_>> = lines
        .iter()
        .chain(upgrade)
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let method = if method == "WS" { "GET" } else { method };
    let head = RequestHead::new(method.as_bytes(), target.as_bytes(), &headers);
    worker.decide(&MemoryStore::default(), &head, at(0), service, |decision| show(decision, &head))
}

fn ask(worker: &Worker, request: &str, lines: Lines<'_>) -> String {
    judge(worker, request, lines, &nobody_is_asked, shown)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
