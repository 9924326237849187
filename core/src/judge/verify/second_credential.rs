//! The second credential of a request whose first one is not known: clients send a key of their own beside a proxy token.

use super::authenticator::{Authenticator, Caller};
use crate::answer::CheckError;
use crate::judge::progress::{Check, Context, Exit, Progress};
use crate::provider::{Route, Segments};
use crate::request::credential;
use crate::syntax::RequestPath;

impl Authenticator {
    /// Judges the second credential, where the first one is not known and the request has exactly two. So a request asks the
    /// registry for one token more at most. The route is found anew, since the slot may tell the provider.
    ///
    /// # Errors
    /// An unknown token where there is no second credential, else the exit of the second.
    #[cold]
    pub(super) fn authenticate_second<'a>(
        &'a self,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Caller<'a>, Exit<'a>> {
        let unknown = || Err(CheckError::TokenUnknown.into());
        let is_found = |check: &&Check<'_>| matches!(check, Check::CredentialFound(_));
        if !self.policy.slots.may_have_two(context.names, context.head.path.contains(&b'?')) {
            return unknown();
        }
        // An encoded slash was judged for the route of the first one only.
        let Ok(path) = RequestPath::parse(context.head.path) else { return unknown() };
        if progress.checks.iter().filter(is_found).count() != 1 {
            return unknown();
        }
        let known = |token: &[u8]| self.known.find(token);
        let Context { head, names, .. } = *context;
        let places = credential::Places { head, names, path: &path, known: &known };
        let Some(second) = credential::find_second(&self.policy.slots, &places) else { return unknown() };
        let providers = &self.policy.providers;
        let route = Route::find((providers, &Segments::of(providers)), names, head, &path, Some(second.slot));
        progress.route = Some(route);
        progress.checks.push(Check::Routed { provider: route.provider, by: route.by });
        self.authenticate(Ok(Some(second)), context, progress)
    }
}
