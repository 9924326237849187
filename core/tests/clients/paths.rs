//! Paths below the base URLs that users set.

use keyswap_core::judge::Verdict;
use serde_json::json;

use super::support::worker::{Worker, nobody_is_asked};
use super::{PTK, ask, bearer, judge, policy};

/// Judges requests that send `PTK` as Bearer; of a forwarded one, the place upstream counts.
fn check_paths(worker: &Worker, paths: &[(&str, &str)]) {
    for (request, expect) in paths {
        let found = ask(worker, request, &[("authorization", &bearer(PTK))]);
        assert_eq!(found.split(' ').next().unwrap(), *expect, "{request}");
    }
}

#[test]
fn a_base_url_without_the_version_of_the_api_leads_to_the_same_endpoint() {
    check_paths(
        &Worker::new(&policy(&json!({}))),
        &[
            ("POST /chat/completions", "api.openai.com/v1/chat/completions"),
            ("POST /responses?a=b", "api.openai.com/v1/responses?a=b"),
            ("POST /openai/chat/completions", "api.openai.com/v1/chat/completions"),
            ("GET /models", "api.openai.com/v1/models"),
            ("WS /realtime?model=m", "api.openai.com/v1/realtime?model=m"),
            ("WS /openai/responses", "api.openai.com/v1/responses"),
            ("POST /anthropic/messages", "api.anthropic.com/v1/messages"),
            ("POST /mistral/chat/completions", "api.mistral.ai/v1/chat/completions"),
            ("POST /grok/chat/completions", "api.x.ai/v1/chat/completions"),
            ("POST /groq/chat/completions", "api.groq.com/openai/v1/chat/completions"),
            // What is no endpoint stays none, and a class stays closed.
            ("POST /chat", "endpoint_not_allowed"),
            ("GET /files", "endpoint_class_not_allowed"),
            ("GET /organization/projects", "endpoint_not_allowed"),
        ],
    );
    let elsewhere = json!({
        "openai": {"url": "https://relay.example/team"}, "mistral": {"url": "https://eu.mistral.example"},
    });
    check_paths(
        &Worker::new(&policy(&json!({"providers": elsewhere}))),
        &[
            ("POST /chat/completions", "relay.example/team/chat/completions"),
            ("POST /mistral/chat/completions", "eu.mistral.example/v1/chat/completions"),
        ],
    );
}

#[test]
fn a_version_that_stands_twice_counts_once() {
    check_paths(
        &Worker::new(&policy(&json!({}))),
        &[
            ("POST /v1/v1/chat/completions", "api.openai.com/v1/chat/completions"),
            ("POST /openai/v1/v1/responses", "api.openai.com/v1/responses"),
            ("POST /anthropic/v1/v1/messages", "api.anthropic.com/v1/messages"),
            (
                "POST /google-ai-studio/v1/v1beta/models/g:generateContent",
                "generativelanguage.googleapis.com/v1beta/models/g:generateContent",
            ),
            ("POST /groq/v1/v1/chat/completions", "api.groq.com/openai/v1/chat/completions"),
            ("GET /v1/v1/organization/projects", "endpoint_not_allowed"),
            ("GET /v1/v1/files", "endpoint_class_not_allowed"),
            ("POST /v1/v1/v1/chat/completions", "endpoint_not_allowed"),
            ("POST /v1/v%31/chat/completions", "endpoint_not_allowed"),
        ],
    );
    let worker = Worker::new(&policy(&json!({})));
    let found =
        ask(&worker, "POST /v1/v1/messages", &[("x-api-key", PTK), ("anthropic-version", "2023-06-01")]);
    assert_eq!(found, "api.anthropic.com/v1/messages anthropic-version=2023-06-01 x-api-key=KEY");
}

