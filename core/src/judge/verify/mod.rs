//! Verify: the caller, by a proxy token or an identity JWT.

mod authenticator;
mod jwt;
mod known_digests;
mod second_credential;
mod second_look;
mod verified_jwts;
mod verified_token;

pub(crate) use self::authenticator::{Authenticator, Caller, Presented};
pub(crate) use self::verified_token::VerifiedToken;
