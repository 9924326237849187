//! Users: creation, lookup, changes and deletion.

use keyswap::registry::{Listing, NewUser, RateLimit, RegistryError, Status, UserPatch};

use crate::support::{Database, admin, on_both_databases};

on_both_databases!(a_user_is_known_by_address_in_any_case, a_patch_changes_what_it_names);

fn alice() -> NewUser {
    NewUser {
        email: "Alice@Acme.example".to_owned(),
        providers: vec!["openai".to_owned()],
        ..NewUser::default()
    }
}

async fn a_user_is_known_by_address_in_any_case(database: &Database) {
    let registry = database.open().await;
    let user = registry.create_user(alice(), &admin()).await.unwrap();
    assert_eq!(user.email, "alice@acme.example");
    assert_eq!(registry.user("ALICE@acme.example").await.unwrap(), user);
    assert!(matches!(registry.create_user(alice(), &admin()).await, Err(RegistryError::DuplicateUser)));
    let nobody = NewUser { email: "alice".to_owned(), ..alice() };
    assert_eq!(registry.create_user(nobody, &admin()).await.unwrap_err().code(), "invalid_field");
    let nothing = NewUser { providers: vec![], ..alice() };
    assert_eq!(registry.create_user(nothing, &admin()).await.unwrap_err().code(), "providers_required");
    let mints = NewUser { providers: vec!["openai".to_owned(), "openai:mint".to_owned()], ..alice() };
    assert_eq!(
        registry.create_user(mints, &admin()).await.unwrap_err().to_string(),
        "invalid provider: `mint` is for proxy tokens only"
    );
    registry.delete_user("ALICE@acme.example", &admin()).await.unwrap();
    assert!(matches!(registry.user(&user.email).await, Err(RegistryError::UnknownUser)));
    assert!(matches!(registry.delete_user(&user.email, &admin()).await, Err(RegistryError::UnknownUser)));
}

async fn a_patch_changes_what_it_names(database: &Database) {
    let registry = database.open().await;
    let before = registry.create_user(alice(), &admin()).await.unwrap();
    let patch = UserPatch {
        label: Some("Alice".to_owned()),
        team: Some(Some("research".to_owned())),
        rate_limit: Some(Some(RateLimit::new(5, 60).unwrap())),
        ..UserPatch::default()
    };
    let after = registry.update_user(&before.email, patch.clone(), &admin()).await.unwrap();
    assert_eq!((after.label.as_deref(), &after.providers), (Some("Alice"), &before.providers));
    assert_eq!(after.team.as_deref(), Some("research"));
    assert!(after.version > before.version);
    assert_eq!(registry.update_user(&before.email, patch, &admin()).await.unwrap(), after);
    let patch = UserPatch {
        label: Some(String::new()),
        team: Some(None),
        rate_limit: Some(None),
        status: Some(Status::Disabled),
        ..UserPatch::default()
    };
    let last = registry.update_user(&before.email, patch, &admin()).await.unwrap();
    assert_eq!(last.team, None);
    assert_eq!((last.label, last.rate_limit, last.status), (None, None, Status::Disabled));
    let mints = UserPatch { providers: Some(vec!["openai:mint".to_owned()]), ..UserPatch::default() };
    assert_eq!(
        registry.update_user(&before.email, mints, &admin()).await.unwrap_err().code(),
        "invalid_field"
    );
    let empty = UserPatch { providers: Some(vec![]), ..UserPatch::default() };
    assert_eq!(
        registry.update_user(&before.email, empty, &admin()).await.unwrap_err().code(),
        "providers_required"
    );
    let page = registry.users(&Listing { search: Some("ACME".to_owned()), ..Listing::default() }).await;
    assert_eq!(page.unwrap().total, 1);
}
