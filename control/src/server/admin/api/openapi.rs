//! `GET /admin/api/openapi.json`: the `OpenAPI` document of this API, made from its routes. It needs no credential.
//!
//! It says for each operation the roles that may carry it out. Bodies are described in the book.

use axum::body::Bytes;
use axum::http::{HeaderName, Method, header};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, Required, ResponseBuilder};

use crate::registry::RoleName;
use crate::server::admin::gate::Row;
use crate::server::problem::ProblemBody;

const DESCRIPTION: &str = "The actions of the dashboard, for programs. A program sends an API key as a Bearer credential. \
     Things that its role does not see are unknown: 404. Operations that its role does not have are refused: 403.";

/// The names of the security schemes: keys of programs, and sessions of people.
const SCHEMES: [&str; 2] = ["api_key", "session"];

/// Returns the answer with the document, which is constant while the server runs.
pub(super) fn answer(rows: &[Row]) -> ([(HeaderName, &'static str); 1], Bytes) {
    let text = serde_json::to_string(&document(rows)).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], Bytes::from(text))
}

fn document(rows: &[Row]) -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(title = "Keyswap registry, administration API", description = DESCRIPTION),
        components(schemas(ProblemBody<'static>))
    )]
    struct Document;

    let mut document = <Document as utoipa::OpenApi>::openapi();
    let components = document.components.get_or_insert_default();
    let [key, session] = SCHEMES;
    components.add_security_scheme(key, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie = ApiKey::Cookie(ApiKeyValue::new("keyswap_session"));
    components.add_security_scheme(session, SecurityScheme::ApiKey(cookie));
    for row in rows {
        document.paths.add_path_operation(row.path, vec![method(&row.method)], operation(row).build());
    }
    document
}

fn operation(row: &Row) -> OperationBuilder {
    let words = row.operation.words();
    let roles = [RoleName::Admin, RoleName::Auditor, RoleName::TeamOwner, RoleName::SelfService];
    let roles: Vec<&str> =
        roles.into_iter().filter(|role| row.operation.is_for(*role)).map(RoleName::name).collect();
    let mut operation = OperationBuilder::new()
        .summary(Some(capital(words)))
        .description(Some(format!("For the roles {}.", roles.join(", "))))
        .response("default", problem())
        .response("2XX", ResponseBuilder::new().description("The answer"));
    for scheme in SCHEMES {
        operation = operation.security(SecurityRequirement::new(scheme, Vec::<String>::new()));
    }
    for name in row.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let text = ObjectBuilder::new().schema_type(Type::String);
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text)),
        );
    }
    if [Method::POST, Method::PUT, Method::PATCH].contains(&row.method) {
        let object = ObjectBuilder::new().schema_type(Type::Object);
        let body = RequestBodyBuilder::new().content("application/json", Content::new(Some(object)));
        operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
    }
    operation
}

fn problem() -> ResponseBuilder {
    let content = Content::new(Some(Ref::from_schema_name("ProblemBody")));
    ResponseBuilder::new().description("A problem").content("application/problem+json", content)
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn capital(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}
