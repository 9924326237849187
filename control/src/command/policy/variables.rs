//! The variables that a configuration reads, found by starting it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use keyswap_core::host::{Capabilities, Environment, SecretFile, SecretFileError};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::worker::Worker;

/// An environment with the variables of earlier runs. It records every variable that is read.
#[derive(Clone, Default)]
struct Asked {
    before: BTreeSet<String>,
    now: Rc<RefCell<BTreeSet<String>>>,
}

impl Environment for Asked {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.now.borrow_mut().insert(name.to_owned());
        self.before.contains(name).then(|| b"value".to_vec())
    }

    /// Has no file, so that the variables behind it are read.
    fn file(&self, _: &str) -> Result<SecretFile, SecretFileError> {
        Err(SecretFileError::Missing)
    }
}

/// Returns the variables that the configuration, in JSON, reads secrets from.
///
/// A start with missing variables fails and records them. The next start has them, until a start reads no new variable:
/// a bundle's registry credential is read before the policy is.
pub(crate) fn variables(configuration: &[u8]) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    loop {
        let asked = Asked { before: known.clone(), now: Rc::default() };
        let environment = Box::new(asked.clone());
        let _ = Worker::start(configuration, environment, Box::new(PureRust), Capabilities::MODULE, "");
        let count = known.len();
        known.append(&mut asked.now.take());
        if known.len() == count {
            return known;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_found_whatever_needs_another_first() {
        let configuration = r#"{"version": "keyswap-bundle/v1", "url": "http://registry", "plaintext": "trusted_network", "credential": {"env": "R"},
            "name": "prod", "keys": {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}, "initial": {"version": "keyswap/v1",
            "credentials": {"openai": [{"env": "A"}, {"env": "B"}], "groq": [{"env": "C"}]}}}"#;
        let expect = ["A", "B", "C", "R"].map(str::to_owned);
        assert_eq!(variables(configuration.as_bytes()), BTreeSet::from(expect));
    }
}
