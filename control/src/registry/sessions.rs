//! Sessions of people on their devices: a device asks, a person decides, tokens are refreshed, the session ends.
//!
//! A session is of a user that is active. Its end is a change of the user in the feed, and the user's record tells it, so data planes
//! refuse its JWTs as soon as they refuse those of a disabled user.

use keyswap_core::base::{Digest, UnixTime};
use serde::Serialize;
use serde_json::json;

use super::handle::{Registry, Result};
use super::record::actor::Actor;
use super::record::change::Subject;
use super::record::clock::now;
use super::record::draft::normal;
use super::record::error::RegistryError;
use super::record::model::{Status, User};
use super::record::reach::Reach;
use super::record::secret_text::SecretText;
use super::record::session::{
    DEVICE_SECONDS, Decision, Device, Issued, MAX_DEVICES, MAX_SESSIONS, NewDevice, POLL_SECONDS, Poll,
    RefreshToken, Session, device_name, digest_of_user_code, new_user_code, next_refresh_token,
};
use super::store::write::Write;

/// A user as data planes look it up.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Principal {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// The ids of the user's sessions that have ended, while a JWT of theirs may not have expired
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_sessions: Vec<String>,
}

impl Registry {
    /// Returns a user as data planes look it up, by the email address, ignoring case.
    pub async fn user_for_data_planes(&self, email: &str) -> Result<Principal> {
        // The user comes first: an end between the two reads is in the list, while the version is still the older one.
        let user = self.user(email).await?;
        let ended_sessions = self.0.ended_sessions(&user.email, now()).await?;
        Ok(Principal { user, ended_sessions })
    }

    /// Notes that a device asks to be signed in. `name` is the device's own word.
    pub async fn begin_device(&self, name: &str, address: &str) -> Result<NewDevice> {
        self.begin_device_at(name, address, now()).await
    }

    async fn begin_device_at(&self, name: &str, address: &str, now: UnixTime) -> Result<NewDevice> {
        let codes = NewDevice { device_code: SecretText::random()?, user_code: new_user_code()? };
        let device = Device {
            digest: Digest::of(codes.device_code.expose().as_bytes()),
            name: device_name(name),
            address: address.to_owned(),
            created_at: now,
            expires_at: UnixTime(now.0.saturating_add(DEVICE_SECONDS.into())),
            pause: POLL_SECONDS.into(),
            polled_at: None,
            decision: Decision::Pending,
        };
        let user_code = digest_of_user_code(&codes.user_code).ok_or(RegistryError::Corrupt("user code"))?;
        let mut write = self.0.write().await?;
        write.make_room_for_device(MAX_DEVICES, now).await?;
        write.insert_device(&device, &user_code).await?;
        write.commit().await?;
        Ok(codes)
    }

    /// Returns the device that waits with a user code.
    pub async fn waiting_device(&self, user_code: &str) -> Result<Device> {
        let digest = digest_of_user_code(user_code).ok_or(RegistryError::UnknownDevice)?;
        let device = self.0.device_with_code(&digest).await?;
        let waits = |device: &Device| !device.is_expired(now()) && device.decision == Decision::Pending;
        device.filter(waits).ok_or(RegistryError::UnknownDevice)
    }

    /// Notes the decision of a person about the device that waits with a user code. A device is approved for an active user of the
    /// registry only.
    pub async fn decide_device(
        &self,
        user_code: &str,
        email: &str,
        is_approved: bool,
        actor: &Actor,
    ) -> Result<()> {
        self.decide_device_at(user_code, email, is_approved, actor, now()).await
    }

    async fn decide_device_at(
        &self,
        user_code: &str,
        email: &str,
        is_approved: bool,
        actor: &Actor,
        now: UnixTime,
    ) -> Result<()> {
        let digest = digest_of_user_code(user_code).ok_or(RegistryError::UnknownDevice)?;
        let mut write = self.0.write().await?;
        let decision = if is_approved {
            let user = active_user(&mut write, &normal(email)).await?;
            let user = user.ok_or(RegistryError::BeyondRole(
                "the registry has no active user with your email address",
            ))?;
            if write.count_sessions(&user.email, now).await? >= MAX_SESSIONS {
                return Err(RegistryError::TooManySessions);
            }
            Decision::Approved(user.email)
        } else {
            Decision::Denied
        };
        let device =
            write.decide_device(&digest, &decision, now).await?.ok_or(RegistryError::UnknownDevice)?;
        let action = if is_approved { "session.approve" } else { "session.deny" };
        let detail = json!({"device": device.name, "address": device.address});
        write.audit(actor, action, &normal(email), &detail).await?;
        write.commit().await
    }

