//! The body of a request, as JSON: what upstream will act on, known at the byte that closes the text.
//!
//! A request is of no use upstream before that byte. So the scanner lets every byte before it pass, and holds none.

use std::fmt;

use super::follower::Follower;
use super::frames::FrameError;
use super::grammar::{Event, JsonError, Scalar};
use super::ids::IdScanner;
use super::members::{BODY, MESSAGE, Members, Role};
use super::multipart::FormError;
use super::named::Named;
use crate::price::{Tier, scaled};
use crate::provider::limits::OutputLimits;
use crate::provider::objects::Sought;

/// The error of a body that upstream may read in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The body is not one strict JSON text.
    Json(JsonError),
    /// A member that is judged comes twice.
    Twice,
    /// A member differs from one that is judged by the case of letters only.
    Alike,
    /// A model is no text.
    NoText,
    /// A part of the request has no provider.
    NoProvider,
    /// A part of the request has no endpoint.
    NoEndpoint,
    /// The body names more objects than are looked up.
    ManyObjects,
    /// The body names more models than are priced.
    ManyModels,
    /// The form in parts is not whole, or can be read in more than one way.
    Form(FormError),
    /// The frames of the WebSocket cannot be read.
    Frames(FrameError),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the body is not one strict JSON text: {error}"),
            Self::Twice => f.write_str("a member of the body that is judged comes twice"),
            Self::Alike => f.write_str(
                "a member of the body differs from one that is judged by the case of letters only",
            ),
            Self::NoText => f.write_str("a model or a provider in the body is no text of at most 256 bytes"),
            Self::ManyObjects => f.write_str("the body names more than 500 objects"),
            Self::NoEndpoint => f.write_str("a request in the body names no endpoint of its provider"),
            Self::ManyModels => f.write_str("the body names more than 64 models"),
            Self::NoProvider => f.write_str("a request in the body names no provider"),
            Self::Form(_) => f.write_str("the form is not whole, or readers may understand it in two ways"),
            Self::Frames(FrameError::Compressed) => f.write_str("a message of the WebSocket is compressed"),
            Self::Frames(FrameError::Malformed) => f.write_str("the frames of the WebSocket are malformed"),
        }
    }
}

impl std::error::Error for BodyError {}

/// The limits that a request sets for its answer.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Set where the answer is to come as a stream.
    pub stream: bool,
    /// Set where the request says itself if the stream tells its usage.
    pub says_usage: bool,
    /// The most tokens of one answer, the greatest of what the request says: which member counts depends on the API.
    pub output: Option<u64>,
    /// Set where a member says so that the endpoint reads.
    pub is_limited: bool,
    /// The number of answers; one where the request says nothing.
    pub count: u64,
    /// Set where the body has a member or an element.
    pub has_members: bool,
    /// The word of the body on keeping the answer.
    pub store: Option<bool>,
    /// The service tier with a price of its own that the body asks for.
    pub tier: Option<Tier>,
    /// Set where a form has the file of a batch.
    pub is_batch: bool,
    /// Set where the answer is made to its end whether its caller stays or not.
    pub is_background: bool,
    /// Set where the request reads stored input, so that its bytes do not tell how much.
    pub has_stored_input: bool,
}

/// A text to put into a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The place in the slice, in front of which it goes.
    pub at: usize,
    /// The number of bytes from there that it replaces.
    pub length: usize,
    /// The bytes.
    pub text: &'static str,
}

/// A scanner of one body.
pub struct RequestScanner {
    follower: Follower,
    state: State,
    ids: Option<Box<IdScanner>>,
}

/// The findings so far.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
struct State {
    members: &'static Members,
    /// The limits of the output that the endpoint reads.
    limits: OutputLimits,
    asked: Asked,
    /// Set where a stream is asked to tell its usage.
    asks_usage: bool,
    /// Set where it is asked although the request says no.
    overrules: bool,
    /// Set where `stream_options` stands in the body.
    has_options: bool,
    /// Set where those are `null`.
    has_no_options: bool,
    /// Set where a limit of the output is no number that is taken for one.
    is_unlimited: bool,
    elements: u64,
    providers: u64,
    is_over: bool,
    error: Option<BodyError>,
    splices: Splices,
}

/// The members to add to one slice, in their order.
pub type Splices = [Option<Splice>; 2];

const OPTIONS: &str = r#","stream_options":{"include_usage":true}"#;
const OPTION: &str = r#","include_usage":true"#;
const FIRST_OPTION: &str = r#""include_usage":true"#;
const INCLUDE_USAGE: &[u8] = br#""include_usage""#;
const STREAM_OPTIONS: &[u8] = br#""stream_options""#;
const WHOLE_OPTIONS: &str = r#"{"include_usage":true}"#;
const NO: &[u8] = b"false";
const NULL: &[u8] = b"null";
const YES: &str = "true";

