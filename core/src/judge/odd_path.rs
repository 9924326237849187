//! Paths that are not plain, judged apart from the usual way, and the words for a refused path: they say what base URL to set.

use super::engine::Engine;
use super::progress::{Context, Exit, Progress};
use crate::answer::CheckError;
use crate::provider::{Dialect, Methods, Route};
use crate::syntax::{PathError, RequestPath};

impl Engine {
    /// Judges a path that is not plain. An encoded slash may stand in the id of a model, where a provider's ids have one.
    ///
    /// # Errors
    /// The refusal of the path, in the dialect that headers tell.
    #[cold]
    pub(super) fn judge_odd_path<'a>(
        &'a self,
        mut error: PathError,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<RequestPath<'a>, Exit<'a>> {
        if error == PathError::EncodedSlash {
            match RequestPath::parse_with_slashes(context.head.path) {
                Ok(path) if self.takes_slashes(context, &path) => return Ok(path),
                Ok(_) => {}
                Err(other) => error = other,
            }
        }
        progress.route = Some(self.route(context, &RequestPath::ROOT).1);
        progress.words = match error {
            PathError::EmptySegment => Some("remove the slash at the end of the base URL".to_owned()),
            PathError::EncodedSlash => Some(
                "an encoded slash may stand only in the id of a model, where the provider's ids have one"
                    .to_owned(),
            ),
            _ => None,
        };
        Err(CheckError::Path(error).into())
    }

    fn takes_slashes<'a>(&'a self, context: &Context<'a, '_>, path: &RequestPath<'a>) -> bool {
        let (_, route) = self.route(context, path);
        let methods = Methods::of(context.head.method, context.names.is_upgrade);
        let upstream = self.upstreams.iter().find(|upstream| upstream.provider == route.provider);
        let is_added =
            !self.policy.providers.iter().any(|it| it.id == route.provider && !it.builtin.id.is_empty());
        upstream.is_some_and(|upstream| upstream.mapping.takes_slashes(methods, route.path, is_added))
    }

    /// Returns the words for a path that is no known endpoint: the base URL of its provider.
    pub(super) fn words_for_endpoint(&self, route: Route<'_>) -> Option<String> {
        let provider = self.policy.providers.iter().find(|provider| provider.id == route.provider)?;
        let version = provider.builtin.version.filter(|_| provider.dialect == Dialect::OpenAi);
        let (id, slug, version) = (&provider.id, &provider.slug, version.unwrap_or_default());
        Some(format!(
            "the base URL for `{id}` is the address of this proxy with `/{slug}{version}` behind it"
        ))
    }
}
