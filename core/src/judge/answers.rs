//! The engine's own answers: refusals, and what needs no caller. What becomes of an upstream's answer is noted here, too.

use super::admit::Grant;
use super::engine::Engine;
use super::forward::SUBPROTOCOL;
use super::progress::{Check, Context, Progress};
use super::tell::Verdict;
use crate::answer::{CheckError, Hidden, LocalReply, Resource, ResponseHeader, cors};
use crate::body::Relink;
use crate::limit::InForce;
use crate::provider::Dialect;
use crate::request::{HeaderNames, RequestHead};
use crate::syntax::{read, subprotocol};
use crate::upstream::{Minting, UploadAddress};

/// Returns the change of the addresses below a collection, which `address` is of at this proxy.
fn relink((site, collection): (&str, &str), address: &str) -> Option<Box<Relink>> {
    let at = address.to_ascii_lowercase().rfind(collection)?;
    let (place, _) = address.split_at_checked(at)?;
    let below = |place: &str| [place, collection, "/"].concat();
    Some(Box::new(Relink::new(&below(site), &below(place))))
}

/// Returns the choice of a subprotocol that a browser needs, where it offers nothing but a scheme and a token: an upstream to which
/// none is offered chooses none (RFC 6455 section 4.1).
#[cold]
fn chosen_subprotocol(head: &RequestHead<'_>) -> Option<ResponseHeader> {
    let offered = || head.values(SUBPROTOCOL);
    let scheme =
        subprotocol::scheme(offered()).filter(|_| subprotocol::without_reserved(offered()).is_none())?;
    Some((SUBPROTOCOL, str::from_utf8(scheme).ok()?.to_owned().into()))
}

impl Engine {
    /// Notes the rest of the budget, and the parts of the answer that are not for the caller.
    #[inline]
    pub(super) fn note_grant<'a>(
        &'a self,
        grant: &Grant<'a, '_>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) {
        let passed = self.policy.answers;
        progress.response.hidden = Hidden {
            limits: !passed.limits,
            account: !passed.account,
            key: grant.key_parameter(),
            all: false,
            upload: false,
        };
        if grant.judges_objects() {
            self.note_addresses(grant, context, progress);
        }
        if let (Some(mint), Some(broker)) = (grant.mint(), &self.broker) {
            progress.response.for_brokered();
            let minting = Minting::new(broker, mint, grant.upstream(), grant.record().digest);
            progress.minting = Some(Box::new(minting));
        }
        if let Some(taken) = grant.taken() {
            progress.checks.push(Check::WithinLimit { remaining: taken.remaining });
            progress.response.budget(taken);
        } else if InForce::of(grant.record().rate_limit, self.policy.rate_limit.as_ref()).requests.is_some() {
            progress.checks.push(Check::Uncounted);
        }
    }

    /// Notes the addresses that the answer may tell, and that become ours.
    #[cold]
    fn note_addresses<'a>(
        &'a self,
        grant: &Grant<'a, '_>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) {
        progress.response.hidden.upload = grant.upload().is_some();
        if let (Some(place), Some(uploads)) = (grant.upload(), &self.uploads) {
            let (parent, times) = (grant.record().digest, (context.now.unix(), grant.upload_ends_at()));
            let address = UploadAddress::new(uploads, place, parent, context.head.address(), times);
            progress.upload = address.map(Box::new);
        }
        progress.relink = grant.links().and_then(|links| relink(links, &context.head.address()?));
    }

    /// Refuses a request, in the dialect of its caller.
    pub(super) fn refuse<'a>(
        &'a self,
        error: CheckError<'a>,
        head: &RequestHead<'a>,
        names: &HeaderNames,
        progress: &mut Progress<'a>,
    ) -> Verdict<'a> {
        self.tell_page(head, names, progress);
        let check = Check::Refused(error);
        progress.class = progress.class.or(check.class());
        progress.checks.push(check);
        let dialect = progress.route.map_or(Dialect::OpenAi, |route| route.dialect);
        let headers = progress.response.for_reply(&error);
        let words = progress.words.as_deref();
        let mut reply = LocalReply::refuse_saying(error.reason(), words, dialect, headers);
        if let Some(resource) = &self.policy.resource {
            resource.guide(&error, head, &mut reply);
        }
        Verdict::Reply(error.reason(), reply)
    }

    /// Writes into the answer which pages may see it.
    pub(super) fn tell_page(&self, head: &RequestHead<'_>, names: &HeaderNames, progress: &mut Progress<'_>) {
        if names.has(read::ORIGIN) {
            cors::apply(&self.policy.origins, head, &mut progress.response);
            let scheme = if names.is_upgrade { chosen_subprotocol(head) } else { None };
            progress.response.set.extend(scheme);
        }
    }

    /// Answers a request that needs no caller: a preflight, or one for the metadata. Returns `None` for any other
    /// request.
    pub(super) fn answer(&self, head: &RequestHead<'_>) -> Option<LocalReply> {
        let origins = &self.policy.origins;
        let describe = |resource: &Resource| {
            resource.describe(head, self.policy.issuers(), cors::headers(origins, head))
        };
        cors::preflight(origins, head).or_else(|| self.policy.resource.as_ref().and_then(describe))
    }
}