impl RequestScanner {
    /// Makes a scanner. `asks_usage` adds `stream_options.include_usage` to the request for a stream that says nothing of
    /// it.
    pub fn new(asks_usage: bool) -> Self {
        Self::of(&BODY, asks_usage)
    }

    /// Makes a scanner of a message of a session.
    pub fn message() -> Self {
        Self::of(&MESSAGE, false)
    }

    fn of(members: &'static Members, asks_usage: bool) -> Self {
        let state = State {
            members,
            limits: OutputLimits::ALL,
            asked: Asked { count: 1, ..Asked::default() },
            asks_usage,
            overrules: false,
            has_options: false,
            has_no_options: false,
            is_unlimited: false,
            elements: 0,
            providers: 0,
            is_over: false,
            error: None,
            splices: [None; 2],
        };
        Self { follower: Follower::starting(&members.matches, false), state, ids: None }
    }

    /// Has the objects told that the text names.
    #[must_use]
    pub(crate) fn telling(self, objects: Option<Sought>) -> Self {
        Self { ids: objects.map(|sought| Box::new(IdScanner::new(sought))), ..self }
    }

    /// Takes the limits of the output that the endpoint reads: others limit nothing.
    #[must_use]
    pub(crate) fn limited_by(mut self, limits: OutputLimits) -> Self {
        self.state.limits = limits;
        self
    }

    /// Asks a stream for its usage also where the request says no, as far as that word comes in one slice with the end of its
    /// object: a byte that went on cannot be changed.
    #[must_use]
    pub fn overruling(mut self) -> Self {
        self.state.overrules = self.state.asks_usage;
        self
    }

    /// Returns what the request asks for, as far as it is known; all of it once [`RequestScanner::is_over`].
    pub fn asked(&self) -> Asked {
        self.state.asked
    }

    /// Returns whether the byte that closes the text has come.
    pub fn is_over(&self) -> bool {
        self.state.is_over
    }

