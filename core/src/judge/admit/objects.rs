//! The objects that a request names in its target, and those that it makes, lists or deletes.

use super::target::{RequestTraits, Target};
use crate::answer::CheckError;
use crate::base::Digest;
use crate::identity::{CallerRecord, Class};
use crate::provider::model::TargetModels;
use crate::provider::objects::{Collection, KEEPING, Makes, Objects, ObjectsMode, Sought, digest_of};
use crate::services::registry::{Claim, Held, Holder};
use crate::upstream::Upstream;

/// The rule on the objects of one request.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct ObjectRule {
    pub(crate) table: &'static Objects,
    provider: String,
    pub(crate) caller: Held,
    owner: Option<String>,
    /// The objects that the target names.
    pub(crate) named: Vec<Digest>,
    /// The collection that the request may add to.
    makes: Option<&'static Collection>,
    /// The collection that the request lists.
    pub(crate) lists: Option<&'static Collection>,
    /// The most elements of the list that are shown.
    pub(crate) limit: Option<u32>,
    /// The object that the request deletes.
    pub(crate) deletes: Option<Digest>,
    /// Set where the body may be a file of any kind.
    pub(crate) takes_file: bool,
    /// Set where the answer has no body.
    pub(crate) is_head: bool,
    /// Set where the answer may tell ids.
    pub(crate) reads_answer: bool,
    /// Set where the answer tells the ids of items.
    tells_items: bool,
    /// Set where the messages of a session name its own items.
    is_session: bool,
}

impl ObjectRule {
    /// Returns the rule; `None` where the objects of the provider are not judged.
    ///
    /// # Errors
    /// The endpoint keeps objects, and they cannot be told apart by their holders.
    pub(super) fn of(
        target: &Target,
        models: &TargetModels,
        class: Class,
        traits: &RequestTraits<'_>,
        upstream: &Upstream,
        record: &CallerRecord,
    ) -> Result<Option<Self>, CheckError<'static>> {
        if upstream.objects == ObjectsMode::Shared || matches!(class, Class::Admin | Class::Mint) {
            return Ok(None);
        }
        let is_keeping = KEEPING.contains(&class);
        let unkept = is_keeping.then_some(CheckError::ObjectsUnkept);
        let Some((table, asked)) = upstream.object_table.zip(target.objects()) else {
            return unkept.map_or(Ok(None), Err);
        };
        let place = match (&asked.place, unkept) {
            (None, Some(error)) => return Err(error),
            (place, _) => place.as_ref(),
        };
        let provider = if table.account.is_empty() { &*upstream.provider } else { table.account }.to_owned();
        let id = place.and_then(|place| place.id.as_deref());
        let named_models = table.members.iter().filter(|member| member.name == "model");
        let named_models =
            named_models.flat_map(|member| models.models.iter().filter_map(|model| member.form.id_in(model)));
        let ids = id.into_iter().chain(asked.in_query.iter().map(Vec::as_slice)).chain(named_models);
        let mut named: Vec<Digest> = ids.map(|id| digest_of(&provider, id)).collect();
        named.sort_unstable();
        named.dedup();
        let deletes = id.filter(|_| traits.method == b"DELETE" && place.is_some_and(|place| place.is_member));
        let makes = place.and_then(|place| place.makes);
        // A download is the caller's own data, in which any id may stand.
        let tells = match traits.method {
            b"GET" => place.is_some_and(|place| place.is_telling) && !asked.is_download,
            b"DELETE" | b"HEAD" => false,
            _ => true,
        };
        Ok(Some(Self {
            table,
            caller: Held { holder: Holder::of(record), by_team: upstream.objects == ObjectsMode::Team },
            owner: record.owner.clone(),
            deletes: deletes.map(|id| digest_of(&provider, id)),
            provider,
            named,
            makes,
            lists: place.and_then(|place| place.lists),
            limit: asked.page.and_then(|page| page.limit),
            is_head: traits.method == b"HEAD",
            // Elsewhere a file comes in a form.
            takes_file: class == Class::Files && table.has_names,
            reads_answer: makes.is_some() || (is_keeping && tells),
            tells_items: place.is_some_and(|place| place.tells_items),
            is_session: traits.is_upgrade && place.is_none(),
        }))
    }

    /// Returns the members of the body that are sought.
    pub(crate) fn sought(&self) -> Sought {
        let makes = self.makes.map_or("", |collection| collection.kind);
        Sought { table: self.table, has_items: !self.is_session, makes }
    }

    /// Returns whether an item of the answer is claimed, as the body of the request says.
    pub(crate) fn claims_item(&self, store: Option<bool>, id: &str) -> bool {
        let is_named = || self.table.unkept_items.iter().any(|begin| id.starts_with(begin));
        self.tells_items && (store != Some(false) || is_named())
    }

    /// Returns the digest of an object that the body of the request names.
    pub(crate) fn digest(&self, id: &[u8]) -> Digest {
        digest_of(&self.provider, id)
    }

    /// Returns the collection to which the request adds, as its body says.
    pub(crate) fn makes(&self, store: Option<bool>) -> Option<&'static Collection> {
        self.makes.filter(|collection| match collection.makes {
            Makes::Always => true,
            Makes::UnlessDeclined => store != Some(false),
            Makes::IfAsked => store == Some(true),
            Makes::Never => false,
        })
    }

    /// Returns the claim to an object for the caller.
    pub(crate) fn claim(&self, kind: &'static str, id: &str) -> Claim {
        Claim {
            provider: self.provider.clone(),
            kind,
            id: id.to_owned(),
            holder: self.caller.holder.clone(),
            owner: self.owner.clone(),
        }
    }
}
