//! Verify: the caller, by a proxy token, an identity JWT or a client certificate.

mod authenticator;
mod certificate;
mod jwt;
mod known_digests;
mod second_credential;
mod second_look;
mod verified_jwts;
mod verified_token;

pub(crate) use self::authenticator::{Authenticator, Caller, Presented};
pub(crate) use self::verified_token::VerifiedToken;
