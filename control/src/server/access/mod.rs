//! Sign-in by Cloudflare Access: who asks is what the JWT says that Access puts into each request.
//!
//! The JWT is found, verified and judged by the engine, with the rules of its preset `cloudflare_access`. Of those who are
//! verified, the administrators come in. A request that has a JWT is judged by that alone.

mod actor;
mod keys;
mod pace;
mod settings;

pub use actor::Access;
pub use settings::AccessSettings;
