//! Objects that callers keep at providers: each belongs to the principal that made it.
//!
//! - The first claim of an object wins. A claim that is repeated changes nothing.
//! - A new object is no change of the feed: data planes make many, and none has cached the holder of one. Each other change of
//!   a holder is one, so that no data plane goes on with the old holder.
//! - A rotated token and its successors hold their objects together, under the first token of their line.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use keyswap_core::base::{Digest, UnixTime};
use serde_json::{Value, json};

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::change::Subject;
use super::record::clock::now;
use super::record::error::RegistryError;
use super::record::model::Page;
use super::record::object::{
    Adopted, HeldBy, Holder, HolderState, KeptObject, Moved, ObjectClaim, ObjectKey, ObjectListing,
    UNKNOWN_KIND, check_kind,
};
use super::store::write::Write;
use super::usage::bounded;

/// The most objects that one question names: a page of a provider's list.
const MAX_FOUND: usize = 200;

/// The most objects that one claim or removal names.
const MAX_CLAIMED: usize = 50;

/// The most objects that one change of an administrator gives to a holder, so that it blocks others for a short time only.
const MAX_GIVEN: usize = 200;

/// The objects that are kept in all: callers that make objects without end fill no disk.
const MAX_OBJECTS: u64 = 10_000_000;

/// The kinds of providers that are counted one by one.
const MAX_COUNTED: i64 = 200;

/// The time for which an expired object is kept. The clocks of providers and data planes may differ by less.
const EXPIRED_KEPT_SECONDS: i64 = 86_400;

impl Registry {
    /// Returns those of the objects that the registry knows, at most 200 are asked for. An expired object is unknown: its
    /// provider may give the id anew.
    pub async fn find_objects(&self, digests: &[Digest]) -> Result<Vec<KeptObject>> {
        check_count("sha256", digests.len(), MAX_FOUND)?;
        let now = now();
        let mut found = self.0.find_objects(digests, now).await?;
        found.retain(|object| !object.is_expired(now));
        Ok(found)
    }

    /// Gives new objects to the principals that made them, all or none, at most 50. An object that is known keeps its
    /// holder, unless it has expired: providers give such an id anew. Returns the objects with their holders.
    pub async fn claim_objects(&self, claims: Vec<ObjectClaim>) -> Result<Vec<KeptObject>> {
        check_count("objects", claims.len(), MAX_CLAIMED)?;
        if self.0.objects.load(Ordering::Relaxed) >= MAX_OBJECTS {
            return Err(RegistryError::TooManyObjects);
        }
        let now = now();
        // One order for all claims, so that two with the same objects cannot deadlock. Of two for one object the first wins.
        let mut objects = BTreeMap::new();
        for claim in claims {
            let object = claimed(claim, now)?;
            objects.entry(object.digest).or_insert(object);
        }
        let expired = self.0.add_objects(&objects, now).await?;
        if !expired.is_empty() {
            self.replace_expired(expired.iter().filter_map(|digest| objects.get(digest)), now).await?;
        }
        self.0.find_objects(&objects.into_keys().collect::<Vec<_>>(), now).await
    }

    /// Removes objects that a provider has deleted, at most 50. Unknown objects are ignored.
    pub async fn remove_objects(&self, digests: &[Digest]) -> Result<()> {
        check_count("sha256", digests.len(), MAX_CLAIMED)?;
        let mut write = self.0.write().await?;
        let mut is_changed = false;
        for digest in in_order(digests.to_vec()) {
            is_changed |= remove(&mut write, &digest).await?;
        }
        if is_changed { write.commit().await } else { Ok(()) }
    }

    /// Returns an object.
    pub async fn object(&self, digest: &Digest) -> Result<KeptObject> {
        self.0.object(digest, now()).await
    }

    /// Returns a part of the list of objects.
    pub async fn objects(&self, listing: &ObjectListing) -> Result<Page<KeptObject>> {
        let holder = match &listing.holder {
            Some(holder) => Some(self.principal(holder).await?),
            None => None,
        };
        self.0.object_page(listing, holder, now()).await
    }

