//! The verification of client certificates by Envoy's listeners, where a policy takes certificates as identities.

use serde_json::Value;

/// The type of the settings of TLS towards callers.
const DOWNSTREAM: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
/// The members of a validation context that say which authorities are trusted.
const TRUST: [&str; 3] = ["trusted_ca", "ca_certificate_provider_instance", "custom_validator_config"];
/// The settings by which no session is resumed.
const NO_RESUMPTION: [&str; 2] =
    ["disable_stateless_session_resumption", "disable_stateful_session_resumption"];

/// Returns the paths of all settings of TLS in a document that do not verify each client certificate.
pub(super) fn unverified(document: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    match document {
        Value::Object(members) => {
            if document.get("@type").and_then(Value::as_str) == Some(DOWNSTREAM) && !verifies(document) {
                found.push(path.to_owned());
            }
            for (name, value) in members {
                let place = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                found.extend(unverified(value, &place));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                found.extend(unverified(item, &format!("{path}[{index}]")));
            }
        }
        _ => {}
    }
    found
}

/// Returns true if these settings verify the chain of each client certificate in each handshake. A resumed session has none.
fn verifies(context: &Value) -> bool {
    let common = context.get("common_tls_context").unwrap_or(&Value::Null);
    let is_fetched = common.get("validation_context_sds_secret_config").is_some()
        || common.pointer("/combined_validation_context/validation_context_sds_secret_config").is_some();
    let written = common
        .get("validation_context")
        .or_else(|| common.pointer("/combined_validation_context/default_validation_context"));
    let names_trust = |written: &Value| TRUST.iter().any(|name| written.get(name).is_some());
    let accepts_all = |written: &Value| {
        written.get("trust_chain_verification").and_then(Value::as_str) == Some("ACCEPT_UNTRUSTED")
    };
    let resumes = NO_RESUMPTION.iter().any(|name| context.get(*name).and_then(Value::as_bool) != Some(true));
    (is_fetched || written.is_some_and(names_trust)) && !written.is_some_and(accepts_all) && !resumes
}
