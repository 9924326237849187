//! The objects that an API keeps under ids: where they are made, listed and named.
//!
//! A collection is a path: POST there makes an object, GET lists those of the account, and the segment below is an id.
//! What stands below an id belongs to that object. An endpoint of a class of objects that fits no collection is refused,
//! since it is not known what it leads to.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::form::{Form, last_segment};
use super::pages::{Page, Pages};
use super::pattern::{begin_alike, fits, is, without_slash};
use crate::base::Digest;
use crate::identity::Class;
use crate::syntax::query;

/// Paths of members in a JSON text: see `body::Paths`.
pub(crate) type MemberPaths = &'static [&'static [&'static str]];

/// The objects of one API.
#[derive(Debug)]
pub(crate) struct Objects {
    /// The provider whose account has the objects; empty: the one that is called.
    pub(crate) account: &'static str,
    /// Segments that may stand in front of a collection.
    pub(super) prefix: &'static str,
    pub(super) collections: &'static [Collection],
    /// Paths without an id that look like one with an id.
    pub(super) plain: &'static [&'static str],
    /// Set where an id is the last segment of a name such as `files/abc`, and a verb may stand behind it.
    pub(crate) has_names: bool,
    /// The members of requests that name objects.
    pub(crate) members: &'static [Member],
    /// Paths whose answers tell the ids of items: the parts of a conversation, of which a request names those before it.
    pub(super) items: &'static [&'static str],
    /// The beginnings of ids of items that a request names even where nothing of it was kept.
    pub(crate) unkept_items: &'static [&'static str],
    /// The members whose values are the caller's own data, in which nothing is named.
    pub(crate) free: &'static [&'static str],
    /// Paths below an id whose GET tells of objects. What else stands there may be the caller's own data, in any form.
    pub(super) telling: &'static [&'static str],
    /// Paths at which an upload begins whose parts go to an address in the answer.
    pub(super) uploads: &'static [&'static str],
    /// The site and version of the addresses that answers about a collection tell, and its path: SDKs go on there.
    pub(super) links: Option<(&'static str, &'static str)>,
    /// The parameters of a query that name an object.
    pub(super) parameters: &'static [&'static str],
    /// The parameters that name the object at which a page of a collection begins or ends.
    pub(super) cursors: &'static [&'static str],
    /// The members of answers that have the id of an object which was made.
    pub(crate) made: Made,
    /// The members of a list: arrays, and behind them the ids of their elements.
    pub(crate) lists: MemberPaths,
    /// The number of arrays among them.
    pub(crate) arrays: usize,
    /// Set where the last three paths lead to the ids of the first and the last element, and to the word on further ones.
    pub(crate) has_edges: bool,
}

/// The callers who share the objects of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ObjectsMode {
    /// An object is its principal's.
    #[default]
    Own,
    /// An object is its principal's and its team's.
    Team,
    /// Objects are not judged.
    Shared,
}

impl ObjectsMode {
    /// The names in a policy.
    pub(crate) const NAMES: [(&str, Self); 3] =
        [("own", Self::Own), ("team", Self::Team), ("shared", Self::Shared)];

    /// Returns the name in a policy.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

/// Objects of one kind.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(super) path: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) makes: Makes,
    /// Further paths at which a POST makes one.
    pub(super) also: &'static [&'static str],
    /// The beginning of ids: what has another is no object of a caller.
    pub(crate) begins: &'static str,
    pub(super) pages: Pages,
}

/// The condition under which a POST to a collection makes an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Makes {
    Always,
    /// Unless the body has `store: false`.
    UnlessDeclined,
    /// If the body has `store: true`.
    IfAsked,
    /// Never, but its answers name objects that were made on the way.
    Never,
}

/// A member of a request that names objects: by a text, or by the texts of an array.
#[derive(Debug)]
pub(crate) struct Member {
    /// The name, in lower case and without underscores.
    pub(crate) name: &'static str,
    /// The name of the member whose object it stands in; empty: of any.
    pub(crate) parent: &'static str,
    pub(crate) form: Form,
}

