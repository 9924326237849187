//! The call to a token agent: its method, and a body with places for values that are known when the call is made.
//!
//! A value is a text of the policy, a variable of the environment, a credential that another service gives first, the
//! caller's verified JWT, or a claim of that. So the token exchanges of OAuth (RFC 8693, RFC 7523 and the like) are
//! written as the service documents them.

use serde_json::{Map, Value};

use super::literal::speaks_of_secrets;
use super::pointer::{POINTER_EXPECTED, is_pointer};
use super::preset::read_claim_name;
use super::reader::{Fields, NAME_EXPECTED as CREDENTIAL_EXPECTED, Node, is_name};
use super::variable::Variable;

/// The method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallMethod {
    Get,
    Post,
    Put,
}

/// The body of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallBody {
    /// Members of `application/x-www-form-urlencoded`, in the order of their names.
    Form(Vec<(String, CallText)>),
    /// A JSON document.
    Json(CallJson),
}

/// A text of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallText {
    /// A text of the policy.
    Literal(String),
    Secret(CallSecret),
    /// The caller's identity JWT.
    CallerJwt,
    /// A claim of that JWT that is a text, by its name or its JSON pointer.
    CallerClaim(String),
}

/// A secret of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallSecret {
    /// The value of a variable of the environment.
    Variable(Variable),
    /// The value of another credential of the policy, which its own service gives first.
    Credential(String),
}

/// A JSON value of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallJson {
    Text(CallText),
    /// A number, a truth value or `null`.
    Constant(Value),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// The most members of a form, and the most members or items of an object or a list.
const MAX_MEMBERS: usize = 64;
/// The most bytes of a text of the policy.
const MAX_TEXT: usize = 4096;
const NAME_EXPECTED: &str = "expected a name of 1 to 256 printable ASCII characters";

impl CallMethod {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// The method and the body of a call.
pub(super) struct Call {
    pub(super) method: CallMethod,
    pub(super) body: Option<CallBody>,
}

impl Call {
    /// Reads `method`, `form` and `json` of an agent. A call with a body is a `POST`, unless the policy says otherwise.
    #[inline(never)]
    pub(super) fn read(node: &Node<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let methods =
            [CallMethod::Get, CallMethod::Post, CallMethod::Put].map(|method| (method.name(), method));
        let method = fields.optional("method").map(|node| (node.choice(&methods), node));
        let form = fields.optional("form").map(|node| read_form(&node));
        let json = fields.optional("json").map(|node| CallJson::read(&node).map(CallBody::Json));
        if form.is_some() && json.is_some() {
            node.fail("expected `form` or `json`, not both");
        }
        let body = form.or(json);
        let by_default = if body.is_some() { CallMethod::Post } else { CallMethod::Get };
        let (method, place) = method.map_or((Some(by_default), None), |(method, node)| (method, Some(node)));
        if body.is_some()
            && method == Some(CallMethod::Get)
            && let Some(place) = place
        {
            place.fail("a `GET` has no body: remove `form` or `json`, or expect `POST`");
        }
        Some(Self { method: method?, body: body.map_or(Some(None), |body| body.map(Some))? })
    }
}

impl CallBody {
    /// Returns the texts of the body, in the order in which they are written.
    pub(crate) fn texts(&self) -> Vec<&CallText> {
        match self {
            Self::Form(members) => members.iter().map(|(_, text)| text).collect(),
            Self::Json(json) => json.texts(),
        }
    }

    /// Returns the name of the field of the policy.
    pub(crate) const fn field(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::Json(_) => "json",
        }
    }
}

impl CallText {
    /// Tells whether the text is another one for each caller.
    pub(crate) fn is_of_caller(&self) -> bool {
        matches!(self, Self::CallerJwt | Self::CallerClaim(_))
    }

    fn read(node: &Node<'_>) -> Option<Self> {
        if node.value().is_object() { Self::read_place(node) } else { Self::read_literal(node) }
    }

    fn read_literal(node: &Node<'_>) -> Option<Self> {
        let text = node.text()?;
        node.check(Some(text).filter(|text| text.len() <= MAX_TEXT), "expected at most 4096 bytes")
            .map(|text| Self::Literal(text.to_owned()))
    }

    /// Reads `{env: NAME}`, `{credential: NAME}`, `{caller: jwt}` or `{claim: NAME}`.
    fn read_place(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let secrets = CallSecret::read_fields(&mut fields);
        let secrets = secrets.into_iter().map(|secret| secret.map(Self::Secret));
        let caller =
            fields.optional("caller").map(|node| node.choice(&[("jwt", ())]).map(|()| Self::CallerJwt));
        let claim = fields
            .optional("claim")
            .map(|node| read_claim_name(&node).map(|name| Self::CallerClaim(name.to_owned())));
        fields.finish();
        let mut said = secrets.chain(caller).chain(claim);
        let (place, another) = (said.next(), said.next());
        if place.is_none() || another.is_some() {
            node.fail(
                "expected a text, or one of `{env: NAME}`, `{credential: NAME}`, `{caller: jwt}`, `{claim: NAME}`",
            );
        }
        place?
    }

