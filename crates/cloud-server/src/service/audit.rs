//! The audit log and its export (03 §8.17).

use super::acting;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::principal::Principal;
use axum::http::StatusCode;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::api::admin::{AuditEvent, AuditEvents};
use open_cowork_providers::store::StoreError;
use open_cowork_providers::store::governance::{AuditQuery, MAX_LIMIT};
use open_cowork_providers::time::{iso, parse_iso};
use serde_json::Value;

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"events":[…]}`.
    Json,
    /// One line per entry.
    Csv,
}

impl Format {
    /// Ending of the file's name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
        }
    }
}

/// A time of a query in the form of the records.
///
/// # Errors
/// 400 for a text that is no time.
pub fn time(name: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let time = parse_iso(text.trim());
    let invalid = || {
        ApiError::invalid(format!(
            "Query parameter `{name}` must be an ISO date such as 2026-01-02T03:04:05.000Z."
        ))
    };
    time.map(|time| Some(iso(time))).ok_or_else(invalid)
}

/// One page.
///
/// # Errors
/// 400 `audit.cursor.invalid`.
pub async fn page(
    cloud: &Cloud,
    principal: &Principal,
    query: &AuditQuery,
) -> Result<AuditEvents, ApiError> {
    let page = cloud.store.page_audit(&principal.tenant_id, query).await;
    let page = page.map_err(|error| match error {
        StoreError::InvalidCursor => ApiError::policy(
            StatusCode::BAD_REQUEST,
            "audit.cursor.invalid",
            "The cursor doesn't belong to this list; start again from the first page.",
        ),
        error => error.into(),
    })?;
    Ok(AuditEvents {
        events: page.rows,
        next_cursor: page.next,
    })
}

/// Everything that matches, in pieces; the export itself is in the audit log before its first byte goes out. An
/// error in the middle cuts the connection, so that nobody takes half for the whole.
///
/// # Errors
/// When the first page can't be read.
pub async fn export(
    cloud: &Cloud,
    principal: &Principal,
    mut query: AuditQuery,
    format: Format,
    unredacted: bool,
) -> Result<impl Stream<Item = Result<Bytes, ApiError>> + Send + 'static, ApiError> {
    query.limit = MAX_LIMIT;
    query.cursor = None;
    let first = page(cloud, principal, &query).await?;
    note(cloud, principal, format, unredacted).await?;
    let (head, tail) = match format {
        Format::Json => ("{\"events\":[".to_owned(), "]}\n"),
        Format::Csv => (format!("{}\r\n", COLUMNS.join(",")), ""),
    };
    let state = (Some(first), true, query, cloud.clone(), principal.clone());
    let pages = stream::unfold(
        state,
        move |(page, begins, mut query, cloud, principal)| async move {
            let page = page?;
            let text = render(&page.events, format, unredacted, begins);
            let next = match page.next_cursor {
                None => None,
                cursor => {
                    query.cursor = cursor;
                    match self::page(&cloud, &principal, &query).await {
                        Ok(next) => Some(next),
                        Err(error) => {
                            return Some((Err(error), (None, false, query, cloud, principal)));
                        }
                    }
                }
            };
            Some((
                Ok(Bytes::from(text)),
                (next, false, query, cloud, principal),
            ))
        },
    );
    let head = stream::once(std::future::ready(Ok(Bytes::from(head))));
    let tail = stream::once(std::future::ready(Ok(Bytes::from(tail))));
    Ok(head.chain(pages).chain(tail))
}

async fn note(
    cloud: &Cloud,
    principal: &Principal,
    format: Format,
    unredacted: bool,
) -> Result<(), ApiError> {
    let stamp = acting::stamp(cloud, principal);
    let metadata = [
        ("result", Value::from("success")),
        ("format", format.extension().into()),
        ("unredacted", unredacted.into()),
    ];
    let event = AuditEvent {
        event_id: stamp.audit_id.clone(),
        org_id: acting::org_id(principal),
        account_id: stamp.actor.account_id.clone(),
        actor_type: stamp.actor.kind,
        actor_id: stamp.actor.id.clone(),
        event_type: "audit.exported".to_owned(),
        target_type: Some("audit".to_owned()),
        target_id: None,
        metadata: metadata
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
        created_at: stamp.iso(),
    };
    Ok(cloud
        .store
        .record_audit(&principal.tenant_id, &[event])
        .await?)
}

const COLUMNS: [&str; 11] = [
    "eventId",
    "createdAt",
    "orgId",
    "actorType",
    "actorId",
    "accountId",
    "eventType",
    "targetType",
    "targetId",
    "result",
    "metadata",
];

fn render(events: &[AuditEvent], format: Format, unredacted: bool, begins: bool) -> String {
    let mut text = String::new();
    for (event, first) in events
        .iter()
        .zip(std::iter::once(begins).chain(std::iter::repeat(false)))
    {
        let masked = match unredacted {
            true => event.clone(),
            false => without_homes(event),
        };
        match format {
            Format::Json => {
                if !first {
                    text.push(',');
                }
                text.push_str(&serde_json::to_string(&masked).unwrap_or_default());
            }
            Format::Csv => {
                text.push_str(&row(&masked));
                text.push_str("\r\n");
            }
        }
    }
    text
}

/// The same without the names of people in paths of their homes.
fn without_homes(event: &AuditEvent) -> AuditEvent {
    let mut masked = event.clone();
    masked.actor_id = event.actor_id.as_deref().map(mask);
    masked.target_id = event.target_id.as_deref().map(mask);
    masked.metadata = event
        .metadata
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name.clone(), Value::from(mask(text))),
            other => (name.clone(), other.clone()),
        })
        .collect::<JsonObject>();
    masked
}

fn mask(text: &str) -> String {
    let mut rest = text;
    let mut masked = String::with_capacity(text.len());
    while let Some((at, home)) = ["/home/", "/Users/", "\\Users\\"]
        .iter()
        .filter_map(|home| rest.find(home).map(|at| (at, *home)))
        .min()
    {
        let (before, after) = rest.split_at(at + home.len());
        masked.push_str(before);
        let name = after.find(|c: char| c == '/' || c == '\\' || c.is_whitespace() || c == '"');
        let name = name.unwrap_or(after.len());
        if name > 0 {
            masked.push_str("[user]");
        }
        rest = &after[name..];
    }
    masked + rest
}

fn row(event: &AuditEvent) -> String {
    let result = event.metadata.get("result").and_then(Value::as_str);
    let metadata = serde_json::to_string(&event.metadata).unwrap_or_default();
    let cells = [
        event.event_id.as_str(),
        &event.created_at,
        event.org_id.as_str(),
        event.actor_type.as_str(),
        event.actor_id.as_deref().unwrap_or_default(),
        event.account_id.as_ref().map_or("", |id| id.as_str()),
        &event.event_type,
        event.target_type.as_deref().unwrap_or_default(),
        event.target_id.as_deref().unwrap_or_default(),
        result.unwrap_or_default(),
        &metadata,
    ];
    cells.map(cell).join(",")
}

/// A cell that a spreadsheet neither computes nor splits (03 §12 #24): what begins like a formula gets an
/// apostrophe.
fn cell(text: &str) -> String {
    let starts = text.trim_start_matches([' ', '\u{feff}']);
    let formula = starts.starts_with([
        '=', '+', '-', '@', '\t', '\r', '\n', '|', '%', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}',
        '\u{ff20}',
    ]);
    let text = match formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\r', '\n', ';', '\t']) || formula {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_nor_two_cells() {
        for (text, written) in [
            ("plain", "plain"),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            (" +1", "\"' +1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("a,b", "\"a,b\""),
            ("two\nlines", "\"two\nlines\""),
            ("\t=1", "\"'\t=1\""),
        ] {
            assert_eq!(cell(text), written);
        }
    }

    #[test]
    fn names_in_home_paths_are_masked() {
        for (text, masked) in [
            (
                "/home/ann/x and /Users/bob",
                "/home/[user]/x and /Users/[user]",
            ),
            ("C:\\Users\\Ann\\y", "C:\\Users\\[user]\\y"),
            ("/home/", "/home/"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }

    #[test]
    fn times_of_a_query_become_the_records_form() {
        let given = Some("2026-01-02T03:04:05+01:00".to_owned());
        assert_eq!(
            time("from", given).unwrap().as_deref(),
            Some("2026-01-02T02:04:05.000Z")
        );
        assert!(time("from", Some("yesterday".to_owned())).is_err());
        assert_eq!(time("from", None).unwrap(), None);
    }
}
