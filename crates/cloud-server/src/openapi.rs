//! The OpenAPI 3.1 document, from the route table and the types (docs/openapi.json is a copy that a test keeps).

use crate::route::{Access, Route};
use axum::http::StatusCode;
use open_cowork_contracts::error::ErrorEnvelope;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The document of these routes.
pub fn document(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut sorted: Vec<&Route> = routes.iter().collect();
    sorted.sort_by(|a, b| {
        let key = |route: &Route| (route.path.to_string(), route.method.to_string());
        key(a).cmp(&key(b))
    });
    let mut paths = Map::new();
    for route in sorted {
        let path = path_of(route);
        let operation = operation(route, &mut generator);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(item) = item {
            item.insert(route.method.as_str().to_lowercase(), operation);
        }
    }
    let envelope = generator.subschema_for::<ErrorEnvelope>();
    let mut schemas: Vec<(String, Value)> = generator.take_definitions(true).into_iter().collect();
    schemas.sort_by(|a, b| a.0.cmp(&b.0));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Open Cowork Cloud",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Threads, their events, and what is around them. Times are ISO-8601 in UTC with \
                milliseconds; ids are opaque and percent-encoded in paths; every refusal carries a code.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": schemas.into_iter().collect::<Map<String, Value>>(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "open_cowork_cloud_session"},
            },
            "responses": {
                "Refused": {
                    "description": "A refusal: one sentence, a code, and when to try again",
                    "headers": {"Retry-After": {"schema": {"type": "integer"}}},
                    "content": {"application/json": {"schema": envelope}},
                },
            },
        },
    })
}

fn path_of(route: &Route) -> String {
    let segments = route
        .path
        .split('/')
        .map(|segment| match segment.strip_prefix(':') {
            Some(name) => format!("{{{name}}}"),
            None => segment.to_owned(),
        });
    segments.collect::<Vec<_>>().join("/")
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let in_path = route.params().map(
        |name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
    );
    let in_query = route.query.iter().map(|(name, meaning)| {
        json!({"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}})
    });
    let mut parameters: Vec<Value> = in_path.chain(in_query).collect();
    let authenticated = matches!(route.access, Access::Action(_) | Access::ByBody(_));
    if route.mutates() && authenticated {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
            "description": "A repetition with the same key and body gives the first answer again",
        }));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [tag(route)],
    });
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(action) = route.access.action() {
        operation["x-action"] = json!(action.as_str());
    }
    if !authenticated {
        operation["security"] = json!([]);
    }
    if let Some(request) = route.request {
        operation["requestBody"] = json!({
            "content": {"application/json": {"schema": request(generator)}},
        });
    }
    let media = route.media.split(';').next().unwrap_or_default().trim();
    let schema = match route.response {
        Some(response) => serde_json::to_value(response(generator)).unwrap_or_default(),
        None if media == "application/json" => json!({}),
        None => json!({"type": "string"}),
    };
    let mut responses = Map::new();
    if route.status.is_success() {
        responses.insert(
            route.status.as_str().to_owned(),
            json!({"description": "Done", "content": {media: {"schema": schema}}}),
        );
        if matches!(route.access, Access::Health) {
            responses.insert(
                "503".to_owned(),
                json!({"description": "Not now", "content": {media: {"schema": schema}}}),
            );
        }
    }
    for (status, other) in route.also {
        responses.insert((*status).to_string(), json!({"description": other}));
    }
    responses.insert(
        "default".to_owned(),
        json!({"$ref": "#/components/responses/Refused"}),
    );
    operation["responses"] = Value::Object(responses);
    operation
}

fn operation_id(route: &Route) -> String {
    let words = route
        .path
        .split(['/', '-', '.'])
        .filter(|word| !word.is_empty());
    let mut id = route.method.as_str().to_lowercase();
    for word in words.filter(|word| *word != "api") {
        let word = word.trim_start_matches(':');
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            id.extend(first.to_uppercase());
            id.push_str(letters.as_str());
        }
    }
    id
}

fn tag(route: &Route) -> &str {
    if route.streams {
        return "stream";
    }
    if route.status == StatusCode::NOT_IMPLEMENTED {
        return "deferred";
    }
    let mut segments = route.path.split('/').filter(|segment| !segment.is_empty());
    match segments.next() {
        Some("api") => segments.next().unwrap_or("api"),
        Some("livez" | "readyz" | "progressz" | "openapi.json") => "health",
        Some(first) => first,
        None => "health",
    }
}
