//! The variables of the environment that a policy names.

use super::error::PolicyError;
use super::reader::Node;
use crate::host::Environment;
use crate::secret::{Secret, SecretError, ServiceSecret};

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable(String);

impl Variable {
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let is_name = |text: &&str| {
            !text.starts_with(|char: char| char.is_ascii_digit())
                && !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let name = node.text()?;
        node.check(
            Some(name).filter(is_name),
            "expected the name of an environment variable such as `OPENAI_API_KEY`",
        )
        .map(|name| Self(name.to_owned()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Returns the upstream secret, if the variable is set; `path` is its place in the policy.
    ///
    /// # Errors
    /// A variable that is set but unusable, even where a later source would do: it was meant.
    pub(crate) fn find(
        &self,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<Option<Secret>, PolicyError> {
        let value = environment.variable(&self.0);
        value.map(|value| Secret::new(value).map_err(|error| self.unusable(path, error))).transpose()
    }

    /// Returns the credential of a service, which has no other source.
    ///
    /// # Errors
    /// A variable that is not set, or unusable.
    pub(crate) fn require(
        &self,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<ServiceSecret, PolicyError> {
        let value = environment.variable(&self.0).ok_or_else(|| PolicyError {
            path: path.to_owned(),
            message: format!("the environment variable `{}` is not set", self.0),
        })?;
        ServiceSecret::new(value).map_err(|error| self.unusable(path, error))
    }

    fn unusable(&self, path: &str, error: SecretError) -> PolicyError {
        PolicyError {
            path: format!("{path}.env"),
            message: format!("the value of the environment variable `{}` {error}", self.0),
        }
    }
}

/// Reads a secret that is known before any call can be made: `{env: NAME}`.
pub(super) fn read_variable_source(node: &Node<'_>) -> Option<Variable> {
    let mut fields = node.fields()?;
    let variable = fields.required("env").and_then(|node| Variable::read(&node));
    fields.finish();
    variable
}
