//! The members of answers that are read, as data: where usage stands, and the names that it has there.
//!
//! A usage stands in the places that an API says, and nowhere else. So neither text nor arguments that a model made up
//! are taken for one.

use super::paths::{MAX_PATHS, Matches, Paths, Shape};
use super::usage::Count;

/// The meaning of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An object that holds a usage.
    Usage,
    /// A number of tokens.
    Count(Count),
    /// A number of tokens that adds to those before it in the answer.
    Added(Count),
    /// An element of a list in which each element has a label and a number.
    Element,
    Label,
    /// The number of an element. The labels choose the counts.
    Labelled(Labels),
    /// A list of the passes of which an answer was made.
    Passes,
    Pass,
    PassKind,
    PassCount(Count),
    Model,
    Tier,
    Speed,
    Region,
    /// Output of the model, as text.
    Content,
    /// Output of the model, as an object or an array.
    ContentParts,
    /// An element of `choices`.
    Choice,
    Error,
}

/// The counts that the labels of a list choose.
pub(super) type Labels = &'static [(&'static str, Count)];

/// Writes paths and their meanings as one table.
macro_rules! table {
    ($paths:ident, $meanings:ident: $($meaning:expr => $([$($segment:literal),+]),+;)+) => {
        const $paths: Paths = &[$($(&[$($segment),+]),+),+];
        const $meanings: &[Meaning] = &[$($(table!(@ $meaning, $($segment),+)),+),+];
    };
    (@ $meaning:expr, $($segment:literal),+) => { $meaning };
}

/// The number of paths that lead to usages: the first of [`PATHS`].
const PLACES: usize = 14;

table! { PATHS, MEANINGS:
    Meaning::Usage =>
        // OpenAI's JSON and streams, Anthropic's `message_delta`, Converse, Cohere.
        ["usage"],
        // OpenAI's responses and realtime.
        ["response", "usage"],
        // Anthropic's `message_start`.
        ["message", "usage"],
        // Gemini and Vertex: one answer, an array without `alt=sse`, and answers in an envelope.
        ["usageMetadata"],
        ["*", "usageMetadata"],
        ["response", "usageMetadata"],
        // Moonshot, Groq, Cohere's streams and older API, Workers AI.
        ["choices", "*", "usage"],
        ["x_groq", "usage"],
        ["delta", "usage"],
        ["meta"],
        ["response", "meta"],
        ["result", "usage"],
        // Results of batches at OpenAI and Anthropic.
        ["response", "body", "usage"],
        ["result", "message", "usage"];
    // Ollama, and Llama and Titan on Bedrock.
    Meaning::Count(Count::AllInput) =>
        ["prompt_eval_count"], ["prompt_token_count"], ["inputTextTokenCount"];
    Meaning::Count(Count::Output) =>
        ["eval_count"], ["generation_token_count"], ["totalOutputTextTokenCount"];
    Meaning::Added(Count::Output) => ["results", "*", "tokenCount"];
    // InvokeModelWithResponseStream.
    Meaning::Count(Count::Input) => ["amazon-bedrock-invocationMetrics", "inputTokenCount"];
    Meaning::Count(Count::Output) => ["amazon-bedrock-invocationMetrics", "outputTokenCount"];
    Meaning::Count(Count::CachedBeside) => ["amazon-bedrock-invocationMetrics", "cacheReadInputTokenCount"];
    Meaning::Count(Count::WrittenBeside) => ["amazon-bedrock-invocationMetrics", "cacheWriteInputTokenCount"];
    // Vertex's embeddings.
    Meaning::Added(Count::AllInput) => ["predictions", "*", "embeddings", "statistics", "token_count"];
    Meaning::Model =>
        ["model"],
        ["response", "model"],
        ["message", "model"],
        ["session", "model"],
        ["modelVersion"],
        ["*", "modelVersion"],
        ["response", "modelVersion"];
    Meaning::Tier => ["service_tier"], ["response", "service_tier"];
    Meaning::Content =>
        ["choices", "*", "delta", "content"],
        ["choices", "*", "delta", "reasoning_content"],
        ["choices", "*", "delta", "reasoning"],
        ["choices", "*", "delta", "refusal"],
        ["choices", "*", "text"],
        ["delta"],
        ["delta", "text"],
        ["delta", "thinking"],
        ["delta", "partial_json"],
        ["delta", "message", "content", "text"],
        ["generation"],
        ["outputText"];
    Meaning::ContentParts =>
        ["choices", "*", "delta", "tool_calls", "*"],
        ["delta", "toolUse"],
        ["candidates", "*", "content"],
        ["*", "candidates", "*", "content"],
        ["response", "candidates", "*", "content"],
        ["serverContent", "modelTurn"];
    Meaning::Choice => ["choices", "*"];
    Meaning::Error => ["error"];
}

/// The labels of Gemini's input.
const INPUT: Labels = &[("AUDIO", Count::AudioInput), ("IMAGE", Count::ImageInput)];
const OUTPUT: Labels = &[("AUDIO", Count::AudioOutput), ("IMAGE", Count::ImageOutput)];
/// The labels of Converse's caches.
const CACHE: Labels = &[("1h", Count::Written1h)];

