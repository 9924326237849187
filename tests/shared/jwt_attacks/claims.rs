//! Attacks by claims: dates, audiences, issuers, and the JSON of the payload.

use keyswap_core::identity::jwt::{ClaimsError, JwtError};
use serde_json::{Value, json};

use super::super::{base64url, with};
use super::forge::{AMBIGUOUS, Attack, FORM, Forge, HEADER, ended};

/// Returns attacks with dates that are not whole seconds, or not valid now.
pub(crate) fn j9(forge: &Forge<'_>) -> Vec<Attack> {
    let values = [
        r#""1800000300""#,
        r#""1900000000""#,
        "null",
        "true",
        "[]",
        "{}",
        "-1",
        "-0.5",
        "253402300799.5",
        "9223372036854775808",
        "18446744073709551615",
        "253402300800",
        "1e30",
    ];
    let mut attacks = Vec::new();
    for name in ["exp", "nbf", "iat"] {
        let open = forge.open_claims(name);
        let dated = |value: &str| format!(r#"{open},"{name}":{value}}}"#);
        attacks.extend(values.map(|value| forge.payload(dated(value), ClaimsError::Date(name))));
        // Numbers beyond the range of floats are not valid JSON.
        attacks.push(forge.payload(dated("1e400"), ClaimsError::Form));
        attacks.push(forge.payload(format!(r#"{{"{name}":1e400}}"#), ClaimsError::Form));
    }
    let now = forge.now;
    attacks.extend([
        forge.changed(&json!({"exp": null}), ClaimsError::Date("exp")),
        forge.changed(&json!({"exp": now - 70}), ClaimsError::Expired),
        forge.changed(&json!({"exp": now - 900}), ClaimsError::Expired),
        // The expiry is reported only if everything else is valid.
        forge.changed(&json!({"exp": now - 900, "aud": "x"}), ClaimsError::Audience),
        forge.changed(&json!({"nbf": now + 80}), ClaimsError::NotYetValid),
        forge.changed(&json!({"iat": now + 80}), ClaimsError::IssuedInFuture),
    ]);
    attacks
}

/// Returns attacks with audiences that resemble `keyswap`.
pub(crate) fn j10_audience(forge: &Forge<'_>) -> Vec<Attack> {
    let audiences = [
        json!(null),
        json!([]),
        json!(""),
        json!([""]),
        json!("keyswa"),
        json!("keyswap2"),
        json!("Keyswap"),
        json!("keyswap "),
        json!("keyswap,other"),
        json!("keyswap,x"),
        json!(["keyswap", 7]),
        json!([["keyswap"]]),
        json!({"keyswap": true}),
        json!(true),
    ];
    audiences.iter().map(|aud| forge.changed(&json!({"aud": aud}), ClaimsError::Audience)).collect()
}

/// Returns attacks with issuers that resemble `https://id.example`.
pub(crate) fn j10_issuer(forge: &Forge<'_>) -> Vec<Attack> {
    let issuers = [
        json!(null),
        json!(""),
        json!("https://id.example/"),
        json!("https://id.exampl"),
        json!("https://id.example.evil"),
        json!("HTTPS://ID.EXAMPLE"),
        json!(["https://id.example"]),
        json!({"url": "https://id.example"}),
    ];
    let header = forge.key.header().to_string();
    let token = |iss: &Value| forge.raw(&header, with(&forge.claims, &json!({"iss": iss})).to_string());
    issuers.iter().map(|iss| Attack::new(token(iss), JwtError::Issuer)).collect()
}

/// Returns attacks with duplicate members, and with bytes around the JSON.
pub(crate) fn j11(forge: &Forge<'_>) -> Vec<Attack> {
    let (alg, kid) = (forge.algorithm(), forge.kid());
    let headers = [
        format!(r#"{{"alg":"none","alg":"{alg}","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k2","\u006bid":"{kid}"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"{kid}"}} "x""#),
        format!("\u{feff}{{\"alg\":\"{alg}\",\"kid\":\"{kid}\"}}"),
        format!(r#"["{alg}"]"#),
        format!(r#"{{"alg":"{alg}","kid":"{kid}",}}"#),
        format!(r#"{{"alg":"{alg}","kid":"{kid}","x":{}{}}}"#, "[".repeat(17), "]".repeat(17)),
    ];
    let claims = forge.claims.to_string();
    let before = |member: &str| claims.replacen('{', &format!("{{{member},"), 1).into_bytes();
    let payloads = [
        before(r#""aud":"x""#),
        before(r#""sub":"x""#),
        before(r#""email":"bob@example.com","email":"alice@example.com""#),
        before(r#""x":{"a":1,"a":2}"#),
        before(r#""x":"\ud800""#),
        format!("{claims}{claims}").into_bytes(),
        format!("\u{feff}{claims}").into_bytes(),
        format!("[{claims}]").into_bytes(),
        format!("{}{}", "[".repeat(2000), "]".repeat(2000)).into_bytes(),
        // Not valid UTF-8.
        [claims.replacen('{', r#"{"x":""#, 1).as_bytes(), b"\xff\"}"].concat(),
    ];
    let (text, signature) = forge.signed();
    let (protected, payload) = text.split_once('.').unwrap_or_default();
    let document = json!({"protected": protected, "payload": payload, "signature": base64url(&signature)});
    let mut attacks: Vec<Attack> =
        headers.iter().map(|header| Attack::new(forge.raw(header, &claims), HEADER)).collect();
    attacks.extend(payloads.iter().map(|payload| forge.payload(payload, ClaimsError::Form)));
    // Because of its commas the text is not one credential.
    attacks.push(Attack::new(document.to_string(), FORM).answered(AMBIGUOUS));
    attacks
}

/// Returns attacks with the signature of a valid token ([`Forge::signed`]) and the claims of another.
pub(crate) fn j16(forge: &Forge<'_>, text: &str, signature: &[u8]) -> Vec<Attack> {
    let (header, _) = text.split_once('.').unwrap_or_default();
    let claims = with(&forge.claims, &json!({"sub": "admin"}));
    let another = format!("{header}.{}", base64url(claims.to_string()));
    let reversed: Vec<u8> = signature.iter().rev().copied().collect();
    let tokens = [ended(&another, signature), ended(text, reversed), ended(&another, signature)];
    tokens.into_iter().map(|token| Attack::new(token, JwtError::Signature)).collect()
}
