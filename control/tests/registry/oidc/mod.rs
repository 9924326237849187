//! Sign-in by an `OpenID` provider: a real one over HTTP, its rotations and its lies.

mod provider;

mod setup;

mod lies;
mod rotations;
mod sign_in;
mod sign_out;
