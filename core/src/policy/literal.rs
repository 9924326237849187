//! Recognition of strings that are credentials rather than names of credentials.
//!
//! A doubtful string is let through: this is a guard against a slip, not a scanner.

/// The prefixes of keys of well-known services, each with the least number of characters that follow.
const KEY_PREFIXES: [(&str, usize); 12] = [
    ("sk-", 16),
    ("sk_", 16),
    ("AIza", 30),
    ("gsk_", 16),
    ("xai-", 16),
    ("AKIA", 16),
    ("ghp_", 20),
    ("ptk_", 32),
    ("dgk_", 16),
    ("vck_", 16),
    ("hvs.", 16),
    ("ya29.", 16),
];

pub(super) fn looks_like_a_secret(text: &str) -> bool {
    // Every string of a policy comes here: most have no first byte of a prefix.
    let begins = |prefix: &str| text.as_bytes().first() == prefix.as_bytes().first();
    let is_key = |(prefix, length): &(&str, usize)| {
        begins(prefix)
            && text.strip_prefix(prefix).is_some_and(|rest| {
                rest.len() >= *length
                    && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            })
    };
    let is_jwt = || text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2;
    KEY_PREFIXES.iter().any(is_key) || is_jwt() || text.starts_with("Bearer ") || text.starts_with("Basic ")
}

/// Returns whether mostly secrets have such a name.
pub(super) fn speaks_of_secrets(name: &str) -> bool {
    const WORDS: [&str; 7] = ["auth", "credential", "key", "passw", "secret", "signature", "token"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_names() {
        for text in [
            "sk-proj-0123456789abcdefXYZ",
            "sk-ant-api03-0123456789abcdef",
            "AIzaSyA0123456789012345678901234567890",
            "ptk_0123456789abcdefghijklmnopqrstuv",
            "eyJhbGciOi.eyJzdWIi.c2ln",
            "Bearer x",
        ] {
            assert!(looks_like_a_secret(text), "{text}");
        }
        for text in ["OPENAI_API_KEY", "sk-team", "alice-laptop", "https://api.openai.com", "", "sk-", "AIza"]
        {
            assert!(!looks_like_a_secret(text), "{text}");
        }
    }
}
