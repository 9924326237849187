//! Rules for a line of text that ends up in logs, pages and metadata.

/// Returns whether a character ends a line or turns its direction, and so could make a log or a page lie.
pub(crate) fn moves_text(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Returns whether the text is on one line, of at most `longest` characters and not empty.
pub fn is_line(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.chars().count()) && !text.chars().any(moves_text)
}

/// Returns whether this is a name of 1 to 64 ASCII letters, digits, `-` and `_`, such as that of a team or a credential.
pub fn is_plain_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Returns whether this is an email address, as far as its form can be told without sending to it.
pub fn is_email(text: &str) -> bool {
    text.len() <= 254
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        && !text.chars().any(|char| char.is_whitespace() || moves_text(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_has_a_name_and_a_host_on_one_line_without_space() {
        for (text, is_it) in [
            ("alice@example.com", true),
            ("a@b", true),
            ("a@b@c", true),
            ("", false),
            ("alice", false),
            ("@example.com", false),
            ("alice@", false),
            ("alice @example.com", false),
            ("alice@example.com\u{a0}", false),
            ("alice@example.com\n", false),
            ("alice@\u{202e}moc.elpmaxe", false),
            (&format!("{}@b", "a".repeat(252)), true),
            (&format!("{}@b", "a".repeat(253)), false),
        ] {
            assert_eq!(is_email(text), is_it, "{text}");
        }
    }
}
