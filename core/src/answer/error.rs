//! The exact error of a request: finer than a [`Reason`], for the log and `policy explain`.
//!
//! A caller gets only the reason, so that it cannot learn whether a token exists. Operators see the error.

use std::fmt;

use super::certificate_error::CertificateError;
use super::reason::Reason;
use super::stage::Stage;
use crate::base::UnixTime;
use crate::body::BodyError;
use crate::identity::Class;
use crate::identity::jwt::{ClaimsError, JwtError};
use crate::limit::{Taken, TokensTaken};
use crate::request::{IdentitySlot, Slot};
use crate::syntax::PathError;

/// A check that failed. `Display` writes it in words that hold no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckError<'a> {
    /// The host is none that the policy is for.
    OtherHost,
    /// The method is none of those that are forwarded.
    Method,
    /// A WebSocket is opened by another method than GET.
    UpgradeMethod,
    /// The request target can be read in more than one way.
    Path(PathError),
    /// The slot does not hold exactly one credential.
    CredentialAmbiguous(Slot),
    /// No slot holds a credential.
    CredentialMissing,
    /// The client certificate of the connection is refused, or is not the one of the token.
    Certificate(CertificateError),
    /// No token has this digest.
    TokenUnknown,
    /// The token is disabled.
    TokenDisabled,
    /// The brokered token was not sealed by this policy's key, or is for another provider or host.
    SealBroken,
    /// The token also stands in the path or query.
    TokenInTarget,
    /// The token was valid until this time.
    TokenExpired(UnixTime),
    /// The identity JWT is refused.
    Jwt(JwtError<'a>),
    /// The identity slot does not hold exactly one JWT.
    IdentityAmbiguous(&'a IdentitySlot),
    /// No usable keys are at hand for the issuer of this name.
    KeysUnavailable(&'a str),
    /// Neither the policy nor the registry knows the address that the JWT vouches for.
    PersonUnknown,
    /// The JWT has an address that would name a person, and the issuer does not vouch for the address.
    EmailUnverified,
    /// The person is known, but disabled.
    PersonDisabled,
    /// The session of the JWT has ended.
    SessionEnded,
    /// No rule of the issuer of this name fits the JWT.
    NoRule(&'a str),
    /// The claim of this name, which gives the team of the issuer's subjects, is no name.
    NoTeam(&'a str),
    /// The identity is one that browsers send by themselves, and the request comes from another site's page.
    OriginNotAllowed(&'a IdentitySlot),
    /// The provider is not in the token's scope, or the policy does not enable it.
    OutOfScope(&'a str),
    /// The gateway's universal endpoint, which the policy does not open.
    UniversalEndpoint,
    /// The path is none of the provider's known endpoints.
    Endpoint,
    /// The endpoint is of a class that no scope can open.
    ClassClosed(Class),
    /// The token's scope does not open the class of the endpoint.
    ClassOutOfScope(Class),
    /// The token is a brokered one, and the endpoint is none that its credential is for.
    OutOfSession,
    /// The endpoint mints, and the caller has no token that is found by its digest alone.
    MintingCaller,
    /// The endpoint mints or takes what was minted, and the host writes the provider's credential.
    MintingHost,
    /// The host cannot upgrade a connection to a WebSocket.
    Upgrade,
    /// The token may not use a model that the request names.
    ModelNotAllowed,
    /// The model that the request names is another provider's, which is not in the token's scope.
    ModelOutOfScope,
    /// The token is restricted to models, and the request names none where it is looked for.
    ModelMissing,
    /// The body is no strict JSON, or has a member twice, so that upstream may read it in another way.
    BodyInvalid(BodyError),
    /// The body is compressed or in a form in which no model can be found.
    BodyUnreadable,
    /// An object that the request names is another caller's, or the registry does not know it.
    ObjectNotFound,
    /// The endpoint keeps objects, and the policy has no registry for them, or their API is not known.
    ObjectsUnkept,
    /// An object that the request names is not known to be the caller's, and the registry cannot be asked now.
    ObjectsUnavailable,
    /// The caller has named too many objects that are not its own.
    ObjectsGuessed(Taken),
    /// The model has no price, and a budget counts money.
    Unpriced,
    /// A budget of the caller cannot cover the request before this time.
    BudgetSpent(UnixTime),
    /// No slice of a budget is at hand, and the registry cannot lease one now.
    BudgetUnavailable,
    /// Requests in flight have reserved what is left of a budget.
    BudgetReserved,
    /// The body would have to be read, and the host does not hand it over.
    BodyUnread,
    /// The token's budget is spent.
    RateLimited(Taken),
    /// The token's budget in tokens of models is spent for now.
    TokensLimited(TokensTaken),
    /// No store can count the token's requests now.
    LimitUnavailable,
    /// No store can count the tokens that the request takes.
    TokensUncounted,
    /// The token is not cached, and the registry cannot be asked now.
    RegistryUnavailable,
    /// The caller is not bound to a credential, and the provider has none for such callers.
    Unbound,
    /// No source of this upstream credential has a value now.
    CredentialUnavailable(&'a str),
    /// The host writes the upstream credential into a header, and this endpoint takes it in the query.
    KeyInQuery,
    /// No policy is in force yet.
    PolicyUnavailable,
    /// The host could not carry out a rewrite in full.
    Host,
}

/// The reason for which a claim gives no team.
const NO_NAME: &str = "it is missing, or no name of 1 to 64 letters, digits, `-` or `_`";

/// The words for a brokered token that cannot be opened.
const BROKEN_SEAL: &str =
    "the brokered token was not sealed by this policy's key, or is for another provider or host";

impl std::error::Error for CheckError<'_> {}

impl CheckError<'_> {
    /// Returns the reason that the caller gets.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::OtherHost => Reason::HostNotServed,
            Self::Method | Self::UpgradeMethod => Reason::MethodNotAllowed,
            Self::Path(_) => Reason::PathInvalid,
            Self::CredentialAmbiguous(_) | Self::IdentityAmbiguous(_) => Reason::CredentialAmbiguous,
            Self::KeysUnavailable(_) => Reason::IssuerKeysUnavailable,
            Self::PersonUnknown
            | Self::EmailUnverified
            | Self::PersonDisabled
            | Self::NoRule(_)
            | Self::NoTeam(_) => Reason::PrincipalUnknown,
            Self::OriginNotAllowed(_) => Reason::OriginNotAllowed,
            Self::Certificate(error) => error.reason(),
            Self::CredentialMissing => Reason::CredentialMissing,
            Self::TokenUnknown | Self::TokenDisabled | Self::SealBroken | Self::SessionEnded => {
                Reason::TokenInvalid
            }
            Self::TokenInTarget => Reason::TokenMisplaced,
            Self::TokenExpired(_) => Reason::TokenExpired,
            Self::Jwt(error) => reason_of_jwt(error),
            Self::OutOfScope(_) | Self::ModelOutOfScope => Reason::ProviderNotAllowed,
            Self::UniversalEndpoint | Self::Endpoint | Self::ClassClosed(_) | Self::KeyInQuery => {
                Reason::EndpointNotAllowed
            }
            Self::ClassOutOfScope(_) | Self::OutOfSession => Reason::EndpointClassNotAllowed,
            Self::MintingCaller | Self::MintingHost => Reason::MintingNotAllowed,
            Self::Upgrade => Reason::UpgradeUnsupported,
            Self::ModelNotAllowed => Reason::ModelNotAllowed,
            Self::ModelMissing => Reason::ModelMissing,
            Self::ObjectNotFound => Reason::ObjectNotFound,
            Self::ObjectsUnkept => Reason::ObjectsUnkept,
            Self::ObjectsUnavailable => Reason::RegistryUnavailable,
            Self::Unpriced => Reason::ModelUnpriced,
            Self::BudgetSpent(_) => Reason::BudgetExceeded,
            Self::BudgetUnavailable | Self::BudgetReserved => Reason::BudgetUnavailable,
            Self::BodyInvalid(_) => Reason::BodyInvalid,
            Self::BodyUnreadable | Self::BodyUnread => Reason::BodyUnreadable,
            Self::RateLimited(_) | Self::ObjectsGuessed(_) => Reason::RateLimited,
            Self::TokensLimited(_) => Reason::TokensLimited,
            Self::LimitUnavailable | Self::TokensUncounted => Reason::RateLimitUnavailable,
            Self::RegistryUnavailable => Reason::TokenStoreUnavailable,
            Self::Unbound => Reason::UpstreamCredentialUnbound,
            Self::CredentialUnavailable(_) => Reason::UpstreamCredentialUnavailable,
            Self::PolicyUnavailable => Reason::PolicyUnavailable,
            Self::Host => Reason::HostFailure,
        }
    }

    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::OtherHost
            | Self::Method
            | Self::UpgradeMethod
            | Self::Path(_)
            | Self::PolicyUnavailable => Stage::Route,
            Self::CredentialAmbiguous(_) | Self::IdentityAmbiguous(_) | Self::CredentialMissing => {
                Stage::Extract
            }
            Self::Certificate(_)
            | Self::TokenUnknown
            | Self::TokenDisabled
            | Self::SealBroken
            | Self::TokenExpired(_)
            | Self::Jwt(_)
            | Self::KeysUnavailable(_)
            | Self::PersonUnknown
            | Self::EmailUnverified
            | Self::PersonDisabled
            | Self::SessionEnded
            | Self::NoRule(_)
            | Self::NoTeam(_)
            | Self::OriginNotAllowed(_)
            | Self::RegistryUnavailable => Stage::Verify,
            Self::OutOfScope(_)
            | Self::ModelNotAllowed
            | Self::ModelOutOfScope
            | Self::ModelMissing
            | Self::ObjectNotFound
            | Self::ObjectsUnkept
            | Self::ObjectsUnavailable
            | Self::ObjectsGuessed(_)
            | Self::BodyInvalid(_)
            | Self::BodyUnreadable
            | Self::BodyUnread
            | Self::UniversalEndpoint
            | Self::Endpoint
            | Self::ClassClosed(_)
            | Self::ClassOutOfScope(_)
            | Self::OutOfSession
            | Self::MintingCaller
            | Self::TokenInTarget
            | Self::Upgrade => Stage::Scope,
            Self::Unbound | Self::CredentialUnavailable(_) | Self::KeyInQuery | Self::MintingHost => {
                Stage::Credential
            }
            Self::RateLimited(_)
            | Self::TokensLimited(_)
            | Self::LimitUnavailable
            | Self::TokensUncounted
            | Self::Unpriced
            | Self::BudgetSpent(_)
            | Self::BudgetUnavailable
            | Self::BudgetReserved => Stage::RateLimit,
            Self::Host => Stage::Rewrite,
        }
    }
}

impl fmt::Display for CheckError<'_> {
    // Long: one arm for each error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherHost => f.write_str("the request is for a host that the policy does not name in `hosts`"),
            Self::Method => f.write_str("the method is not forwarded"),
            Self::UpgradeMethod => f.write_str("a WebSocket is opened by another method than GET"),
            Self::Path(fault) => fault.fmt(f),
            Self::CredentialAmbiguous(slot) => {
                write!(f, "the slot `{slot}` does not hold exactly one credential")
            }
            Self::CredentialMissing => f.write_str("no auth slot holds a credential"),
            Self::Certificate(error) => error.fmt(f),
            Self::TokenUnknown => f.write_str("no token has this digest"),
            Self::TokenDisabled => f.write_str("the token is disabled"),
            Self::SealBroken => f.write_str(BROKEN_SEAL),
            Self::TokenInTarget => f.write_str("the token stands in the path or query, too"),
            Self::CredentialUnavailable(it) => write!(f, "no source of the credential `{it}` has a value now"),
            Self::Unbound => f.write_str(
                "no binding of the provider is for the caller, and the provider has no credential for others",
            ),
            Self::KeyInQuery => f.write_str(
                "the host writes this credential into a header, and this endpoint takes it in the query",
            ),
            Self::PolicyUnavailable => f.write_str("no policy is in force yet"),
            Self::Host => f.write_str("the host could not carry out the rewrite"),
            Self::TokenExpired(at) => write!(f, "the token expired at {at}"),
            Self::UniversalEndpoint => f.write_str(
                "the gateway's universal endpoint takes providers and credentials from the body, and the policy does not open it",
            ),
            Self::Upgrade => f.write_str("this host cannot open a WebSocket"),
            Self::Endpoint => f.write_str("the method and path are none of the provider's known endpoints"),
            Self::ClassClosed(class) => {
                write!(f, "the endpoint is of the class `{class}`, which no scope can open there")
            }
            Self::OutOfSession => f.write_str("the brokered token is for the endpoints of its session only"),
            Self::MintingCaller => f.write_str(
                "only a proxy token of the policy or of `keyswap serve` can mint: a brokered token is valid as long as that one is",
            ),
            Self::MintingHost => f.write_str(
                "the host writes the provider's credential into every request, so that nothing can be brokered",
            ),
            Self::ClassOutOfScope(class) => {
                write!(f, "the endpoint is of the class `{class}`, which the token's scope does not open")
            }
            Self::ModelNotAllowed => f.write_str("the token is not for the model that the request names"),
            Self::ModelOutOfScope => {
                f.write_str("the model names a provider that the token is not for, or none that is known")
            }
            Self::ModelMissing => f.write_str(
                "the token is restricted to models or providers, and the request names no model where it is looked for",
            ),
            Self::ObjectNotFound => {
                f.write_str("an object that the request names is another caller's, or the registry does not know it")
            }
            Self::ObjectsUnkept => f.write_str(
                "the endpoint keeps objects: there is no registry that knows their holders, or the endpoint is none of a known collection",
            ),
            Self::ObjectsUnavailable => {
                f.write_str("an object is not known to be the caller's, and the registry cannot be asked")
            }
            Self::ObjectsGuessed(taken) => write!(
                f,
                "the caller named objects that are not its own more than {} times in {} s",
                taken.limit, taken.window
            ),
            Self::BodyInvalid(error) => error.fmt(f),
            Self::Unpriced => f.write_str("the model has no price, and a budget counts money"),
            Self::BudgetSpent(at) => write!(f, "a budget cannot cover the request before {at}"),
            Self::BudgetReserved => f.write_str("requests in flight have reserved what is left of a budget"),
            Self::BudgetUnavailable => f.write_str("no slice of a budget is at hand, and none can be leased"),
            Self::BodyUnread => f.write_str(
                "a rule depends on a body, and the program that embeds the engine does not hand it over",
            ),
            Self::BodyUnreadable => {
                f.write_str("the body is compressed, or in a form in which no model can be found")
            }
            Self::RateLimited(taken) => {
                write!(f, "the token's limit of {} requests per {} s is spent", taken.limit, taken.window)
            }
            Self::TokensLimited(TokensTaken { limit, window, .. }) => {
                write!(f, "the limit of {limit} tokens of models per {window} s does not cover the request now")
            }
            Self::LimitUnavailable => f.write_str("the token's requests cannot be counted"),
            Self::TokensUncounted => f.write_str("the tokens of models that the request takes cannot be counted"),
            Self::RegistryUnavailable => f.write_str("the registry cannot look the token up"),
            Self::Jwt(fault) => fault.fmt(f),
            Self::IdentityAmbiguous(slot) => write!(f, "`{slot}` does not hold exactly one token"),
            Self::KeysUnavailable(issuer) => write!(f, "no usable keys for the issuer `{issuer}`"),
            Self::PersonUnknown => f.write_str("the token's person is not known"),
            Self::EmailUnverified => {
                f.write_str("the issuer does not say that the address is verified (`email_verified`)")
            }
            Self::PersonDisabled => f.write_str("the token's person is disabled"),
            Self::SessionEnded => f.write_str("the token's session has ended"),
            Self::NoRule(issuer) => write!(f, "no rule of the issuer `{issuer}` fits the claims"),
            Self::NoTeam(claim) => write!(f, "the claim `{claim}` gives no team: {NO_NAME}"),
            Self::OriginNotAllowed(slot) => {
                write!(f, "browsers fill `{slot}` by themselves, and no page of this host or of `cors.allow_origins` asks")
            }
            Self::OutOfScope(provider) => write!(f, "the token is not for `{provider}`"),
        }
    }
}

/// Returns the reason for a refused JWT. Only a token that is otherwise valid gets [`Reason::TokenExpired`].
const fn reason_of_jwt(error: &JwtError<'_>) -> Reason {
    match error {
        JwtError::Unavailable => Reason::HostFailure,
        JwtError::Claims(ClaimsError::Expired) => Reason::TokenExpired,
        _ => Reason::TokenInvalid,
    }
}
