//! The APIs of gateways, whose requests name the model or the provider in the body.

use crate::identity::Class::{Admin, Batches, Files, FineTuning, Inference, Mint, Models, Stateful};
use crate::provider::class::Rows;
use crate::provider::pattern::{ANY, GET, POST, WEBSOCKET};

/// The OpenAI-compatible endpoint of the Cloudflare AI Gateway.
pub(in crate::provider) static COMPAT: [Rows; 2] = [
    Rows(Inference, POST, &["/chat/completions", "/completions", "/embeddings", "/responses"]),
    Rows(Models, GET, &["/models"]),
];

/// The universal endpoint of the Cloudflare AI Gateway, at its root.
pub(in crate::provider) static UNIVERSAL: [Rows; 2] =
    [Rows(Inference, POST, &["", "/run"]), Rows(Inference, WEBSOCKET, &[""])];

/// Cloudflare's REST API below `ai`, as a gateway.
pub(in crate::provider) static REST: [Rows; 5] = [
    Rows(
        Inference,
        POST,
        &[
            "/chat/completions",
            "/responses",
            "/responses/compact",
            "/messages",
            "/messages/count_tokens",
            "/embeddings",
            "/run/{model...}",
            "/tomarkdown",
        ],
    ),
    Rows(Models, GET, &["/models/search"]),
    Rows(Batches, ANY, &["/messages/batches/{...}"]),
    Rows(FineTuning, ANY, &["/finetunes/{...}"]),
    Rows(Stateful, ANY, &["/responses/{...}", "/chat/completions/{...}"]),
];

/// Workers AI. At the gateway a model is the path itself; at Cloudflare's API it stands below `run`.
pub(in crate::provider) static WORKERS_AI: [Rows; 5] = [
    Rows(
        Inference,
        POST,
        &[
            "/chat/completions",
            "/run/{model...}",
            "/@cf/{model...}",
            "/@hf/{model...}",
            "/embeddings",
            "/responses",
            "/messages",
            "/completions",
            "/images/generations",
            "/audio/transcriptions",
            "/tomarkdown",
        ],
    ),
    Rows(Inference, WEBSOCKET, &["", "/run/{model...}"]),
    Rows(
        Models,
        GET,
        &[
            "/models",
            "/models/search",
            "/models/schema",
            "/authors/search",
            "/tasks/search",
            "/finetunes/public",
            "/tomarkdown/supported",
        ],
    ),
    Rows(FineTuning, ANY, &["/finetunes/{...}"]),
    Rows(Stateful, ANY, &["/responses/{...}"]),
];

pub(in crate::provider) static VERCEL: [Rows; 7] = [
    Rows(
        Inference,
        POST,
        &[
            "/chat/completions",
            "/responses",
            "/responses/compact",
            "/messages",
            "/messages/count_tokens",
            "/embeddings",
            "/completions",
            "/rerank",
            "/evaluate",
            "/images/generations",
            "/images/edits",
            "/videos/generations",
            "/audio/speech",
            "/audio/transcriptions",
            "/ai/language-model",
            "/ai/embedding-model",
            "/ai/image-model",
            "/ai/reranking-model",
            "/ai/speech-model",
            "/ai/transcription-model",
            "/ai/video-model",
            "/ai/video-model/start",
        ],
    ),
    Rows(Inference, WEBSOCKET, &["/realtime", "/responses", "/ai/realtime-model", "/ai/transcription-model"]),
    Rows(
        Models,
        GET,
        &["/models", "/models/{model}/{model:}", "/models/{model}/{model:}/endpoints", "/ai/config"],
    ),
    Rows(Mint, POST, &["/realtime/client-secrets"]),
    Rows(Admin, ANY, &["/credits", "/generation", "/report"]),
    Rows(Batches, POST, &["/ai/batch/{}"]),
    Rows(Stateful, ANY, &["/responses/{...}", "/videos/{}", "/ai/video-model/status"]),
];

pub(in crate::provider) static OPENROUTER: [Rows; 7] = [
    Rows(
        Inference,
        POST,
        &[
            "/chat/completions",
            "/responses",
            "/messages",
            "/messages/count_tokens",
            "/completions",
            "/embeddings",
            "/rerank",
            "/moderations",
            "/images",
            "/audio/speech",
            "/audio/transcriptions",
            "/systemone",
            "/alpha/responses",
            "/alpha/decisions",
        ],
    ),
    Rows(
        Models,
        GET,
        &[
            "/models",
            "/models/count",
            "/models/{model}/{model:}/endpoints",
            "/model/{model}/{model:}",
            "/parameters/{model}/{model:}",
            "/providers",
            "/embeddings/models",
            "/images/models",
            "/images/models/{model}/{model:}/endpoints",
            "/videos/models",
            "/endpoints/zdr",
            "/tools",
            "/tools/{}",
            "/benchmarks",
            "/classifications/task",
            "/datasets/app-rankings",
            "/datasets/rankings-daily",
            "/datasets/session-cost",
            "/oauth/jwks",
        ],
    ),
    Rows(Mint, POST, &["/keys", "/auth/keys", "/auth/keys/code", "/oauth/token"]),
    Rows(
        Admin,
        ANY,
        &[
            "/key",
            "/keys/{...}",
            "/auth/{...}",
            "/credits/{...}",
            "/activity",
            "/analytics/{...}",
            "/byok/{...}",
            "/external-users/{...}",
            "/guardrails/{...}",
            "/models/user",
            "/observability/{...}",
            "/organization/{...}",
            "/private-endpoints/{...}",
            "/scim/{...}",
            "/vault/{...}",
            "/workspaces/{...}",
            "/frontend/{...}",
            "/internal/{...}",
            "/trpc/{...}",
        ],
    ),
    Rows(Files, ANY, &["/files/{...}", "/containers/{}/files/{...}"]),
    Rows(Batches, ANY, &["/batches/{...}"]),
    Rows(Stateful, ANY, &["/responses/{...}", "/generation/{...}", "/presets/{...}", "/videos/{...}"]),
];