    /// Takes the next slice. `tell` gets every model and provider that is named, as it comes. Returns what to add to the
    /// slice.
    ///
    /// # Errors
    /// The first error of the body. Nothing of this slice may go on.
    pub fn feed(&mut self, slice: &[u8], tell: &mut dyn FnMut(Named<'_>)) -> Result<Splices, BodyError> {
        let Self { follower, state, ids } = self;
        state.splices = [None; 2];
        let followed = follower.feed(slice, &mut |event| state.take(event, slice, tell));
        followed.map_err(BodyError::Json)?;
        if let Some(ids) = ids {
            ids.feed(slice, tell);
        }
        match state.error {
            Some(error) => Err(error),
            None => Ok(state.splices),
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// The error of a body that broke off, or that is empty.
    pub fn finish(&mut self) -> Result<(), BodyError> {
        self.follower.finish(&mut |_| {}).map_err(BodyError::Json)
    }
}

impl State {
    fn take(&mut self, event: Event<'_>, slice: &[u8], tell: &mut dyn FnMut(Named<'_>)) {
        let role = |path| self.members.role(path);
        match event {
            Event::Scalar(path, scalar) => self.scalar(role(path), scalar, tell),
            Event::Opens(path) => self.open(role(path)),
            Event::Closes { path, at, is_empty } => self.close(role(path), (at, is_empty), slice, tell),
            Event::Again(path) => self.fail_if(!matches!(role(path), Role::Element), BodyError::Twice),
            Event::Alike(path) => {
                let is_judged =
                    matches!(role(path), Role::Model | Role::ModelOrObject | Role::Provider | Role::Endpoint);
                self.fail_if(is_judged, BodyError::Alike);
            }
            Event::Piece(..) => {}
            Event::End(at) => self.end(at, slice),
        }
    }

    fn scalar(&mut self, role: Role, scalar: Scalar<'_>, tell: &mut dyn FnMut(Named<'_>)) {
        // Some APIs take a number as a text, and one with a part of zero.
        let number = || match scalar {
            Scalar::Number(text) | Scalar::Text(text) => scaled(text, 0).map(|(number, _)| number),
            _ => None,
        };
        match (role, scalar) {
            (Role::Element, _) => self.elements = self.elements.saturating_add(1),
            (Role::Model | Role::ModelOrObject, Scalar::Text(model)) => tell(Named::Model(model)),
            // An older API leaves `null` to its default, as if the member were not there.
            (
                Role::Model
                | Role::ModelOrObject
                | Role::Provider
                | Role::Endpoint
                | Role::Output(_)
                | Role::Stored,
                Scalar::Null,
            ) => {}
            (Role::Provider, Scalar::Text(provider)) => {
                self.providers = self.providers.saturating_add(1);
                tell(Named::Provider(provider));
            }
            (Role::Endpoint, Scalar::Text(path)) => tell(Named::Endpoint(path)),
            (Role::Model | Role::ModelOrObject | Role::Provider | Role::Endpoint, _) => {
                self.fail_if(true, BodyError::NoText);
            }
            (Role::Stream, _) => self.asked.stream = scalar == Scalar::Flag(true),
            // Only the dearer tier matters, and which member counts depends on the API.
            (Role::Tier, Scalar::Text(name)) if self.asked.tier != Some(Tier::Priority) => {
                self.asked.tier = Tier::named(name);
            }
            (Role::Store, Scalar::Flag(store)) => self.asked.store = Some(store),
            (Role::Background, Scalar::Flag(is_background)) => self.asked.is_background = is_background,
            (Role::Stored, _) => self.asked.has_stored_input = true,
            (Role::StreamOptions, Scalar::Null) => (self.has_options, self.has_no_options) = (true, true),
            (Role::IncludeUsage, Scalar::Flag(_)) => self.asked.says_usage = true,
            (Role::Output(limit), _) => {
                self.asked.is_limited |= self.limits.has(limit);
                self.is_unlimited |= number().is_none();
                self.asked.output = self.asked.output.max(number()).filter(|_| !self.is_unlimited);
            }
            (Role::Count, _) => self.asked.count = number().unwrap_or(1).max(self.asked.count),
            _ => {}
        }
    }

    fn open(&mut self, role: Role) {
        match role {
            Role::Element => self.elements = self.elements.saturating_add(1),
            Role::Model | Role::Provider | Role::Endpoint => self.fail_if(true, BodyError::NoText),
            Role::StreamOptions => self.has_options = true,
            Role::Stored => self.asked.has_stored_input = true,
            _ => {}
        }
    }

    fn close(
        &mut self,
        role: Role,
        (at, is_empty): (usize, bool),
        slice: &[u8],
        tell: &mut dyn FnMut(Named<'_>),
    ) {
        match role {
            Role::Element => tell(Named::End),
            Role::Top => self.asked.has_members = !is_empty,
            // An array has no members to add one to.
            Role::StreamOptions if slice.get(at) != Some(&b'}') => {}
            // Options that say nothing of the usage.
            Role::StreamOptions if self.asks_usage && !self.asked.says_usage => {
                self.splice(at, 0, if is_empty { FIRST_OPTION } else { OPTION });
            }
            Role::StreamOptions if self.overrules => {
                let object = slice.get(..at).unwrap_or_default();
                let open = object.iter().rposition(|byte| *byte == b'{').unwrap_or(object.len());
                let at = word_of(object.get(open..).unwrap_or_default(), INCLUDE_USAGE, NO);
                if let Some(at) = at.and_then(|at| at.checked_add(open)) {
                    self.splice(at, NO.len(), YES);
                    self.asked.says_usage = false;
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, at: usize, slice: &[u8]) {
        self.is_over = true;
        self.fail_if(self.providers > 0 && self.elements > self.providers, BodyError::NoProvider);
        if !self.asks_usage || !self.asked.stream {
            return;
        }
        if !self.has_options {
            self.splice(at, 0, OPTIONS);
        } else if self.has_no_options
            && let Some(at) = word_of(slice.get(..at).unwrap_or_default(), STREAM_OPTIONS, NULL)
        {
            self.splice(at, NULL.len(), WHOLE_OPTIONS);
        }
    }

    fn splice(&mut self, at: usize, length: usize, text: &'static str) {
        if let Some(place) = self.splices.iter_mut().find(|splice| splice.is_none()) {
            *place = Some(Splice { at, length, text });
        }
    }

    /// Notes the first error.
    fn fail_if(&mut self, is_error: bool, error: BodyError) {
        if is_error {
            self.error = self.error.or(Some(error));
        }
    }
}

/// Returns the place of a word that is the value of a member, in a part of a slice.
///
/// The member must stand whole in it, and once: else the word that is found may be that of another member.
fn word_of(part: &[u8], member: &[u8], word: &[u8]) -> Option<usize> {
    let mut places = part.windows(member.len()).enumerate();
    let mut next = || places.find(|(_, window)| *window == member).map(|(at, _)| at);
    let (at, None) = (next()?, next()) else { return None };
    let behind = part.get(at.checked_add(member.len())?..)?;
    let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let at = part.len().checked_sub(value.len())?;
    value.starts_with(word).then_some(at)
}
