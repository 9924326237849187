//! The class of a request's endpoint: the first row of the provider's API that has its method and its path.
//!
//! The path is the one that goes upstream. It is read as a lenient server reads it: escapes are decoded, the case of
//! letters does not count, and neither does a slash at the end. So another spelling of an endpoint has its class. A path
//! without a row has no class, and is refused.

use super::broker::{Brokered, Mint};
use super::pattern::{Methods, begins, fits, model_in, without_slash, without_version};
use crate::identity::Class;

/// Rows of an API: paths of one class, with the methods that they have.
///
/// In a path, `{}` is a segment without a colon, `{:}` any segment, `{}:verb` a segment that ends in a verb, and `{...}`
/// at the end what follows: nothing, or segments without a colon. Segments that name the model are marked: `{model}`,
/// `{model:}`, `{model}:verb`, `{model...}`. A version in front is left out.
#[derive(Debug)]
pub(crate) struct Rows(pub(crate) Class, pub(crate) Methods, pub(crate) &'static [&'static str]);

/// A row of a provider that the policy adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnRow {
    pub(crate) class: Class,
    pub(crate) methods: Methods,
    pub(crate) path: String,
}

/// The endpoints of one provider.
#[derive(Clone, Debug)]
pub(crate) enum Endpoints {
    /// The rows of a built-in API, and its endpoints whose answers are brokered. The first row that matches wins.
    BuiltIn(&'static [Rows], Option<&'static Brokered>),
    /// The rows that the policy has. The first that matches wins.
    Own(Vec<OwnRow>),
    /// Every path, as inference.
    Any,
}

/// An endpoint of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint<'e> {
    pub(crate) class: Class,
    row: &'e str,
    path: &'e [u8],
}

impl<'e> Endpoint<'e> {
    /// Returns whether the endpoint only counts the tokens of a request: it computes no answer, and is free.
    pub(crate) fn counts_tokens(&self) -> bool {
        COUNTING.iter().any(|end| self.row.ends_with(end))
    }

    /// Returns the model in the path, still encoded.
    pub(crate) fn model(&self) -> Option<&'e [u8]> {
        model_in(self.row, self.path)
    }
}

/// Places of a model in the paths of APIs whose rows are not known: Bedrock's, Azure's, Google's.
const COMMON: [&str; 8] = [
    "/model/{model:}/{}",
    "/openai/deployments/{model}/{...}",
    "/engines/{model}/{...}",
    "/models/{model}:generateContent",
    "/models/{model}:streamGenerateContent",
    "/models/{model}:embedContent",
    "/models/{model}:predict",
    "/models/{model:}",
];

/// The ends of the paths of endpoints that count tokens.
const COUNTING: [&str; 11] = [
    "/count_tokens",
    "/count-tokens",
    "/input_tokens",
    "/tokenize",
    "/detokenize",
    "/tokenize-text",
    "/TokenizeText",
    ":countTokens",
    ":computeTokens",
    ":countTextTokens",
    ":countMessageTokens",
];

/// Endpoints that compute with a model which a stored object names, unless the body names another.
const STORED_MODEL: [&str; 8] = [
    "/threads/runs",
    "/threads/{}/runs",
    "/evals/{}/runs",
    "/videos",
    "/videos/{}/{}",
    "/videos/{}",
    "/agents/{...}",
    "/interactions/{...}",
];

/// Returns whether a request to this path computes with a model that it need not name.
pub(super) fn stores_model(path: &[u8]) -> bool {
    let path = without_slash(path);
    STORED_MODEL.iter().any(|row| fits(row, path.strip_prefix(b"/openai/v1").unwrap_or(path)))
}

impl Endpoints {
    /// Returns the endpoint at a path, which has no version in front; `None` where no row has it.
    pub(super) fn find<'e>(&'e self, methods: Methods, path: &'e [u8]) -> Option<Endpoint<'e>> {
        let path = without_slash(path);
        let (class, row) = match self {
            Self::BuiltIn(rows, _) => {
                let mut rows = rows.iter().filter(|rows| rows.1.has_any(methods));
                rows.find_map(|rows| Some((rows.0, *rows.2.iter().find(|row| fits(row, path))?)))?
            }
            Self::Own(rows) => {
                let has_it = |row: &&OwnRow| row.methods.has_any(methods) && fits(&row.path, path);
                rows.iter().find(has_it).map(|row| (row.class, row.path.as_str()))?
            }
            Self::Any => {
                (Class::Inference, COMMON.into_iter().find(|row| fits(row, path)).unwrap_or_default())
            }
        };
        Some(Endpoint { class, row, path })
    }

