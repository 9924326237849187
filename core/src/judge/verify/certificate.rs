//! Client certificates: the callers that they name, where a request has no token.
//!
//! A header that names a certificate is no certificate, whatever is in it.

use std::borrow::Cow;
use std::sync::Arc;

use super::authenticator::{Authenticator, Caller, Presented};
use super::jwt::note_rule;
use crate::answer::{CertificateError, CheckError, cors};
use crate::identity::{CertificateAuthority, CertificateSubjects};
use crate::judge::progress::{Check, Context, Exit, Means, Progress};
use crate::request::{CertificatePart, Credential};

/// The key of SDKs that have no token and must send some key: it stands for the certificate of the connection.
const STANDS_FOR_CERTIFICATE: &[u8] = b"client-certificate";

impl Authenticator {
    /// Returns whether a credential says that the caller has no token, but a certificate. A policy without certificates takes it
    /// for a token.
    #[inline]
    pub(super) fn stands_for_certificate(&self, credential: &Credential<'_>) -> bool {
        !self.policy.client_certificates.is_empty() && *credential.token == *STANDS_FOR_CERTIFICATE
    }

    /// Finds the record of a caller without a token, by the certificate of its connection.
    #[cold]
    pub(super) fn authenticate_certificate<'a>(
        &'a self,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Caller<'a>, Exit<'a>> {
        let all = &self.policy.client_certificates;
        let certificate = context.head.peer_certificate();
        let is_domain =
            |subjects: &CertificateSubjects| matches!(subjects, CertificateSubjects::TrustDomain(_));
        // A part is a call of the host's, so only those are asked for that some authority reads.
        let ask = |part, of_domains| {
            let reads = all.iter().any(|it| is_domain(&it.subjects) == of_domains);
            reads.then(|| certificate.text(part)).flatten()
        };
        let (uri, dns_name) = (ask(CertificatePart::Uri, true), ask(CertificatePart::DnsName, false));
        if uri.is_none() && dns_name.is_none() {
            return Err(CheckError::CredentialMissing.into());
        }
        let named = |authority: &'a CertificateAuthority| {
            Some((authority, authority.identify(uri.as_deref(), dns_name.as_deref())?))
        };
        let (authority, identity) =
            all.iter().find_map(named).ok_or(CheckError::Certificate(CertificateError::Unknown))?;
        if certificate.is_unverified() {
            return Err(CheckError::Certificate(CertificateError::Unverified).into());
        }
        progress.checks.extend([Check::CertificateFound, Check::IdentityVerified(authority.name())]);
        let rule = note_rule(authority.name(), authority.rights(), &identity, progress)?;
        if !cors::may_use_identity(&self.policy.origins, context.head) {
            return Err(CheckError::Certificate(CertificateError::OfPage).into());
        }
        progress.means = self.policy.ends_exchanges.then(|| Means::identity(rule, &identity));
        let record = Arc::new(self.record(rule, &identity, None));
        Ok(Caller { record, token: Cow::Borrowed(b""), slot: None, presented: Presented::Certificate })
    }
}
