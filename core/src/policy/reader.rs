//! A reader that walks a JSON document with the path in hand, and collects errors instead of stopping at the first.
//!
//! Unknown fields are errors: a misspelled restriction would otherwise restrict nothing.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::error::{PolicyError, PolicyErrors};
use super::literal::looks_like_a_secret;
use crate::identity::jwt::Endpoint;
use crate::request::HOP_BY_HOP;
use crate::syntax::is_plain_name;

/// The most errors that are told in full: one mistake of a generator is in thousands of entries.
const MAX_ERRORS: usize = 200;

/// The errors found so far, and the number of those that are not told.
#[derive(Default)]
pub(super) struct Errors {
    told: RefCell<Vec<PolicyError>>,
    untold: Cell<usize>,
}

impl Errors {
    pub(super) fn add(&self, path: impl Into<String>, message: impl Into<String>) {
        self.add_all(PolicyErrors::one(path, message));
    }

    pub(super) fn add_all(&self, errors: PolicyErrors) {
        let (mut told, mut errors) = (self.told.borrow_mut(), errors.0.into_iter());
        let room = MAX_ERRORS.saturating_sub(told.len());
        told.extend(errors.by_ref().take(room));
        self.untold.set(self.untold.get() + errors.count());
    }

    pub(super) fn into_inner(self) -> Vec<PolicyError> {
        let (mut told, untold) = (self.told.into_inner(), self.untold.get());
        if untold > 0 {
            let message = format!("there are {untold} more errors, which show when these are mended");
            told.push(PolicyError { path: String::new(), message });
        }
        told
    }
}

/// A value, and its place in the document. The place is written only where an error is noted.
#[derive(Clone)]
pub(super) struct Node<'d> {
    value: &'d Value,
    place: Place<'d>,
    errors: &'d Errors,
}

/// The way from the root of a document to a value.
#[derive(Clone)]
struct Place<'d> {
    parent: Option<Rc<Place<'d>>>,
    step: Step<'d>,
}

#[derive(Clone, Copy)]
enum Step<'d> {
    Root,
    Member(&'d str),
    Item(usize),
}

impl Place<'_> {
    fn write(&self, path: &mut String) {
        if let Some(parent) = &self.parent {
            parent.write(path);
        }
        match self.step {
            Step::Root => {}
            Step::Member(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&printable(name));
            }
            Step::Item(index) => _ = write!(path, "[{index}]"),
        }
    }
}

impl<'d> Node<'d> {
    pub(super) fn root(value: &'d Value, errors: &'d Errors) -> Self {
        Self { value, place: Place { parent: None, step: Step::Root }, errors }
    }

    /// Returns another value in the same place: what the place means, where that is not what is written.
    pub(super) fn with<'o>(&self, value: &'o Value) -> Node<'o>
    where
        'd: 'o,
    {
        Node { value, place: self.place.clone(), errors: self.errors }
    }

    /// Returns the place as errors have it: `tokens[2].label`.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        self.place.write(&mut path);
        path
    }

    /// Returns the value itself, for readers of formats that are not ours.
    pub(super) fn value(&self) -> &'d Value {
        self.value
    }

    pub(super) fn fail(&self, message: impl Into<String>) {
        self.errors.add(self.path(), message);
    }

    /// Returns `reading`. Where it is `None`, an error is noted at this place.
    pub(super) fn check<T>(&self, reading: Option<T>, expected: &str) -> Option<T> {
        if reading.is_none() {
            self.fail(expected);
        }
        reading
    }

    pub(super) fn text(&self) -> Option<&'d str> {
        let expected =
            if self.value.is_number() { "expected a string: put it in quotes" } else { "expected a string" };
        self.check(self.value.as_str(), expected)
    }

    pub(super) fn number(&self) -> Option<u64> {
        self.check(self.value.as_u64(), "expected a whole number from 0")
    }

    /// Returns the text of a decimal number, which may stand in quotes. Nothing is lost of up to 15 digits.
    pub(super) fn decimal(&self) -> Option<String> {
        match self.value {
            Value::Number(number) => Some(number.to_string()),
            Value::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        self.check(self.value.as_bool(), "expected `true` or `false`")
    }

    /// Reads a name of the policy's own.
    pub(super) fn name(&self) -> Option<String> {
        let text = self.text()?;
        self.check(Some(text).filter(|text| is_name(text)), NAME_EXPECTED).map(str::to_owned)
    }

    /// Reads the name of an Envoy cluster.
    pub(super) fn cluster(&self) -> Option<String> {
        let is_cluster =
            |text: &&str| (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let text = self.text()?;
        self.check(Some(text).filter(is_cluster), "expected the name of a cluster, without spaces")
            .map(str::to_owned)
    }

    /// Reads the address of something to fetch.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        Endpoint::parse(self.text()?).map_err(|message| self.fail(message)).ok()
    }

    /// Reads a string that is one of a few.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let found = self.value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        let expected = || {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
            let one_of = if names.len() > 1 { "one of " } else { "" };
            format!("expected {one_of}{}", names.join(", "))
        };
        if found.is_none() {
            self.fail(expected());
        }
        found.map(|(_, value)| *value)
    }

    pub(super) fn items(&self) -> Vec<Self> {
        let items = self.check(self.value.as_array(), "expected a list");
        let parent = Rc::new(self.place.clone());
        let child = |(index, value)| self.child(&parent, Step::Item(index), value);
        items.into_iter().flatten().enumerate().map(child).collect()
    }

    /// Returns the members of an object whose names are the user's own.
    pub(super) fn entries(&self) -> Vec<(&'d str, Self)> {
        let map = self.check(self.value.as_object(), "expected an object");
        let parent = Rc::new(self.place.clone());
        let child = |name: &'d str, value| (name, self.child(&parent, Step::Member(name), value));
        map.into_iter().flatten().map(|(name, value)| child(name, value)).collect()
    }

    /// Returns the fields of an object whose names are given.
    pub(super) fn fields(&self) -> Option<Fields<'d>> {
        let map = self.check(self.value.as_object(), "expected an object")?;
        Some(Fields { node: self.clone(), place: Rc::new(self.place.clone()), map, known: Vec::new() })
    }

    /// Reports every string, and every name of a member, that looks like a credential.
    pub(super) fn refuse_literal_secrets(&self) {
        const MESSAGE: &str =
            "this looks like a credential: a policy only names secrets, as in `{env: OPENAI_API_KEY}`";
        // Nodes are made only where there is something to report.
        if !holds_a_secret(self.value) {
            return;
        }
        match self.value {
            Value::String(text) if looks_like_a_secret(text) => self.fail(MESSAGE),
            Value::Array(_) => self.items().iter().for_each(Self::refuse_literal_secrets),
            Value::Object(_) => {
                for (name, child) in self.entries() {
                    if looks_like_a_secret(name) {
                        child.fail(MESSAGE);
                    }
                    child.refuse_literal_secrets();
                }
            }
            _ => {}
        }
    }

    fn child(&self, parent: &Rc<Place<'d>>, step: Step<'d>, value: &'d Value) -> Self {
        Self { value, place: Place { parent: Some(Rc::clone(parent)), step }, errors: self.errors }
    }
}