    /// Returns the endpoint at a path which may have anything in front: the first end of it that is an endpoint.
    pub(crate) fn find_inside<'e>(&'e self, methods: Methods, path: &'e [u8]) -> Option<Endpoint<'e>> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut ends = slashes.filter_map(|at| path.get(at..));
        ends.find_map(|end| self.find(methods, without_version(end)))
    }

    /// Returns the class of an endpoint, whose path has no version in front; `None` where no row has it.
    #[cfg(test)]
    pub(super) fn class(&self, methods: Methods, path: &[u8]) -> Option<Class> {
        self.find(methods, path).map(|endpoint| endpoint.class)
    }

    /// Returns the form of the answer to a POST to this path, which has no version in front; `None` where the answer is not
    /// brokered.
    pub(super) fn mint(&self, path: &[u8]) -> Option<&'static Mint> {
        self.brokered()?.mint(without_slash(path))
    }

    /// Returns whether a minted secret is for this endpoint.
    pub(super) fn opens(&self, methods: Methods, path: &[u8]) -> bool {
        self.brokered().is_some_and(|brokered| brokered.opens(methods, without_slash(path)))
    }

    /// Returns the endpoints whose answers are brokered; `None` where the API has none.
    pub(crate) fn brokered(&self) -> Option<&'static Brokered> {
        match self {
            Self::BuiltIn(_, brokered) => *brokered,
            Self::Own(_) | Self::Any => None,
        }
    }

    /// Returns the length of the end of a path that is the beginning of rows: it stands inside of the API, and the rest in front of
    /// it.
    ///
    /// Behind other segments one alone may be any name, and so may one in the place of an id: then all stands in front.
    pub(super) fn length_inside(&self, path: &str) -> usize {
        if self.begin_with(path) {
            return path.len();
        }
        let Self::BuiltIn(rows, _) = self else { return 0 };
        let ends = path.match_indices('/').skip(1).filter_map(|(at, _)| path.get(at..));
        let is_inside = |end: &&str| {
            let below = without_version(end.as_bytes());
            let parts = below.split(|byte| *byte == b'/').count();
            let last = |row: &'static str| row.split('/').nth(parts.saturating_sub(1));
            let names = |row: &'static str| last(row).is_some_and(|part| !part.contains('{'));
            end.matches('/').count() > 1
                && rows.iter().flat_map(|rows| rows.2).any(|row| begins(row, below) && names(row))
        };
        ends.into_iter().find(is_inside).map_or(0, str::len)
    }

    /// Returns whether a path is the beginning of a row.
    pub(super) fn begin_with(&self, path: &str) -> bool {
        let path = without_version(path.as_bytes());
        if path.is_empty() {
            return false;
        }
        match self {
            Self::BuiltIn(rows, _) => rows.iter().flat_map(|rows| rows.2).any(|row| begins(row, path)),
            Self::Own(_) | Self::Any => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::pattern::{ANY, GET, POST, WEBSOCKET};

    const ROWS: Endpoints = Endpoints::BuiltIn(
        &[
            Rows(Class::Mint, POST, &["/files/{}/url", "/models/{}:token"]),
            Rows(Class::Inference, POST, &["/chat/completions", "/models/{}:generate", "/count:run"]),
            Rows(Class::Inference, WEBSOCKET, &["", "/realtime"]),
            Rows(Class::Models, GET, &["/models", "/models/{}", "/tuned/{:}"]),
            Rows(Class::Files, ANY, &["/files/{...}"]),
        ],
        None,
    );

    #[test]
    fn another_spelling_of_an_endpoint_has_its_class() {
        for (method, path, class) in [
            ("POST", "/v1/chat/completions", Some(Class::Inference)),
            ("POST", "/chat/completions", Some(Class::Inference)),
            ("POST", "/v1/chat/completions/", Some(Class::Inference)),
            ("POST", "/V1/Chat/COMPLETIONS", Some(Class::Inference)),
            ("POST", "/v1/ch%61t/completions", Some(Class::Inference)),
            ("POST", "/v%31/chat/completions", None),
            ("POST", "/v1beta2/chat/completions", Some(Class::Inference)),
            ("POST", "/v1gamma/chat/completions", None),
            ("POST", "/v1/v1/chat/completions", None),
            ("POST", "/v1/chat", None),
            ("POST", "/v1/chat/completions/x", None),
            ("GET", "/v1/chat/completions", None),
            ("OPTIONS", "/v1/chat/completions", Some(Class::Inference)),
            ("QUERY", "/v1/chat/completions", None),
            ("GET", "/v1/files", Some(Class::Files)),
            ("HEAD", "/v1/FILES/a", Some(Class::Files)),
            ("DELETE", "/v1/%66iles/a/content", Some(Class::Files)),
            ("POST", "/v1/files/a/url", Some(Class::Mint)),
            ("POST", "/v1/files/a/u%72L/", Some(Class::Mint)),
            ("POST", "/v1/files/a:share", None),
            ("POST", "/v1/files/a%3ashare/b", None),
            ("GET", "/v1/models/m", Some(Class::Models)),
            ("GET", "/v1/models/", Some(Class::Models)),
            ("GET", "/v1/models/ft:m", None),
            ("GET", "/v1/models/ft%3Am", None),
            ("GET", "/v1/tuned/ft%3Am:o", Some(Class::Models)),
            ("POST", "/models/m:generate", Some(Class::Inference)),
            ("POST", "/models/m%20x%3AGener%61te", Some(Class::Inference)),
            ("POST", "/models/m:token", Some(Class::Mint)),
            ("POST", "/models/m%3atoken", Some(Class::Mint)),
            ("POST", "/models/:generate", None),
            ("POST", "/models/m:x:generate", None),
            ("POST", "/models/m:generate:x", None),
            ("POST", "/count:run", Some(Class::Inference)),
            ("POST", "/count%3Arun", Some(Class::Inference)),
            ("GET", "/v1beta/models", Some(Class::Models)),
            ("UPGRADE", "/v1/realtime", Some(Class::Inference)),
            ("UPGRADE", "/", Some(Class::Inference)),
            ("UPGRADE", "/v1/models", None),
            ("GET", "/", None),
            ("GET", "", None),
        ] {
            let methods = match method {
                "UPGRADE" => Methods::of(b"GET", true),
                _ => Methods::of(method.as_bytes(), false),
            };
            let path = without_version(path.as_bytes());
            assert_eq!(ROWS.class(methods, path), class, "{method} {path:?}");
        }
    }

    #[test]
    fn every_path_of_a_provider_without_rows_is_inference() {
        assert_eq!(Endpoints::Any.class(GET, b"/anything"), Some(Class::Inference));
        assert_eq!(Endpoints::Own(Vec::new()).class(GET, b"/anything"), None);
    }
}
