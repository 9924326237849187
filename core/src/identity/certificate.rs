//! Client certificates as identities: the workloads that an authority of the policy vouches for.
//!
//! A workload is known by one name in its certificate, and the rules of the authority are on claims that come from that name. The
//! host has verified the chain. Hosts show the first URI and the first DNS name, so a policy may rely on an authority only if each
//! name in its certificates is of the holder.

use super::jwt::{Chosen, Claims, IssuerRule, VerifiedIdentity, is_spiffe_id};
use crate::syntax::glob;

/// The claims of a certificate. The last two are there where a SPIFFE ID has the form that Kubernetes meshes give it.
pub(crate) const CERTIFICATE_CLAIMS: [&str; 3] = ["sub", "namespace", "service_account"];

/// One entry of the policy's `client_certificates`.
#[derive(Clone, Debug)]
pub struct CertificateAuthority {
    pub(crate) name: String,
    pub(crate) subjects: CertificateSubjects,
    /// The rights of the subjects: one rule at least.
    pub(crate) rights: Vec<IssuerRule>,
}

/// The names by which the certificates of an authority are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateSubjects {
    /// The URI is a SPIFFE ID of this trust domain, which is written as a SPIFFE ID itself (X509-SVID section 2).
    TrustDomain(String),
    /// The DNS name is one that these globs have, in lower case.
    DnsNames(Vec<String>),
}

impl CertificateAuthority {
    /// Returns the policy's name for the authority.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the rights of its subjects, in the order in which they are tried; one rule for all where the policy has no rules.
    pub fn rights(&self) -> &[IssuerRule] {
        &self.rights
    }

    /// Returns the identity in a certificate with this URI and this DNS name; `None` where it is none of the authority's.
    pub(crate) fn identify(&self, uri: Option<&str>, dns_name: Option<&str>) -> Option<VerifiedIdentity> {
        let subject = match &self.subjects {
            CertificateSubjects::TrustDomain(domain) => {
                uri.filter(|uri| is_spiffe_id(uri, domain))?.to_owned()
            }
            CertificateSubjects::DnsNames(globs) => {
                let name = dns_name?.to_ascii_lowercase();
                let mut globs = globs.iter();
                let is_one = is_host_name(&name)
                    && globs.any(|glob| glob::fits(glob.as_bytes(), name.as_bytes(), u8::eq));
                is_one.then_some(name)?
            }
        };
        let workload = workload(&subject).into_iter().flatten();
        let claims = [&*subject].into_iter().chain(workload);
        let claims = Claims::of_texts(CERTIFICATE_CLAIMS.into_iter().zip(claims));
        let chosen = Chosen::of(&self.rights, &claims);
        Some(VerifiedIdentity::of_certificate(&self.name, subject, chosen))
    }
}

/// Returns the namespace and the service account in a SPIFFE ID of a Kubernetes mesh: `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
fn workload(subject: &str) -> Option<[&str; 2]> {
    let path = subject.strip_prefix("spiffe://")?.split('/').collect::<Vec<_>>();
    match path.as_slice() {
        [_, "ns", namespace, "sa", account] => Some([namespace, account]),
        _ => None,
    }
}

/// Returns whether a DNS name is of one host. A wildcard names none.
fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=63).contains(&label.len()) && label.bytes().all(is_plain)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Models;

    fn authority(subjects: CertificateSubjects) -> CertificateAuthority {
        let rule = IssuerRule {
            when: [].into(),
            scope: None,
            models: Models::all(),
            rate_limit: None,
            budget: None,
            team: None,
            label: None,
        };
        CertificateAuthority { name: "mesh".to_owned(), subjects, rights: vec![rule] }
    }

    #[test]
    fn a_workload_of_a_kubernetes_mesh_has_a_namespace_and_an_account() {
        for (subject, expect) in [
            ("spiffe://a/ns/agents/sa/coder", Some(["agents", "coder"])),
            ("spiffe://a/ns/agents/sa/coder/x", None),
            ("spiffe://a/x/ns/agents/sa/coder", None),
            ("spiffe://a/sa/coder/ns/agents", None),
            ("agents.example", None),
        ] {
            assert_eq!(workload(subject), expect, "{subject}");
        }
    }

    #[test]
    fn a_dns_name_is_of_one_host_whatever_its_case() {
        let lab = authority(CertificateSubjects::DnsNames(vec!["*.lab.example".to_owned()]));
        let subject = |name: &str| lab.identify(None, Some(name)).map(|it| it.subject().to_owned());
        assert_eq!(subject("Runner-1.LAB.example").as_deref(), Some("runner-1.lab.example"));
        for other in [
            "*.lab.example",
            "lab.example",
            ".lab.example",
            "a..lab.example",
            "a.lab.example.",
            "a.lab.example.evil",
            "a b.lab.example",
            "a\u{e9}.lab.example",
            &format!("{}.lab.example", "a".repeat(64)),
        ] {
            assert_eq!(subject(other), None, "{other}");
        }
        assert!(lab.identify(Some("spiffe://a/b"), None).is_none());
    }
}
