//! Scopes: the providers that a caller may use, and the classes of their endpoints.
//!
//! A scope is read once, when its record is read. An entry is `openai`, which opens inference and the list of models, or
//! `openai:files`, which opens one class, or `openai:*`, which opens every class but those that are opened by name only.

use std::fmt;

/// The class of an endpoint: the kind of thing that a caller does there with the real key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// An answer is computed from the request.
    Inference,
    /// The provider's own models, voices and prices are listed.
    Models,
    /// Files of the account.
    Files,
    /// Batches and other inference in the background.
    Batches,
    /// Training jobs, their data, and deployments of tuned models.
    FineTuning,
    /// Objects that the provider keeps and callers name by id.
    Stateful,
    /// A credential is made that works without the proxy. The class is opened by name, and only for endpoints whose answer
    /// is brokered.
    Mint,
    /// The account is administered or revealed.
    Admin,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Inference,
        Self::Models,
        Self::Files,
        Self::Batches,
        Self::FineTuning,
        Self::Stateful,
        Self::Mint,
        Self::Admin,
    ];

    /// Returns the name of the class in scopes, logs and explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Models => "models",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::FineTuning => "fine_tuning",
            Self::Stateful => "stateful",
            Self::Mint => "mint",
            Self::Admin => "admin",
        }
    }

    /// Returns why no scope can open the class; `None` for a class that a scope can open.
    pub const fn why_closed(self) -> Option<&'static str> {
        match self {
            Self::Admin => Some(
                "`admin` cannot be opened: whoever may administer the account has its keys, whatever the proxy keeps back",
            ),
            _ => None,
        }
    }

    /// Returns the class of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of classes that can be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(u8);

impl Classes {
    /// The classes of a provider that is named alone.
    pub const DEFAULT: Self = Self(1 << Class::Inference as u8 | 1 << Class::Models as u8);
    /// The classes that `*` opens: every class below [`Class::Mint`], which is opened by name only.
    pub const ALL: Self = Self((1 << Class::Mint as u8) - 1);

    /// Returns the set of one class, which is empty for a class that cannot be opened.
    pub const fn of(class: Class) -> Self {
        Self(if class.why_closed().is_none() { 1 << class as u8 } else { 0 })
    }

    /// Returns whether the class is in the set.
    pub const fn has(self, class: Class) -> bool {
        self.0 & 1 << class as u8 != 0
    }

    /// Returns whether no class is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A fault of a scope's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeError {
    /// No class has this name.
    Unknown,
    /// The class cannot be opened.
    Closed(Class),
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("no such class of endpoints; expected one of `*`")?;
                let open = Class::ALL.into_iter().filter(|class| class.why_closed().is_none());
                open.into_iter().try_for_each(|class| write!(f, ", `{class}`"))
            }
            Self::Closed(class) => f.write_str(class.why_closed().unwrap_or_default()),
        }
    }
}

impl std::error::Error for ScopeError {}

/// Reads an entry of a scope: the provider's name, and the classes that the entry opens.
///
/// # Errors
/// A class that is not known, or that cannot be opened. The provider's name is not judged here.
pub fn read_entry(text: &str) -> Result<(&str, Classes), ScopeError> {
    let Some((provider, class)) = text.split_once(':') else { return Ok((text, Classes::DEFAULT)) };
    if class == "*" {
        return Ok((provider, Classes::ALL));
    }
    let class = Class::named(class).ok_or(ScopeError::Unknown)?;
    match class.why_closed() {
        Some(_) => Err(ScopeError::Closed(class)),
        None => Ok((provider, Classes::of(class))),
    }
}

/// The providers that a caller may use, each once, with the classes that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<(String, Classes)>);

impl Scope {
    /// Reads the scope of a record that was checked elsewhere. An entry that cannot be read opens nothing, so that an
    /// old data plane understands the rest of a newer registry's record.
    pub fn read<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Self {
        let mut scope = Self::default();
        for entry in entries {
            if let Ok((provider, classes)) = read_entry(entry.as_ref()) {
                scope.open(provider, classes);
            }
        }
        scope
    }

    /// Opens classes of a provider. Returns `false` where they were open already.
    pub fn open(&mut self, provider: &str, classes: Classes) -> bool {
        let Some((_, open)) = self.0.iter_mut().find(|(name, _)| name == provider) else {
            self.0.push((provider.to_owned(), classes));
            return true;
        };
        let is_new = !classes.without(*open).is_empty();
        *open = open.or(classes);
        is_new
    }

