//! The APIs of those whose models come with agents, search and tasks.

use crate::identity::Class::{Admin, Batches, Files, FineTuning, Inference, Mint, Models, Stateful};
use crate::provider::class::Rows;
use crate::provider::pattern::{ANY, DELETE, GET, POST, WEBSOCKET};

/// Mistral. Connectors hold credentials of other services, so that no scope opens them.
pub(in crate::provider) static MISTRAL: [Rows; 11] = [
    Rows(
        Inference,
        POST,
        &[
            "/chat/completions",
            "/responses",
            "/responses/input_tokens",
            "/embeddings",
            "/fim/completions",
            "/agents/completions",
            "/moderations",
            "/chat/moderations",
            "/classifications",
            "/chat/classifications",
            "/rerank",
            "/ocr",
            "/audio/speech",
            "/audio/transcriptions",
        ],
    ),
    Rows(Inference, WEBSOCKET, &["/audio/speech/realtime", "/audio/transcriptions/realtime"]),
    Rows(Models, GET, &["/models", "/models/{model:}"]),
    Rows(
        Mint,
        ANY,
        &[
            "/audio/sessions",
            "/audio/workers/{...}",
            "/client/sessions",
            "/files/{}/url",
            "/libraries/{}/documents/{}/signed-url",
            "/libraries/{}/documents/{}/extracted-text-signed-url",
        ],
    ),
    Rows(Mint, POST, &["/admin/api-keys"]),
    Rows(
        Admin,
        ANY,
        &[
            "/admin/{...}",
            "/connectors/{...}",
            "/connectors-gateway/{...}",
            "/libraries/{}/share",
            "/observability/{...}",
            "/service-accounts/{...}",
            "/users/{...}",
            "/webhooks/{...}",
            "/whoami",
            "/workflows/workers/whoami",
        ],
    ),
    Rows(Files, ANY, &["/files/{...}"]),
    Rows(Batches, ANY, &["/batch/jobs/{...}"]),
    Rows(FineTuning, DELETE, &["/models/{model:}"]),
    Rows(
        FineTuning,
        ANY,
        &["/fine_tuning/jobs/{...}", "/fine_tuning/models/{:}", "/fine_tuning/models/{:}/archive"],
    ),
    Rows(
        Stateful,
        ANY,
        &[
            "/conversations/{...}",
            "/agents/{...}",
            "/libraries/{...}",
            "/audio/voices/{...}",
            "/audio/agents/{...}",
            "/audio/sessions/{}",
            "/prompts/{...}",
            "/skills/{...}",
            "/context/search-indexes/{...}",
        ],
    ),
];

pub(in crate::provider) static PERPLEXITY: [Rows; 6] = [
    Rows(
        Inference,
        POST,
        &[
            "/chat/completions",
            "/responses",
            "/sonar",
            "/agent",
            "/search",
            "/embeddings",
            "/contextualizedembeddings",
        ],
    ),
    Rows(Models, GET, &["/models"]),
    Rows(Mint, ANY, &["/generate_auth_token", "/revoke_auth_token"]),
    Rows(Files, ANY, &["/responses/{}/files/{...}"]),
    Rows(Batches, ANY, &["/async/chat/completions/{...}", "/async/sonar/{...}"]),
    Rows(Stateful, ANY, &["/responses/{...}", "/agent/{...}", "/browser/sessions/{...}"]),
];

pub(in crate::provider) static PARALLEL: [Rows; 5] = [
    Rows(
        Inference,
        POST,
        &[
            "/chat/completions",
            "/responses",
            "/search",
            "/extract",
            "/tasks/runs",
            "/findall/runs",
            "/findall/ingest",
            "/findall/candidates",
            "/findall/entity-search",
            "/a2a",
        ],
    ),
    Rows(Models, GET, &["/.well-known/agent-card.json"]),
    Rows(Admin, ANY, &["/account/{...}"]),
    Rows(Batches, ANY, &["/tasks/groups/{...}"]),
    Rows(
        Stateful,
        ANY,
        &["/tasks/runs/{...}", "/findall/runs/{...}", "/responses/{...}", "/monitors/{...}", "/memory/{}"],
    ),
];