    /// Gives objects that have no holder to one, at most 200. Objects that have a holder keep it.
    pub async fn adopt_objects(
        &self,
        keys: &[ObjectKey],
        kind: Option<&str>,
        holder: &Holder,
        actor: &Actor,
    ) -> Result<Adopted> {
        check_count("ids", keys.len(), MAX_GIVEN)?;
        let kind = check_kind(kind.unwrap_or(UNKNOWN_KIND))?;
        let (mut write, now) = (self.0.write().await?, now());
        let held = write.held_by(holder).await?;
        let mut answer = Adopted { adopted: Vec::new(), held: Vec::new() };
        let keys: BTreeMap<Digest, &ObjectKey> = keys.iter().map(|key| (key.digest(), key)).collect();
        for (digest, key) in keys {
            if let Some(object) = write.object(&digest, now).await?.filter(|object| !object.is_expired(now)) {
                answer.held.push(object);
                continue;
            }
            let version = write.change(Subject::Object, &digest.to_hex()).await?;
            write.put_object(&new_object(key, &kind, held.clone(), version, now)).await?;
            let detail = json!({"kind": kind, "to": described(&held)});
            write.audit(actor, "object.adopt", &key.to_string(), &detail).await?;
            answer.adopted.extend(write.object(&digest, now).await?);
        }
        write.commit().await?;
        Ok(answer)
    }

    /// Gives an object to another holder.
    pub async fn transfer_object(&self, digest: &Digest, to: &Holder, actor: &Actor) -> Result<KeptObject> {
        let (mut write, now) = (self.0.write().await?, now());
        let before = write.object(digest, now).await?.ok_or(RegistryError::UnknownObject)?;
        let held = write.held_by(to).await?;
        let version = write.change(Subject::Object, &digest.to_hex()).await?;
        write.give_object(digest, &held, version).await?;
        let after = write.object(digest, now).await?.ok_or(RegistryError::UnknownObject)?;
        let detail = json!({"from": described(&holder_of(&before)), "to": described(&held)});
        write.audit(actor, "object.transfer", &before.name(), &detail).await?;
        write.commit().await?;
        Ok(after)
    }

    /// Gives the objects of a holder to another one, at most 200 at a time, the oldest first. The caller repeats it while
    /// there are more.
    pub async fn transfer_objects(&self, from: &Holder, to: &Holder, actor: &Actor) -> Result<Moved> {
        let (mut write, now) = (self.0.write().await?, now());
        let (before, held) = (write.held_by(from).await?, write.held_by(to).await?);
        if before.principal == held.principal {
            return Err(RegistryError::Invalid {
                field: "holder",
                expected: "expected two holders that differ".to_owned(),
            });
        }
        let most = i64::try_from(MAX_GIVEN).unwrap_or(i64::MAX);
        let objects = write.objects_of(&before.principal, most, now).await?;
        let count = objects.len();
        for digest in in_order(objects.iter().map(|object| object.digest).collect()) {
            let version = write.change(Subject::Object, &digest.to_hex()).await?;
            write.give_object(&digest, &held, version).await?;
        }
        if count > 0 {
            let detail = json!({"objects": count, "from": described(&before), "to": described(&held)});
            write.audit(actor, "object.transfer_all", &name(from), &detail).await?;
            write.commit().await?;
        }
        Ok(Moved { moved: u32::try_from(count).unwrap_or(u32::MAX), more: count == MAX_GIVEN })
    }

    /// Takes an object from its holder, so that it belongs to no one. The provider keeps it.
    pub async fn forget_object(&self, digest: &Digest, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        let object = write.object(digest, now()).await?.ok_or(RegistryError::UnknownObject)?;
        remove(&mut write, digest).await?;
        let detail = json!({"kind": object.kind, "from": described(&holder_of(&object))});
        write.audit(actor, "object.forget", &object.name(), &detail).await?;
        write.commit().await
    }

    /// Returns the number of objects by provider and kind, the greatest first. The number of rows is bounded.
    pub async fn object_counts(&self) -> Result<Vec<(String, String, i64)>> {
        self.0.count_objects(MAX_COUNTED).await
    }

