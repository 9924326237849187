//! The condition under which a budget is in an actor's part of the registry, for statements.

/// Returns the condition for a subject of a budget: a team, or a token or an owner that is in the part. `$teams` and `$owner` are
/// parameters: [`Reach::teams`](crate::registry::Reach) and `Reach::owner`.
///
/// A list of teams is one text, since neither database takes a list. `replace` compares byte for byte, as `LIKE` would not.
macro_rules! payer_within {
    ($teams:literal, $owner:literal) => {
        concat!(
            "(",
            $teams,
            " = '' OR (subject LIKE 'team:%' AND replace(",
            $teams,
            ", '\n' || substr(subject, 6) || '\n', '') <> ",
            $teams,
            ")
              OR EXISTS (SELECT 1 FROM tokens WHERE subject = 'token:' || tokens.digest AND replace(",
            $teams,
            ", '\n' || tokens.team || '\n', '') <> ",
            $teams,
            ")
              OR EXISTS (SELECT 1 FROM users WHERE subject = 'owner:' || users.email AND replace(",
            $teams,
            ", '\n' || users.team || '\n', '') <> ",
            $teams,
            "))
             AND (",
            $owner,
            " = '' OR subject = 'owner:' || ",
            $owner,
            "
              OR EXISTS (SELECT 1 FROM tokens WHERE subject = 'token:' || tokens.digest
                  AND lower(tokens.owner) = ",
            $owner,
            "))"
        )
    };
}
pub(super) use payer_within;
