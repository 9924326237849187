//! The forms of texts that name objects.

use super::pattern::without_slash;

/// The form of a text that names an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An id.
    Id,
    /// An id, but for these words.
    IdOr(&'static [&'static str]),
    /// An id with this beginning; another text names no object of a caller.
    Begins(&'static str),
    /// A name such as `cachedContents/abc`.
    Name,
    /// A name behind this beginning, wherever it stands.
    NameIn(&'static str),
    /// An address of a file at the API, or a name of one. Other addresses name no object.
    File,
    /// The purpose of a file. The requests in the file of a batch name objects.
    Purpose,
    /// A name such as `files/abc`, of a file whose content was not judged. So no batch may be made from it.
    UnreadName,
    /// The items of a conversation, whose members the following are.
    Items,
    /// The id of an item. It names what is kept, unless the item says all of it.
    ItemId,
    /// The type of an item: it tells whether the item says all.
    ItemType,
    /// A text in an item that the API has sealed, from which it reads the item again.
    ItemSeal,
    /// An object by which the request asks to keep the conversation under the id of the answer.
    Keeps,
}

impl Form {
    /// Returns whether the form is that of items, or of a member of one.
    pub(crate) fn is_of_items(self) -> bool {
        matches!(self, Self::Items | Self::ItemId) || self.is_of_saying()
    }

    /// Returns whether the text of the member may be an id.
    pub(crate) fn names(self) -> bool {
        !self.is_of_saying() && !matches!(self, Self::Items | Self::Purpose | Self::Keeps)
    }

    /// Returns whether the member may say all of an item.
    pub(crate) fn is_of_saying(self) -> bool {
        matches!(self, Self::ItemType | Self::ItemSeal)
    }

    /// Returns the id that a text names; `None` where it names no object.
    pub(crate) fn id_in(self, text: &str) -> Option<&[u8]> {
        match self {
            Self::Id | Self::ItemId => Some(text.as_bytes()),
            Self::Purpose | Self::Items | Self::ItemType | Self::ItemSeal | Self::Keeps => None,
            Self::IdOr(words) => (!words.contains(&text)).then_some(text.as_bytes()),
            Self::Begins(begin) => find_ignoring_case(text, begin).map(str::as_bytes),
            Self::Name | Self::UnreadName => Some(last_segment(text.as_bytes())),
            Self::NameIn(begin) => find_ignoring_case(text, begin).map(|name| last_segment(name.as_bytes())),
            Self::File => {
                let is_of_api = !text.contains("://") || find_ignoring_case(text, "googleapis").is_some();
                let name = find_ignoring_case(text, "files/").or_else(|| text.contains('%').then_some(text));
                name.filter(|_| is_of_api).map(|name| last_segment(name.as_bytes()))
            }
        }
    }
}

/// Returns the text from the place on where it has `part`, whatever the case of letters.
fn find_ignoring_case<'t>(text: &'t str, part: &str) -> Option<&'t str> {
    let at = text.as_bytes().windows(part.len()).position(|it| it.eq_ignore_ascii_case(part.as_bytes()))?;
    // What is not at the beginning stands behind a segment's end, or within one.
    let is_begun = at == 0 || text.as_bytes().get(at.wrapping_sub(1)).is_some_and(|byte| *byte == b'/');
    let is_word = part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.get(at..).filter(|_| is_begun || is_word)
}

/// Returns the last segment of a name, without a verb or a query behind it.
pub(super) fn last_segment(name: &[u8]) -> &[u8] {
    let name = name.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let name = without_slash(name).rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.split(|byte| *byte == b':').next().unwrap_or_default()
}
