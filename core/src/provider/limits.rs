//! The members by which the APIs take the most tokens of an answer, and which of them an endpoint reads.
//!
//! A member that an endpoint does not read limits nothing there, whatever it says.

use crate::base::bytes::has_end;

/// A member of a request that limits the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputLimit {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// `max_output_tokens`.
    MaxOutputTokens,
    /// `max_tokens_to_sample`, of Anthropic's older API.
    MaxTokensToSample,
    /// `max_output_tokens` of a response in a session.
    Response,
    /// `maxOutputTokens` in Google's `generationConfig`.
    GenerationConfig,
    /// `maxTokens` in Converse's `inferenceConfig`.
    InferenceConfig,
    /// `num_predict` in Ollama's `options`.
    Options,
}

/// The members that an endpoint reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputLimits(u8);

/// Ends of paths, with the members that these endpoints read. The first that fits counts.
const ENDS: [(&str, OutputLimits); 11] = [
    ("/completions", OutputLimits::of(&[OutputLimit::MaxTokens, OutputLimit::MaxCompletionTokens])),
    ("/responses", OutputLimits::of(&[OutputLimit::MaxOutputTokens])),
    ("/messages", OutputLimits::of(&[OutputLimit::MaxTokens])),
    (":generateContent", OutputLimits::of(&[OutputLimit::GenerationConfig])),
    (":streamGenerateContent", OutputLimits::of(&[OutputLimit::GenerationConfig])),
    ("/converse", OutputLimits::of(&[OutputLimit::InferenceConfig])),
    ("/converse-stream", OutputLimits::of(&[OutputLimit::InferenceConfig])),
    ("/realtime", OutputLimits::of(&[OutputLimit::Response])),
    ("/api/chat", OutputLimits::of(&[OutputLimit::Options])),
    ("/api/generate", OutputLimits::of(&[OutputLimit::Options])),
    ("/chat", OutputLimits::of(&[OutputLimit::MaxTokens])),
];

impl Default for OutputLimits {
    fn default() -> Self {
        Self::ALL
    }
}

impl OutputLimits {
    /// All members: those of an endpoint that is not known.
    pub(crate) const ALL: Self = Self(u8::MAX);

    /// Returns the members that the endpoint at a path reads.
    pub(crate) fn at(path: &[u8]) -> Self {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        ENDS.iter().find(|(end, _)| has_end(path, end.as_bytes())).map_or(Self::ALL, |(_, limits)| *limits)
    }

    /// Returns whether a member is read.
    pub(crate) fn has(self, limit: OutputLimit) -> bool {
        self.0 & bit(limit) != 0
    }

    #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
    const fn of(limits: &[OutputLimit]) -> Self {
        let (mut all, mut at) = (0, 0);
        while at < limits.len() {
            all |= bit(limits[at]);
            at += 1;
        }
        Self(all)
    }
}

const fn bit(limit: OutputLimit) -> u8 {
    1 << limit as u8
}

#[cfg(test)]
mod tests {
    use super::{OutputLimit, OutputLimits};

    #[test]
    fn an_endpoint_that_is_not_known_reads_every_member() {
        for (path, reads_own, reads_other) in [
            ("/chat/completions", OutputLimit::MaxTokens, false),
            ("/CHAT/completions/", OutputLimit::MaxCompletionTokens, false),
            ("/models/m:streamGenerateContent", OutputLimit::GenerationConfig, false),
            ("/model/m/converse", OutputLimit::InferenceConfig, false),
            ("/model/m/invoke", OutputLimit::MaxTokensToSample, true),
            ("/api/chat", OutputLimit::Options, false),
            ("/v1/chat", OutputLimit::MaxTokens, false),
            ("", OutputLimit::MaxTokens, true),
        ] {
            let limits = OutputLimits::at(path.as_bytes());
            assert!(limits.has(reads_own), "{path}");
            assert_eq!(limits.has(OutputLimit::Response), reads_other, "{path}");
        }
    }
}
