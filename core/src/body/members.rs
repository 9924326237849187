//! The members of requests that are looked at, as data.

use super::paths::{MAX_PATHS, Matches, Shape};

/// The meaning of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The text itself, an object or an array.
    Top,
    /// An element of an array that is the text.
    Element,
    /// A model that computes, or that may compute.
    Model,
    /// A model by its name, or an object that has one.
    ModelOrObject,
    /// A provider that gets a part of the request.
    Provider,
    /// The endpoint for that part.
    Endpoint,
    Stream,
    StreamOptions,
    IncludeUsage,
    /// The most tokens of one answer.
    Output,
    /// The number of answers.
    Count,
    /// A word on keeping the answer.
    Store,
    Tier,
}

/// Writes the members, and their meanings in the same order.
macro_rules! members {
    ($($role:ident $path:tt),* $(,)?) => {
        static PATHS: &[&[&str]] = &[$(&$path),*];
        static ROLES: &[Role] = &[$(Role::$role),*];
    };
}

// The members that are looked at, in every API: a name that one API has means nothing to the others.
members! {
    Top [],
    Element ["*"],
    Model ["model"],
    Model ["model_id"],
    Model ["modelId"],
    Model ["engine"],
    Model ["version"],
    Model ["preset"],
    Model ["models", "*"],
    ModelOrObject ["fallbacks", "*"],
    Model ["fallbacks", "*", "model"],
    Model ["providerOptions", "gateway", "models", "*"],
    Model ["tools", "*", "model"],
    Model ["requests", "*", "model"],
    Model ["requests", "*", "params", "model"],
    Model ["batch", "model"],
    Model ["data_source", "model"],
    Model ["generateContentRequest", "model"],
    Model ["generate_content_request", "model"],
    Model ["setup", "model"],
    Model ["session", "model"],
    Model ["session", "input_audio_transcription", "model"],
    Model ["session", "audio", "input", "transcription", "model"],
    Model ["response", "model"],
    Model ["agent", "think", "provider", "model"],
    Model ["agent", "think", "*", "provider", "model"],
    Model ["agent", "listen", "provider", "model"],
    Model ["agent", "speak", "provider", "model"],
    Model ["agent", "speak", "*", "provider", "model"],
    Model ["think", "provider", "model"],
    Model ["think", "*", "provider", "model"],
    Model ["speak", "provider", "model"],
    Model ["speak", "*", "provider", "model"],
    Model ["compound_custom", "models", "reasoning_model"],
    Model ["compound_custom", "models", "answering_model"],
    Model ["*", "query", "model"],
    Provider ["*", "provider"],
    Provider ["request", "provider"],
    Endpoint ["*", "endpoint"],
    Endpoint ["request", "endpoint"],
    Model ["request", "query", "model"],
    Stream ["stream"],
    StreamOptions ["stream_options"],
    IncludeUsage ["stream_options", "include_usage"],
    Output ["max_tokens"],
    Output ["max_completion_tokens"],
    Output ["max_output_tokens"],
    Output ["max_tokens_to_sample"],
    Output ["response", "max_output_tokens"],
    Output ["generationConfig", "maxOutputTokens"],
    Output ["generation_config", "max_output_tokens"],
    Output ["inferenceConfig", "maxTokens"],
    Output ["options", "num_predict"],
    Store ["store"],
    Tier ["service_tier"],
    Tier ["serviceTier"],
    Tier ["serviceTier", "type"],
    Count ["n"],
    Count ["best_of"],
    Count ["num_generations"],
    Count ["generationConfig", "candidateCount"],
    Count ["generation_config", "candidate_count"],
}

const _: () = assert!(PATHS.len() <= MAX_PATHS);

/// The tables of those members.
pub(super) static MATCHES: Matches =
    Matches::new(Shape { paths: PATHS, places: 0, fields: &[], in_pieces: false });

/// Returns the meaning of a member, by the number of its path.
pub(super) fn role(path: usize) -> Role {
    ROLES.get(path).copied().unwrap_or(Role::Element)
}
