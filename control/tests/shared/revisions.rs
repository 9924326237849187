//! Revisions that another writer put into the database of a registry.

use keyswap_core::base::Digest;

/// Writes a revision of the policy `prod` past the registry, as an owner of the database can.
pub(crate) async fn insert_revision(url: &str, revision: i64, bundle: &str) {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    sqlx::query::<sqlx::Any>(
        "INSERT INTO policy_revisions (name, revision, bundle, digest, sha256, published_at, published_by)
         VALUES ('prod', $1, $2, $3, $3, 1, 'nobody')",
    )
    .bind(revision)
    .bind(bundle)
    .bind(Digest::of(bundle.as_bytes()).to_hex())
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
}
