//! The source: one watch for each namespace, and the declaration of its tokens to the registry.
//!
//! One process at a time applies a namespace, while it holds the source in the database; it begins with a list of its own. While
//! the API server does not answer, tokens stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::api::{Api, ApiError, Event, MAX_SECRETS};
use super::bounds::{Bounds, Namespace, PREFIX};
use super::secret::{Reading, Secret};
use super::status::Status;
use crate::registry::{Actor, Declaration, Registry, RegistryError, SecretText, now};

/// The time for which a process holds a source, unless it holds it for longer by then.
const HOLD: Duration = Duration::from_secs(9);
/// The interval in which a process holds its sources for longer, and looks for one that no process holds.
const HOLD_INTERVAL: Duration = Duration::from_secs(3);
/// The time in which changes are collected before they are applied together.
const GATHER: Duration = Duration::from_millis(200);
/// The time after which changes go on that were too many.
const LATER: Duration = Duration::from_secs(5);
/// The changes that a namespace may make at once, and the rate at which it may make more.
const MAX_CHANGES: usize = 2000;
const CHANGES_PER_SECOND: usize = 2;
/// The time after which a list is made anew, whatever the watch has told.
const RELIST: Duration = Duration::from_mins(10);
/// The interval in which tokens of namespaces that the file has no longer are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// The most faults that one process writes into the audit log for a namespace in an hour. The log of the process has all.
const MAX_NOTES_PER_HOUR: u32 = 100;

/// The Secrets of all namespaces as a source of tokens.
pub struct Source {
    registry: Registry,
    api: Api,
    bounds: Arc<Bounds>,
    status: Status,
}

/// One namespace, as one process follows it.
struct Follower {
    registry: Registry,
    api: Api,
    bounds: Arc<Bounds>,
    namespace: Namespace,
    status: Status,
    source: String,
    holder: String,
    actor: Actor,
    /// The faults that were told, by the names of the Secrets.
    told: BTreeMap<String, String>,
    /// The begin of the present hour of notes, and their number.
    notes: (Instant, u32),
    /// The number of changes that are allowed, as of a time.
    changes: (Instant, usize),
}

/// The reason for which a process ends to follow for now.
enum End {
    /// Another list is due, or another process holds the source.
    Again,
    Api(ApiError),
    Registry(RegistryError),
}

impl From<ApiError> for End {
    fn from(error: ApiError) -> Self {
        // A version that is too old is no failure: the next list has a newer one.
        if let ApiError::Gone = error { Self::Again } else { Self::Api(error) }
    }
}

impl From<RegistryError> for End {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl Source {
    /// Returns the source, which applies nothing yet.
    pub fn new(registry: Registry, api: Api, bounds: Bounds, status: Status) -> Self {
        Self { registry, api, bounds: Arc::new(bounds), status }
    }

    /// Applies the Secrets of all namespaces until the future is dropped. Returns an error if that cannot go on.
    pub async fn run(self) -> anyhow::Error {
        match self.follow_all().await {
            Ok(()) => anyhow::anyhow!("the Secrets of a namespace are not followed any more"),
            Err(error) => error.into(),
        }
    }

    /// Follows all namespaces. Completes if one is not followed any more.
    async fn follow_all(self) -> Result<(), RegistryError> {
        let holder = SecretText::random()?.expose().to_owned();
        let mut tasks = JoinSet::new();
        for namespace in &self.bounds.namespaces {
            let (source, now) = (namespace.source(), Instant::now());
            let follower = Follower {
                registry: self.registry.clone(),
                api: self.api.clone(),
                bounds: Arc::clone(&self.bounds),
                namespace: namespace.clone(),
                status: self.status.clone(),
                actor: Actor::new(&source),
                source,
                holder: holder.clone(),
                told: BTreeMap::new(),
                notes: (now, 0),
                changes: (now, MAX_CHANGES),
            };
            tasks.spawn(follower.follow());
        }
        loop {
            if let Err(error) = self.sweep(&holder).await {
                tracing::warn!(%error, "cannot look for tokens of former namespaces");
            }
            tokio::select! {
                _ = tasks.join_next() => return Ok(()),
                () = sleep(SWEEP_INTERVAL) => {}
            }
        }
    }

