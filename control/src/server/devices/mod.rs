//! Sign-in of devices at the registry as an authorization server: the device authorization grant (RFC 8628), refresh and revocation of
//! tokens (RFC 6749, RFC 7009), its public keys and its metadata (RFC 8414).
//!
//! The device needs no credential. A person decides about it in the administration, and no page of another site is of use: nothing here
//! reads a cookie.

mod answer;
mod state;

mod authorize;
mod metadata;
mod revoke;
mod token;

pub(super) mod router;
