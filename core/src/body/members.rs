//! The members of requests that are looked at, as data: a table for bodies, and one for the messages of a session.

use super::paths::{MAX_PATHS, Matches, Shape};
use crate::provider::limits::OutputLimit;

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
    Output(OutputLimit),
    /// The number of answers.
    Count,
    /// A word on keeping the answer.
    Store,
    Tier,
    /// A word on going on without the caller.
    Background,
    /// The name of stored input, which is not in the body.
    Stored,
}

/// A table of members.
pub(super) struct Members {
    /// The paths of the members, as a follower takes them.
    pub(super) matches: Matches,
    roles: &'static [Role],
}

impl Members {
    /// Returns the meaning of a member, by the number of its path.
    pub(super) fn role(&self, path: usize) -> Role {
        self.roles.get(path).copied().unwrap_or(Role::Element)
    }
}

/// Writes members, and their meanings in the same order.
macro_rules! table {
    ($table:ident: $($role:ident $(($limit:ident))? [$($segment:literal),*]),* $(,)?) => {
        pub(super) static $table: Members = {
            const PATHS: &[&[&str]] = &[$(&[$($segment),*]),*];
            const { assert!(PATHS.len() <= MAX_PATHS) };
            Members {
                matches: Matches::new(Shape { paths: PATHS, places: 0, fields: &[], in_pieces: false }),
                roles: &[$(Role::$role $((OutputLimit::$limit))?),*],
            }
        };
    };
}

/// Writes a table of the members that are looked at in every API, and of its own. A name that one API has means nothing to
/// the others.
macro_rules! members {
    ($table:ident: $($own:tt)*) => {
        table! { $table:
            Top [],
            Element ["*"],
            Model ["model"],
            Model ["model_id"],
            Model ["modelId"],
            Model ["engine"],
            Model ["version"],
            Model ["preset"],
            Model ["models", "*"],
            // A word that leaves the choice to the provider, or a list.
            ModelOrObject ["fallbacks"],
            ModelOrObject ["fallbacks", "*"],
            Model ["fallbacks", "*", "model"],
            Model ["providerOptions", "gateway", "models", "*"],
            Model ["tools", "*", "model"],
            // OpenRouter's tools and plugins, which ask other models.
            ModelOrObject ["tools", "*", "parameters", "model"],
            ModelOrObject ["tools", "*", "parameters", "analysis_models", "*"],
            ModelOrObject ["tools", "*", "parameters", "tools", "*", "parameters", "model"],
            Model ["plugins", "*", "model"],
            Model ["plugins", "*", "analysis_models", "*"],
            Model ["session", "model"],
            Model ["session", "audio", "input", "transcription", "model"],
            Model ["compound_custom", "models", "reasoning_model"],
            Model ["compound_custom", "models", "answering_model"],
            Stream ["stream"],
            StreamOptions ["stream_options"],
            IncludeUsage ["stream_options", "include_usage"],
            Output(MaxTokens) ["max_tokens"],
            Output(MaxCompletionTokens) ["max_completion_tokens"],
            Output(MaxOutputTokens) ["max_output_tokens"],
            Output(MaxTokensToSample) ["max_tokens_to_sample"],
            Output(GenerationConfig) ["generationConfig", "maxOutputTokens"],
            Output(GenerationConfig) ["generation_config", "max_output_tokens"],
            Output(InferenceConfig) ["inferenceConfig", "maxTokens"],
            Output(Options) ["options", "num_predict"],
            Store ["store"],
            Tier ["service_tier"],
            Tier ["serviceTier"],
            Tier ["serviceTier", "type"],
            Background ["background"],
            Stored ["previous_response_id"],
            Stored ["conversation"],
            Count ["n"],
            Count ["best_of"],
            Count ["generationConfig", "candidateCount"],
            Count ["generation_config", "candidate_count"],
            $($own)*
        }
    };
}

members! { BODY:
    Model ["requests", "*", "model"],
    Model ["requests", "*", "params", "model"],
    Model ["requests", "*", "params", "tools", "*", "model"],
    ModelOrObject ["requests", "*", "params", "fallbacks"],
    Model ["requests", "*", "params", "fallbacks", "*", "model"],
    Model ["batch", "model"],
    Model ["data_source", "model"],
    Model ["method", "reinforcement", "grader", "model"],
    Model ["generateContentRequest", "model"],
    Model ["generate_content_request", "model"],
    // There Vertex AI chooses the model. Google's APIs read a name in either form.
    Model ["generationConfig", "routingConfig"],
    Model ["generationConfig", "routing_config"],
    Model ["generation_config", "routingConfig"],
    Model ["generation_config", "routing_config"],
    Stored ["cachedContent"],
    Stored ["cached_content"],
    Model ["*", "query", "model"],
    Provider ["*", "provider"],
    Endpoint ["*", "endpoint"],
}

members! { MESSAGE:
    Provider ["request", "provider"],
    Endpoint ["request", "endpoint"],
    Model ["request", "query", "model"],
    Model ["setup", "model"],
    Model ["session", "input_audio_transcription", "model"],
    Model ["response", "model"],
    Output(Response) ["response", "max_output_tokens"],
    Model ["agent", "think", "provider", "model"],
    Model ["agent", "think", "*", "provider", "model"],
    Model ["agent", "listen", "provider", "model"],
    Model ["agent", "speak", "provider", "model"],
    Model ["agent", "speak", "*", "provider", "model"],
    Model ["think", "provider", "model"],
    Model ["think", "*", "provider", "model"],
    Model ["speak", "provider", "model"],
    Model ["speak", "*", "provider", "model"],
}