    /// Disables the tokens of namespaces that the file has no longer, and that no process applies.
    async fn sweep(&self, holder: &str) -> Result<(), RegistryError> {
        let configured: Vec<String> = self.bounds.namespaces.iter().map(Namespace::source).collect();
        for source in self.registry.sources().await? {
            if !source.starts_with(PREFIX) || configured.contains(&source) {
                continue;
            }
            if self.registry.hold_source(&source, holder, HOLD).await? {
                let declaration = Declaration { source: &source, holder, tokens: Vec::new(), most: 0 };
                self.registry.declare(declaration, &|_| false, &Actor::new(&source)).await?;
                self.registry.release_source(&source, holder).await?;
            }
        }
        Ok(())
    }
}

impl Follower {
    /// Follows the namespace for ever.
    async fn follow(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let end = self.attend().await;
            let (error, wait) = match end {
                Ok(()) | Err(End::Again) => {
                    pause = FIRST_PAUSE;
                    (None, FIRST_PAUSE)
                }
                Err(End::Api(error)) => (Some(error.to_string()), pause),
                Err(End::Registry(error)) => (Some(error.to_string()), pause),
            };
            if let Some(error) = &error {
                tracing::warn!(
                    namespace = self.namespace.name,
                    error,
                    "cannot follow Secrets: tokens stay as they are"
                );
                pause = pause.saturating_mul(2).min(MAX_PAUSE);
            }
            self.status.update(&self.namespace.name, |status| status.is_failing = error.is_some());
            sleep(wait).await;
        }
    }

    /// Waits until this process holds the source, then lists and watches.
    async fn attend(&mut self) -> Result<(), End> {
        while !self.hold().await? {
            sleep(HOLD_INTERVAL).await;
        }
        let selector = self.bounds.selector();
        let mut readings = BTreeMap::new();
        let take = |secret| {
            self.put(&mut readings, secret);
        };
        let mut version = self.api.list(&self.namespace.name, &selector, take).await?;
        let mut is_done = self.apply(&readings).await?;
        let relist_at = Instant::now() + RELIST;
        while Instant::now() < relist_at {
            let mut watch = self.api.watch(&self.namespace.name, &selector, &version).await?;
            let mut hold_at = Instant::now() + HOLD_INTERVAL;
            let mut apply_at = (!is_done).then(|| Instant::now() + LATER);
            loop {
                tokio::select! {
                    event = watch.next() => match event? {
                        None => break,
                        Some(event) => {
                            if self.take(&mut readings, event, &mut version) {
                                apply_at.get_or_insert_with(|| Instant::now() + GATHER);
                            }
                        }
                    },
                    () = sleep_until(apply_at.unwrap_or(hold_at).min(hold_at)) => {
                        if apply_at.take_if(|at| *at <= Instant::now()).is_some() {
                            is_done = self.apply(&readings).await?;
                            apply_at = (!is_done).then(|| Instant::now() + LATER);
                        } else if !self.hold().await? {
                            return Ok(());
                        }
                        hold_at = Instant::now() + HOLD_INTERVAL;
                    }
                }
            }
            if apply_at.is_some() {
                is_done = self.apply(&readings).await?;
            }
            // A server that ends each watch at once is not asked without a pause.
            sleep(GATHER).await;
        }
        Ok(())
    }

    /// Holds the source for longer. Returns false if another process holds it.
    async fn hold(&mut self) -> Result<bool, RegistryError> {
        let holds = self.registry.hold_source(&self.source, &self.holder, HOLD).await?;
        if !holds {
            self.told.clear();
        }
        self.status.update(&self.namespace.name, |status| status.applies = holds);
        Ok(holds)
    }

    /// Takes an event. Returns true if the Secrets are others than before.
    fn take(&self, readings: &mut BTreeMap<String, Reading>, event: Event, version: &mut String) -> bool {
        let (secret, is_there) = match event {
            Event::Bookmark(newer) => {
                *version = newer;
                return false;
            }
            Event::Put(secret) => (secret, true),
            Event::Delete(secret) => (secret, false),
        };
        version.clone_from(&secret.metadata.resource_version);
        if is_there && secret.is_selected(&self.bounds) {
            return self.put(readings, secret);
        }
        secret.name_in(&self.namespace).is_some_and(|name| readings.remove(name).is_some())
    }