#[test]
fn a_provider_is_named_by_its_id_and_its_common_names() {
    check_paths(
        &Worker::new(&policy(&json!({}))),
        &[
            (
                "POST /gemini/v1beta/models/g:generateContent",
                "generativelanguage.googleapis.com/v1beta/models/g:generateContent",
            ),
            (
                "POST /gemini/v1beta/openai/chat/completions",
                "generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            ),
            ("POST /xai/v1/chat/completions", "api.x.ai/v1/chat/completions"),
            (
                "POST /azure/openai/deployments/gpt/chat/completions",
                "acme.openai.azure.com/openai/deployments/gpt/chat/completions",
            ),
            (
                "POST /vertex-ai/v1/projects/p/locations/l/publishers/google/models/g:predict",
                "aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/g:predict",
            ),
        ],
    );
    // A provider of the policy's own keeps its name.
    let own = policy(&json!({"providers": {"xai": {"url": "https://own.example"}}}));
    check_paths(&Worker::new(&own), &[("POST /xai/v1/chat/completions", "own.example/v1/chat/completions")]);
}

#[test]
fn paths_that_one_api_has_are_its_own() {
    check_paths(
        &Worker::new(&policy(&json!({}))),
        &[
            ("POST /v1/listen?model=nova-3", "api.deepgram.com/v1/listen?model=nova-3"),
            ("WS /v1/listen", "api.deepgram.com/v1/listen"),
            ("WS /v2/listen?model=flux", "api.deepgram.com/v2/listen?model=flux"),
            ("POST /v1/speak", "api.deepgram.com/v1/speak"),
            ("WS /v1/speak", "api.deepgram.com/v1/speak"),
            (
                "WS /ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateMusic",
                "generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateMusic",
            ),
            (
                "WS /ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent",
                "generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContent?key=KEY",
            ),
            (
                "WS /ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained",
                "generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1alpha.GenerativeService.BidiGenerateContentConstrained",
            ),
            (
                "WS /ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
                "aiplatform.googleapis.com/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
            ),
            (
                "POST /v1beta1/projects/p/locations/l/publishers/google/models/g:generateContent",
                "aiplatform.googleapis.com/v1beta1/projects/p/locations/l/publishers/google/models/g:generateContent",
            ),
            (
                "POST /v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict",
                "aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict",
            ),
            (
                "POST /google-vertex-ai/projects/p/locations/l/publishers/anthropic/models/c:rawPredict",
                "aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/anthropic/models/c:rawPredict",
            ),
            (
                "POST /openai/deployments/gpt-4o/chat/completions?api-version=1",
                "acme.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=1",
            ),
            ("GET /v1/projects/p", "endpoint_not_allowed"),
        ],
    );
}

#[test]
fn azure_is_reached_by_the_address_of_the_portal_and_by_that_of_its_deployments() {
    let portal = policy(&json!({"providers": {"azure-openai": {"url": "https://acme.openai.azure.com"}}}));
    for policy in [portal, policy(&json!({}))] {
        check_paths(
            &Worker::new(&policy),
            &[
                (
                    "POST /azure-openai/openai/deployments/gpt-4o/chat/completions?api-version=1",
                    "acme.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=1",
                ),
                (
                    "POST /azure-openai/gpt-4o/chat/completions",
                    "acme.openai.azure.com/openai/deployments/gpt-4o/chat/completions",
                ),
                ("POST /azure-openai/openai/deployments/gpt%2Fchat/completions", "path_invalid"),
                ("GET /azure-openai/openai/deployments/gpt-4o", "endpoint_not_allowed"),
            ],
        );
    }
    let portal = policy(&json!({"providers": {"azure-openai": {"url": "https://acme.openai.azure.com"}}}));
    check_paths(
        &Worker::new(&portal),
        &[
            ("POST /azure-openai/openai/v1/responses", "acme.openai.azure.com/openai/v1/responses"),
            ("GET /azure-openai/openai/v1/files", "endpoint_class_not_allowed"),
            (
                "WS /azure-openai/openai/v1/realtime?model=m",
                "acme.openai.azure.com/openai/v1/realtime?model=m",
            ),
        ],
    );
}

#[test]
fn an_encoded_slash_is_part_of_a_models_id_and_of_nothing_else() {
    let own = policy(&json!({"providers": {
        "bedrock": {"url": "https://bedrock-runtime.eu-west-1.amazonaws.com", "auth": "bearer"},
        "vllm": {"url": "https://vllm.example/v1"},
    }}));
    let arn = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A111122223333%3Aapplication-inference-profile%2Fabc123/invoke";
    check_paths(
        &Worker::new(&own),
        &[
            (&format!("POST /bedrock{arn}"), &format!("bedrock-runtime.eu-west-1.amazonaws.com{arn}")),
            (
                "POST /bedrock/model/us.anthropic.claude-v1%3A0/converse-stream",
                "bedrock-runtime.eu-west-1.amazonaws.com/model/us.anthropic.claude-v1%3A0/converse-stream",
            ),
            (
                "POST /bedrock/openai/v1/chat/completions",
                "bedrock-runtime.eu-west-1.amazonaws.com/openai/v1/chat/completions",
            ),
            ("GET /bedrock/guardrails", "endpoint_not_allowed"),
            (
                "GET /huggingface/v1/models/meta-llama%2FLlama-3.3-70B-Instruct",
                "router.huggingface.co/v1/models/meta-llama%2FLlama-3.3-70B-Instruct",
            ),
            (
                "GET /huggingface/v1/models/meta-llama%2fLlama",
                "router.huggingface.co/v1/models/meta-llama%2fLlama",
            ),
            ("GET /groq/v1/models/openai%2Fgpt-oss", "api.groq.com/openai/v1/models/openai%2Fgpt-oss"),
            ("GET /vllm/models/meta-llama%2FLlama", "vllm.example/v1/models/meta-llama%2FLlama"),
            ("GET /v1/models/meta-llama%2FLlama", "path_invalid"),
            ("GET /v1%2Fmodels", "path_invalid"),
            ("GET /huggingface/v1%2Fmodels/a", "path_invalid"),
            ("GET /huggingface/v1/models%2Fa%2Fb", "path_invalid"),
            ("GET /huggingface/v1/models/a%2F..%2Fb", "path_invalid"),
            ("GET /huggingface/v1/models/a%2F%2Fb", "path_invalid"),
            ("GET /huggingface/v1/models/a%2F", "path_invalid"),
            ("GET /huggingface/v1/models/a%2F%2e%2e", "path_invalid"),
            ("GET /huggingface/v1/models/a%2Fb%5Cc", "path_invalid"),
            ("GET /huggingface/v1/models/a%252Fb", "path_invalid"),
            ("GET /huggingface/v1/responses%2Fa", "path_invalid"),
            ("GET /groq/v1/files/a%2Fb", "path_invalid"),
            ("POST /bedrock/model/a%2F..%2Fx/invoke", "path_invalid"),
            ("POST /bedrock/model%2Fa/invoke", "path_invalid"),
            ("GET /vllm/models/a%2Fb/c", "path_invalid"),
        ],
    );
}

#[test]
fn a_refusal_of_a_path_says_which_base_url_to_set() {
    let worker = Worker::new(&policy(&json!({})));
    for (request, words) in [
        ("POST /v1/nothing", "/openai/v1"),
        ("POST /gemini/nothing", "/google-ai-studio"),
        ("POST /openai//v1/chat/completions", "slash at the end of the base URL"),
        ("GET /v1/models/a%2Fb", "encoded slash"),
    ] {
        let body =
            judge(&worker, request, &[("authorization", &bearer(PTK))], &nobody_is_asked, |decision, _| {
                let Verdict::Reply(_, reply) = &decision.verdict else { panic!("{request} is refused") };
                reply.body.clone()
            });
        assert!(body.contains(words), "{request}: {body}");
        assert!(!body.contains("nothing") && !body.contains(PTK), "{request}: {body}");
    }
}
