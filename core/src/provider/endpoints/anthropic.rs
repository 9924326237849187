//! Anthropic's API.

use crate::identity::Class::{Admin, Batches, Files, Inference, Mint, Models, Stateful};
use crate::provider::class::Rows;
use crate::provider::pattern::{ANY, GET, POST};

pub(in crate::provider) static ANTHROPIC: [Rows; 8] = [
    Rows(
        Inference,
        POST,
        &[
            "/messages",
            "/messages/count_tokens",
            "/complete",
            "/experimental/generate_prompt",
            "/experimental/improve_prompt",
            "/experimental/templatize_prompt",
        ],
    ),
    Rows(Models, GET, &["/models", "/models/{model}"]),
    Rows(
        Mint,
        ANY,
        &[
            "/oauth/{...}",
            "/environments/{}/work/poll",
            "/tunnels/{}/reveal_token",
            "/tunnels/{}/rotate_token",
            "/user_profiles/{}/action_urls",
            "/user_profiles/{}/enrollment_url",
        ],
    ),
    Rows(Stateful, ANY, &["/user_profiles", "/user_profiles/{}"]),
    Rows(
        Admin,
        ANY,
        &[
            "/organizations/{...}",
            "/organization/{...}",
            "/compliance/{...}",
            "/tunnels/{...}",
            "/vaults/{...}",
            "/user_profiles/{...}",
        ],
    ),
    Rows(Batches, ANY, &["/messages/batches/{...}"]),
    Rows(Files, ANY, &["/files/{...}"]),
    Rows(
        Stateful,
        ANY,
        &[
            "/agents/{...}",
            "/sessions/{...}",
            "/environments/{...}",
            "/deployments/{...}",
            "/deployment_runs/{...}",
            "/memory_stores/{...}",
            "/dreams/{...}",
            "/skills/{...}",
        ],
    ),
];