    /// Answers a poll of a device. The first poll after the approval begins the session; the code is of no use after that.
    pub async fn poll_device(&self, device_code: &SecretText) -> Result<Poll> {
        self.poll_device_at(device_code, now()).await
    }

    async fn poll_device_at(&self, device_code: &SecretText, now: UnixTime) -> Result<Poll> {
        let digest = Digest::of(device_code.expose().as_bytes());
        // A made-up code waits for no other change, and keeps none waiting.
        if !self.0.has_device(&digest).await? {
            return Ok(Poll::Unknown);
        }
        let mut write = self.0.write().await?;
        let Some(mut device) = write.device(&digest).await? else { return Ok(Poll::Unknown) };
        if let Some(answer) = device.poll(now) {
            write.note_poll(&device).await?;
            write.commit().await?;
            return Ok(answer);
        }
        let Decision::Approved(email) = &device.decision else { return Ok(Poll::Denied) };
        write.delete_device(&digest).await?;
        let user = active_user(&mut write, email).await?;
        let is_full = write.count_sessions(email, now).await? >= MAX_SESSIONS;
        let Some(user) = user.filter(|_| !is_full) else {
            write.commit().await?;
            return Ok(Poll::Denied);
        };
        let session = Session::begin(&device, &user.email, now)?;
        let (refresh_token, RefreshToken { family, own }) = new_refresh_token(None)?;
        write.insert_session(&session, &family, &own).await?;
        write.audit(&person(&session), "session.begin", &session.email, &described(&session, None)).await?;
        write.commit().await?;
        Ok(Poll::Begun(Box::new(Issued { session, user, refresh_token })))
    }

    /// Replaces a refresh token. Returns `None` for a token of no open session. An older token of a session ends it, and so does a
    /// user who is not active.
    pub async fn refresh_session(&self, presented: &SecretText) -> Result<Option<Issued>> {
        self.refresh_session_at(presented, now()).await
    }

    async fn refresh_session_at(&self, presented: &SecretText, now: UnixTime) -> Result<Option<Issued>> {
        let Some(token) = RefreshToken::read(presented) else { return Ok(None) };
        if !self.0.has_family(&token.family).await? {
            return Ok(None);
        }
        let mut write = self.0.write().await?;
        let found = write.session_of_family(&token.family, now).await?;
        let Some((mut session, latest)) = found else { return Ok(None) };
        let user = active_user(&mut write, &session.email).await?;
        let because = if latest == token.own { "user_inactive" } else { "refresh_token_reused" };
        let Some(user) = user.filter(|_| latest == token.own) else {
            end(&mut write, &session, &Actor::unknown(), because, now).await?;
            write.commit().await?;
            return Ok(None);
        };
        let (refresh_token, RefreshToken { own, .. }) = new_refresh_token(Some(presented))?;
        session.refreshed_at = now;
        write.refresh_session(&session, &own).await?;
        write.commit().await?;
        Ok(Some(Issued { session, user, refresh_token }))
    }

    /// Ends the session of a refresh token (RFC 7009). A token of no open session has no effect.
    pub async fn revoke_refresh_token(&self, presented: &SecretText) -> Result<()> {
        let Some(token) = RefreshToken::read(presented) else { return Ok(()) };
        if !self.0.has_family(&token.family).await? {
            return Ok(());
        }
        let now = now();
        let mut write = self.0.write().await?;
        let Some((session, _)) = write.session_of_family(&token.family, now).await? else { return Ok(()) };
        end(&mut write, &session, &person(&session), "signed_out", now).await?;
        write.commit().await
    }

    /// Returns the open sessions of a person, newest first.
    pub async fn sessions(&self, email: &str) -> Result<Vec<Session>> {
        self.0.sessions(&normal(email), now()).await
    }

