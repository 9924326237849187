//! The file of bounds: the namespaces whose Secrets declare tokens, and the most that such a token may have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, anyhow, ensure};
use serde::Deserialize;

use crate::registry::{NewToken, RateLimit, Token, are_within};
use crate::text::yaml;

/// The longest file.
pub const MAX_BOUNDS_BYTES: usize = 256 * 1024;
/// The most namespaces of a file. Each has a watch of its own.
const MAX_NAMESPACES: usize = 64;
/// The most labels by which Secrets are selected.
const MAX_LABELS: usize = 8;
/// The beginning of the names of these sources in the registry.
pub(super) const PREFIX: &str = "kubernetes:";
/// The longest name of a namespace (RFC 1123).
const MAX_NAMESPACE_BYTES: usize = 63;
/// The key of a Secret's data that holds the token.
const KEY: &str = "token";

/// The bounds of all namespaces.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The labels that a Secret must have, all of them.
    pub(super) labels: BTreeMap<String, String>,
    /// The key of a Secret's data that holds the token.
    pub(super) key: String,
    pub(super) namespaces: Vec<Namespace>,
}

/// The bounds of the tokens of one namespace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Namespace {
    pub(super) name: String,
    /// The team of all tokens.
    pub(super) team: Option<String>,
    /// The entries of a scope that a token may have, and has unless its Secret says less.
    pub(super) providers: Vec<String>,
    /// The models that a token may use, and may use unless its Secret says less. Empty for all.
    #[serde(default)]
    pub(super) models: Vec<String>,
    /// The owners that a Secret may name: addresses, and `*@DOMAIN` for all of a domain.
    #[serde(default)]
    pub(super) owners: Vec<String>,
    /// The highest rate limit, and the one of a token whose Secret says none. `None` for any.
    pub(super) rate_limit: Option<RateLimit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    labels: BTreeMap<String, String>,
    key: Option<String>,
    namespaces: Vec<Namespace>,
}

/// The field of a token that is beyond its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beyond(pub(super) &'static str);

impl Bounds {
    /// Reads a document in YAML or JSON.
    pub fn read(document: &[u8]) -> anyhow::Result<Self> {
        let value = yaml::parse(document).map_err(|error| anyhow!("{error}"))?;
        let Document { labels, key, namespaces } = serde_path_to_error::deserialize(value)
            .map_err(|error| anyhow!("`{}` is invalid: {}", error.path(), error.inner()))?;
        ensure!((1..=MAX_LABELS).contains(&labels.len()), "`labels` needs 1 to {MAX_LABELS} labels");
        for (name, value) in &labels {
            ensure!(
                is_label(name) && is_label(value),
                "`labels` has a name or a value that no label can have"
            );
        }
        let key = key.unwrap_or_else(|| KEY.to_owned());
        ensure!(is_label(&key), "`key` is not a key that a Secret can have");
        ensure!(
            (1..=MAX_NAMESPACES).contains(&namespaces.len()),
            "`namespaces` needs 1 to {MAX_NAMESPACES} namespaces"
        );
        let mut names = BTreeSet::new();
        let mut checked = Vec::new();
        for (place, namespace) in namespaces.into_iter().enumerate() {
            let namespace = namespace.check().with_context(|| format!("`namespaces[{place}]` is invalid"))?;
            ensure!(names.insert(namespace.name.clone()), "`namespaces[{place}]` is in the list already");
            checked.push(namespace);
        }
        Ok(Self { labels, key, namespaces: checked })
    }

    /// Returns the names of the namespaces.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(|namespace| namespace.name.as_str())
    }

    /// Returns the selector of the API that requires each label with its value.
    pub(super) fn selector(&self) -> String {
        let terms: Vec<String> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        terms.join(",")
    }
}

impl Namespace {
    /// Returns the bounds in the form of the registry's records, an error if no token could be within them.
    fn check(self) -> anyhow::Result<Self> {
        let is_name = (1..=MAX_NAMESPACE_BYTES).contains(&self.name.len())
            && self
                .name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        ensure!(is_name, "`name` is not the name of a namespace");
        for owner in &self.owners {
            let address =
                owner.strip_prefix('*').map_or_else(|| owner.clone(), |domain| format!("any{domain}"));
            ensure!(
                keyswap_core::syntax::is_email(&address),
                "`owners` needs addresses, or `*@` and a domain"
            );
        }
        let token = NewToken {
            label: self.name.clone(),
            team: self.team,
            providers: self.providers,
            models: self.models,
            rate_limit: self.rate_limit,
            ..NewToken::default()
        };
        let NewToken { team, providers, models, rate_limit, .. } = token.normal()?;
        Ok(Self { team, providers, models, rate_limit, ..self })
    }

