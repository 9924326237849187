//! Devices that ask to be signed in (RFC 8628), and the sessions of people on devices that come of it.
//!
//! A device has two codes: a secret one to poll with, and a short one that a person compares and types. A session has a family of
//! refresh tokens. Each refresh replaces the token. An older one of the family is known by the family, and ends the session: one of
//! its two holders is a thief (RFC 9700 section 4.14.2).

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::model::{User, rfc3339, time};
use super::secret_text::SecretText;

/// The time for a person to sign a device in.
pub const DEVICE_SECONDS: u32 = 600;

/// The shortest time between two polls of a device, until it polls too often.
pub const POLL_SECONDS: u32 = 5;

/// The additional time between two polls after a poll that came too early (RFC 8628 section 3.5).
const SLOWER_SECONDS: i64 = 5;

/// The longest time between two polls. A device that never slows down is told so until it expires.
const MAX_POLL_SECONDS: i64 = 60;

/// The lifetime of a session, refreshed or not.
const SESSION_SECONDS: i64 = 7 * 86_400;

/// The longest lifetime of a JWT of a session.
pub const MAX_JWT_SECONDS: i64 = 3600;

/// The time for which an ended session is told to data planes: the longest lifetime of a JWT, with the greatest clock skew of a policy
/// and ten minutes for clocks that differ.
pub(in crate::registry) const ENDED_SECONDS: i64 = MAX_JWT_SECONDS + 900;

/// The most sessions of a person, with those that have ended and are still told. Data planes get the list with the person's record.
pub(in crate::registry) const MAX_SESSIONS: i64 = 32;

/// The most devices that wait for a person at a time. Beyond, a new one has the place of one that was not decided yet.
pub(in crate::registry) const MAX_DEVICES: i64 = 10_000;

/// The longest name of a device.
const MAX_NAME_CHARS: usize = 64;

/// The letters of a user code: consonants, of which no word comes by chance (RFC 8628 section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// The letters in a user code: 20 to the power of 8 codes, of which few are valid at a time and a person tries ten a minute.
const CODE_LETTERS: usize = 8;

/// The beginning of a refresh token, which secret scanners recognise.
const REFRESH_TOKEN: &str = "krt_";

/// The characters of a random part of a refresh token.
const PART_CHARS: usize = 43;

/// The codes of a new device.
pub struct NewDevice {
    /// The code that the device polls with.
    pub device_code: SecretText,
    /// The code that a person types, with a hyphen in the middle.
    pub user_code: String,
}

/// A device that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub(in crate::registry) digest: Digest,
    /// The name that the device gave itself. No one has checked it.
    pub name: String,
    /// The network address that the device asked from.
    pub address: String,
    /// The time at which the device asked.
    pub created_at: UnixTime,
    pub(in crate::registry) expires_at: UnixTime,
    pub(in crate::registry) pause: i64,
    pub(in crate::registry) polled_at: Option<UnixTime>,
    pub(in crate::registry) decision: Decision,
}

/// The decision about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Decision {
    /// None yet.
    Pending,
    /// The device is not the person's.
    Denied,
    /// The device is that of the person with this email address.
    Approved(String),
}

/// The answer to a poll of a device.
pub enum Poll {
    /// No device has this code, or its session has begun already.
    Unknown,
    /// The device asked too long ago.
    Expired,
    /// A person has denied the device.
    Denied,
    /// No person has decided yet.
    Pending,
    /// The poll came too early.
    SlowDown,
    /// The session has begun.
    Begun(Box<Issued>),
}

/// A session that was begun or refreshed, with the next refresh token.
pub struct Issued {
    /// The session.
    pub session: Session,
    /// The session's person.
    pub user: User,
    /// The token for the next refresh.
    pub refresh_token: SecretText,
}

