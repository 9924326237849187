//! JSON Web Tokens as identities: parsed, verified and judged by one strict validator in every host.
//!
//! The way through: [`UnverifiedJwt::parse`] → [`Issuer::find`] → [`Issuer::verify`] with the issuer's [`JwkSet`] and a
//! [`SignatureVerifier`] → [`VerifiedIdentity`]. RFC 7515, 7517, 7518, 7519, 8037, and the advice of RFC 8725.
//!
//! Nothing here fetches, and nothing in a token leads to a fetch: the policy has the address of an issuer's keys.

mod algorithm;
mod claim_rules;
mod claims;
mod discovery;
mod endpoint;
mod error;
mod identity;
mod issuer;
mod jwk;
mod jwk_set;
mod jws;
mod kid;
mod origin;
mod pure_rust;
mod quorum;
mod rule;
mod signature;
mod signatures;
mod unverified;

pub use self::algorithm::Algorithm;
pub(crate) use self::claim_rules::AUDIENCE;
pub use self::claim_rules::ClaimRules;
pub(crate) use self::claims::Claims;
pub use self::claims::{ClaimValue, ClaimsError, VerifiedClaims};
pub use self::discovery::{DiscoveryError, MAX_DISCOVERY_BYTES, jwks_endpoint};
pub use self::endpoint::Endpoint;
pub use self::error::JwtError;
pub(crate) use self::identity::{EMAIL, Email, Subjects};
pub use self::identity::{IdentityError, VerifiedIdentity};
pub use self::issuer::{Issuer, KeySource, Principals, RemoteKeys};
pub use self::jwk::{Jwk, JwkError};
pub use self::jwk_set::{JwkSet, JwkSetError, MAX_KEYS, MAX_SET_BYTES, NoKey};
pub use self::jws::{JwsError, MAX_TOKEN_BYTES, UnverifiedJws};
pub(crate) use self::origin::{Origin, SPIFFE, TENANT, is_spiffe_id, is_trust_domain};
pub use self::pure_rust::PureRust;
pub use self::quorum::Quorum;
pub(crate) use self::quorum::Tally;
pub use self::rule::IssuerRule;
pub(crate) use self::rule::{Chosen, Conditions, Given, MAX_LABEL_CHARS, has_rules};
pub use self::signature::{NativeCheck, SignatureCheck, SignatureVerifier, VerifierUnavailable};
pub use self::signatures::{JwsSignatures, MAX_SIGNATURES};
pub use self::unverified::{UnverifiedJwt, is_jwt_shaped};
pub(crate) use self::unverified::{begins_as_jwt, expiry_of, text_of};
