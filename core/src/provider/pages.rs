//! The pages of a list of objects: of what all callers of an account keep, a caller sees its own, so a page of few elements
//! would often have none.

use percent_encoding::percent_decode;

use crate::syntax::query;

/// The elements that upstream is asked for: no list that is paged by ids takes fewer as the most.
const MOST: u32 = 100;
const LIMIT: &str = "limit";
/// The parameter of Google's APIs, and its other spelling there.
const SIZE: [&str; 2] = ["pageSize", "page_size"];

/// The pages that a list comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pages {
    /// Not known, or by a text of the provider's. They stay as they are.
    #[default]
    Other,
    /// Each begins behind an element, by its id. Unless said otherwise they are short.
    ById,
    /// The same, but unless said otherwise the first has all elements, or nearly.
    ByIdWhole,
    /// Each begins behind a text of the provider's. Unless said otherwise they are short, and they take this many elements as the
    /// most.
    ByToken(u32),
}

/// A page that upstream is asked for in a greater size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The most elements that the caller asked for.
    pub(crate) limit: Option<u32>,
    name: &'static str,
    most: u32,
}

impl Page {
    /// Returns the page that a query asks for; `None` where the size stays, or is not certain.
    pub(super) fn of(pages: Pages, query: Option<&[u8]>) -> Option<Self> {
        let decode = |text| percent_decode(text).collect::<Vec<u8>>();
        let page = |limit| Self { limit, name: LIMIT, most: MOST };
        match pages {
            Pages::Other => return None,
            // A page of a size that the caller chose cannot be greater: what is not shown of it would never come.
            Pages::ByToken(most) => {
                let mut names = query.into_iter().flat_map(query::pairs).map(|(name, _)| decode(name));
                let is_said = names.any(|name| SIZE.iter().any(|own| own.as_bytes() == name));
                return (!is_said).then_some(Self { limit: None, name: SIZE[0], most });
            }
            Pages::ById | Pages::ByIdWhole => {}
        }
        let mut limits = Vec::new();
        for (name, value) in query.into_iter().flat_map(query::pairs) {
            match &*decode(name) {
                // The elements in front of the cursor are not the first ones of a greater page.
                b"before" | b"before_id" => return None,
                name if name == LIMIT.as_bytes() => limits.push(decode(value)),
                _ => {}
            }
        }
        match &*limits {
            [] => (pages == Pages::ById).then_some(page(None)),
            [limit] => {
                let limit = str::from_utf8(limit).ok().and_then(|limit| limit.parse().ok());
                limit.filter(|limit| (1..MOST).contains(limit)).map(|limit| page(Some(limit)))
            }
            _ => None,
        }
    }

    /// Returns the query for upstream.
    pub(crate) fn query(self, query: Option<&[u8]>) -> Vec<u8> {
        query::with(query, self.name, itoa::Buffer::new().format(self.most))
    }
}
