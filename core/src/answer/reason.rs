//! Reasons of refusals: the one place that gives a reason its code, its status and its words.
//!
//! Codes are stable: they stand in replies, logs, metrics and explanations alike. The words are fixed, so that nothing
//! of a request is ever reflected. An unknown, a disabled and a malformed token share one reason, so that no caller
//! learns which tokens exist.

use std::fmt;

/// The methods that are forwarded. CONNECT would open a tunnel, and TRACE would echo the upstream credential (RFC 9110
/// section 9.3). No API here has other methods, and a server may take `trace` for TRACE.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Tells whether a method is one of [`METHODS`].
pub(crate) const fn is_forwarded(method: &[u8]) -> bool {
    matches!(method, b"POST" | b"GET" | b"HEAD" | b"PUT" | b"PATCH" | b"DELETE" | b"OPTIONS")
}

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// A host that the policy is not for.
    HostNotServed,
    /// A method that is never forwarded.
    MethodNotAllowed,
    /// A request target that two parsers could read differently.
    PathInvalid,
    /// A slot does not hold exactly one credential.
    CredentialAmbiguous,
    /// No slot holds a credential.
    CredentialMissing,
    /// The token is unknown or disabled.
    TokenInvalid,
    /// The token also stands where it would be forwarded and logged: in the URL.
    TokenMisplaced,
    /// The token has expired.
    TokenExpired,
    /// The token is valid, but not for this provider.
    ProviderNotAllowed,
    /// The token is valid, but the endpoint is never forwarded.
    EndpointNotAllowed,
    /// The token is valid, but not for this kind of endpoint.
    EndpointClassNotAllowed,
    /// The token is valid, but the credential that the endpoint mints cannot be brokered for this caller.
    MintingNotAllowed,
    /// The token is valid, but not for this model.
    ModelNotAllowed,
    /// The token is restricted to models, and the request names none.
    ModelMissing,
    /// The body can be read in more than one way.
    BodyInvalid,
    /// The body must be read, and cannot.
    BodyUnreadable,
    /// An object that the request names is no object of the caller's, or there is none.
    ObjectNotFound,
    /// The endpoint keeps objects, which cannot be told apart by their holders.
    ObjectsUnkept,
    /// The registry cannot be asked, so the holder of an object is not known now.
    RegistryUnavailable,
    /// A budget counts money, and the model has no price.
    ModelUnpriced,
    /// A budget is spent.
    BudgetExceeded,
    /// The rest of a budget is not known now.
    BudgetUnavailable,
    /// The request is for a WebSocket, and the host cannot upgrade a connection.
    UpgradeUnsupported,
    /// The token's budget is spent for now.
    RateLimited,
    /// The token's budget in tokens of models is spent for now.
    TokensLimited,
    /// No store can count the token's requests now.
    RateLimitUnavailable,
    /// The identity is valid, but its subject is not known.
    PrincipalUnknown,
    /// The identity came from a browser by itself, for a page that is neither our own nor listed.
    OriginNotAllowed,
    /// The issuer's keys are not at hand, so the identity cannot be verified now.
    IssuerKeysUnavailable,
    /// The registry cannot be asked, so the token cannot be looked up now.
    TokenStoreUnavailable,
    /// The caller has no upstream credential of its own, and none is for all.
    UpstreamCredentialUnbound,
    /// No source of the upstream credential has a value now.
    UpstreamCredentialUnavailable,
    /// No policy is in force yet.
    PolicyUnavailable,
    /// The host could not carry out the decision.
    HostFailure,
}