    /// Tells whether an object of a JSON body is a place for a value, and no object of the document.
    fn is_place(members: &Map<String, Value>) -> bool {
        const PLACES: [&str; 4] = ["env", "credential", "caller", "claim"];
        members.len() == 1 && members.keys().all(|name| PLACES.contains(&name.as_str()))
    }
}

impl CallSecret {
    /// Reads `{env: NAME}` or `{credential: NAME}`.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let mut said = Self::read_fields(&mut fields).into_iter();
        fields.finish();
        let (secret, another) = (said.next(), said.next());
        if secret.is_none() || another.is_some() {
            node.fail("expected `{env: NAME}` or `{credential: NAME}`");
            return None;
        }
        secret?
    }

    /// Reads the fields of a secret; one that cannot be read is `None`.
    fn read_fields(fields: &mut Fields<'_>) -> Vec<Option<Self>> {
        let variable = fields.optional("env").map(|node| Variable::read(&node).map(Self::Variable));
        let credential = fields.optional("credential").map(|node| {
            let name = Some(node.text()?).filter(|name| is_name(name));
            node.check(name, CREDENTIAL_EXPECTED).map(|name| Self::Credential(name.to_owned()))
        });
        variable.into_iter().chain(credential).collect()
    }
}

impl CallJson {
    fn read(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(Self::Constant(node.value().clone())),
            Value::String(_) => CallText::read(node).map(Self::Text),
            Value::Object(members) if CallText::is_place(members) => CallText::read(node).map(Self::Text),
            Value::Array(_) => {
                let items = within_bounds(node, node.items())?;
                items.iter().map(Self::read).collect::<Option<_>>().map(Self::List)
            }
            Value::Object(_) => {
                let members = within_bounds(node, node.entries())?;
                let member = |(name, node): &(&str, Node<'_>)| {
                    check_literal(name, node);
                    Some((read_name(name, node)?, Self::read(node)?))
                };
                members.iter().map(member).collect::<Option<_>>().map(Self::Object)
            }
        }
    }

    fn texts(&self) -> Vec<&CallText> {
        match self {
            Self::Text(text) => vec![text],
            Self::Constant(_) => Vec::new(),
            Self::List(items) => items.iter().flat_map(Self::texts).collect(),
            Self::Object(members) => members.iter().flat_map(|(_, value)| value.texts()).collect(),
        }
    }
}

/// Reads the texts that stand at places of an answer: `{/subject: {claim: sub}}`.
pub(super) fn read_expected(node: &Node<'_>) -> Option<Vec<(String, CallText)>> {
    let expected = within_bounds(node, node.entries())?;
    if expected.is_empty() {
        node.fail("expected at least one JSON pointer with its text, such as `{/subject: {claim: sub}}`");
    }
    let one = |(pointer, node): &(&str, Node<'_>)| {
        let text = CallText::read(node)?;
        let is_open = !matches!(text, CallText::Secret(_) | CallText::CallerJwt);
        node.check(is_open.then_some(()), "expected a text or `{claim: NAME}`")?;
        let pointer = Some(*pointer).filter(|text| is_pointer(text));
        Some((node.check(pointer, POINTER_EXPECTED)?.to_owned(), text))
    };
    expected.iter().map(one).collect()
}

fn read_form(node: &Node<'_>) -> Option<CallBody> {
    let members = within_bounds(node, node.entries())?;
    let member = |(name, node): &(&str, Node<'_>)| {
        check_literal(name, node);
        Some((read_name(name, node)?, CallText::read(node)?))
    };
    members.iter().map(member).collect::<Option<_>>().map(CallBody::Form)
}

fn within_bounds<T>(node: &Node<'_>, all: Vec<T>) -> Option<Vec<T>> {
    node.check(Some(all).filter(|all| all.len() <= MAX_MEMBERS), "expected at most 64 members")
}

fn read_name(name: &str, node: &Node<'_>) -> Option<String> {
    let is_name = (1..=256).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    node.check(is_name.then(|| name.to_owned()), NAME_EXPECTED)
}

/// Reports a text of the policy under the name of a secret. Names such as `subject_token_type` are of no secret.
fn check_literal(name: &str, node: &Node<'_>) {
    let is_of_kind = ["_type", "_use", "Type"].iter().any(|end| name.ends_with(end));
    if node.value().is_string() && !is_of_kind && speaks_of_secrets(name) {
        node.fail("a member of this name may hold a secret: name its variable, as in `{env: CLIENT_SECRET}`");
    }
}
