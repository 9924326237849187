//! Objects of Kubernetes in the input of an import.

use serde_json::Value;

use super::list::list;

/// An object, by its kind, namespace and name.
pub(super) struct Object<'v> {
    pub(super) kind: &'v str,
    pub(super) namespace: Option<&'v str>,
    pub(super) name: &'v str,
    pub(super) value: &'v Value,
}

/// A reference of a policy to the object that it is for.
pub(super) struct Target<'v> {
    pub(super) kind: &'v str,
    pub(super) name: &'v str,
    pub(super) has_section: bool,
}

/// All objects of the input.
pub(super) struct Objects<'v>(Vec<Object<'v>>);

impl<'v> Object<'v> {
    /// Returns kind, namespace and name, for lines.
    pub(super) fn place(&self) -> String {
        let namespace = self.namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{} {namespace}{}", self.kind, self.name)
    }

    pub(super) fn spec(&self) -> &'v Value {
        self.value.get("spec").unwrap_or(&Value::Null)
    }

    /// Returns the objects that a policy is for: `targetRef` and `targetRefs`.
    pub(super) fn targets(&self) -> Vec<Target<'v>> {
        let spec = self.spec();
        let text = |value: &'v Value, name: &str| value.get(name).and_then(Value::as_str);
        let target = |value: &'v Value| {
            let (kind, name) = (text(value, "kind")?, text(value, "name")?);
            Some(Target { kind, name, has_section: value.get("sectionName").is_some() })
        };
        spec.get("targetRef").into_iter().chain(list(spec, "targetRefs")).filter_map(target).collect()
    }

    /// Returns whether the object is a policy: for others, by reference or by their labels.
    pub(super) fn is_policy(&self) -> bool {
        ["targetRef", "targetRefs", "targetSelectors"].iter().any(|name| self.spec().get(name).is_some())
    }
}

impl<'v> Objects<'v> {
    /// Finds the objects in documents, and in the lists among them.
    pub(super) fn of(documents: &'v [Value]) -> Self {
        let mut objects = Self(Vec::new());
        for document in documents {
            objects.add(document);
        }
        objects
    }

    fn add(&mut self, value: &'v Value) {
        let text = |path: &str| value.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
        match (text("/kind"), text("/metadata/name")) {
            (Some(kind), _) if kind.ends_with("List") => list(value, "items").for_each(|item| self.add(item)),
            (Some(kind), Some(name)) => {
                self.0.push(Object { kind, namespace: text("/metadata/namespace"), name, value });
            }
            _ => {}
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Object<'v>> {
        self.0.iter()
    }

    pub(super) fn of_kind<'o>(&'o self, kind: &'o str) -> impl Iterator<Item = &'o Object<'v>> {
        self.0.iter().filter(move |object| object.kind == kind)
    }

    pub(super) fn find(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<&Object<'v>> {
        self.0.iter().find(|it| it.kind == kind && it.namespace == namespace && it.name == name)
    }

    /// Returns whether objects of one kind and namespace may refer to an object in another namespace (`ReferenceGrant`).
    pub(super) fn grants(&self, from: (&str, Option<&str>), to: (&str, Option<&str>, &str)) -> bool {
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        self.of_kind("ReferenceGrant").filter(|grant| grant.namespace == to.1).any(|grant| {
            let is_from = |entry: &Value| {
                text(entry, "kind").as_deref() == Some(from.0)
                    && text(entry, "namespace").as_deref() == from.1
            };
            let is_to = |entry: &Value| {
                text(entry, "kind").as_deref() == Some(to.0)
                    && text(entry, "name").is_none_or(|name| name.is_empty() || name == to.2)
            };
            list(grant.spec(), "from").any(is_from) && list(grant.spec(), "to").any(is_to)
        })
    }
}
