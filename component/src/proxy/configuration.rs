//! The policy or the source of it, and the secrets that it names. All come from the environment that the host gives the
//! component; the policy may also be in a prepared component.

use std::fs;

use super::host::lines_of;
use super::prepared;
use keyswap_core::host::{Capabilities, Environment};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::policy::Configuration;
use keyswap_core::worker::Worker;
use wasip2::random::random::get_random_bytes;

/// The variable with the policy, a JSON document, or with the name of the file that has it.
const POLICY: &str = "KEYSWAP_POLICY";
/// The variable with the name of this data plane in its reports to a registry.
const NODE: &str = "KEYSWAP_NODE";

struct Variables;

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
    }

    fn instance(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(get_random_bytes(16)).for_each(|(byte, random)| *byte = random);
        bytes
    }
}

/// Compiles the policy. The error has a line for each fault.
pub(super) fn compile() -> Result<Worker, Vec<String>> {
    let configuration = match prepared::take() {
        Some(_) if std::env::var_os(POLICY).is_some() => Err(vec![format!(
            "the component was prepared with a policy, and `{POLICY}` is another one: leave one of them out"
        )]),
        Some(configuration) => Ok(configuration),
        None => {
            let document = document().map_err(|error| vec![error])?;
            Configuration::from_json(&document).map_err(lines_of)
        }
    }?;
    let node = std::env::var(NODE).unwrap_or_else(|_| "component".to_owned());
    let (environment, verifier) = (Box::new(Variables), Box::new(PureRust));
    Worker::with(configuration, environment, verifier, Capabilities::COMPONENT, &node).map_err(lines_of)
}

fn document() -> Result<Vec<u8>, String> {
    let value = std::env::var(POLICY).unwrap_or_default();
    match value.trim() {
        "" => {
            Err(format!("`{POLICY}` is not set: it holds the policy, or the name of the file that it is in"))
        }
        text if text.starts_with('{') => Ok(value.into_bytes()),
        name => {
            fs::read(name).map_err(|error| format!("the file that `{POLICY}` names cannot be read: {error}"))
        }
    }
}
