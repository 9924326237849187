//! The stages of judgement, in order.

/// The stages of judgement, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// The choice of the provider.
    Route,
    /// The search for the credential.
    Extract,
    /// The check that the credential is good.
    Verify,
    /// The check that the credential is good for this provider.
    Scope,
    /// The check that the real credential is there.
    Credential,
    /// The check that the credential has a request left.
    RateLimit,
    /// The rewrite of the request that is forwarded.
    Rewrite,
}

impl Stage {
    /// Returns the stage's name in explanations.
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
