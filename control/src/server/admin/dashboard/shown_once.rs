//! The page that shows a new token once, with examples of its use.

use axum::http::StatusCode;
use axum::response::Response;
use keyswap_core::identity::{Class, Scope};
use maud::{Markup, html};

use super::layout::{Place, page};
use crate::registry::Created;
use crate::server::admin::gate::AdminState;
use crate::server::proxy_url::ProxyUrl;

pub(super) fn answer(state: &AdminState, status: StatusCode, title: &str, created: &Created) -> Response {
    let address = &state.options().proxy_url;
    let record = &created.record;
    let content = html! {
        div .card {
            @if let Some(token) = &created.token {
                p { strong { "Copy the token of “" (record.label) "” now. " } "It is not stored and cannot be shown again." }
                div .secret {
                    code #token tabindex="0" { (token.expose()) }
                    button .primary type="button" data-copy="token" hidden { "Copy" }
                }
                p role="status" #copied {}
            } @else {
                p { "“" (record.label) "” is in the registry, which has only its digest." }
            }
            p { a .button href={ "/admin/tokens/" (record.digest.to_hex()) } { "To the token" } " "
                a .button href="/admin" { "To the list" } }
        }
        @if let Some(token) = &created.token {
            h2 { "Use it" }
            p { "Keyswap is at " code { (address) } "." }
            @for (name, text) in snippets(address, &record.providers, token.expose()) { (snippet(name, &text)) }
        }
    };
    page(status, Place::Tokens, title, &content)
}

fn snippet(name: &str, text: &str) -> Markup {
    html! { section .card { h3 { (name) } pre tabindex="0" role="region" aria-label=(name) { code { (text) } } } }
}

fn snippets(address: &ProxyUrl, providers: &[String], token: &str) -> Vec<(&'static str, String)> {
    let scope = Scope::read(providers);
    let has = |name: &str| scope.classes(name).has(Class::Inference);
    let mut all = Vec::new();
    if has("openai") {
        all.push((
            "OpenAI, Python",
            format!(
                "from openai import OpenAI\n\nclient = OpenAI(\n    base_url=\"{address}/v1\",\n    api_key=\"{token}\",\n)"
            ),
        ));
        all.push((
            "OpenAI, Node",
            format!(
                "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{\n  baseURL: \"{address}/v1\",\n  apiKey: \"{token}\",\n}});"
            ),
        ));
        all.push(("curl", format!("curl {address}/v1/models \\\n  -H \"Authorization: Bearer {token}\"")));
    }
    if has("anthropic") {
        all.push((
            "Anthropic, Python",
            format!(
                "from anthropic import Anthropic\n\nclient = Anthropic(\n    base_url=\"{address}\",\n    api_key=\"{token}\",\n)"
            ),
        ));
        all.push((
            "Anthropic, Node",
            format!(
                "import Anthropic from \"@anthropic-ai/sdk\";\n\nconst client = new Anthropic({{\n  baseURL: \"{address}\",\n  apiKey: \"{token}\",\n}});"
            ),
        ));
    }
    if has("gemini") {
        all.push((
            "google-genai, Python",
            format!(
                "from google import genai\nfrom google.genai import types\n\nclient = genai.Client(\n    api_key=\"{token}\",\n    http_options=types.HttpOptions(base_url=\"{address}\"),\n)"
            ),
        ));
    }
    all
}
