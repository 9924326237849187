//! The differential target: a head and a policy in, the engine's rewrite out, judged by [`rewritten`](super::rewritten).
//!
//! An input is a letter that chooses the policy, and a head as HTTP/1 has it, without the version: a line `METHOD target`,
//! and a line `name: value` for each header. Some bytes stand for whole tokens, so that a fuzzer need not guess them.

use std::cell::OnceCell;

use keyswap_core::host::MemoryStore;
use keyswap_core::judge::Verdict;
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use super::driver::{Plane, REAL, TOKEN, at, sha256};
use super::rewritten::{self, Caller, Upstream};

/// A second caller, with a smaller scope.
const OTHER: &str = "ptk_of-another-caller-000002";

/// A policy, and the upstreams that it may lead to.
struct Setup {
    plane: Plane,
    upstreams: Vec<Upstream>,
}

thread_local! {
    static SETUPS: OnceCell<Vec<Setup>> = const { OnceCell::new() };
}

/// Returns a policy of both callers, with these members and credentials of these names.
fn policy(scope: &[&str], credentials: &[&str], more: &Value) -> Value {
    let credentials =
        credentials.iter().map(|name| ((*name).to_owned(), json!([{"env": name.to_uppercase()}])));
    let mut policy = json!({
        "version": "keyswap/v1",
        "tokens": [
            {"sha256": sha256(TOKEN), "label": "a", "owner": "a@example.com", "providers": scope},
            {"sha256": sha256(OTHER), "label": "b", "providers": ["openai"]},
        ],
        "credentials": credentials.collect::<serde_json::Map<_, _>>(),
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    policy
}

fn bearer(variable: &str) -> String {
    format!("Bearer {REAL}{variable}")
}

fn real(variable: &str) -> String {
    format!("{REAL}{variable}")
}

/// Returns the upstreams without a gateway.
fn direct() -> Vec<Upstream> {
    let gemini = Upstream::new("gemini", "generativelanguage.googleapis.com", "")
        .or(&[("x-goog-api-key", real("GEMINI"))])
        .or(&[("authorization", bearer("GEMINI"))])
        .or(&[("?key", real("GEMINI"))]);
    vec![
        Upstream::new("openai", "api.openai.com", "").or(&[("authorization", bearer("OPENAI"))]),
        Upstream::new("anthropic", "api.anthropic.com", "").or(&[("x-api-key", real("ANTHROPIC"))]),
        gemini,
        Upstream::new("groq", "api.groq.com", "/openai/v1").or(&[("authorization", bearer("GROQ"))]),
        Upstream::new("deepgram", "api.deepgram.com", "")
            .or(&[("authorization", format!("Token {}", real("DEEPGRAM")))]),
        Upstream::new("elevenlabs", "api.elevenlabs.io", "").or(&[("xi-api-key", real("ELEVENLABS"))]),
        Upstream::new("lab", "lab.example:8443", "/v2").or(&[("x-lab-key", real("LAB"))]),
    ]
}

const DIRECT: [&str; 7] = ["openai", "anthropic", "gemini", "groq", "deepgram", "elevenlabs", "lab"];

/// Returns the upstreams behind the Cloudflare AI Gateway, where the keys of providers are sent along or not.
fn at_gateway(with_keys: bool) -> Vec<Upstream> {
    const GATEWAY: &str = "gateway.ai.cloudflare.com";
    let token = ("cf-aig-authorization", bearer("CF_AIG"));
    let behind = |name, segment: &str, forms: &[(&'static str, String)]| {
        let upstream =
            Upstream::new(name, GATEWAY, &format!("/v1/0123456789abcdef0123456789abcdef/prod/{segment}"));
        if !with_keys {
            return upstream.or(std::slice::from_ref(&token));
        }
        forms.iter().fold(upstream, |upstream, form| upstream.or(&[token.clone(), form.clone()]))
    };
    let gemini = [
        ("x-goog-api-key", real("GEMINI")),
        ("authorization", bearer("GEMINI")),
        ("?api_key", real("GEMINI")),
    ];
    vec![
        behind("openai", "openai", &[("authorization", bearer("OPENAI"))]),
        behind("anthropic", "anthropic", &[("x-api-key", real("ANTHROPIC"))]),
        behind("gemini", "google-ai-studio", &gemini),
        behind("gemini", "google", &gemini),
        behind("compat", "compat", &[("authorization", bearer("COMPAT"))]),
    ]
}

fn all() -> Vec<Setup> {
    let lab = json!({"lab": {"url": "https://lab.example:8443/v2", "auth": "header:x-lab-key", "endpoints": "any"}});
    let gateway = |mode: &str, more: Value| {
        let mut gateway = json!({"account": "0123456789abcdef0123456789abcdef", "gateway": "prod", "credential": "cf_aig", "mode": mode});
        for (name, value) in more.as_object().into_iter().flatten() {
            gateway[name] = value.clone();
        }
        json!({"gateway": {"cloudflare": gateway}})
    };
    let shared = json!({"providers": lab, "slots": ["authorization", "query:key", "subprotocol"], "second_credential": "refuse"});
    let told = json!({"metadata": {"user": "principal.email", "id": "principal.id"}});
    let keys = ["openai", "anthropic", "gemini", "compat", "cf_aig"];
    let scope = ["openai", "anthropic", "gemini", "compat"];
    let vercel = || {
        let own = Upstream::new("vercel", "ai-gateway.vercel.sh", "")
            .or(&[("authorization", bearer("AI_GATEWAY"))])
            .or(&[("x-api-key", real("AI_GATEWAY"))]);
        direct().into_iter().take(3).chain([own]).collect()
    };
    [
        (policy(&DIRECT, &DIRECT, &json!({"providers": lab})), direct()),
        (policy(&DIRECT, &DIRECT, &shared), direct()),
        (policy(&scope, &keys, &gateway("provider_key", told)), at_gateway(true)),
        (policy(&scope, &["cf_aig"], &gateway("byok", json!({"openai": "compat"}))), at_gateway(false)),
        (
            policy(
                &["vercel", "openai", "anthropic", "gemini"],
                &["openai", "anthropic", "gemini", "ai_gateway"],
                &json!({"gateway": {"vercel": {"credential": "ai_gateway"}}}),
            ),
            vercel(),
        ),
    ]
    .into_iter()
    .map(|(policy, upstreams)| Setup { plane: Plane::new(&policy), upstreams })
    .collect()
}

/// Writes whole tokens in the places of the bytes that stand for them.
fn expand(data: &[u8]) -> Vec<u8> {
    let escaped = |token: &str| token.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let mut expanded = Vec::new();
    for byte in data {
        match byte {
            1 => expanded.extend(TOKEN.as_bytes()),
            2 => expanded.extend(OTHER.as_bytes()),
            3 => expanded.extend(escaped(TOKEN).as_bytes()),
            byte => expanded.push(*byte),
        }
    }
    expanded
}

/// Judges a head, and has the rewrite judged.
pub(super) fn head(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let text = expand(text);
    // What a caller writes itself is no credential of the policy.
    if text.windows(REAL.len()).any(|window| window == REAL.as_bytes()) {
        return;
    }
    let mut lines = text.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let space = first.iter().position(|byte| *byte == b' ').unwrap_or(first.len());
    let (method, target) = first.split_at(space);
    let headers: Vec<Header<'_>> = lines.filter_map(header).collect();
    let head = RequestHead::new(method, target.get(1..).unwrap_or_default(), &headers);
    SETUPS.with(|setups| {
        let setups = setups.get_or_init(all);
        let Setup { plane, upstreams } = &setups[usize::from(*choice) % setups.len()];
        let nothing = |_: &str| (0, &b""[..]);
        plane.judge(&MemoryStore::default(), &head, at(0), &nothing, |decision| match &decision.verdict {
            Verdict::Forward(rewrite) => {
                let principal = decision.facts.principal.as_ref().expect("a forwarded request has a caller");
                let is_it = |token: &&str| sha256(token).starts_with(principal.id().as_str());
                let token = [TOKEN, OTHER].into_iter().find(is_it).expect("the caller is one of two");
                let caller = Caller { token, scope: (token == OTHER).then_some("openai") };
                rewritten::check(&head, rewrite, &caller, upstreams);
            }
            Verdict::Pass(_) => panic!("no policy here is in shadow mode"),
            Verdict::Reply(_, reply) | Verdict::Answer(reply) => {
                // CORS has the origin of the caller's page in the answer, as the caller wrote it.
                let lines = reply.headers.iter().filter(|(name, _)| *name != "access-control-allow-origin");
                let lines = lines.map(|(name, value)| format!("{name}: {}", &**value));
                let told = lines.chain([reply.body.clone()]).collect::<Vec<_>>().join("\n");
                assert!(![REAL, TOKEN, OTHER].iter().any(|secret| told.contains(secret)), "{told}");
            }
        });
    });
}

fn header(line: &[u8]) -> Option<Header<'_>> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    Some(Header { name, value: value[1..].trim_ascii() })
}