    /// Reads a Secret. One that is not of this namespace, or that has not the labels, is none.
    fn put(&self, readings: &mut BTreeMap<String, Reading>, secret: Secret) -> bool {
        let Some(name) = secret.name_in(&self.namespace).map(str::to_owned) else { return false };
        if !secret.is_selected(&self.bounds) {
            return readings.remove(&name).is_some();
        }
        if readings.len() >= MAX_SECRETS && !readings.contains_key(&name) {
            tracing::warn!(namespace = self.namespace.name, "a Secret is left out: there are too many");
            return false;
        }
        let reading = secret.read(&name, &self.bounds, &self.namespace);
        readings.insert(name, reading);
        true
    }

    /// Makes the tokens in the registry what the Secrets say, and tells faults that are new. Of Secrets with the same value the
    /// oldest declares. Returns false if changes are left for later: an author could make any number of them.
    async fn apply(&mut self, readings: &BTreeMap<String, Reading>) -> Result<bool, End> {
        if !self.hold().await? {
            return Err(End::Again);
        }
        let mut faults: BTreeMap<String, String> = BTreeMap::new();
        for (name, reading) in readings {
            if let Some(fault) = &reading.fault {
                faults.insert(name.clone(), fault.to_string());
            }
        }
        let mut ordered: Vec<(&String, &Reading)> = readings.iter().collect();
        ordered.sort_by(|(a, one), (b, other)| one.created.cmp(&other.created).then_with(|| a.cmp(b)));
        let tokens = ordered.into_iter().filter_map(|(_, reading)| reading.declared.clone()).collect();
        let most = self.allowance();
        let declaration = Declaration { source: &self.source, holder: &self.holder, tokens, most };
        let admits = |token: &crate::registry::Token| self.namespace.admits(token);
        let Some(applied) = self.registry.declare(declaration, &admits, &self.actor).await? else {
            return Err(End::Again);
        };
        self.changes.1 = self.changes.1.saturating_sub(applied.changed);
        for (name, error) in applied.refused {
            faults.entry(name).or_insert_with(|| error.to_string());
        }
        if applied.changed + applied.withdrawn > 0 {
            let (namespace, changed, withdrawn) = (&self.namespace.name, applied.changed, applied.withdrawn);
            tracing::info!(namespace, changed, withdrawn, "tokens of Secrets were applied");
        }
        self.status.update(&self.namespace.name, |status| {
            status.accepted = readings.len().saturating_sub(faults.len());
            status.refused = faults.keys().cloned().collect();
            status.applied_at = Some(now());
            status.is_failing = false;
        });
        self.tell(faults).await?;
        Ok(!applied.is_partial)
    }

    /// Returns the number of tokens that may be added or changed now. It grows with the time, up to a bound.
    fn allowance(&mut self) -> usize {
        let (since, allowed) = &mut self.changes;
        let seconds = since.elapsed().as_secs();
        *since += Duration::from_secs(seconds);
        let grown = usize::try_from(seconds).unwrap_or(usize::MAX).saturating_mul(CHANGES_PER_SECOND);
        *allowed = allowed.saturating_add(grown).min(MAX_CHANGES);
        *allowed
    }

    /// Writes the faults that are new into the log, and into the audit log as long as they are few.
    async fn tell(&mut self, faults: BTreeMap<String, String>) -> Result<(), RegistryError> {
        for (name, fault) in &faults {
            if self.told.get(name) == Some(fault) {
                continue;
            }
            tracing::warn!(
                namespace = self.namespace.name,
                secret = name,
                fault,
                "a Secret declares no token"
            );
            let (begin, count) = &mut self.notes;
            if begin.elapsed() > Duration::from_hours(1) {
                (*begin, *count) = (Instant::now(), 0);
            }
            if *count < MAX_NOTES_PER_HOUR {
                *count += 1;
                let subject = format!("{}/{name}", self.namespace.name);
                self.registry.note_refused(&self.source, &subject, fault, &self.actor).await?;
            }
        }
        self.told = faults;
        Ok(())
    }
}
