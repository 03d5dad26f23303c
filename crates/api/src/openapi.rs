//! The operator's contract as an OpenAPI 3.1 document, made from the table of routes and the wire types themselves.

use std::sync::LazyLock;

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};

use crate::{
    Access, Endpoint, api_keys,
    cors::{Cors, CorsSettings},
    wire,
};

const JSON: &str = "application/json";

/// The document, as it is in `docs/schema/operator.openapi.json`.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", made()));
    &DOCUMENT
}

/// What goes into a request and comes back, if all is well.
#[derive(Default)]
struct Exchange {
    query: Option<Schema>,
    /// Media type and schema.
    body: Option<(&'static str, Value)>,
    /// `None`: 204.
    reply: Option<(&'static str, Value)>,
}

impl Exchange {
    fn gives<T: JsonSchema>(mut self, schemas: &mut SchemaGenerator) -> Self {
        self.reply = Some((JSON, schemas.subschema_for::<T>().to_value()));
        self
    }

    fn takes<T: JsonSchema>(mut self, schemas: &mut SchemaGenerator) -> Self {
        self.body = Some((JSON, schemas.subschema_for::<T>().to_value()));
        self
    }

    fn asks<T: JsonSchema>(mut self, schemas: &mut SchemaGenerator) -> Self {
        self.query = Some(T::json_schema(schemas));
        self
    }
}

fn exchange(endpoint: Endpoint, schemas: &mut SchemaGenerator) -> Exchange {
    let it = Exchange::default();
    match endpoint {
        Endpoint::Health => {
            let status =
                json!({ "type": "object", "properties": { "status": { "const": "ok" } }, "required": ["status"] });
            Exchange { reply: Some((JSON, status)), ..it }
        }
        Endpoint::OpenApi => Exchange { reply: Some((JSON, json!({ "type": "object" }))), ..it },
        Endpoint::Info => it.gives::<wire::Info>(schemas),
        Endpoint::HasBundle | Endpoint::DeleteApi | Endpoint::UnsetCors | Endpoint::UnsetApiCors => it,
        Endpoint::PutBundle => {
            let tar = json!({ "description": "A tar file whose SHA-256 is the one in the path." });
            Exchange { body: Some(("application/x-tar", tar)), ..it }
        }
        Endpoint::Deploy => it.takes::<wire::DeployRequest>(schemas).gives::<wire::DeployReply>(schemas),
        Endpoint::ListApis => it.gives::<wire::ApiList>(schemas),
        Endpoint::GetApi => it.gives::<wire::ApiDetail>(schemas),
        Endpoint::Logs => {
            let line = schemas.subschema_for::<wire::LogLine>().to_value();
            let text = json!({ "type": "string", "description": "JSON lines; empty ones only keep the connection alive.", "contentMediaType": JSON, "contentSchema": line });
            Exchange { reply: Some(("application/x-ndjson", text)), ..it.asks::<wire::LogQuery>(schemas) }
        }
        Endpoint::Metrics => {
            let text = json!({ "type": "string", "description": "Prometheus's text format." });
            Exchange { reply: Some(("text/plain", text)), ..it }
        }
        Endpoint::GetApiKey => it.gives::<wire::ApiKeyReply>(schemas),
        Endpoint::ListApiKeys => it.gives::<api_keys::ApiKeyList>(schemas),
        Endpoint::CreateApiKey => it.takes::<api_keys::CreateApiKey>(schemas).gives::<api_keys::ApiKeyValue>(schemas),
        Endpoint::GetNamedApiKey => it.gives::<api_keys::ApiKeyValue>(schemas),
        Endpoint::RotateApiKey => it.takes::<api_keys::RotateApiKey>(schemas).gives::<api_keys::ApiKeyValue>(schemas),
        Endpoint::RevokeApiKey => it.gives::<api_keys::RevokedApiKey>(schemas),
        Endpoint::GetCors => it.gives::<CorsSettings>(schemas),
        Endpoint::SetCors | Endpoint::SetApiCors => it.takes::<Cors>(schemas).gives::<Cors>(schemas),
        Endpoint::Session => it.gives::<wire::SessionReply>(schemas),
        Endpoint::Audit => it.asks::<wire::AuditQuery>(schemas).gives::<wire::AuditReply>(schemas),
    }
}

fn made() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    schemas.subschema_for::<wire::ErrorBody>();
    let mut paths = Map::new();
    for &endpoint in Endpoint::ALL {
        let path = paths.entry(endpoint.path()).or_insert_with(|| json!({}));
        path[endpoint.method().as_str().to_ascii_lowercase()] = operation(endpoint, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cortex operator",
            "description": "The control plane of one cluster. `x-cortex-access` of an operation is the role that its caller needs.",
            "version": "v1",
        },
        // There is one on every cluster, at an address of its own.
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": schemes(),
            "responses": { "Refusal": {
                "description": "What is wrong, and what to do about it.",
                "content": { JSON: { "schema": { "$ref": "#/components/schemas/ErrorBody" } } },
            } },
        },
    })
}

