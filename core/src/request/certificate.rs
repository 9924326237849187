//! The client certificate of a connection, part by part, as a host shows it.
//!
//! The handshake of TLS proved that the other end holds its key. A header that names a certificate is never read: callers write
//! such headers, too.

use crate::base::Digest;

/// A part of the certificate, which a host gives as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificatePart {
    /// The SHA-256 of the certificate in DER, as 64 lower-case hexadecimal digits.
    Sha256,
    /// The first URI among the subject's alternative names.
    Uri,
    /// The first DNS name among them.
    DnsName,
    /// `true` where the host verified the chain in this handshake, and `false` where it did not. A host that cannot tell has no such
    /// part: its listener must refuse what it cannot verify.
    IsVerified,
}

/// A function that asks the host for a part of the certificate; `None` where there is no such part, or no certificate.
pub type AskCertificate<'a> = dyn Fn(CertificatePart) -> Option<Vec<u8>> + Sync + 'a;

/// The certificate of a connection, asked for part by part.
#[derive(Clone, Copy)]
pub(crate) struct PeerCertificate<'a>(pub(crate) &'a AskCertificate<'a>);

impl PeerCertificate<'_> {
    /// Returns the SHA-256 of the certificate in DER; `None` where the connection has no certificate.
    pub(crate) fn sha256(self) -> Option<Digest> {
        Digest::from_hex(&self.text(CertificatePart::Sha256)?)
    }

    /// Returns whether the host says that it did not verify the chain.
    pub(crate) fn is_unverified(self) -> bool {
        self.text(CertificatePart::IsVerified).is_some_and(|told| told != "true")
    }

    /// Returns a part; `None` where it is missing, empty, or no UTF-8.
    pub(crate) fn text(self, part: CertificatePart) -> Option<String> {
        String::from_utf8((self.0)(part)?).ok().filter(|text| !text.is_empty())
    }
}
