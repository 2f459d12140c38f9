//! What a client searches for, as the store takes it: pure.

use crate::error::ApiError;
use crate::json;
use open_cowork_contracts::api::threads::{ThreadSearch, ThreadSort};
use open_cowork_contracts::{JsonObject, TagId};
use open_cowork_providers::store::Scope;
use open_cowork_providers::store::threads::{MAX_TEXT_BYTES, MAX_VALUES, ThreadQuery};
use open_cowork_providers::time::{iso, parse_iso};

/// The query, within its bounds.
pub(super) fn parse(scope: Scope, asked: ThreadSearch) -> Result<ThreadQuery, ApiError> {
    let text = asked.text.filter(|text| !text.trim().is_empty());
    if text
        .as_ref()
        .is_some_and(|text| text.len() > MAX_TEXT_BYTES)
    {
        return Err(ApiError::invalid(format!(
            "Field `text` may have at most {MAX_TEXT_BYTES} bytes; shorten it."
        )));
    }
    let list = |field: &str, values: Option<Vec<String>>| {
        let values = values.unwrap_or_default();
        match values.len() <= MAX_VALUES {
            true => Ok(values),
            false => Err(ApiError::invalid(format!(
                "Field `{field}` may hold at most {MAX_VALUES} values."
            ))),
        }
    };
    let range = asked.date_range.unwrap_or_default();
    let tags = list("tagIds", asked.tag_ids)?;
    Ok(ThreadQuery {
        scope,
        text,
        from: range
            .from
            .map(|day| moment("from", &day, "00:00:00.000Z"))
            .transpose()?,
        to: range
            .to
            .map(|day| moment("to", &day, "23:59:59.999Z"))
            .transpose()?,
        projects: list("projectLabels", asked.project_labels)?,
        directories: list("directories", asked.directories)?,
        providers: list("providerIds", asked.provider_ids)?,
        models: list("modelIds", asked.model_ids)?,
        agents: list("agents", asked.agents)?,
        tools: list("tools", asked.tools)?,
        mcps: list("mcps", asked.mcps)?,
        statuses: asked
            .statuses
            .unwrap_or_default()
            .into_iter()
            .take(MAX_VALUES)
            .collect(),
        tags: tags.into_iter().map(TagId::new).collect(),
        sort: asked.sort.unwrap_or(ThreadSort::UpdatedDesc),
        limit: asked.limit.unwrap_or(0),
        cursor: asked.cursor.filter(|cursor| !cursor.trim().is_empty()),
    })
}

/// A time, or the first or last moment of a day.
fn moment(field: &str, text: &str, of_day: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let at = match text.len() {
        10 => parse_iso(&format!("{text}T{of_day}")),
        _ => parse_iso(text),
    };
    at.map(iso).ok_or_else(|| {
        ApiError::invalid(format!(
            "Field `dateRange.{field}` must be an ISO-8601 time or date, such as 2026-01-31."
        ))
    })
}

/// A stored filter under what is asked. What another client stored and we don't know is left out.
pub(super) fn merge(filter: JsonObject, asked: ThreadSearch) -> Result<ThreadSearch, ApiError> {
    let mut merged = filter;
    json::Fields::of::<ThreadSearch>().fit(&mut merged);
    let given = serde_json::to_value(asked).map_err(|_| ApiError::internal())?;
    for (field, value) in given.as_object().cloned().unwrap_or_default() {
        let says_something = match &value {
            serde_json::Value::Null => false,
            serde_json::Value::Array(values) => !values.is_empty(),
            serde_json::Value::Object(fields) => !fields.is_empty(),
            serde_json::Value::String(text) => !text.trim().is_empty(),
            _ => true,
        };
        if says_something {
            merged.insert(field, value);
        }
    }
    json::typed(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn search(body: serde_json::Value) -> ThreadSearch {
        serde_json::from_value(body).unwrap()
    }

    fn query(body: serde_json::Value) -> Result<ThreadQuery, ApiError> {
        parse(Scope::new("t", "u"), search(body))
    }

    #[test]
    fn a_date_means_its_whole_day() {
        let query =
            query(json!({"dateRange": {"from": "2026-01-02", "to": "2026-01-02"}})).unwrap();
        assert_eq!(query.from.as_deref(), Some("2026-01-02T00:00:00.000Z"));
        assert_eq!(query.to.as_deref(), Some("2026-01-02T23:59:59.999Z"));
    }

    #[test]
    fn what_is_too_much_is_refused_with_its_field() {
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        for (body, field) in [
            (json!({"text": "x".repeat(257)}), "`text`"),
            (json!({"agents": many}), "`agents`"),
            (json!({"tagIds": many}), "`tagIds`"),
            (
                json!({"dateRange": {"from": "yesterday"}}),
                "dateRange.from",
            ),
            (json!({"dateRange": {"to": "2026-13-01"}}), "dateRange.to"),
        ] {
            let error = query(body).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.message.contains(field), "{}", error.message);
        }
    }

    #[test]
    fn what_is_asked_goes_before_a_stored_filter() {
        let filter = json!({"text": "old", "agents": ["a"], "limit": "9", "odd": {}, "tagIds": 3});
        let asked = search(json!({"text": "new", "agents": [], "smartFilterId": "f"}));
        let merged = merge(filter.as_object().cloned().unwrap(), asked).unwrap();
        assert_eq!(merged.text.as_deref(), Some("new"));
        assert_eq!(merged.agents, Some(vec!["a".to_owned()]));
        assert_eq!((merged.limit, merged.tag_ids), (Some(9), None));
    }
}