    /// Returns the open classes of a provider. Names are compared whole, so that `open` is no scope for `openai`.
    pub fn classes(&self, provider: &str) -> Classes {
        self.0.iter().find(|(name, _)| name == provider).map(|(_, classes)| *classes).unwrap_or_default()
    }

    /// Returns whether any class of a provider is open.
    pub fn has(&self, provider: &str) -> bool {
        !self.classes(provider).is_empty()
    }

    /// Returns the names of the providers.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns what is open in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = self.0.iter().map(|(name, classes)| (name.clone(), classes.and(other.classes(name))));
        Self(both.filter(|(_, classes)| !classes.is_empty()).collect())
    }

    /// Returns the part of the scope that is about some providers.
    #[must_use]
    pub fn only(&self, is_one: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| is_one(name)).cloned().collect())
    }

    /// Returns the entries of the scope, each in its shortest form.
    pub fn entries(&self) -> Vec<String> {
        let mut entries = Vec::with_capacity(self.0.len());
        for (provider, classes) in &self.0 {
            let mut rest = *classes;
            if Classes::ALL.without(rest).is_empty() {
                entries.push(format!("{provider}:*"));
                rest = rest.without(Classes::ALL);
            } else if Classes::DEFAULT.without(rest).is_empty() {
                entries.push(provider.clone());
                rest = rest.without(Classes::DEFAULT);
            }
            let named = Class::ALL.into_iter().filter(|class| rest.has(*class));
            entries.extend(named.map(|class| format!("{provider}:{class}")));
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_opens_what_its_entries_say_and_no_more() {
        for (entries, open, written) in [
            (&["openai"][..], &["inference", "models"][..], &["openai"][..]),
            (&["openai:files"], &["files"], &["openai:files"]),
            (&["openai:files", "openai"], &["inference", "models", "files"], &["openai", "openai:files"]),
            (&["openai:inference"], &["inference"], &["openai:inference"]),
            (&["openai:models", "openai:inference"], &["inference", "models"], &["openai"]),
            (
                &["openai:*"],
                &["inference", "models", "files", "batches", "fine_tuning", "stateful"],
                &["openai:*"],
            ),
            (&["openai:mint"], &["mint"], &["openai:mint"]),
            (
                &["openai:mint", "openai:*"],
                &["inference", "models", "files", "batches", "fine_tuning", "stateful", "mint"],
                &["openai:*", "openai:mint"],
            ),
            (&["openai:mint", "openai"], &["inference", "models", "mint"], &["openai", "openai:mint"]),
            (&["openai:admin", "openai:", "openai:Files", "openai:Mint"], &[], &[]),
            (&["open", "openai2:*"], &[], &["open", "openai2:*"]),
        ] {
            let scope = Scope::read(entries);
            let classes = scope.classes("openai");
            let found: Vec<&str> =
                Class::ALL.into_iter().filter(|class| classes.has(*class)).map(Class::name).collect();
            assert_eq!(found, open, "{entries:?}");
            assert_eq!(scope.entries(), written, "{entries:?}");
            assert_eq!(Scope::read(scope.entries()), scope);
        }
    }

    #[test]
    fn no_set_of_classes_has_one_that_cannot_be_opened_and_a_star_opens_nothing_that_mints() {
        for class in Class::ALL {
            assert_eq!(Classes::of(class).has(class), class.why_closed().is_none(), "{class}");
            assert_eq!(Classes::ALL.has(class), class < Class::Mint, "{class}");
        }
    }

    #[test]
    fn an_entry_with_a_class_that_cannot_be_opened_says_why() {
        assert_eq!(read_entry("openai:admin"), Err(ScopeError::Closed(Class::Admin)));
        assert_eq!(read_entry("openai:mint"), Ok(("openai", Classes::of(Class::Mint))));
        assert_eq!(read_entry("openai:file"), Err(ScopeError::Unknown));
        assert!(ScopeError::Closed(Class::Admin).to_string().contains("cannot be opened"));
        assert!(ScopeError::Unknown.to_string().ends_with("`stateful`, `mint`"));
    }

    #[test]
    fn two_scopes_have_in_common_what_both_open() {
        let both = Scope::read(["openai:*", "gemini"]).and(&Scope::read(["openai:files", "openai", "groq"]));
        assert_eq!(both.entries(), ["openai", "openai:files"]);
        assert!(Scope::read(["openai"]).and(&Scope::read(["openai:files"])).entries().is_empty());
    }
}
