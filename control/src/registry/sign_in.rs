//! The state of sign-in: the hash of the administrator's password, sign-in attempts, and sessions.
//!
//! The state is in the database, so sessions survive a restart and are valid on all replicas.

use keyswap_core::base::{Digest, UnixTime};
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::admin_role::AdminRole;
use super::record::clock::{now, since_1970};
use super::record::draft::normal;
use super::record::error::RegistryError;
use super::record::model::Status;
use super::record::secret_text::SecretText;
use super::store::write::Write;

/// The largest number of a client's sign-in attempts in any period of [`WINDOW_MILLISECONDS`].
const MAX_TRIES: i64 = 10;
const WINDOW_MILLISECONDS: i64 = 60_000;

impl Registry {
    /// Returns the hash of the administrator's password, `None` before the first is set.
    pub async fn password_hash(&self) -> Result<Option<String>> {
        self.0.password_hash().await
    }

    /// Stores the hash of the first password. Returns false, without a change, if there is a hash already.
    pub async fn set_first_password(&self, hash: &str, actor: &Actor) -> Result<bool> {
        let mut write = self.0.write().await?;
        if !write.insert_password_hash(hash).await? {
            return Ok(false);
        }
        write.audit(actor, "admin.set_password", "admin", &json!({})).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Replaces the hash of the password and ends all sessions.
    pub async fn replace_password(&self, hash: &str, actor: &Actor) -> Result<()> {
        let mut write = self.0.write().await?;
        write.replace_password_hash(hash).await?;
        write.audit(actor, "admin.set_password", "admin", &json!({})).await?;
        write.commit().await
    }

    /// Returns the key that seals new tokens for the browser that shows them, 256 random bits as text. The first call
    /// makes the key.
    pub async fn seal_key(&self) -> Result<SecretText> {
        if let Some(key) = self.0.seal_key().await? {
            return Ok(key);
        }
        self.0.insert_seal_key(&SecretText::random()?).await?;
        // Another replica may have made the first key.
        self.0.seal_key().await?.ok_or(RegistryError::Corrupt("key of new tokens"))
    }

    /// Starts a session of `seconds`. `id` is the digest of its secret.
    pub async fn begin_session(&self, id: &Digest, seconds: u32) -> Result<()> {
        self.0.insert_session(id, UnixTime(now().0.saturating_add(i64::from(seconds)))).await
    }

    /// Starts a session of `seconds` for a person with a role. `settings` is the digest of those under which the role was given.
    /// Returns false, without a session, if the person is a user that is disabled for this role. The check and the session are one transaction, so no
    /// session outlives the end of all sessions of a user.
    pub async fn begin_person_session(
        &self,
        id: &Digest,
        person: &str,
        role: &AdminRole,
        settings: &Digest,
        seconds: u32,
    ) -> Result<bool> {
        let expires_at = UnixTime(now().0.saturating_add(i64::from(seconds)));
        let mut write = self.0.write().await?;
        if is_kept_out(&mut write, &normal(person), role).await? {
            return Ok(false);
        }
        write.insert_person_session(id, person, role, settings, expires_at).await?;
        write.commit().await?;
        Ok(true)
    }

    /// Returns the name and the role of a session's person, `None` if the session does not exist, has expired, or was started
    /// under other settings.
    pub async fn person_of_session(
        &self,
        id: &Digest,
        settings: &Digest,
    ) -> Result<Option<(String, AdminRole)>> {
        self.0.person_of_session(id, settings, now()).await
    }

    /// Notes that a sign-in at a provider came back. Returns false if it did before. The note is kept for `seconds`.
    pub async fn end_sign_in(&self, state: &Digest, seconds: u32) -> Result<bool> {
        let now = now();
        self.0.insert_ended_sign_in(state, UnixTime(now.0.saturating_add(i64::from(seconds))), now).await
    }

    /// Returns true if the session exists and has not expired.
    pub async fn has_session(&self, id: &Digest) -> Result<bool> {
        self.0.has_session(id, now()).await
    }

    /// Ends a session, and deletes expired ones.
    pub async fn end_session(&self, id: &Digest) -> Result<()> {
        self.0.delete_session(id, now()).await
    }

    /// Counts a sign-in attempt of a client. Returns `None` if the attempt is permitted, else the seconds to wait.
    pub async fn count_try(&self, client: &str) -> Result<Option<u32>> {
        let waiting = self.0.count_try(client, MAX_TRIES, WINDOW_MILLISECONDS, milliseconds).await?;
        Ok(waiting.map(|milliseconds| u32::try_from(milliseconds.div_ceil(1000)).unwrap_or(u32::MAX).max(1)))
    }

    /// Deletes the attempts of a client that has signed in.
    pub async fn forget_tries(&self, client: &str) -> Result<()> {
        self.0.forget_tries(client).await
    }
}

/// Returns true if a role is not given, since the person is a disabled user. The owners of a team disable its users, so that counts
/// for no role beyond the team.
async fn is_kept_out(write: &mut Write, email: &str, role: &AdminRole) -> Result<bool> {
    let user = match write.user(email).await {
        Ok(user) if user.status == Status::Disabled => user,
        Ok(_) | Err(RegistryError::UnknownUser) => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(match (role, &user.team) {
        (_, None) | (AdminRole::SelfService(_), _) => true,
        (AdminRole::TeamOwner(teams), Some(team)) => teams.contains(team),
        (AdminRole::Admin | AdminRole::Auditor, Some(_)) => false,
    })
}

fn milliseconds() -> i64 {
    i64::try_from(since_1970().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_minute_has_more_than_ten_tries() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("a.db").display());
        let registry = Registry::open(&url.parse().unwrap()).await.unwrap();
        let at = async |client: &str, now: i64| {
            registry.0.count_try(client, MAX_TRIES, WINDOW_MILLISECONDS, || now).await.unwrap()
        };
        // Ten attempts, one a second.
        for second in 0..10 {
            assert_eq!(at("a", second * 1000).await, None);
        }
        // The first attempt leaves the window at 60 s, the second at 61 s: refused attempts are not counted.
        for (now, expect) in [
            (9_000, Some(51_000)),
            (59_999, Some(1)),
            (60_000, None),
            (60_000, Some(1_000)),
            (61_000, None),
            (61_001, Some(999)),
            (64_000, None),
            (64_000, None),
            (64_000, None),
            (64_000, Some(1_000)),
        ] {
            assert_eq!(at("a", now).await, expect, "{now}");
            assert!(at("b", now).await.is_none(), "{now}");
        }
        // A clock that is set back blocks no client for longer than the window.
        assert_eq!(at("a", -200_000).await, None);
    }

    #[tokio::test]
    async fn whoever_knew_the_password_has_all_tries_again() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("a.db").display());
        let registry = Registry::open(&url.parse().unwrap()).await.unwrap();
        for _ in 0..MAX_TRIES {
            assert_eq!(registry.count_try("a").await.unwrap(), None);
        }
        assert!(registry.count_try("a").await.unwrap().is_some_and(|seconds| (1..=60).contains(&seconds)));
        registry.forget_tries("a").await.unwrap();
        assert_eq!(registry.count_try("a").await.unwrap(), None);
    }
}