/// Returns whether a string, or the name of a member, that looks like a credential stands anywhere in a value.
fn holds_a_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => looks_like_a_secret(text),
        Value::Array(items) => items.iter().any(holds_a_secret),
        Value::Object(members) => {
            members.iter().any(|(name, value)| looks_like_a_secret(name) || holds_a_secret(value))
        }
        _ => false,
    }
}

/// The form of a name of the policy's own: it can stand in a path, a log and an error as it is.
pub(super) const NAME_EXPECTED: &str = "expected 1 to 64 letters, digits, `-` or `_`";

pub(super) fn is_name(text: &str) -> bool {
    is_plain_name(text) && !looks_like_a_secret(text)
}

/// The form of the name of a header of a policy's own: in lower case, and not one that means something already.
pub(super) const HEADER_EXPECTED: &str =
    "expected the name of a header in lower case that carries nothing else";

pub(super) fn is_header_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !has_another_meaning(name)
}

/// Returns whether a header frames a message, steers a proxy or belongs to the gateway.
fn has_another_meaning(name: &str) -> bool {
    const NAMES: [&str; 4] = ["cookie", "expect", "host", "trailer"];
    const PREFIXES: [&str; 8] =
        ["accept", "cf-access-", "cf-aig-", "content-", "proxy-", "sec-", "x-envoy-", "x-keyswap-"];
    HOP_BY_HOP.contains(&name)
        || NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Reads strings that are compared whole: at least one, none empty, none twice.
pub(super) fn read_texts(node: &Node<'_>, what: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for item in node.items() {
        match item.text() {
            Some(text) if text.is_empty() || text.len() > 1024 => item.fail("expected 1 to 1024 bytes"),
            Some(text) if texts.iter().any(|other| other == text) => {
                item.fail("this stands twice in the list");
            }
            Some(text) => texts.push(text.to_owned()),
            None => {}
        }
    }
    if texts.is_empty() {
        node.fail(format!("expected at least one {what}"));
    }
    texts
}

/// Returns a member's name as errors show it: never a secret, and nothing that could forge a line of a log.
pub(super) fn printable(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    if looks_like_a_secret(name) {
        return "…".to_owned();
    }
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return name.to_owned();
    }
    let start: String = name.chars().take(64).collect();
    format!("\"{}\"", start.escape_default())
}

/// An object whose fields are taken one by one; [`Fields::finish`] reports those that were not taken.
pub(super) struct Fields<'d> {
    node: Node<'d>,
    place: Rc<Place<'d>>,
    map: &'d Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'d> Fields<'d> {
    pub(super) fn optional(&mut self, name: &'static str) -> Option<Node<'d>> {
        self.known.push(name);
        self.map.get(name).map(|value| self.node.child(&self.place, Step::Member(name), value))
    }

    pub(super) fn required(&mut self, name: &'static str) -> Option<Node<'d>> {
        let node = self.optional(name);
        if node.is_none() {
            self.node.fail(format!("the field `{name}` is missing"));
        }
        node
    }

    pub(super) fn finish(self) {
        for (name, value) in self.map {
            if !self.known.contains(&name.as_str()) {
                let known: Vec<String> = self.known.iter().map(|name| format!("`{name}`")).collect();
                let unknown = self.node.child(&self.place, Step::Member(name), value);
                unknown.fail(format!("unknown field; expected {}", known.join(", ")));
            }
        }
    }
}
