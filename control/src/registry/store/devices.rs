//! The rows of devices that ask to be signed in.

use keyswap_core::base::{Digest, UnixTime};

use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::session::{Decision, Device};

macro_rules! device {
    ($rest:literal) => {
        concat!(
            "SELECT digest, name, address, created_at, expires_at, pause, polled_at, decision, email \
             FROM device_requests ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct DeviceRow {
    digest: String,
    name: String,
    address: String,
    created_at: i64,
    expires_at: i64,
    pause: i64,
    polled_at: Option<i64>,
    decision: String,
    email: Option<String>,
}

impl Store {
    /// Returns the device with a user code, whatever was decided about it.
    pub(in crate::registry) async fn device_with_code(
        &self,
        user_code: &Digest,
    ) -> Result<Option<Device>, RegistryError> {
        let sql = device!("WHERE user_code = $1");
        let row: Option<DeviceRow> =
            sqlx::query_as(sql).bind(user_code.to_hex()).fetch_optional(&self.reader).await?;
        row.map(Device::try_from).transpose()
    }

    /// Returns true if a device has asked with this code.
    pub(in crate::registry) async fn has_device(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT expires_at FROM device_requests WHERE digest = $1")
                .bind(digest.to_hex())
                .fetch_optional(&self.reader)
                .await?;
        Ok(found.is_some())
    }
}

impl Write {
    /// Makes room for a device where `most` wait: the oldest pending request of the address that has the most of them goes. So a flood
    /// takes its own places, and a new device is always served.
    pub(in crate::registry) async fn make_room_for_device(
        &mut self,
        most: i64,
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM device_requests WHERE expires_at > $1")
            .bind(now.0)
            .fetch_one(self.connection())
            .await?;
        if count < most {
            return Ok(());
        }
        sqlx::query(
            "DELETE FROM device_requests WHERE digest = (
                 SELECT digest FROM device_requests WHERE decision = 'pending' AND expires_at > $1 AND address = (
                     SELECT address FROM device_requests WHERE decision = 'pending' AND expires_at > $1
                     GROUP BY address ORDER BY COUNT(*) DESC, MIN(created_at), address LIMIT 1)
                 ORDER BY created_at, digest LIMIT 1)",
        )
        .bind(now.0)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    pub(in crate::registry) async fn insert_device(
        &mut self,
        device: &Device,
        user_code: &Digest,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO device_requests (digest, user_code, name, address, created_at, expires_at, pause, decision)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending')",
        )
        .bind(device.digest.to_hex())
        .bind(user_code.to_hex())
        .bind(&device.name)
        .bind(&device.address)
        .bind(device.created_at.0)
        .bind(device.expires_at.0)
        .bind(device.pause)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    pub(in crate::registry) async fn device(
        &mut self,
        digest: &Digest,
    ) -> Result<Option<Device>, RegistryError> {
        let sql = device!("WHERE digest = $1");
        let row: Option<DeviceRow> =
            sqlx::query_as(sql).bind(digest.to_hex()).fetch_optional(self.connection()).await?;
        row.map(Device::try_from).transpose()
    }

    /// Stores the time of a device's last poll, and its pause.
    pub(in crate::registry) async fn note_poll(&mut self, device: &Device) -> Result<(), RegistryError> {
        sqlx::query("UPDATE device_requests SET polled_at = $2, pause = $3 WHERE digest = $1")
            .bind(device.digest.to_hex())
            .bind(device.polled_at.map(|at| at.0))
            .bind(device.pause)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Stores the first decision about a device with a user code. Returns the device, `None` if none waits.
    pub(in crate::registry) async fn decide_device(
        &mut self,
        user_code: &Digest,
        decision: &Decision,
        now: UnixTime,
    ) -> Result<Option<Device>, RegistryError> {
        let (word, email) = decision.columns();
        let row: Option<DeviceRow> = sqlx::query_as(
            "UPDATE device_requests SET decision = $2, email = $3
             WHERE user_code = $1 AND decision = 'pending' AND expires_at > $4
             RETURNING digest, name, address, created_at, expires_at, pause, polled_at, decision, email",
        )
        .bind(user_code.to_hex())
        .bind(word)
        .bind(email)
        .bind(now.0)
        .fetch_optional(self.connection())
        .await?;
        row.map(Device::try_from).transpose()
    }

    pub(in crate::registry) async fn delete_device(&mut self, digest: &Digest) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM device_requests WHERE digest = $1")
            .bind(digest.to_hex())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

impl Decision {
    fn columns(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Pending => ("pending", None),
            Self::Denied => ("denied", None),
            Self::Approved(email) => ("approved", Some(email)),
        }
    }
}

impl TryFrom<DeviceRow> for Device {
    type Error = RegistryError;

    fn try_from(row: DeviceRow) -> Result<Self, RegistryError> {
        let decision = match (row.decision.as_str(), row.email) {
            ("pending", _) => Decision::Pending,
            ("approved", Some(email)) => Decision::Approved(email),
            _ => Decision::Denied,
        };
        Ok(Self {
            digest: Digest::from_hex(&row.digest).ok_or(RegistryError::Corrupt("device"))?,
            name: row.name,
            address: row.address,
            created_at: UnixTime(row.created_at),
            expires_at: UnixTime(row.expires_at),
            pause: row.pause,
            polled_at: row.polled_at.map(UnixTime),
            decision,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::store::url::DatabaseUrl;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn device(name: &str, address: &str, created_at: i64) -> Device {
        Device {
            digest: Digest::of(name.as_bytes()),
            name: name.to_owned(),
            address: address.to_owned(),
            created_at: UnixTime(created_at),
            expires_at: UnixTime(NOW.0 + 600),
            pause: 5,
            polled_at: None,
            decision: Decision::Pending,
        }
    }

    #[tokio::test]
    async fn a_new_device_has_the_place_of_the_address_with_the_most() {
        let folder = tempfile::tempdir().unwrap();
        let url: DatabaseUrl = format!("sqlite://{}", folder.path().join("a.db").display()).parse().unwrap();
        let store = Store::open(&url).await.unwrap();
        let mut write = store.write().await.unwrap();
        let user_code = |name: &str| Digest::of(format!("code of {name}").as_bytes());
        for (name, address, created_at) in [
            ("approved", "192.0.2.9", 1),
            ("oldest", "192.0.2.1", 2),
            ("flood-1", "192.0.2.9", 3),
            ("flood-2", "192.0.2.9", 4),
            ("flood-3", "192.0.2.9", 5),
        ] {
            write.insert_device(&device(name, address, created_at), &user_code(name)).await.unwrap();
        }
        let approval = Decision::Approved("alice@acme.example".to_owned());
        write.decide_device(&user_code("approved"), &approval, NOW).await.unwrap().unwrap();
        for (most, gone) in [(6, None), (5, Some("flood-1")), (4, Some("flood-2")), (3, Some("oldest"))] {
            write.make_room_for_device(most, NOW).await.unwrap();
            if let Some(gone) = gone {
                assert!(write.device(&Digest::of(gone.as_bytes())).await.unwrap().is_none(), "{gone}");
            }
        }
        for kept in ["approved", "flood-3"] {
            assert!(write.device(&Digest::of(kept.as_bytes())).await.unwrap().is_some(), "{kept}");
        }
        // What a person has decided makes no room: a person decides ten times a minute at most.
        write.make_room_for_device(1, NOW).await.unwrap();
        write.make_room_for_device(1, NOW).await.unwrap();
        assert!(write.device(&Digest::of(b"approved")).await.unwrap().is_some());
    }
}
