//! Two scopes: the classes of endpoints that each opens, and the difference in words.

use std::collections::{BTreeMap, BTreeSet};

use keyswap_core::identity::{Class, Classes, Scope};
use serde_json::Value;

/// Returns what a scope opens: each provider with each class.
pub(super) fn opened(scope: &Value) -> BTreeSet<(String, Class)> {
    let scope = Scope::read(scope.as_array().into_iter().flatten().filter_map(Value::as_str));
    let of_provider = |name: &str| {
        let classes = scope.classes(name);
        Class::ALL.into_iter().filter(move |class| classes.has(*class)).collect::<Vec<_>>()
    };
    let pairs = scope
        .providers()
        .flat_map(|name| of_provider(name).into_iter().map(move |class| (name.to_owned(), class)));
    pairs.collect()
}

/// Returns the difference of two scopes: the providers that came or went, and the classes of those that stayed.
pub(super) fn difference(before: &Value, after: &Value) -> String {
    let (old, new) = (opened(before), opened(after));
    let came = by_provider(new.difference(&old)).into_iter().map(|it| words(it, "+", "may now use"));
    let went = by_provider(old.difference(&new)).into_iter().map(|it| words(it, "-", "may no longer use"));
    let words: Vec<String> = came.chain(went).flatten().collect();
    words.join(", ")
}

fn by_provider<'s>(pairs: impl Iterator<Item = &'s (String, Class)>) -> BTreeMap<&'s str, Vec<Class>> {
    let mut classes: BTreeMap<&str, Vec<Class>> = BTreeMap::new();
    for (provider, class) in pairs {
        classes.entry(provider).or_default().push(*class);
    }
    classes
}

/// Returns the words for classes of one provider. Those that its name alone opens are told by that name.
fn words((provider, mut classes): (&str, Vec<Class>), sign: &str, may: &str) -> Vec<String> {
    let mut words = Vec::new();
    if [Class::Inference, Class::Models].iter().all(|class| classes.contains(class)) {
        words.push(format!("{sign} {provider}"));
        classes.retain(|class| !Classes::DEFAULT.has(*class));
    }
    let names: Vec<&str> = classes.into_iter().map(Class::name).collect();
    match names.as_slice() {
        [] => {}
        [name] => words.push(format!("{may} {name} of {provider}")),
        [names @ .., last] => words.push(format!("{may} {} and {last} of {provider}", names.join(", "))),
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scope_that_changed_is_told_by_providers_and_classes() {
        for (before, after, expect) in [
            (json!(["openai"]), json!(["openai", "gemini"]), "+ gemini"),
            (json!(["openai"]), json!(["openai", "openai:files"]), "may now use files of openai"),
            (
                json!(["openai:*"]),
                json!(["openai"]),
                "may no longer use files, batches, fine_tuning and stateful of openai",
            ),
            (json!(["openai"]), json!(["openai:inference"]), "may no longer use models of openai"),
            (
                json!(["openai"]),
                json!(["gemini:*"]),
                "+ gemini, may now use files, batches, fine_tuning and stateful of gemini, - openai",
            ),
            (json!(["openai:inference", "openai:models"]), json!(["openai"]), ""),
        ] {
            assert_eq!(difference(&before, &after), expect, "{before} {after}");
        }
    }
}
