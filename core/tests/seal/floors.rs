// The floors under the secrets, as a crate of their own for the examples of `Proof`.

#[path = "../../src/base/mod.rs"]
mod base;
#[path = "../../src/syntax/mod.rs"]
mod syntax;
#[path = "../../src/host/mod.rs"]
mod host;
#[path = "../../src/request/mod.rs"]
mod request;
#[path = "../../src/secret/mod.rs"]
mod secret;
