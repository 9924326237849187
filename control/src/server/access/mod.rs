//! Sign-in by Cloudflare Access: the JWT that Access adds to each request names the administrator.
//!
//! The engine finds and verifies the JWT, with the rules of its preset `cloudflare_access`. The verified email address
//! must be one of the administrators. A request with a JWT is judged by the JWT alone, without its session.

mod actor;
mod settings;

pub use actor::Access;
pub use settings::AccessSettings;