    /// Returns the name of the source in the registry.
    pub(super) fn source(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// Checks that a token is within the bounds. The first field that is not is the error.
    pub(super) fn check_token(&self, token: &NewToken) -> Result<(), Beyond> {
        let is_owner = |owner: &String| self.owners.iter().any(|allowed| is_owned(owner, allowed));
        if !token.owner.as_ref().is_none_or(is_owner) {
            return Err(Beyond("owner"));
        }
        if token.team != self.team {
            return Err(Beyond("team"));
        }
        if !token.providers.iter().all(|entry| self.providers.contains(entry)) {
            return Err(Beyond("providers"));
        }
        if token.models.is_empty() || !are_within(&token.models, &self.models) {
            return Err(Beyond("models"));
        }
        let is_limited =
            self.rate_limit.is_none_or(|most| token.rate_limit.is_some_and(|limit| is_at_most(limit, most)));
        is_limited.then_some(()).ok_or(Beyond("rate-limit"))
    }

    /// Returns true if a token of the registry is within the bounds.
    pub(super) fn admits(&self, token: &Token) -> bool {
        let token = NewToken {
            label: token.label.clone(),
            owner: token.owner.clone(),
            team: token.team.clone(),
            providers: token.providers.clone(),
            models: token.models.clone(),
            expires_at: None,
            rate_limit: token.rate_limit,
            certificate_sha256: None,
        };
        self.check_token(&token).is_ok()
    }
}

/// Returns true if a text can be a label or a key of a Secret, and has nothing that means something else in a selector.
fn is_label(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(is_part)
}

fn is_owned(owner: &str, allowed: &str) -> bool {
    match allowed.strip_prefix('*') {
        // `@` stands in front of the domain, so a domain does not allow another that ends with it.
        Some(domain) => {
            let at = owner.len().checked_sub(domain.len());
            at.and_then(|at| owner.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(domain))
        }
        None => owner.eq_ignore_ascii_case(allowed),
    }
}

/// Returns true if a limit lets no more pass than another: in the same period, each number of the other is not exceeded.
fn is_at_most(limit: RateLimit, most: RateLimit) -> bool {
    let is_bounded = |number: Option<u32>, most: Option<u32>| {
        most.is_none_or(|most| number.is_some_and(|number| number <= most))
    };
    limit.seconds() == most.seconds()
        && is_bounded(limit.requests(), most.requests())
        && is_bounded(limit.tokens(), most.tokens())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(rest: &str) -> Namespace {
        let file = format!(
            "labels: {{keyswap/token: \"true\"}}\nnamespaces: [{{name: red, team: red, providers: [openai, \"openai:files\"], {rest}}}]"
        );
        Bounds::read(file.as_bytes()).unwrap().namespaces.remove(0)
    }

    fn token() -> NewToken {
        NewToken {
            label: "red/a".to_owned(),
            team: Some("red".to_owned()),
            providers: vec!["openai".to_owned()],
            models: vec!["gpt-5".to_owned()],
            ..NewToken::default()
        }
    }

    #[test]
    fn a_token_has_no_more_than_its_namespace() {
        let bounds = namespace(
            "models: [gpt-5], owners: [a@acme.example, \"*@red.example\"], rate_limit: {requests: 60, per: 1m}",
        );
        let limit = |requests, per| RateLimit::parse(Some(requests), None, per).ok();
        let sound = NewToken { rate_limit: limit(60, "1m"), ..token() };
        assert_eq!(bounds.check_token(&sound), Ok(()));
        let owner = |owner: &str| NewToken { owner: Some(owner.to_owned()), ..sound.clone() };
        for token in [
            owner("A@acme.example"),
            owner("x@RED.example"),
            NewToken { rate_limit: limit(1, "1m"), ..sound.clone() },
        ] {
            assert_eq!(bounds.check_token(&token), Ok(()));
        }
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        for (token, field) in [
            (owner("b@acme.example"), "owner"),
            (owner("x@evil-red.example"), "owner"),
            (owner("@red.example.evil"), "owner"),
            (NewToken { team: None, ..sound.clone() }, "team"),
            (NewToken { team: Some("blue".to_owned()), ..sound.clone() }, "team"),
            (NewToken { providers: list(&["openai", "anthropic"]), ..sound.clone() }, "providers"),
            (NewToken { providers: list(&["openai:*"]), ..sound.clone() }, "providers"),
            (NewToken { providers: list(&["openai:mint"]), ..sound.clone() }, "providers"),
            (NewToken { models: list(&["*"]), ..sound.clone() }, "models"),
            (NewToken { models: Vec::new(), ..sound.clone() }, "models"),
            (NewToken { rate_limit: None, ..sound.clone() }, "rate-limit"),
            (NewToken { rate_limit: limit(61, "1m"), ..sound.clone() }, "rate-limit"),
            (NewToken { rate_limit: limit(60, "1s"), ..sound.clone() }, "rate-limit"),
            (
                NewToken { rate_limit: RateLimit::parse(None, Some(1), "1m").ok(), ..sound.clone() },
                "rate-limit",
            ),
        ] {
            assert_eq!(bounds.check_token(&token), Err(Beyond(field)), "{token:?}");
        }
    }

    #[test]
    fn without_owners_no_secret_names_one() {
        let named = NewToken { owner: Some("a@acme.example".to_owned()), ..token() };
        assert_eq!(namespace("").check_token(&named), Err(Beyond("owner")));
        assert_eq!(namespace("").check_token(&token()), Ok(()));
    }

    #[test]
    fn a_file_that_leaves_something_open_is_refused() {
        let of = |labels: &str, namespaces: &str| format!("labels: {labels}\nnamespaces: {namespaces}");
        let one = "[{name: red, providers: [openai]}]";
        for file in [
            of("{}", one),
            of("{a: \"b,c\"}", one),
            of("{\"a!\": b}", one),
            of("{a: b}", "[]"),
            of("{a: b}", "[{name: red}]"),
            of("{a: b}", "[{name: red, providers: []}]"),
            of("{a: b}", "[{name: \"../red\", providers: [openai]}]"),
            of("{a: b}", "[{name: red, providers: [openai]}, {name: red, providers: [openai]}]"),
            of("{a: b}", "[{name: red, providers: [openai], owners: [\"*\"]}]"),
            of("{a: b}", "[{name: red, providers: [openai], owners: [\"*@\"]}]"),
            of("{a: b}", "[{name: red, providers: [openai], owner: a@b.example}]"),
            of("{a: b}", "[{name: red, providers: [openai], models: [\"!gpt-5\"]}]"),
        ] {
            assert!(Bounds::read(file.as_bytes()).is_err(), "{file}");
        }
    }
}
