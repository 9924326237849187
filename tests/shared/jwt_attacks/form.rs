//! Attacks by form: other parts than those of a JWS, and other encodings of them.

use keyswap_core::identity::jwt::MAX_TOKEN_BYTES;
use serde_json::json;

use super::super::{base64url, with};
use super::forge::{AMBIGUOUS, Attack, ENCODING, FORM, Forge, TOO_LARGE, TOO_LONG};

/// Returns attacks with five parts (JWE), of which none is read.
pub(crate) fn j7(_: &Forge<'_>) -> Vec<Attack> {
    let header = base64url(r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM","zip":"DEF"}"#);
    vec![Attack::new(format!("{header}.AA.AA.AA.AA"), FORM), Attack::new("!.!.!.!.!", FORM)]
}

/// Returns attacks with another number of dots than two, or with empty parts.
pub(crate) fn j8(forge: &Forge<'_>) -> Vec<Attack> {
    let good = forge.good();
    let dots = [
        format!(".{good}"),
        format!("{good}."),
        format!("{good}.AA"),
        good.replacen('.', "..", 1),
        good.replace('.', ".."),
        good.replacen('.', "", 1),
        ".".repeat(MAX_TOKEN_BYTES),
        format!("eyJ{}", ".".repeat(8000)),
        "eyJ..".to_owned(),
        "..".to_owned(),
    ];
    let nothing = Attack::new("", FORM).answered("401 credential_missing");
    let long = [
        Attack::new(format!("eyJ{}", ".".repeat(30_000)), TOO_LONG),
        Attack::new(".".repeat(1024 * 1024), TOO_LONG).answered(TOO_LARGE),
    ];
    dots.into_iter().map(|token| Attack::new(token, FORM)).chain([nothing]).chain(long).collect()
}

/// Returns attacks with other encodings of the parts than strict base64url.
pub(crate) fn j12(forge: &Forge<'_>) -> Vec<Attack> {
    // A token with a character that only the URL-safe alphabet has.
    let header = forge.key.header().to_string();
    let numbered =
        (0..).map(|number| forge.raw(&header, with(&forge.claims, &json!({"jti": number})).to_string()));
    let good = numbered.into_iter().find(|token| token.contains(['-', '_'])).unwrap_or_default();
    // The last character of a signature has four unused bits, for either key.
    let (kept, last) = good.split_at(good.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let loose = alphabet.find(last).and_then(|at| alphabet.get(at + 1..at + 2)).unwrap_or("_");
    let odd = [
        format!("{good}="),
        format!("{good}=="),
        format!("{good}%3D"),
        format!("{kept}{loose}"),
        good.replacen('.', "=.", 1),
        good.replace(['-', '_'], "+"),
    ];
    let (text, signature) = good.rsplit_once('.').unwrap_or_default();
    let spaced = [
        format!("{text}. {signature}"),
        good.replacen('.', " .", 1),
        good.replacen('.', ". ", 1),
        good.replacen('.', ".\t", 1),
    ];
    let spaced = spaced.into_iter().map(|token| Attack::new(token, ENCODING).answered(AMBIGUOUS));
    odd.into_iter().map(|token| Attack::new(token, ENCODING)).chain(spaced).collect()
}