fn schemes() -> Value {
    let header =
        |description| json!({ "type": "apiKey", "in": "header", "name": "authorization", "description": description });
    json!({
        "admin_token": { "type": "http", "scheme": "bearer", "description": "A local cluster's admin token." },
        "proof": header("`Cortex-V1 ...`: a signed request to AWS STS, made for this one request."),
        "session": header("`Cortex-Session ...`: a token of `POST /v1/session`, for what changes nothing."),
    })
}

fn operation(endpoint: Endpoint, schemas: &mut SchemaGenerator) -> Value {
    let Exchange { query, body, reply } = exchange(endpoint, schemas);
    let mut responses = Map::new();
    match reply {
        Some((media, schema)) => {
            let content = json!({ media: { "schema": schema } });
            responses.insert("200".to_owned(), json!({ "description": "Done.", "content": content }))
        }
        None => responses.insert("204".to_owned(), json!({ "description": "Done, or so it is." })),
    };
    for status in refusals(endpoint, query.is_some(), body.is_some()) {
        responses.insert(status.to_string(), json!({ "$ref": "#/components/responses/Refusal" }));
    }
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary(),
        "x-cortex-access": access(endpoint),
        "security": security(endpoint),
        "responses": responses,
    });
    let parameters: Vec<Value> = in_path(endpoint).chain(in_query(query)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some((media, schema)) = body {
        operation["requestBody"] = json!({ "required": true, "content": { media: { "schema": schema } } });
    }
    operation
}