    /// Ends a session by its id.
    pub async fn end_device_session(&self, sid: &str, actor: &Actor) -> Result<()> {
        let now = now();
        let mut write = self.0.write().await?;
        let session = write.session(sid, now).await?;
        let is_own = actor.name() == session.email;
        if !is_own && write.user_of(&session.email, actor).await.is_err() {
            return Err(RegistryError::UnknownSession);
        }
        end(&mut write, &session, actor, "ended", now).await?;
        write.commit().await
    }

    /// Deletes devices and sessions that are of no use any more.
    pub(super) async fn forget_sessions(&self, now: UnixTime) -> Result<()> {
        // A device that polls on is told that it has expired.
        let expired = UnixTime(now.0.saturating_sub(DEVICE_SECONDS.into()));
        self.0.forget_sessions(now, expired).await
    }
}

impl Write {
    /// Ends all sessions of a user that is disabled or deleted in this transaction: on devices and in the dashboard. Returns true if
    /// any was open.
    pub(super) async fn end_sessions_of(&mut self, email: &str, actor: &Actor) -> Result<bool> {
        let now = now();
        let on_devices = self.end_sessions(email, now).await?;
        // The session may be of a role beyond the teams of the actor.
        let in_dashboard = match actor.reach() {
            Reach::All => self.delete_person_sessions(email, now).await?,
            Reach::Teams(_) | Reach::Person(_) => 0,
        };
        let has_ended = on_devices > 0 || in_dashboard > 0;
        if has_ended {
            let detail = json!({
                "sessions": on_devices,
                "dashboard_sessions": in_dashboard,
                "because": "user_inactive",
            });
            self.audit(actor, "session.end", email, &detail).await?;
        }
        Ok(has_ended)
    }
}

/// Ends a session, and tells the user's change.
async fn end(
    write: &mut Write,
    session: &Session,
    actor: &Actor,
    because: &str,
    now: UnixTime,
) -> Result<()> {
    write.end_session(&session.sid, now).await?;
    let version = write.change(Subject::User, &session.email).await?;
    write.set_user_version(&session.email, version).await?;
    write.audit(actor, "session.end", &session.email, &described(session, Some(because))).await
}

async fn active_user(write: &mut Write, email: &str) -> Result<Option<User>> {
    match write.user(email).await {
        Ok(user) => Ok(Some(user).filter(|user| user.status == Status::Active)),
        Err(RegistryError::UnknownUser) => Ok(None),
        Err(error) => Err(error),
    }
}

fn new_refresh_token(present: Option<&SecretText>) -> Result<(SecretText, RefreshToken)> {
    let text = next_refresh_token(present)?;
    let read = RefreshToken::read(&text).ok_or(RegistryError::Corrupt("refresh token"))?;
    Ok((text, read))
}

fn person(session: &Session) -> Actor {
    Actor::within(&session.email, Reach::Person(session.email.clone()))
}

