//! `GET /admin/api/openapi.json`: the `OpenAPI` document of this API, made from its routes. It needs no credential.
//!
//! It says for each operation the roles that may carry it out, and the schemas of its bodies, which are those of their types.

use axum::body::Bytes;
use axum::http::{HeaderName, Method, header};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Components, ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey as Cookie, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, OpenApi, Ref, Required, ResponseBuilder};

use super::described::{ApiRoutes, Body, Description};
use crate::registry::{
    ApiKey, AuditEntry, BudgetState, Credential, KeptObject, Revision, RoleName, Session, Signers, Token,
    UsageDetail, User,
};
use crate::server::admin::gate::Row;
use crate::server::problem::ProblemBody;

const DESCRIPTION: &str = "The actions of the dashboard, for programs. A program sends an API key as a Bearer credential. \
     Things that its role does not see are unknown: 404. Operations that its role does not have are refused: 403.";

/// The names of the security schemes: keys of programs, and sessions of people.
const SCHEMES: [&str; 2] = ["api_key", "session"];

/// Returns the answer with the document, which is constant while the server runs.
pub(super) fn answer(routes: ApiRoutes) -> ([(HeaderName, &'static str); 1], Bytes) {
    let text = serde_json::to_string(&document(routes)).unwrap_or_default();
    // The descriptions are those of the types, where an absent value is `None`.
    let text = text.replace("`None`", "`null`");
    ([(header::CONTENT_TYPE, "application/json")], Bytes::from(text))
}

fn document(routes: ApiRoutes) -> OpenApi {
    // The records of lists are named here. The document finds all other types by itself.
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(title = "Keyswap registry, administration API", description = DESCRIPTION),
        components(schemas(
            ProblemBody<'static>,
            ApiKey,
            AuditEntry,
            BudgetState,
            Credential,
            KeptObject,
            Revision,
            Session,
            Signers,
            Token,
            UsageDetail,
            User
        ))
    )]
    struct Document;

    let mut document = <Document as utoipa::OpenApi>::openapi();
    let components = document.components.get_or_insert_default();
    let [key, session] = SCHEMES;
    components.add_security_scheme(key, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie = Cookie::Cookie(ApiKeyValue::new("keyswap_session"));
    components.add_security_scheme(session, SecurityScheme::ApiKey(cookie));
    for (row, mut description) in routes.into_descriptions() {
        components.schemas.extend(std::mem::take(&mut description.schemas));
        let operation = operation(&row, description, components).build();
        document.paths.add_path_operation(row.path, vec![method(&row.method)], operation);
    }
    document
}

fn operation(row: &Row, description: Description, components: &Components) -> OperationBuilder {
    let roles = RoleName::ALL.into_iter().filter(|role| row.operation.is_for(*role)).map(RoleName::name);
    let words = if description.gives.is_empty() { "Done" } else { "The answer" };
    let mut success = ResponseBuilder::new().description(words);
    for (media_type, body) in description.gives {
        success = success.content(media_type, content(body, components));
    }
    let mut operation = OperationBuilder::new()
        .summary(Some(capital(row.operation.words())))
        .description(Some(format!("For the roles {}.", roles.collect::<Vec<_>>().join(", "))))
        .response(description.status, success)
        .response(
            "401",
            problem("The request is not signed in, or its API key is unknown, expired or revoked"),
        )
        .response(
            "403",
            problem("The role has no right to this, or the request comes from another site's page"),
        )
        .response("default", problem("A problem"));
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
    for parameter in description.parameters {
        operation = operation.parameter(parameter);
    }
    if let Some(body) = description.takes {
        let body = RequestBodyBuilder::new().content("application/json", content(body, components));
        operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
    }
    operation
}

/// Returns a body. One whose type is among the components refers to it.
fn content((name, schema): Body, components: &Components) -> Content {
    let is_component = components.schemas.get(&name) == Some(&schema);
    Content::new(Some(if is_component { Ref::from_schema_name(name).into() } else { schema }))
}

fn problem(description: &str) -> ResponseBuilder {
    let content = Content::new(Some(Ref::from_schema_name("ProblemBody")));
    ResponseBuilder::new().description(description).content("application/problem+json", content)
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
