//! The exact error of a client certificate, or of a token that is bound to one.

use std::fmt;

use super::reason::Reason;

/// A check of the connection's client certificate that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// No slot holds a credential, and no entry of the policy is for the certificate.
    Unknown,
    /// The host did not verify the certificate.
    Unverified,
    /// Browsers send the certificate by themselves, and the request comes from another site's page.
    OfPage,
    /// The token is bound to a certificate, and the connection has none.
    Missing,
    /// The token is bound to another certificate.
    Differs,
}

impl CertificateError {
    /// Returns the reason that the caller gets. A thief of a bound token does not learn that the token is one.
    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Unknown | Self::Unverified => Reason::CredentialMissing,
            Self::OfPage => Reason::OriginNotAllowed,
            Self::Missing | Self::Differs => Reason::TokenInvalid,
        }
    }
}

impl std::error::Error for CertificateError {}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => {
                "no auth slot holds a credential, and no entry of `client_certificates` is for the certificate of the connection"
            }
            Self::Unverified => {
                "the host did not verify the client certificate in this handshake: give its listener a `trusted_ca`, and turn the resumption of sessions off"
            }
            Self::OfPage => {
                "browsers send a client certificate by themselves, and no page of this host or of `cors.allow_origins` asks"
            }
            Self::Missing => {
                "the token is bound to a client certificate, and the connection has none, or the host cannot see it"
            }
            Self::Differs => "the token is bound to another client certificate than that of the connection",
        })
    }
}
