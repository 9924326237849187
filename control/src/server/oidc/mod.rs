//! Sign-in by an `OpenID` provider: the authorization code flow with PKCE (`OpenID` Connect Core 1.0 section 3.1, RFC 7636).
//!
//! The engine's validator judges the ID token, as it does those of callers. Roles come from its claims. The redirect URI is fixed by
//! the server's own settings, and no part of a request or of a token leads to a fetch.

mod flow;
mod metadata;
mod roles;
mod settings;

mod provider;

pub(in crate::server) use flow::Flow;
pub use provider::Oidc;
pub(in crate::server) use provider::{Returned, SignedIn};
pub(in crate::server) use settings::CALLBACK;
pub use settings::OidcSettings;
