//! The broker in a policy: the key that seals tokens, and the longest life of a sealed token.

use std::time::Duration;

use super::duration::duration_within;
use super::error::PolicyError;
use super::reader::Node;
use super::variable::{self, Variable};
use crate::host::Environment;
use crate::secret::SealKey;

/// The longest life of a sealed token unless the policy says another.
const DEFAULT_TTL: Duration = Duration::from_mins(10);
/// The longest life that a policy can say. No provider's short-lived secret lives longer.
const MAX_TTL: Duration = Duration::from_hours(2);

/// The broker of a policy.
#[derive(Clone, Debug)]
pub(crate) struct BrokerPolicy {
    /// The variable with the key. Data planes that share a policy share the key, too.
    pub(crate) key: Variable,
    /// The longest life of a sealed token.
    pub(crate) max_ttl: Duration,
}

impl BrokerPolicy {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let key = fields.required("key").and_then(|node| variable::read_variable_source(&node));
        let max_ttl = fields.optional("max_ttl").map(|node| {
            let range = Duration::from_secs(10)..=MAX_TTL;
            duration_within(&node, range, "expected a duration from `10s` to `2h`")
        });
        fields.finish();
        Some(Self { key: key?, max_ttl: max_ttl.unwrap_or(Some(DEFAULT_TTL))? })
    }

    /// Returns the key from the environment.
    ///
    /// # Errors
    /// A variable that is not set, or that holds no key.
    pub(crate) fn seal_key(&self, environment: &dyn Environment) -> Result<SealKey, PolicyError> {
        let text = self.key.require("broker.key", environment)?.reveal();
        if environment.is_stand_in() {
            return Ok(SealKey::of(text.as_bytes()));
        }
        SealKey::read(&text).ok_or_else(|| PolicyError {
            path: "broker.key.env".to_owned(),
            message: format!(
                "the value of the environment variable `{}` is no key: expected 32 bytes in hexadecimal digits or base64url, as \
                 `openssl rand -hex 32` prints them",
                self.key.name()
            ),
        })
    }
}
