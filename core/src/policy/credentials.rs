//! Upstream credentials in a policy: named chains of sources, and their values once the environment is known.

use std::collections::BTreeMap;

use super::error::{PolicyError, PolicyErrors};
use super::reader::{NAME_EXPECTED, Node, is_name};
use crate::secret::{Environment, Secret, SecretFault};

/// A place that an upstream credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An environment variable of the host.
    Env(String),
}

/// Every named credential with its chain of sources: the first that yields a value wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials(BTreeMap<String, Vec<Source>>);

impl Credentials {
    pub(super) fn read(node: &Node<'_>) -> Self {
        let mut chains = BTreeMap::new();
        for (name, chain) in node.entries() {
            // Later errors repeat the name, in logs too.
            match chain.check(Some(name).filter(|name| is_name(name)), NAME_EXPECTED) {
                Some(name) => _ = chains.insert(name.to_owned(), read_chain(&chain)),
                None => _ = read_chain(&chain),
            }
        }
        Self(chains)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Looks every credential up.
    pub(crate) fn resolve(
        &self,
        environment: &dyn Environment,
    ) -> Result<BTreeMap<&str, Secret>, PolicyErrors> {
        let mut secrets = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, chain) in &self.0 {
            match resolve_chain(&format!("credentials.{name}"), chain, environment) {
                Ok(secret) => {
                    secrets.insert(name.as_str(), secret);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(secrets) } else { Err(PolicyErrors(errors)) }
    }
}

fn read_chain(node: &Node<'_>) -> Vec<Source> {
    let items = node.items();
    if items.is_empty() {
        node.fail("expected at least one source, such as `[{env: OPENAI_API_KEY}]`");
    }
    items.iter().filter_map(read_source).collect()
}

pub(super) fn read_source(node: &Node<'_>) -> Option<Source> {
    let mut fields = node.fields()?;
    let variable = fields.required("env").and_then(|node| read_variable(&node));
    fields.finish();
    variable.map(Source::Env)
}

fn read_variable(node: &Node<'_>) -> Option<String> {
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
    .map(str::to_owned)
}

/// A variable that is set but unusable is an error even where a later source would do: somebody meant it.
fn resolve_chain(path: &str, chain: &[Source], environment: &dyn Environment) -> Result<Secret, PolicyError> {
    for (index, source) in chain.iter().enumerate() {
        if let Some(secret) = source.resolve(&format!("{path}[{index}]"), environment) {
            return secret;
        }
    }
    let variables: Vec<String> = chain.iter().map(|Source::Env(variable)| format!("`{variable}`")).collect();
    let message = match variables.as_slice() {
        [variable] => format!("the environment variable {variable} is not set"),
        _ => format!("none of the environment variables {} is set", variables.join(", ")),
    };
    Err(PolicyError { path: path.to_owned(), message })
}

impl Source {
    /// The secret, if the source has a value; `path` is the source's place in the policy.
    fn resolve(&self, path: &str, environment: &dyn Environment) -> Option<Result<Secret, PolicyError>> {
        let Self::Env(variable) = self;
        let unusable = |fault: SecretFault| PolicyError {
            path: format!("{path}.env"),
            message: format!("the value of the environment variable `{variable}` {fault}"),
        };
        environment.variable(variable).map(|value| Secret::new(value).map_err(unusable))
    }

    /// The secret of a place that has this one source.
    pub(super) fn require(&self, path: &str, environment: &dyn Environment) -> Result<Secret, PolicyError> {
        let Self::Env(variable) = self;
        self.resolve(path, environment).unwrap_or_else(|| {
            let message = format!("the environment variable `{variable}` is not set");
            Err(PolicyError { path: path.to_owned(), message })
        })
    }
}