impl Reason {
    /// Every reason, in the order in which requests are judged.
    pub const ALL: [Self; 34] = [
        Self::HostNotServed,
        Self::MethodNotAllowed,
        Self::PathInvalid,
        Self::CredentialAmbiguous,
        Self::CredentialMissing,
        Self::TokenInvalid,
        Self::TokenMisplaced,
        Self::TokenExpired,
        Self::TokenStoreUnavailable,
        Self::IssuerKeysUnavailable,
        Self::OriginNotAllowed,
        Self::PrincipalUnknown,
        Self::ProviderNotAllowed,
        Self::EndpointNotAllowed,
        Self::EndpointClassNotAllowed,
        Self::MintingNotAllowed,
        Self::ObjectsUnkept,
        Self::ModelNotAllowed,
        Self::ObjectNotFound,
        Self::RegistryUnavailable,
        Self::ModelMissing,
        Self::BodyUnreadable,
        Self::BodyInvalid,
        Self::UpgradeUnsupported,
        Self::UpstreamCredentialUnbound,
        Self::UpstreamCredentialUnavailable,
        Self::RateLimited,
        Self::RateLimitUnavailable,
        Self::TokensLimited,
        Self::ModelUnpriced,
        Self::BudgetExceeded,
        Self::BudgetUnavailable,
        Self::PolicyUnavailable,
        Self::HostFailure,
    ];

    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::HostNotServed => "host_not_served",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PathInvalid => "path_invalid",
            Self::CredentialAmbiguous => "credential_ambiguous",
            Self::CredentialMissing => "credential_missing",
            Self::TokenInvalid => "token_invalid",
            Self::TokenMisplaced => "token_misplaced",
            Self::TokenExpired => "token_expired",
            Self::ProviderNotAllowed => "provider_not_allowed",
            Self::EndpointNotAllowed => "endpoint_not_allowed",
            Self::EndpointClassNotAllowed => "endpoint_class_not_allowed",
            Self::MintingNotAllowed => "minting_not_allowed",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelMissing => "model_missing",
            Self::BodyInvalid => "body_invalid",
            Self::BodyUnreadable => "body_unreadable",
            Self::ObjectNotFound => "object_not_found",
            Self::ObjectsUnkept => "objects_unkept",
            Self::RegistryUnavailable => "registry_unavailable",
            Self::ModelUnpriced => "model_unpriced",
            Self::BudgetExceeded => "budget_exceeded",
            Self::BudgetUnavailable => "budget_unavailable",
            Self::UpgradeUnsupported => "upgrade_unsupported",
            Self::RateLimited => "rate_limited",
            Self::TokensLimited => "tokens_limited",
            Self::RateLimitUnavailable => "rate_limit_unavailable",
            Self::PrincipalUnknown => "principal_unknown",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::IssuerKeysUnavailable => "issuer_keys_unavailable",
            Self::TokenStoreUnavailable => "token_store_unavailable",
            Self::UpstreamCredentialUnbound => "upstream_credential_unbound",
            Self::UpstreamCredentialUnavailable => "upstream_credential_unavailable",
            Self::PolicyUnavailable => "policy_unavailable",
            Self::HostFailure => "host_failure",
        }
    }

    /// Returns the HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::HostNotServed => 421,
            Self::MethodNotAllowed => 405,
            Self::PathInvalid
            | Self::CredentialAmbiguous
            | Self::TokenMisplaced
            | Self::ModelMissing
            | Self::BodyInvalid => 400,
            Self::ObjectNotFound => 404,
            Self::BodyUnreadable => 415,
            Self::CredentialMissing | Self::TokenInvalid | Self::TokenExpired => 401,
            Self::PrincipalUnknown
            | Self::OriginNotAllowed
            | Self::ProviderNotAllowed
            | Self::EndpointNotAllowed
            | Self::EndpointClassNotAllowed
            | Self::MintingNotAllowed
            | Self::ModelNotAllowed
            | Self::ModelUnpriced
            | Self::ObjectsUnkept
            | Self::UpstreamCredentialUnbound => 403,
            Self::RateLimited | Self::TokensLimited | Self::BudgetExceeded => 429,
            Self::UpgradeUnsupported => 501,
            Self::RateLimitUnavailable
            | Self::BudgetUnavailable
            | Self::IssuerKeysUnavailable
            | Self::TokenStoreUnavailable
            | Self::RegistryUnavailable
            | Self::UpstreamCredentialUnavailable
            | Self::PolicyUnavailable
            | Self::HostFailure => 503,
        }
    }

    /// Returns the message for the developer of the caller.
    // Long: one row for each reason.
    pub const fn message(self) -> &'static str {
        match self {
            Self::HostNotServed => "host not served: use the address that your platform team gave you",
            Self::MethodNotAllowed => {
                "method not allowed: GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS are forwarded, and GET opens a WebSocket"
            }
            Self::PathInvalid => {
                "invalid path: dot segments, empty segments, encoded slashes or dots, `;` and `#` are refused"
            }
            Self::CredentialAmbiguous => {
                "not exactly one credential in its place: send one token, once, without spaces or commas"
            }
            Self::CredentialMissing => "missing token: send a proxy token where your SDK sends its API key",
            Self::TokenInvalid => "invalid or revoked token: ask your platform team for a valid proxy token",
            Self::TokenMisplaced => {
                "the token stands in the URL, where logs would keep it: send it only where your SDK sends its API key"
            }
            Self::TokenExpired => "token expired: ask your platform team for a new proxy token",
            Self::ProviderNotAllowed => {
                "token not allowed for provider: ask your platform team to widen the token's providers"
            }
            Self::EndpointNotAllowed => {
                "endpoint not allowed: it is none that the proxy knows, it takes credentials from the body, or it administers \
                 an account; use a provider's own path, such as `/openai/v1/chat/completions`"
            }
            Self::EndpointClassNotAllowed => {
                "token not allowed for this kind of endpoint: ask your platform team to open its class for the token"
            }
            Self::MintingNotAllowed => {
                "credential cannot be minted for you: send a proxy token, or ask your platform team to open the endpoint"
            }
            Self::ModelNotAllowed => {
                "token not allowed for model: ask your platform team to widen the token's models"
            }
            Self::ModelMissing => {
                "no model: your token is for some models or providers only, so name one in `model`, at an endpoint that takes one"
            }
            Self::BodyInvalid => {
                "invalid body: it must be one strict JSON text with each member once, since rules on models, objects or budgets depend on it"
            }
            Self::BodyUnreadable => {
                "body cannot be read: send JSON without `content-encoding`, since rules on models, objects or budgets depend on it"
            }
            Self::ObjectNotFound => "no such object",
            Self::ObjectsUnkept => {
                "endpoint keeps objects, and it is not known whose they are: ask your platform team for a `registry` that keeps \
                 them, or for `objects: shared`"
            }
            Self::RegistryUnavailable => "registry unavailable: try again",
            Self::UpgradeUnsupported => {
                "no WebSocket here: use the provider's HTTP API, or ask your platform team for an address with realtime APIs"
            }
            Self::RateLimited => "rate limit exceeded: wait as long as `Retry-After` says",
            Self::TokensLimited => {
                "rate limit in tokens exceeded: wait as long as `Retry-After` says, or ask for a smaller answer"
            }
            Self::RateLimitUnavailable => "rate limit unavailable: try again",
            Self::ModelUnpriced => {
                "model without a price: your budget counts money, so ask your platform team to add the model's price"
            }
            Self::BudgetExceeded => {
                "budget spent: wait until it resets, ask for a smaller answer, or ask your platform team for a larger budget"
            }
            Self::BudgetUnavailable => "budget unavailable: try again",
            Self::PrincipalUnknown => "identity not known: ask your platform team to add you",
            Self::OriginNotAllowed => {
                "page not allowed: your browser sent your identity along for a page that may not use it; ask your platform team to allow the page, or send a token"
            }
            Self::IssuerKeysUnavailable => "identity cannot be verified at the moment: try again",
            Self::TokenStoreUnavailable => "token store unavailable: try again",
            Self::UpstreamCredentialUnbound => {
                "no upstream credential for this token: ask your platform team to bind one to the token, its owner or its team"
            }
            Self::UpstreamCredentialUnavailable => "upstream credential unavailable: try again",
            Self::PolicyUnavailable => "policy unavailable: try again",
            Self::HostFailure => "the request could not be processed: try again",
        }
    }

    /// Returns the value of `WWW-Authenticate`, for reasons that concern the credential (RFC 6750 section 3); `None`
    /// for others.
    ///
    /// A request without a credential gets no `error`, as RFC 6750 section 3.1 asks.
    pub const fn challenge(self) -> Option<&'static str> {
        match self {
            Self::HostNotServed
            | Self::MethodNotAllowed
            | Self::PathInvalid
            | Self::ModelMissing
            | Self::BodyInvalid
            | Self::BodyUnreadable
            | Self::ObjectNotFound
            | Self::ObjectsUnkept
            | Self::RegistryUnavailable
            | Self::ModelUnpriced
            | Self::BudgetExceeded
            | Self::BudgetUnavailable
            | Self::EndpointNotAllowed
            | Self::MintingNotAllowed
            | Self::UpgradeUnsupported
            | Self::OriginNotAllowed
            | Self::RateLimited
            | Self::TokensLimited
            | Self::RateLimitUnavailable
            | Self::IssuerKeysUnavailable
            | Self::TokenStoreUnavailable
            | Self::UpstreamCredentialUnavailable
            | Self::PolicyUnavailable
            | Self::HostFailure => None,
            Self::PrincipalUnknown => Some(
                r#"Bearer realm="keyswap", error="insufficient_scope", error_description="identity not known""#,
            ),
            Self::CredentialMissing => Some(r#"Bearer realm="keyswap""#),
            Self::CredentialAmbiguous => Some(
                r#"Bearer realm="keyswap", error="invalid_request", error_description="not exactly one credential""#,
            ),
            Self::TokenInvalid => Some(
                r#"Bearer realm="keyswap", error="invalid_token", error_description="invalid or revoked token""#,
            ),
            Self::TokenMisplaced => Some(
                r#"Bearer realm="keyswap", error="invalid_request", error_description="the token stands in the URL""#,
            ),
            Self::TokenExpired => {
                Some(r#"Bearer realm="keyswap", error="invalid_token", error_description="token expired""#)
            }
            Self::ModelNotAllowed => Some(
                r#"Bearer realm="keyswap", error="insufficient_scope", error_description="token not allowed for model""#,
            ),
            Self::UpstreamCredentialUnbound => Some(
                r#"Bearer realm="keyswap", error="insufficient_scope", error_description="no upstream credential for this token""#,
            ),
            Self::EndpointClassNotAllowed => Some(
                r#"Bearer realm="keyswap", error="insufficient_scope", error_description="token not allowed for this kind of endpoint""#,
            ),
            Self::ProviderNotAllowed => Some(
                r#"Bearer realm="keyswap", error="insufficient_scope", error_description="token not allowed for provider""#,
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bytes::is_printable;

    #[test]
    fn every_message_and_code_stands_in_a_json_string_as_it_is() {
        for text in Reason::ALL.into_iter().flat_map(|reason| [reason.message(), reason.code()]) {
            assert!(is_printable(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn the_methods_that_are_forwarded_are_those_of_the_list() {
        for method in METHODS.into_iter().chain(["CONNECT", "TRACE", "QUERY", "get", ""]) {
            assert_eq!(is_forwarded(method.as_bytes()), METHODS.contains(&method), "{method}");
        }
    }
}