/// The statuses that a caller may be refused with.
fn refusals(endpoint: Endpoint, has_query: bool, has_body: bool) -> Vec<u16> {
    let mut all = Vec::new();
    if endpoint.access() != Access::Public {
        all.extend([401, 403, 429, 503]);
    }
    if endpoint.path().contains('{') {
        all.extend([400, 404]);
    }
    if has_query {
        all.push(400);
    }
    if has_body {
        all.extend([400, 408, 413]);
    }
    if endpoint.changes() && endpoint != Endpoint::Session {
        all.extend([409, 507]);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn access(endpoint: Endpoint) -> &'static str {
    match endpoint.access() {
        Access::Public => "public",
        Access::Read => "read",
        Access::Deploy => "deploy",
        Access::Admin => "admin",
    }
}

fn security(endpoint: Endpoint) -> Value {
    let mut schemes = match endpoint.access() {
        Access::Public => return json!([]),
        _ => vec!["admin_token", "proof"],
    };
    if endpoint.access() == Access::Read && endpoint.method() == Method::GET {
        schemes.push("session");
    }
    schemes.into_iter().map(|scheme| json!({ scheme: [] })).collect()
}

/// As the route is called in the table, for programs that are made from the document.
fn operation_id(endpoint: Endpoint) -> String {
    let name = format!("{endpoint:?}");
    name[..1].to_ascii_lowercase() + &name[1..]
}

fn in_path(endpoint: Endpoint) -> impl Iterator<Item = Value> {
    let names = endpoint.path().split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
}

/// One parameter for each field of the query's type.
fn in_query(query: Option<Schema>) -> impl Iterator<Item = Value> {
    let query = query.map(Schema::to_value).unwrap_or_default();
    let required = query["required"].clone();
    let fields = query["properties"].as_object().cloned().unwrap_or_default();
    fields.into_iter().map(move |(name, schema)| {
        let required = required.as_array().is_some_and(|all| all.iter().any(|field| *field == name));
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    })
}

/// A moment on the wire: RFC 3339.
pub(crate) struct Moment;

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// [`identity::Principal`] on the wire.
#[derive(JsonSchema)]
#[schemars(rename = "Principal")]
#[expect(dead_code, reason = "only its form matters")]
pub(crate) struct PrincipalForm {
    /// The ARN of an IAM user or role, or `local-admin`.
    name: String,
    /// `account/unique id`.
    id: String,
    /// Of an assumed role; chosen by the caller.
    #[serde(default)]
    session: Option<String>,
    role: RoleForm,
}

#[derive(JsonSchema)]
#[schemars(rename = "Role", rename_all = "lowercase")]
#[expect(dead_code, reason = "only its form matters")]
enum RoleForm {
    Read,
    Deploy,
    Admin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_it_with_all_that_it_may_answer() {
        let document = made();
        let mut operations = 0;
        for &endpoint in Endpoint::ALL {
            let operation = &document["paths"][endpoint.path()][endpoint.method().as_str().to_ascii_lowercase()];
            assert_eq!(operation["summary"], endpoint.summary(), "{endpoint:?}");
            assert_eq!(operation["x-cortex-access"], format!("{:?}", endpoint.access()).to_lowercase());
            let schemes = operation["security"].as_array().expect("a list");
            assert_eq!(schemes.is_empty(), endpoint.access() == Access::Public, "{endpoint:?}");
            let responses = operation["responses"].as_object().expect("a map");
            let good: Vec<_> = responses.keys().filter(|status| status.starts_with('2')).collect();
            assert_eq!(good.len(), 1, "{endpoint:?}: {responses:?}");
            assert_eq!(responses.contains_key("401"), endpoint.access() != Access::Public, "{endpoint:?}");
            let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
            assert!(parameters >= endpoint.path().matches('{').count(), "{endpoint:?}");
            operations += 1;
        }
        let listed: usize = document["paths"]
            .as_object()
            .expect("a map")
            .values()
            .map(|path| path.as_object().map_or(0, Map::len))
            .sum();
        assert_eq!(listed, operations, "and nothing else");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = made();
        let mut references = 0;
        let mut rest = vec![&document];
        while let Some(value) = rest.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let place = reference.strip_prefix('#').expect("within the document");
                assert!(document.pointer(place).is_some(), "{reference}");
                references += 1;
            }
            match value {
                Value::Object(fields) => rest.extend(fields.values()),
                Value::Array(items) => rest.extend(items),
                _ => {}
            }
        }
        assert!(references > 100, "{references}");
    }

    #[test]
    fn the_forms_that_are_written_twice_are_the_same() {
        let principal = serde_json::to_value(identity::Principal {
            session: Some("s".to_owned()),
            ..identity::Principal::local_admin()
        });
        let principal = principal.expect("it serialises");
        let document = made();
        let form = &document["components"]["schemas"]["Principal"];
        let names: Vec<_> = form["properties"].as_object().expect("fields").keys().collect();
        assert_eq!(names, principal.as_object().expect("fields").keys().collect::<Vec<_>>());
        let role = &document["components"]["schemas"]["Role"];
        assert!(role["enum"].as_array().expect("values").contains(&principal["role"]), "{role} {principal}");
    }
}