/// The members of a text that are sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    pub(crate) table: &'static Objects,
    /// Set where items name what is kept. Those of a session are gone with it.
    pub(crate) has_items: bool,
    /// The kind that the request makes; empty: none.
    pub(crate) makes: &'static str,
}

impl Sought {
    /// Returns whether the request brings a file, which may be that of a batch.
    pub(crate) fn brings_file(self) -> bool {
        matches!(self.makes, "file" | "upload")
    }

    /// Returns whether the request makes a batch.
    pub(crate) fn makes_batch(self) -> bool {
        self.makes == "batch"
    }
}

/// Returns whether a file of this purpose has the requests of a batch.
pub(crate) fn is_batch_purpose(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("batch")
}

/// The members of answers that have ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) paths: MemberPaths,
    /// The kind of each; empty: what the endpoint makes.
    pub(crate) kinds: &'static [&'static str],
}

/// The objects that a path names and makes.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct Place {
    /// The collection in which an object is made.
    pub(crate) makes: Option<&'static Collection>,
    /// The collection that is listed.
    pub(crate) lists: Option<&'static Collection>,
    /// The object in the path.
    pub(crate) id: Option<Vec<u8>>,
    /// Set where the path ends with the id, so that DELETE deletes the object.
    pub(crate) is_member: bool,
    /// Set where an answer to GET is the provider's own word on objects.
    pub(crate) is_telling: bool,
    /// Set where the answer tells the ids of items.
    pub(crate) tells_items: bool,
    /// Set where an upload may begin or go on.
    pub(crate) is_upload: bool,
    /// The addresses that the answer may tell.
    pub(crate) links: Option<(&'static str, &'static str)>,
    /// Set where the prefix of the API stands in front of the path.
    is_prefixed: bool,
}

impl Collection {
    pub(super) const fn new(path: &'static str, kind: &'static str) -> Self {
        Self { path, kind, makes: Makes::Always, also: &[], begins: "", pages: Pages::Other }
    }

    pub(super) const fn paged(path: &'static str, kind: &'static str) -> Self {
        Self { pages: Pages::ById, ..Self::new(path, kind) }
    }

    pub(super) const fn paged_by_token(path: &'static str, kind: &'static str, most: u32) -> Self {
        Self { pages: Pages::ByToken(most), ..Self::new(path, kind) }
    }
}

impl Place {
    /// Returns the page that a query asks for, where upstream is asked for a greater one. Below a prefix the API of another
    /// provider may be spoken, which knows no tokens.
    pub(crate) fn page(&self, query: Option<&[u8]>) -> Option<Page> {
        let pages = self.lists?.pages;
        let is_its = !(self.is_prefixed && matches!(pages, Pages::ByToken(_)));
        Page::of(pages, query).filter(|_| is_its)
    }
}

impl Member {
    pub(super) const fn id(name: &'static str) -> Self {
        Self { name, parent: "", form: Form::Id }
    }

    pub(super) const fn of(name: &'static str, form: Form) -> Self {
        Self { name, parent: "", form }
    }

    pub(super) const fn within(parent: &'static str, name: &'static str) -> Self {
        Self { name, parent, form: Form::Id }
    }

    pub(super) const fn of_item(parent: &'static str, name: &'static str, form: Form) -> Self {
        Self { name, parent, form }
    }
}

/// The kind of the parts of a conversation.
pub(crate) const ITEM: &str = "item";

/// The classes of endpoints at which callers find what is kept.
pub(crate) const KEEPING: [Class; 4] = [Class::Files, Class::Batches, Class::FineTuning, Class::Stateful];

/// Returns the digest by which an object of a provider is known.
pub(crate) fn digest_of(provider: &str, id: &[u8]) -> Digest {
    Digest::of(&[b"object\0", provider.as_bytes(), b"\0", id].concat())
}

