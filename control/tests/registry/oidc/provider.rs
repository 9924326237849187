//! An `OpenID` provider.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response as Answer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::key_server::Signer;

/// The answers of the issuer.
pub(super) struct Says {
    pub(super) keys: String,
    /// The ID token of the next exchanges, by the code.
    pub(super) tokens: BTreeMap<String, String>,
    pub(super) document: Value,
    pub(super) token_status: u16,
}

/// The head and the form of an exchange.
pub(super) type Exchanged = (HeaderMap, BTreeMap<String, String>);

/// An `OpenID` provider.
#[derive(Clone)]
pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) says: Arc<Mutex<Says>>,
    pub(super) exchanges: Arc<Mutex<Vec<Exchanged>>>,
    /// The number of fetches of keys.
    pub(super) fetches: Arc<Mutex<usize>>,
}

impl Issuer {
    pub(super) async fn start(signer: &Signer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let document = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize?tenant=a"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"),
        });
        let says = Says { keys: signer.set(), tokens: BTreeMap::new(), document, token_status: 200 };
        let issuer = Self {
            url,
            says: Arc::new(Mutex::new(says)),
            exchanges: Arc::default(),
            fetches: Arc::default(),
        };
        let handler = issuer.clone();
        let router = Router::new().fallback(async move |uri: Uri, head: HeaderMap, body: Bytes| {
            handler.answer(uri.path(), head, &body)
        });
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        issuer
    }

    fn answer(&self, path: &str, head: HeaderMap, body: &[u8]) -> Answer {
        let says = self.says.lock().unwrap();
        match path {
            "/.well-known/openid-configuration" => says.document.to_string().into_response(),
            "/keys" => {
                *self.fetches.lock().unwrap() += 1;
                says.keys.clone().into_response()
            }
            "/token" => {
                let form: BTreeMap<String, String> = serde_urlencoded::from_bytes(body).unwrap();
                let token = says.tokens.get(&form["code"]).cloned();
                self.exchanges.lock().unwrap().push((head, form));
                let status = StatusCode::from_u16(says.token_status).unwrap();
                match token {
                    Some(token) => (status, json!({"id_token": token, "token_type": "Bearer"}).to_string())
                        .into_response(),
                    None => (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string())
                        .into_response(),
                }
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    pub(super) fn gives(&self, code: &str, token: &str) {
        self.says.lock().unwrap().tokens.insert(code.to_owned(), token.to_owned());
    }
}
