//! Attacks by header: algorithm, key, extension, type of token.

use keyswap_core::base::Digest;
use keyswap_core::identity::jwt::{Algorithm, JwsError, JwtError};
use serde_json::{Value, json};

use super::super::with;
use super::forge::{
    ALGORITHM, Attack, FORM, Forge, KEY_ALGORITHM, TOO_LARGE, TOO_LONG, UNKNOWN_KEY, ended, joined,
};

/// Returns attacks with `none` in every spelling, and with other names that are not algorithms.
pub(crate) fn j1(forge: &Forge<'_>) -> Vec<Attack> {
    let names = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(""),
        json!(" none"),
        json!("es256"),
        json!("rs256"),
        json!("ES256 "),
        json!("ES256K"),
        json!("ES512"),
        json!("PS384"),
        json!(null),
        json!(["ES256"]),
        json!(["RS256"]),
        json!(256),
    ];
    let forms = |name: Value| {
        let text = joined(&json!({"alg": name}).to_string(), forge.claims.to_string());
        [
            forge.header(&json!({"alg": name}), ALGORITHM),
            Attack::new(format!("{text}.AA"), ALGORITHM),
            Attack::new(format!("{text}."), FORM),
            Attack::new(text, FORM),
        ]
    };
    names.into_iter().flat_map(forms).collect()
}

/// Returns attacks with the public key as an HMAC secret, and with algorithms of other keys.
pub(crate) fn j2(forge: &Forge<'_>) -> Vec<Attack> {
    let jwk = forge.key.jwk();
    let (modulus, x) = (jwk["n"].to_string(), jwk["x"].to_string());
    let mut attacks = Vec::new();
    for secret in [Vec::new(), jwk.to_string().into_bytes(), modulus.into_bytes(), x.into_bytes()] {
        let header = with(&forge.key.header(), &json!({"alg": "HS256"})).to_string();
        let text = joined(&header, forge.claims.to_string());
        attacks.push(Attack::new(ended(&text, hmac(&secret, &text)), ALGORITHM));
    }
    for name in ["HS256", "HS384", "HS512"] {
        attacks.push(forge.header(&json!({"alg": name}), ALGORITHM));
    }
    let own = forge.algorithm();
    for name in Algorithm::ALL.map(Algorithm::name).into_iter().filter(|name| *name != own) {
        // An RSA key may serve any RSA algorithm, but a signature is valid for one.
        let is_possible = own == "RS256" && (name.starts_with("RS") || name.starts_with("PS"));
        let fault = if is_possible { JwtError::Signature } else { KEY_ALGORITHM };
        attacks.push(forge.header(&json!({"alg": name}), fault));
    }
    attacks
}

/// Returns the HMAC (RFC 2104) with SHA-256.
pub(crate) fn hmac(secret: &[u8], text: &str) -> Vec<u8> {
    const BLOCK: usize = 64;
    let sha256 = |bytes: &[u8]| hex::decode(Digest::of(bytes).to_hex()).unwrap_or_default();
    let mut key = if secret.len() > BLOCK { sha256(secret) } else { secret.to_vec() };
    key.resize(BLOCK, 0);
    let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    sha256(&[padded(0x5c), sha256(&[padded(0x36), text.as_bytes().to_vec()].concat())].concat())
}

/// Returns attacks with keys that the token contains or points to.
pub(crate) fn j3(forge: &Forge<'_>) -> Vec<Attack> {
    let brought = json!({
        "alg": "ES256", "kid": forge.kid(), "jwk": forge.stranger.jwk(), "jku": format!("{}/keys", forge.lure),
        "x5u": format!("{}/chain", forge.lure), "x5c": ["MIIB"],
    });
    let fault = if forge.algorithm() == "ES256" { JwtError::Signature } else { KEY_ALGORITHM };
    vec![
        forge.strange(&brought, fault),
        forge.strange(&with(&brought, &json!({"kid": "attacker"})), UNKNOWN_KEY),
    ]
}

/// Returns attacks with unknown key ids, and with invalid ones.
pub(crate) fn j4(forge: &Forge<'_>) -> Vec<Attack> {
    let strange =
        ["k2", "K1", "R1", "../../dev/null", "k1' OR '1'='1", "r1' OR '1'='1", "k1 ", "r1 ", "k", "r"];
    let odd = [
        json!(1),
        json!(["k1"]),
        json!(["r1"]),
        json!({"k": 1}),
        json!(""),
        json!("k1\r\nx: y"),
        json!("r1\r\nx: y"),
        json!("k1\u{0}"),
        json!("r1\u{0}"),
        json!("k".repeat(257)),
    ];
    let odd_kid = JwtError::Jws(JwsError::KeyId);
    let strange = strange.into_iter().map(|kid| forge.header(&json!({"kid": kid}), UNKNOWN_KEY));
    let odd = odd.into_iter().map(|kid| forge.header(&json!({"kid": kid}), odd_kid));
    let long = [
        forge.header(&json!({"kid": "k".repeat(9000)}), TOO_LONG),
        forge.header(&json!({"kid": "k".repeat(64 * 1024)}), TOO_LONG).answered(TOO_LARGE),
    ];
    strange.chain(odd).chain(long).collect()
}

/// Returns attacks with extensions that change the reading of a token.
pub(crate) fn j6(forge: &Forge<'_>) -> Vec<Attack> {
    let changes = [
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": []}),
        json!({"crit": ["exp"]}),
        json!({"b64": true}),
        json!({"b64": false}),
        json!({"zip": "DEF"}),
    ];
    changes.iter().map(|changes| forge.header(changes, JwtError::Jws(JwsError::Extension))).collect()
}

/// Returns attacks with tokens whose type is for another purpose.
pub(crate) fn j15(forge: &Forge<'_>) -> Vec<Attack> {
    let types =
        [json!("JWE"), json!("dpop+jwt"), json!("logout+jwt"), json!("secevent+jwt"), json!(1), json!("")];
    types.iter().map(|typ| forge.header(&json!({"typ": typ}), JwtError::Jws(JwsError::Type))).collect()
}