    /// Deletes objects that providers have deleted long ago, and counts the others.
    pub(super) async fn forget_expired_objects(&self, now: UnixTime) -> Result<()> {
        self.0.forget_expired_objects(UnixTime(now.0.saturating_sub(EXPIRED_KEPT_SECONDS))).await?;
        let count =
            self.0.count_objects(i64::MAX).await?.iter().fold(0, |sum: i64, row| sum.saturating_add(row.2));
        self.0.objects.store(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Returns the principal under which a holder has its objects.
    async fn principal(&self, holder: &Holder) -> Result<Digest> {
        match holder {
            Holder::Token(digest) => match self.token(digest).await {
                Ok(token) => Ok(token.holder),
                Err(RegistryError::UnknownToken) => Ok(*digest),
                Err(error) => Err(error),
            },
            Holder::Person(_) => Ok(holder.digest()),
        }
    }

    /// Gives expired objects to the principals that claim them. Such a claim is a change: data planes know the old holder.
    async fn replace_expired(&self, objects: impl Iterator<Item = &KeptObject>, now: UnixTime) -> Result<()> {
        let mut write = self.0.write().await?;
        for object in objects {
            if write.object(&object.digest, now).await?.is_some_and(|present| !present.is_expired(now)) {
                continue;
            }
            let version = write.change(Subject::Object, &object.digest.to_hex()).await?;
            let held = write.holder_of_claim(object).await?;
            let HeldBy { principal, label, owner, team } = held;
            write
                .put_object(&KeptObject { principal, label, owner, team, version, ..object.clone() })
                .await?;
        }
        write.commit().await
    }
}

impl Write {
    /// Returns a holder with the label, the owner and the team of its record. A principal that the registry does not know
    /// has only its digest or its address.
    async fn held_by(&mut self, holder: &Holder) -> Result<HeldBy> {
        let unknown = |principal, label: &str, owner: Option<&str>| HeldBy {
            principal,
            label: label.to_owned(),
            owner: owner.map(str::to_owned),
            team: None,
        };
        match holder {
            Holder::Token(digest) => match self.token(digest).await {
                Ok(token) => Ok(HeldBy {
                    principal: token.holder,
                    label: token.label,
                    owner: token.owner,
                    team: token.team,
                }),
                Err(RegistryError::UnknownToken) => Ok(unknown(*digest, "", None)),
                Err(error) => Err(error),
            },
            Holder::Person(email) => {
                let held = unknown(holder.digest(), email, Some(email));
                match self.user(email).await {
                    Ok(user) => Ok(HeldBy { team: user.team, ..held }),
                    Err(RegistryError::UnknownUser) => Ok(held),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Deletes an object, as a change of the feed. Returns true if the object was there.
async fn remove(write: &mut Write, digest: &Digest) -> Result<bool> {
    let is_there = write.delete_object(digest).await?;
    if is_there {
        write.change(Subject::Object, &digest.to_hex()).await?;
    }
    Ok(is_there)
}

/// Returns the object of a claim as it is stored: with a valid kind and bounded texts.
fn claimed(claim: ObjectClaim, now: UnixTime) -> Result<KeptObject> {
    let held = HeldBy {
        principal: claim.principal,
        label: String::new(),
        owner: claim.owner.map(|owner| bounded(&owner).to_lowercase()).filter(|owner| !owner.is_empty()),
        team: claim.team.map(|team| bounded(&team)).filter(|team| !team.is_empty()),
    };
    let object = new_object(&claim.key, &check_kind(&claim.kind)?, held, 0, now);
    Ok(KeptObject { expires_at: claim.expires_at, ..object })
}

fn new_object(key: &ObjectKey, kind: &str, held: HeldBy, version: i64, now: UnixTime) -> KeptObject {
    KeptObject {
        digest: key.digest(),
        provider: key.provider().to_owned(),
        kind: kind.to_owned(),
        id: key.id().to_owned(),
        principal: held.principal,
        label: held.label,
        owner: held.owner,
        team: held.team,
        holder: HolderState::Unknown,
        created_at: now,
        expires_at: None,
        version,
    }
}

fn holder_of(object: &KeptObject) -> HeldBy {
    HeldBy {
        principal: object.principal,
        label: object.label.clone(),
        owner: object.owner.clone(),
        team: object.team.clone(),
    }
}

/// Returns a holder for the audit log.
fn described(held: &HeldBy) -> Value {
    json!({"sha256": held.principal.to_hex(), "label": held.label, "owner": held.owner, "team": held.team})
}

/// Returns the subject of a holder in the audit log, as in other entries about it.
fn name(holder: &Holder) -> String {
    match holder {
        Holder::Token(digest) => digest.to_hex(),
        Holder::Person(email) => email.clone(),
    }
}

/// Returns the digests in one order for all changes, so that two with the same objects cannot deadlock.
fn in_order(mut digests: Vec<Digest>) -> Vec<Digest> {
    digests.sort_unstable();
    digests.dedup();
    digests
}

fn check_count(field: &'static str, count: usize, most: usize) -> Result<()> {
    let is_fine = count <= most;
    is_fine
        .then_some(())
        .ok_or_else(|| RegistryError::Invalid { field, expected: format!("expected at most {most}") })
}
