//! The administrator's password, stored only as an Argon2id hash.
//!
//! A hash takes 19 MiB and some milliseconds on purpose, so it is computed on blocking threads, at most two at a time.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use super::person::ADMIN;
use crate::registry::{Actor, Registry, RegistryError, SecretText};

static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Ensures that there is a password. A new password from the environment replaces the old one and ends all sessions.
/// Without any password, the first is generated and returned; it is not stored.
pub(in crate::server) async fn prepare(
    registry: &Registry,
    given: Option<&SecretText>,
) -> Result<Option<SecretText>, RegistryError> {
    let actor = Actor::new(ADMIN);
    let kept = registry.password_hash().await?;
    match (given, kept) {
        (None, Some(_)) => Ok(None),
        (None, None) => {
            let password = SecretText::random()?;
            let hash = hash(password.clone()).await?;
            Ok(registry.set_first_password(&hash, &actor).await?.then_some(password))
        }
        (Some(given), kept) => {
            if is_right(given.clone(), kept.clone()).await? {
                return Ok(None);
            }
            let hash = hash(given.clone()).await?;
            // Another replica may have set the first password meanwhile.
            if kept.is_some() || !registry.set_first_password(&hash, &actor).await? {
                registry.replace_password(&hash, &actor).await?;
            }
            Ok(None)
        }
    }
}

/// Returns true if the password matches the hash, false without a hash.
pub(super) async fn is_right(password: SecretText, hash: Option<String>) -> Result<bool, RegistryError> {
    let Some(hash) = hash else { return Ok(false) };
    off_the_threads(move || {
        let hash = PasswordHash::new(&hash).map_err(|_| RegistryError::Corrupt("hash of a password"))?;
        // The comparison takes constant time.
        Ok(Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok())
    })
    .await
}

async fn hash(password: SecretText) -> Result<String, RegistryError> {
    off_the_threads(move || {
        let hash = Argon2::default().hash_password(password.expose().as_bytes());
        hash.map(|hash| hash.to_string())
            .map_err(|error| RegistryError::File(std::io::Error::other(error.to_string())))
    })
    .await
}

async fn off_the_threads<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    let other = |error: String| RegistryError::File(std::io::Error::other(error));
    let _permit = AT_ONCE.acquire().await.map_err(|error| other(error.to_string()))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| other(error.to_string()))?
}
