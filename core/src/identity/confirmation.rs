//! Confirmation: the key that the holder of a token must prove to have (RFC 7800), by the claim `cnf`.
//!
//! One way is checked: the client certificate of the connection (RFC 8705 section 3.1). RFC 7800 section 3.1 lets a reader ignore
//! other ways. Here they are refused: an issuer that binds a token means it to be worthless to a thief, and ignored it would be
//! worth as much as any other.

use serde_json::Value;

use crate::base::Digest;
use crate::syntax::base64url;

/// The claim, in a token and in the answer to an introspection.
pub(crate) const CONFIRMATION: &str = "cnf";

/// The member with the SHA-256 of the certificate, in base64url.
const CERTIFICATE: &str = "x5t#S256";

/// Returns the SHA-256 of the certificate that a token with this `cnf` is bound to; `None` for any other confirmation, and for one
/// that is not only of a certificate.
pub(crate) fn bound_certificate(confirmation: &Value) -> Option<Digest> {
    let members = confirmation.as_object().filter(|members| members.len() == 1)?;
    let bytes = base64url::decode(members.get(CERTIFICATE)?.as_str()?)?;
    bytes.try_into().ok().map(Digest::from_bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_confirmation_is_of_one_certificate_or_of_nothing_that_is_checked() {
        let digest = Digest::of(b"certificate");
        let thumbprint = base64url::encode(digest.bytes()).unwrap();
        assert_eq!(bound_certificate(&json!({"x5t#S256": thumbprint})), Some(digest));
        for other in [
            json!(null),
            json!({}),
            json!([]),
            json!(thumbprint),
            json!({"x5t#S256": null}),
            json!({"x5t#S256": [thumbprint]}),
            json!({"x5t#S256": digest.to_hex()}),
            json!({"x5t#S256": format!("{thumbprint}=")}),
            json!({"x5t#S256": ""}),
            json!({"x5t": thumbprint}),
            json!({"x5t#s256": thumbprint}),
            json!({"jkt": thumbprint}),
            json!({"x5t#S256": thumbprint, "jkt": thumbprint}),
            json!({"kid": "k", "xms_ksl": "sw"}),
        ] {
            assert_eq!(bound_certificate(&other), None, "{other}");
        }
    }
}