impl Objects {
    /// Finds the collections that a path leads to, which has no version in front; `None` where it is none that is known.
    pub(crate) fn find(&self, method: &[u8], is_upgrade: bool, path: &[u8]) -> Option<Place> {
        let path = without_slash(path);
        let behind = below(self.prefix, path);
        let (is_prefixed, path) = (behind.is_some(), behind.unwrap_or(path));
        let is_made = method == b"POST" || is_upgrade;
        let also = |all: &'static [&'static str]| all.iter().find(|row| fits(row, path));
        let made = self.collections.iter().filter(|_| is_made).find_map(|collection| {
            let row = also(collection.also);
            let is_its = row.is_some() || fits(collection.path, path);
            is_its.then_some((collection, row))
        });
        let is_plain = also(self.plain).is_some() || made.is_some_and(|(_, row)| has_no_id(row));
        let tells_items = also(self.items).is_some();
        let makes = made.map(|(collection, _)| collection);
        let is_upload = is_made && also(self.uploads).is_some();
        let is_own_data = path.ends_with(b"/results");
        let links = self.links.filter(|(_, row)| below(row, path).is_some() && !is_own_data);
        let mut place = Place { makes, tells_items, is_upload, links, is_prefixed, ..Place::default() };
        if is_plain {
            return Some(place);
        }
        for collection in self.collections {
            let Some(rest) = below(collection.path, path) else { continue };
            let Some(rest) = rest.strip_prefix(b"/") else {
                place.lists =
                    matches!(method, b"GET" | b"HEAD").then_some(collection).filter(|_| !is_upgrade);
                let is_known = place.lists.is_some() || place.makes.is_some() || method == b"OPTIONS";
                return is_known.then_some(place);
            };
            let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let segment: Vec<u8> = percent_decode(rest.get(..length)?).collect();
            let id = self.id_in(&segment);
            place.is_member = length == rest.len() && id.len() == segment.len();
            place.is_telling = place.is_member || also(self.telling).is_some();
            let begin = id.get(..collection.begins.len()).unwrap_or_default();
            let is_its = begin.eq_ignore_ascii_case(collection.begins.as_bytes());
            place.id = is_its.then(|| id.to_vec());
            return Some(place);
        }
        place.makes.is_some().then_some(place)
    }

    /// Returns the id in a text that names an object.
    pub(crate) fn id_in<'t>(&self, name: &'t [u8]) -> &'t [u8] {
        if self.has_names { last_segment(name) } else { name }
    }

    /// Returns the ids that a query names. A cursor counts where a collection `is_listed`.
    pub(crate) fn ids_in_query(&self, query: &[u8], is_listed: bool) -> Vec<Vec<u8>> {
        let has =
            |names: &[&str], name: &[u8]| names.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
        let decode = |text: &[u8]| -> Vec<u8> { percent_decode(text).collect() };
        query::pairs(query)
            .map(|(name, value)| (decode(name), value))
            .filter(|(name, value)| {
                let name = name.strip_suffix(b"[]").unwrap_or(name);
                !value.is_empty() && (has(self.parameters, name) || (is_listed && has(self.cursors, name)))
            })
            .map(|(_, value)| self.id_in(&decode(value)).to_vec())
            .collect()
    }
}

/// Returns whether a row has no segment that may be an id.
fn has_no_id(row: Option<&&'static str>) -> bool {
    row.is_some_and(|row| !row.contains("{}") && !row.contains("{model}"))
}

/// Returns the rest of a path behind the segments of a row; it is empty, or begins with a slash.
fn below<'p>(row: &str, path: &'p [u8]) -> Option<&'p [u8]> {
    if !row.is_empty() && !begin_alike(row, path) {
        return None;
    }
    let mut rest = path;
    for part in row.split('/').skip(1) {
        rest = rest.strip_prefix(b"/")?;
        let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
        let (segment, behind) = rest.split_at_checked(length)?;
        let fits = if part == "{}" { !segment.is_empty() } else { is(part, segment) };
        if !fits {
            return None;
        }
        rest = behind;
    }
    Some(rest)
}

/// Returns a name of a member as the tables have it.
pub(crate) fn plain_name(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte != b'_' && !byte.is_ascii_uppercase();
    if name.bytes().all(is_plain) {
        return name.into();
    }
    name.chars()
        .filter(|letter| *letter != '_')
        .map(|letter| letter.to_ascii_lowercase())
        .collect::<String>()
        .into()
}