fn described(session: &Session, because: Option<&str>) -> serde_json::Value {
    let Session { sid, name, address, .. } = session;
    match because {
        Some(because) => json!({"sid": sid, "device": name, "because": because}),
        None => json!({"sid": sid, "device": name, "address": address}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::record::draft::NewUser;

    const ALICE: &str = "alice@acme.example";
    const START: i64 = 1_800_000_000;

    fn at(seconds: i64) -> UnixTime {
        UnixTime(START + seconds)
    }

    async fn open(folder: &tempfile::TempDir) -> Registry {
        let url = format!("sqlite://{}", folder.path().join("a.db").display());
        let registry = Registry::open(&url.parse().unwrap()).await.unwrap();
        let new =
            NewUser { email: ALICE.to_owned(), providers: vec!["openai".to_owned()], ..NewUser::default() };
        registry.create_user(new, &Actor::new("admin")).await.unwrap();
        registry
    }

    async fn approve(registry: &Registry, device: &NewDevice, seconds: i64) -> Result<()> {
        registry.decide_device_at(&device.user_code, ALICE, true, &Actor::new(ALICE), at(seconds)).await
    }

    async fn begin(registry: &Registry, seconds: i64) -> Issued {
        let device = registry.begin_device_at("laptop", "192.0.2.1", at(seconds)).await.unwrap();
        approve(registry, &device, seconds).await.unwrap();
        match registry.poll_device_at(&device.device_code, at(seconds)).await.unwrap() {
            Poll::Begun(issued) => *issued,
            _ => panic!("the session has not begun"),
        }
    }

    #[tokio::test]
    async fn a_device_waits_and_slows_down_and_expires() {
        let folder = tempfile::tempdir().unwrap();
        let registry = open(&folder).await;
        let device = registry.begin_device_at("laptop", "192.0.2.1", at(0)).await.unwrap();
        let poll =
            async |seconds| match registry.poll_device_at(&device.device_code, at(seconds)).await.unwrap() {
                Poll::Pending => "pending",
                Poll::SlowDown => "slow_down",
                Poll::Expired => "expired",
                _ => "else",
            };
        for (seconds, expect) in
            [(0, "pending"), (1, "slow_down"), (8, "slow_down"), (30, "pending"), (600, "expired")]
        {
            assert_eq!(poll(seconds).await, expect, "{seconds}");
        }
        assert!(matches!(approve(&registry, &device, 600).await, Err(RegistryError::UnknownDevice)));
        registry.forget_sessions(at(1200)).await.unwrap();
        assert_eq!(poll(1200).await, "else");
    }

    #[tokio::test]
    async fn a_device_is_decided_once_and_its_code_begins_one_session() {
        let folder = tempfile::tempdir().unwrap();
        let registry = open(&folder).await;
        let device = registry.begin_device_at("laptop", "192.0.2.1", at(0)).await.unwrap();
        approve(&registry, &device, 1).await.unwrap();
        assert!(matches!(approve(&registry, &device, 1).await, Err(RegistryError::UnknownDevice)));
        let poll = async || registry.poll_device_at(&device.device_code, at(2)).await.unwrap();
        assert!(matches!(poll().await, Poll::Begun(_)) && matches!(poll().await, Poll::Unknown));
        assert!(matches!(
            registry.decide_device_at("BCDF-GHJK", ALICE, false, &Actor::new(ALICE), at(1)).await,
            Err(RegistryError::UnknownDevice)
        ));
    }

    #[tokio::test]
    async fn an_older_refresh_token_ends_the_session_and_a_made_up_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let registry = open(&folder).await;
        let first = begin(&registry, 0).await;
        let refresh = async |token: &SecretText, seconds| {
            registry.refresh_session_at(token, at(seconds)).await.unwrap().map(|issued| issued.refresh_token)
        };
        let second = refresh(&first.refresh_token, 10).await.unwrap();
        assert!(refresh(&next_refresh_token(None).unwrap(), 11).await.is_none());
        let third = refresh(&second, 12).await.unwrap();
        assert!(registry.0.ended_sessions(ALICE, at(13)).await.unwrap().is_empty());
        assert!(refresh(&first.refresh_token, 14).await.is_none());
        assert!(refresh(&third, 15).await.is_none(), "the session has ended");
        assert_eq!(registry.0.ended_sessions(ALICE, at(15)).await.unwrap(), [first.session.sid]);
        // After the longest lifetime of a JWT it is not told any more.
        assert!(registry.0.ended_sessions(ALICE, at(7200)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_session_ends_by_itself_after_a_week() {
        let folder = tempfile::tempdir().unwrap();
        let registry = open(&folder).await;
        let issued = begin(&registry, 0).await;
        let week = 7 * 86_400;
        let next = registry.refresh_session_at(&issued.refresh_token, at(week - 1)).await.unwrap().unwrap();
        assert_eq!(next.session.expires_at, at(week));
        assert!(registry.refresh_session_at(&next.refresh_token, at(week)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_person_has_so_many_sessions_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let registry = open(&folder).await;
        for _ in 0..MAX_SESSIONS {
            begin(&registry, 0).await;
        }
        let device = registry.begin_device_at("laptop", "192.0.2.1", at(0)).await.unwrap();
        assert!(matches!(approve(&registry, &device, 0).await, Err(RegistryError::TooManySessions)));
    }
}
