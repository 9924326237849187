//! The security of the connection that a request came on, kept in the request's extensions.

/// The security of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::server) struct Channel {
    /// Set if the connection has TLS.
    pub(in crate::server) is_encrypted: bool,
    /// Set if the client has a certificate of the authority for clients.
    pub(in crate::server) is_certified: bool,
}