table! { FIELDS, FIELD_MEANINGS:
    Meaning::Count(Count::AllInput) => ["prompt_tokens"], ["promptTokenCount"];
    Meaning::Count(Count::Input) =>
        ["input_tokens"], ["inputTokens"], ["billed_units", "input_tokens"];
    Meaning::Count(Count::ToolInput) => ["toolUsePromptTokenCount"];
    Meaning::Count(Count::Cached) =>
        ["prompt_tokens_details", "cached_tokens"],
        ["input_tokens_details", "cached_tokens"],
        ["input_token_details", "cached_tokens"],
        ["cached_tokens"],
        ["prompt_cache_hit_tokens"],
        ["cachedContentTokenCount"];
    Meaning::Count(Count::CachedBeside) =>
        ["cache_read_input_tokens"], ["cacheReadInputTokens"];
    Meaning::Count(Count::Written) =>
        ["prompt_tokens_details", "cache_write_tokens"], ["input_tokens_details", "cache_write_tokens"];
    Meaning::Count(Count::WrittenBeside) =>
        ["cache_creation_input_tokens"], ["cacheWriteInputTokens"];
    Meaning::Count(Count::Written1h) => ["cache_creation", "ephemeral_1h_input_tokens"];
    Meaning::Count(Count::AudioInput) =>
        ["prompt_tokens_details", "audio_tokens"], ["input_token_details", "audio_tokens"];
    Meaning::Count(Count::ImageInput) =>
        ["input_tokens_details", "image_tokens"],
        ["input_token_details", "image_tokens"];
    Meaning::Count(Count::Output) =>
        ["completion_tokens"],
        ["output_tokens"],
        ["outputTokens"],
        ["candidatesTokenCount"],
        ["responseTokenCount"],
        ["billed_units", "output_tokens"];
    Meaning::Count(Count::Reasoning) =>
        ["completion_tokens_details", "reasoning_tokens"],
        ["output_tokens_details", "reasoning_tokens"],
        ["output_tokens_details", "thinking_tokens"];
    Meaning::Count(Count::ReasoningBeside) => ["thoughtsTokenCount"];
    Meaning::Count(Count::AudioOutput) =>
        ["completion_tokens_details", "audio_tokens"], ["output_token_details", "audio_tokens"];
    Meaning::Count(Count::ImageOutput) =>
        ["completion_tokens_details", "image_tokens"], ["output_tokens_details", "image_tokens"];
    Meaning::Count(Count::Total) => ["total_tokens"], ["totalTokenCount"], ["totalTokens"];
    Meaning::Element =>
        ["promptTokensDetails", "*"],
        ["candidatesTokensDetails", "*"],
        ["responseTokensDetails", "*"],
        ["cacheDetails", "*"];
    Meaning::Label =>
        ["promptTokensDetails", "*", "modality"],
        ["candidatesTokensDetails", "*", "modality"],
        ["responseTokensDetails", "*", "modality"],
        ["cacheDetails", "*", "ttl"];
    Meaning::Labelled(INPUT) => ["promptTokensDetails", "*", "tokenCount"];
    Meaning::Labelled(OUTPUT) =>
        ["candidatesTokensDetails", "*", "tokenCount"], ["responseTokensDetails", "*", "tokenCount"];
    Meaning::Labelled(CACHE) => ["cacheDetails", "*", "inputTokens"];
    Meaning::Passes => ["iterations"];
    Meaning::Pass => ["iterations", "*"];
    Meaning::PassKind => ["iterations", "*", "type"];
    Meaning::PassCount(Count::Input) => ["iterations", "*", "input_tokens"];
    Meaning::PassCount(Count::CachedBeside) => ["iterations", "*", "cache_read_input_tokens"];
    Meaning::PassCount(Count::WrittenBeside) => ["iterations", "*", "cache_creation_input_tokens"];
    Meaning::PassCount(Count::Output) => ["iterations", "*", "output_tokens"];
    Meaning::Tier => ["service_tier"], ["serviceTier"], ["trafficType"];
    Meaning::Speed => ["speed"];
    Meaning::Region => ["inference_geo"];
}

/// The paths of every answer.
pub(super) static ANSWER: Matches =
    Matches::new(Shape { paths: PATHS, places: PLACES, fields: FIELDS, in_pieces: false });

/// Returns the meaning of a path, by the number that a follower tells.
pub(super) fn meaning(path: usize) -> Option<Meaning> {
    let field = path.checked_sub(MAX_PATHS);
    field.map_or_else(|| MEANINGS.get(path), |field| FIELD_MEANINGS.get(field)).copied()
}

/// Returns whether a path is the usage of a chunk of OpenAI's streams.
pub(super) fn is_usage_of_chunk(path: usize) -> bool {
    PATHS.get(path) == Some(&["usage"].as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::MAX_SEGMENTS;

    #[test]
    fn the_tables_fit_the_follower() {
        for (paths, meanings) in [(PATHS, MEANINGS), (FIELDS, FIELD_MEANINGS)] {
            assert_eq!(paths.len(), meanings.len());
            assert!(paths.len() <= MAX_PATHS, "{}", paths.len());
            assert!(paths.iter().all(|path| path.len() <= MAX_SEGMENTS));
            let mut once: Vec<_> = paths.to_vec();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), paths.len(), "a path stands twice");
        }
        assert_eq!(MEANINGS.iter().take_while(|meaning| **meaning == Meaning::Usage).count(), PLACES);
        assert_eq!(MEANINGS.iter().filter(|meaning| **meaning == Meaning::Usage).count(), PLACES);
    }
}
