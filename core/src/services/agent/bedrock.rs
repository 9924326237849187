//! Short-term API keys of Amazon Bedrock, made of an AWS credential.
//!
//! Such a key is a request that is signed in its query (Signature Version 4), in base64 behind a prefix, as AWS's own
//! generators write it (<https://github.com/aws/aws-bedrock-token-generator-python>). Nothing is sent for it, and no body
//! is hashed. The key ends with the session of its credential, and after [`MAX_LIFE`].

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jwt_simple::reexports::ct_codecs::{Base64, Encoder as _};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::base::{Digest, Moment};
use crate::syntax::UNRESERVED;

/// The time for which a key is signed: the longest that Bedrock takes.
pub(super) const MAX_LIFE: Duration = Duration::from_hours(12);

const PREFIX: &str = "bedrock-api-key-";
const HOST: &str = "bedrock.amazonaws.com";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Makes the key of a credential as AWS's services answer it, for a region. Returns `None` for any other value.
pub(super) fn short_term_key(credential: &Value, region: &str, now: Moment) -> Option<Vec<u8>> {
    let text = |name: &str| credential.get(name)?.as_str().filter(|text| !text.is_empty());
    let (id, secret) = (text("AccessKeyId")?, text("SecretAccessKey")?);
    // The name at STS; the other one is that of the metadata servers of machines, containers and pods.
    let session = credential.get("SessionToken").or_else(|| credential.get("Token"));
    let session = session.map(Value::as_str);
    if session == Some(None) {
        return None;
    }
    let time = basic_time(now)?;
    let day = time.get(..8)?;
    let scope = format!("{day}/{region}/bedrock/aws4_request");
    let escaped = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    // The parameters are in the order of their names, as the signature has them.
    let session = session.flatten().map(|session| format!("&X-Amz-Security-Token={}", escaped(session)));
    let query = Zeroizing::new(format!(
        "Action=CallWithBearerToken&X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={time}\
         &X-Amz-Expires={}{}&X-Amz-SignedHeaders=host",
        escaped(&format!("{id}/{scope}")),
        MAX_LIFE.as_secs(),
        session.unwrap_or_default(),
    ));
    let canonical = format!("POST\n/\n{}\nhost:{HOST}\n\nhost\n{}", *query, Digest::of(b"").to_hex());
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{}", Digest::of(canonical.as_bytes()).to_hex());
    let mut key = Zeroizing::new([b"AWS4", secret.as_bytes()].concat());
    for part in [day, region, "bedrock", "aws4_request"] {
        key = Zeroizing::new(mac(&key, part)?.to_vec());
    }
    let signature = hex::encode(mac(&key, &to_sign)?);
    let url = Zeroizing::new(format!("{HOST}/?{}&X-Amz-Signature={signature}&Version=1", *query));
    let encoded = Zeroizing::new(Base64::encode_to_string(url.as_bytes()).ok()?);
    Some([PREFIX, &encoded].concat().into_bytes())
}

/// Writes the time in the basic format of ISO 8601; `None` for a year that has not four digits.
fn basic_time(now: Moment) -> Option<String> {
    let time: String = now.unix().to_string().chars().filter(|char| !matches!(char, '-' | ':')).collect();
    (time.len() == "20270115T080000Z".len()).then_some(time)
}

fn mac(key: &[u8], text: &str) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2027-01-15T08:00:00Z
    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

    fn url(key: &[u8]) -> String {
        use jwt_simple::reexports::ct_codecs::Decoder as _;
        let encoded = key.strip_prefix(PREFIX.as_bytes()).unwrap();
        String::from_utf8(Base64::decode_to_vec(encoded, None).unwrap()).unwrap()
    }

    /// The signatures are those that AWS's generator for Python makes with botocore 1.43 at this time.
    #[test]
    fn a_key_is_signed_as_by_the_generator_of_aws() {
        let mut credential = json!({
            "AccessKeyId": "ASIAIOSFODNN7EXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        });
        let begin = "bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                     &X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20270115%2Fus-east-1%2Fbedrock%2Faws4_request\
                     &X-Amz-Date=20270115T080000Z&X-Amz-Expires=43200";
        let made = |credential: &Value| url(&short_term_key(credential, "us-east-1", NOW).unwrap());
        assert_eq!(
            made(&credential),
            format!(
                "{begin}&X-Amz-SignedHeaders=host\
                 &X-Amz-Signature=dbba38d3eee2289930fdb96899aa962927eac7eae23d400715d61fd43d1d4957&Version=1"
            )
        );
        for name in ["SessionToken", "Token"] {
            credential[name] = json!("IQoJb3JpZ2luX2VjE/+=token==");
            assert_eq!(
                made(&credential),
                format!(
                    "{begin}&X-Amz-Security-Token=IQoJb3JpZ2luX2VjE%2F%2B%3Dtoken%3D%3D&X-Amz-SignedHeaders=host\
                     &X-Amz-Signature=c7a1d611bae250a2512c8f325e433838bf13936c07867211dbd8912f2d0522dc&Version=1"
                )
            );
            credential.as_object_mut().unwrap().remove(name);
        }
    }

    /// The derivation of a signing key in AWS's documents ("Examples of how to derive a signing key").
    #[test]
    fn a_signing_key_is_derived_as_documented() {
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for part in ["20120215", "us-east-1", "iam", "aws4_request"] {
            key = mac(&key, part).unwrap().to_vec();
        }
        assert_eq!(hex::encode(key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
    }

    #[test]
    fn any_other_value_is_no_credential() {
        for value in [
            json!("ASIA"),
            json!({}),
            json!({"AccessKeyId": "a"}),
            json!({"AccessKeyId": "a", "SecretAccessKey": ""}),
            json!({"AccessKeyId": "a", "SecretAccessKey": ["s"]}),
            json!({"AccessKeyId": "a", "SecretAccessKey": "s", "SessionToken": 7}),
            json!([{"AccessKeyId": "a", "SecretAccessKey": "s"}]),
        ] {
            assert_eq!(short_term_key(&value, "us-east-1", NOW), None, "{value}");
        }
        let value = json!({"AccessKeyId": "a&X-Amz-Expires=9", "SecretAccessKey": "s"});
        let made = url(&short_term_key(&value, "us-east-1", NOW).unwrap());
        assert!(made.contains("X-Amz-Credential=a%26X-Amz-Expires%3D9%2F"), "{made}");
        assert_eq!(short_term_key(&value, "us-east-1", Moment(u64::MAX)).map(|_| ()), Some(()));
    }
}