/// A session of a person on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// The id, which is no secret.
    pub sid: String,
    /// The person's email address.
    pub email: String,
    /// The name that the device gave itself.
    pub name: String,
    /// The network address that the device asked from.
    pub address: String,
    /// The time of the sign-in.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixTime,
    /// The time of the last refresh.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub refreshed_at: UnixTime,
    /// The time at which the session ends by itself.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: UnixTime,
}

/// A refresh token as a client presents it.
pub(in crate::registry) struct RefreshToken {
    /// The digest of the part that all tokens of a session have.
    pub(in crate::registry) family: Digest,
    /// The digest of the part that this token alone has.
    pub(in crate::registry) own: Digest,
}

impl Device {
    /// Notes a poll. Returns the answer of a device that a person has not approved, `None` for one that a person has.
    pub(in crate::registry) fn poll(&mut self, now: UnixTime) -> Option<Poll> {
        if self.is_expired(now) {
            return Some(Poll::Expired);
        }
        // A second less, since both times are whole seconds.
        let is_early = self.polled_at.is_some_and(|at| now.0 < at.0.saturating_add(self.pause - 1));
        self.polled_at = Some(now);
        if is_early {
            self.pause = self.pause.saturating_add(SLOWER_SECONDS).min(MAX_POLL_SECONDS);
            return Some(Poll::SlowDown);
        }
        match self.decision {
            Decision::Pending => Some(Poll::Pending),
            Decision::Denied => Some(Poll::Denied),
            Decision::Approved(_) => None,
        }
    }

    pub(in crate::registry) fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at <= now
    }
}

impl Session {
    /// Returns a new session of an approved device.
    pub(in crate::registry) fn begin(
        device: &Device,
        email: &str,
        now: UnixTime,
    ) -> Result<Self, RegistryError> {
        let sid =
            SecretText::random()?.expose().get(..22).ok_or(RegistryError::Corrupt("session"))?.to_owned();
        Ok(Self {
            sid,
            email: email.to_owned(),
            name: device.name.clone(),
            address: device.address.clone(),
            created_at: now,
            refreshed_at: now,
            expires_at: UnixTime(now.0.saturating_add(SESSION_SECONDS)),
        })
    }
}

impl RefreshToken {
    /// Reads a token, `None` for a text of another form.
    pub(in crate::registry) fn read(text: &SecretText) -> Option<Self> {
        let parts = text.expose().strip_prefix(REFRESH_TOKEN)?;
        let (family, own) = parts.split_at_checked(PART_CHARS)?;
        (own.len() == PART_CHARS)
            .then(|| Self { family: Digest::of(family.as_bytes()), own: Digest::of(own.as_bytes()) })
    }
}

/// Generates a refresh token of the family that a token belongs to, or the first of a new family.
pub(in crate::registry) fn next_refresh_token(
    present: Option<&SecretText>,
) -> Result<SecretText, RegistryError> {
    let own = SecretText::random()?;
    let family = match present {
        Some(text) => {
            let family = text.expose().get(REFRESH_TOKEN.len()..REFRESH_TOKEN.len() + PART_CHARS);
            SecretText::new(family.ok_or(RegistryError::Corrupt("refresh token"))?.to_owned())
        }
        None => SecretText::random()?,
    };
    Ok(SecretText::new(format!("{REFRESH_TOKEN}{}{}", family.expose(), own.expose())))
}

/// Returns the name of a device as it is shown. It is the device's own word, and a person reads it before a decision, so it has the
/// characters of a host name and none that make a sentence.
pub(in crate::registry) fn device_name(given: &str) -> String {
    let kept = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    given.chars().filter(kept).take(MAX_NAME_CHARS).collect()
}

/// Generates a user code.
pub(in crate::registry) fn new_user_code() -> Result<String, RegistryError> {
    let mut code = String::with_capacity(CODE_LETTERS + 1);
    while code.len() <= CODE_LETTERS {
        let mut byte = [0];
        getrandom::fill(&mut byte)?;
        // 240 is a multiple of 20, so each letter is as likely as any other.
        let Some(letter) = LETTERS.get(usize::from(byte[0] % 20)).filter(|_| byte[0] < 240) else { continue };
        if code.len() == CODE_LETTERS / 2 {
            code.push('-');
        }
        code.push(char::from(*letter));
    }
    Ok(code)
}

