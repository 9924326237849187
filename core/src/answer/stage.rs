//! The stages of judgement, in order.

/// The stages of judgement, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Which provider it is for.
    Route,
    /// Where the credential is.
    Extract,
    /// Whether the credential is good.
    Verify,
    /// Whether it is good for this provider.
    Scope,
    /// Whether the real credential is there.
    Credential,
    /// Whether it has a request left.
    RateLimit,
    /// What is forwarded.
    Rewrite,
}

impl Stage {
    /// The stage's name in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Extract => "extract",
            Self::Verify => "verify",
            Self::Scope => "scope",
            Self::Credential => "credential",
            Self::RateLimit => "rate_limit",
            Self::Rewrite => "rewrite",
        }
    }
}
