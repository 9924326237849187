//! The origin of a token: the claims that say which issuer the token is of.
//!
//! Most issuers have one name, the `iss` of their tokens. A provider of many tenants has a name for each of them, made from one
//! template. A SPIFFE trust domain stands in the subjects, and its tokens need no `iss` (JWT-SVID section 3).

use super::claims::Claims;

/// The place of a tenant in the template of names.
pub(crate) const TENANT: &str = "{tenant}";

/// The scheme of SPIFFE IDs (SPIFFE-ID section 2).
pub(crate) const SPIFFE: &str = "spiffe://";

/// The claim that repeats the tenant, in tokens of Microsoft Entra ID.
const TENANT_CLAIM: &str = "tid";

/// The longest SPIFFE ID, in bytes (SPIFFE-ID section 2.3).
const MAX_SPIFFE_ID_BYTES: usize = 2048;

/// The claims by which an issuer's tokens are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `iss` has this value.
    Name(String),
    /// `iss` has the name of a tenant.
    Tenants {
        /// The names, with [`TENANT`] in place of a tenant.
        template: String,
        /// The tenants, each with its name.
        tenants: Vec<(String, String)>,
    },
    /// `sub` is a SPIFFE ID of this trust domain, which is written as a SPIFFE ID itself.
    TrustDomain(String),
}

impl Origin {
    /// Makes the origin of a provider of several tenants. The template has one [`TENANT`].
    pub(crate) fn tenants(template: &str, tenants: Vec<String>) -> Self {
        let named = |tenant: String| {
            let name = template.replace(TENANT, &tenant);
            (tenant, name)
        };
        Self::Tenants { template: template.to_owned(), tenants: tenants.into_iter().map(named).collect() }
    }

    /// Returns whether the claims are of this origin.
    pub(super) fn is_of(&self, claims: &Claims) -> bool {
        match self {
            Self::Name(name) => claims.text("iss") == Some(name),
            Self::Tenants { .. } => self.tenant(claims).is_some(),
            Self::TrustDomain(domain) => {
                claims.text("sub").is_some_and(|subject| is_spiffe_id(subject, domain))
            }
        }
    }

    /// Returns the tenant that `iss` names; `None` for an issuer without tenants.
    pub(super) fn tenant(&self, claims: &Claims) -> Option<&str> {
        let Self::Tenants { tenants, .. } = self else { return None };
        let own = claims.text("iss")?;
        tenants.iter().find(|(_, name)| name == own).map(|(tenant, _)| tenant.as_str())
    }

    /// Returns the claim that contradicts the tenant in `iss`.
    pub(super) fn contradiction(&self, claims: &Claims) -> Option<&'static str> {
        let tenant = self.tenant(claims)?;
        let is_other = claims.get(TENANT_CLAIM).is_some_and(|value| value != tenant);
        is_other.then_some(TENANT_CLAIM)
    }

    /// Returns the values that `iss` may have; none where it does not count.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Name(name) => vec![name],
            Self::Tenants { tenants, .. } => tenants.iter().map(|(_, name)| name.as_str()).collect(),
            Self::TrustDomain(_) => Vec::new(),
        }
    }

    /// Returns the origin in one text, as a policy has it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Tenants { template: text, .. } | Self::TrustDomain(text) => text,
        }
    }
}

/// Returns whether a text is the name of a trust domain (SPIFFE-ID section 2.1).
pub(crate) fn is_trust_domain(name: &str) -> bool {
    let is_of_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_');
    (1..=255).contains(&name.len()) && name.bytes().all(is_of_name)
}

/// Returns whether a text is the SPIFFE ID of a workload in the trust domain: with a path, whose segments are plain (SPIFFE-ID
/// section 2.2). The trust domain's own ID is of no workload.
pub(crate) fn is_spiffe_id(text: &str, domain: &str) -> bool {
    let is_plain = |segment: &str| {
        let is_of_segment = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !matches!(segment, "" | "." | "..") && segment.bytes().all(is_of_segment)
    };
    let path = text.strip_prefix(domain).and_then(|rest| rest.strip_prefix('/'));
    text.len() <= MAX_SPIFFE_ID_BYTES && path.is_some_and(|path| path.split('/').all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(text: &str) -> Claims {
        Claims::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_spiffe_id_is_of_its_trust_domain_only_and_can_be_read_in_one_way() {
        let domain = Origin::TrustDomain("spiffe://example.org".to_owned());
        for (subject, is_one) in [
            ("spiffe://example.org/ns/agents/sa/coder", true),
            ("spiffe://example.org/9_A.b-c", true),
            ("spiffe://example.org", false),
            ("spiffe://example.org/", false),
            ("spiffe://example.org//a", false),
            ("spiffe://example.org/a/", false),
            ("spiffe://example.org/a/../b", false),
            ("spiffe://example.org/./a", false),
            ("spiffe://example.org/%61", false),
            ("spiffe://example.org/a?b", false),
            ("spiffe://example.org.evil/a", false),
            ("spiffe://example.org:443/a", false),
            ("spiffe://EXAMPLE.org/a", false),
            ("SPIFFE://example.org/a", false),
            ("spiffe://evil/spiffe://example.org/a", false),
            ("https://example.org/a", false),
            (&format!("spiffe://example.org/{}", "a".repeat(2048)), false),
        ] {
            assert_eq!(domain.is_of(&claims(&format!(r#"{{"sub":"{subject}"}}"#))), is_one, "{subject:.60}");
        }
        for other in [r#"{"iss":"spiffe://example.org/a"}"#, r#"{"sub":["spiffe://example.org/a"]}"#] {
            assert!(!domain.is_of(&claims(other)), "{other}");
        }
    }

    #[test]
    fn a_tenant_is_named_by_iss_alone_and_no_claim_contradicts_it() {
        let origin = Origin::tenants("https://id.example/{tenant}/v2", vec!["a".to_owned(), "b".to_owned()]);
        for (text, tenant, contradiction) in [
            (r#"{"iss":"https://id.example/a/v2"}"#, Some("a"), None),
            (r#"{"iss":"https://id.example/b/v2","tid":"b"}"#, Some("b"), None),
            (r#"{"iss":"https://id.example/a/v2","tid":"b"}"#, Some("a"), Some("tid")),
            (r#"{"iss":"https://id.example/a/v2","tid":["a"]}"#, Some("a"), Some("tid")),
            (r#"{"iss":"https://id.example/c/v2","tid":"a"}"#, None, None),
            (r#"{"iss":"https://id.example/{tenant}/v2"}"#, None, None),
            (r#"{"iss":"https://id.example//v2"}"#, None, None),
            (r#"{"tid":"a"}"#, None, None),
        ] {
            let claims = claims(text);
            assert_eq!(
                (origin.tenant(&claims), origin.contradiction(&claims)),
                (tenant, contradiction),
                "{text}"
            );
            assert_eq!(origin.is_of(&claims), tenant.is_some(), "{text}");
        }
    }
}
