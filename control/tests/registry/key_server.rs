//! An issuer like Cloudflare Access: a server with its keys, and tokens signed with them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jwt_simple::algorithms::{RS256KeyPair, RSAKeyPairLike as _};
use jwt_simple::claims::{Claims, JWTClaims};
use jwt_simple::prelude::Duration;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Published keys, since generating one takes long without optimisation: RFC 7520, section 3.4, and Wycheproof's.
const RFC7520: &str = include_str!("../../../tests/vectors/rfc7520/jws/4_1.rsa_v15_signature.json");
const WYCHEPROOF: &str = include_str!("../../../tests/vectors/wycheproof/json_web_signature_test.json");

/// A key pair with a `kid`.
pub(crate) struct Signer(RS256KeyPair);

impl Signer {
    pub(crate) fn first(kid: &str) -> Self {
        let vector: Value = serde_json::from_str(RFC7520).unwrap();
        Self::read(&vector["input"]["key"], kid)
    }

    pub(crate) fn second(kid: &str) -> Self {
        let vectors: Value = serde_json::from_str(WYCHEPROOF).unwrap();
        let groups = vectors["testGroups"].as_array().unwrap();
        let group = groups.iter().find(|group| group["private"]["kid"] == "RS256_2048").unwrap();
        Self::read(&group["private"], kid)
    }

    fn read(jwk: &Value, kid: &str) -> Self {
        let mut jwk = jwk.clone();
        jwk.as_object_mut().unwrap().remove("kid");
        Self(RS256KeyPair::from_jwk(&jwk.to_string()).unwrap().with_key_id(kid))
    }

    /// Returns the JWK Set with this key alone.
    pub(crate) fn set(&self) -> String {
        let jwk: Value = serde_json::from_str(&self.0.public_key().to_jwk()).unwrap();
        json!({"keys": [jwk]}).to_string()
    }

    pub(crate) fn sign(&self, claims: JWTClaims<Value>) -> String {
        self.0.sign(claims).unwrap()
    }
}

/// Returns the claims of a user, as Cloudflare Access signs them for `issuer` and the audience `4714`.
pub(crate) fn claims(issuer: &str, email: &str) -> JWTClaims<Value> {
    Claims::with_custom_claims(json!({"email": email, "type": "app"}), Duration::from_secs(300))
        .with_issuer(issuer)
        .with_audiences(["4714".to_owned()].into())
        .with_subject("7335d417-61da-459d-899c-0a01c76a2f94")
}

/// A server with a settable answer, which counts its requests.
#[derive(Clone)]
pub(crate) struct KeyServer {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    pub(crate) async fn start(keys: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/certs");
        let answer = Arc::new(Mutex::new((StatusCode::OK, keys)));
        let server = Self { address, url, answer, asked: Arc::default() };
        let handler = server.clone();
        let router = Router::new().fallback(async move || handler.answer());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub(crate) fn says(&self, status: u16, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (StatusCode::from_u16(status).unwrap(), body.into());
    }

    /// Returns the number of requests.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answer(&self) -> Response {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = self.answer.lock().unwrap().clone();
        // The header matters to redirects only. A client that follows one is counted again.
        (status, [(header::LOCATION, "/elsewhere")], body).into_response()
    }
}
