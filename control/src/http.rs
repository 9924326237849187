//! The client of HTTP that all parts of the command build on.

use reqwest::{Client, ClientBuilder};

/// Returns the builder of a client for URLs with TLS, or for URLs without.
///
/// A client without TLS loads no certificates, which a small image may not have, and uses no proxy: its servers are on this
/// machine or on a network that the user trusts.
pub(crate) fn client(has_tls: bool) -> ClientBuilder {
    // An error means that this provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder();
    if has_tls { client } else { client.no_proxy().tls_certs_only([]) }
}