/// Returns the digest of a user code as a person types it: in any case, with or without the hyphen and spaces. `None` for a text that
/// is no code.
pub(in crate::registry) fn digest_of_user_code(typed: &str) -> Option<Digest> {
    let letters: String = typed
        .chars()
        .filter(|char| !char.is_whitespace() && *char != '-')
        .map(|char| char.to_ascii_uppercase())
        .take(CODE_LETTERS + 1)
        .collect();
    let is_code = letters.len() == CODE_LETTERS && letters.bytes().all(|byte| LETTERS.contains(&byte));
    is_code.then(|| Digest::of(letters.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(decision: Decision) -> Device {
        Device {
            digest: Digest::of(b"d"),
            name: "laptop".to_owned(),
            address: "192.0.2.1".to_owned(),
            created_at: UnixTime(0),
            expires_at: UnixTime(600),
            pause: 5,
            polled_at: None,
            decision,
        }
    }

    #[test]
    fn a_device_that_polls_too_early_has_to_wait_longer() {
        let mut device = device(Decision::Pending);
        let mut at = |seconds| match device.poll(UnixTime(seconds)) {
            Some(Poll::Pending) => "pending",
            Some(Poll::SlowDown) => "slow_down",
            Some(Poll::Expired) => "expired",
            _ => "else",
        };
        for (seconds, expect) in [
            (0, "pending"),
            (5, "pending"),
            (9, "pending"),
            (12, "slow_down"),
            (17, "slow_down"),
            (32, "pending"),
            (599, "pending"),
            (600, "expired"),
        ] {
            assert_eq!(at(seconds), expect, "{seconds}");
        }
    }

    #[test]
    fn a_decision_counts_until_the_device_expires() {
        assert!(matches!(device(Decision::Denied).poll(UnixTime(1)), Some(Poll::Denied)));
        let approved = Decision::Approved("a@b.c".to_owned());
        assert!(device(approved.clone()).poll(UnixTime(599)).is_none());
        assert!(matches!(device(approved).poll(UnixTime(600)), Some(Poll::Expired)));
    }

    #[test]
    fn a_user_code_is_read_as_a_person_types_it() {
        let code = new_user_code().unwrap();
        let digest = digest_of_user_code(&code).unwrap();
        for typed in [code.to_lowercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " "))] {
            assert_eq!(digest_of_user_code(&typed), Some(digest), "{typed}");
        }
        assert_ne!(digest_of_user_code(&new_user_code().unwrap()), Some(digest));
        for typed in ["", "BCDF", "BCDF-GHJKL", "AEIO-UAEI", "BCDF_GHJK", "12345678"] {
            assert_eq!(digest_of_user_code(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_refresh_token_has_a_family_and_a_part_of_its_own() {
        let first = next_refresh_token(None).unwrap();
        let next = next_refresh_token(Some(&first)).unwrap();
        let [first, next, other] =
            [first, next, next_refresh_token(None).unwrap()].map(|text| RefreshToken::read(&text).unwrap());
        assert!(first.family == next.family && first.own != next.own && other.family != first.family);
        for text in ["", "krt_", "krt_short", &format!("krt_{}", "a".repeat(85)), &"a".repeat(90)] {
            assert!(RefreshToken::read(&SecretText::new(text.to_owned())).is_none(), "{text}");
        }
    }

    #[test]
    fn the_name_of_a_device_makes_no_sentence() {
        assert_eq!(device_name("alice-laptop.local"), "alice-laptop.local");
        assert_eq!(device_name("<b>click</b> http://evil/ \u{202e}now"), "bclickbhttpevilnow");
        assert_eq!(device_name(&"a".repeat(99)).len(), 64);
    }
}
