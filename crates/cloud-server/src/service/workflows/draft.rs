//! What a client drafts, as a workflow (03 §8.6, 07 §9.2–9.4): pure.

use crate::error::ApiError;
use axum::http::StatusCode;
use open_cowork_config::cloud::EffectiveProfile;
use open_cowork_contracts::api::workflows::{
    Schedule, ScheduleKind, Step, Trigger, TriggerKind, WorkflowDraft, WorkflowStatus,
    WorkflowSummary,
};
use open_cowork_contracts::{SessionId, WorkflowId};
use open_cowork_providers::store::workflows::{cut, schedule};
use open_cowork_providers::time::{Timestamp, iso, parse_iso};
use serde_json::{Map, Value};

/// The agent of a workflow that names none.
pub const DEFAULT_AGENT: &str = "build";
const MAX_TRIGGERS: usize = 8;
const MAX_STEPS: usize = 8;
const MAX_LIST: usize = 100;
const MAX_NAME: usize = 256;

/// The workflow of a draft, active.
///
/// # Errors
/// 400 for what is too long, wrong or missing, 403 for what the profile doesn't allow; `new_id` makes ids of
/// triggers.
pub fn normalize(
    draft: WorkflowDraft,
    id: WorkflowId,
    profile: &EffectiveProfile,
    now: Timestamp,
    mut new_id: impl FnMut() -> String,
) -> Result<WorkflowSummary, ApiError> {
    let title = bounded("title", &draft.title, 512)?;
    let instructions = bounded("instructions", &draft.instructions, 50_000)?;
    let agent = draft.agent_name.unwrap_or_else(|| DEFAULT_AGENT.to_owned());
    let agent_name = bounded("agentName", &agent, MAX_NAME)?;
    let skill_names = list(draft.skill_names);
    let tool_ids = list(draft.tool_ids);
    let project_directory = draft
        .project_directory
        .map(|folder| bounded("projectDirectory", &folder, 4096))
        .transpose()?;
    let draft_session_id = draft
        .draft_session_id
        .map(|id| bounded("draftSessionId", &id, MAX_NAME))
        .transpose()?;
    permit(
        profile,
        &agent_name,
        &tool_ids,
        project_directory.as_deref(),
    )?;
    let triggers = triggers(draft.triggers, now, &mut new_id)?;
    let steps = steps(&draft.steps.unwrap_or_default(), &instructions);
    Ok(WorkflowSummary {
        id,
        steps,
        next_run_at: schedule::next_of_iso(&triggers, now),
        triggers,
        title,
        instructions,
        agent_name,
        skill_names,
        tool_ids,
        status: WorkflowStatus::Active,
        project_directory,
        draft_session_id: draft_session_id.map(SessionId::new),
        created_at: iso(now),
        updated_at: iso(now),
        last_run_at: None,
        latest_run_id: None,
        latest_run_status: None,
        latest_run_session_id: None,
        latest_run_summary: None,
        webhook_url: None,
    })
}

/// Text within its length, without outer white space.
fn bounded(field: &str, text: &str, most: usize) -> Result<String, ApiError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(ApiError::invalid(format!(
            "Field `{field}` must hold text."
        )));
    }
    if trimmed.chars().count() > most {
        return Err(ApiError::invalid(format!(
            "Field `{field}` may have at most {most} characters; shorten it."
        )));
    }
    Ok(trimmed.to_owned())
}

/// Cut to 100 entries of 256 characters, each once (07 §9.4).
fn list(given: Option<Vec<String>>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for entry in given.unwrap_or_default() {
        let entry = cut(entry.trim(), MAX_NAME);
        if !entry.is_empty() && !kept.contains(&entry) && kept.len() < MAX_LIST {
            kept.push(entry);
        }
    }
    kept
}

fn permit(
    profile: &EffectiveProfile,
    agent: &str,
    tools: &[String],
    folder: Option<&str>,
) -> Result<(), ApiError> {
    let forbidden =
        |code: &str, sentence: &str| ApiError::policy(StatusCode::FORBIDDEN, code, sentence);
    let outside = |allowed: &Option<Vec<String>>, name: &str| {
        allowed
            .as_ref()
            .is_some_and(|allowed| !allowed.iter().any(|known| known == name))
    };
    if outside(&profile.agents, agent) {
        return Err(forbidden(
            "policy.agent_not_enabled",
            "This agent is not enabled for this cloud profile.",
        ));
    }
    if tools.iter().any(|tool| outside(&profile.tools, tool)) {
        return Err(forbidden(
            "policy.tool_not_enabled",
            "A tool of this workflow is not enabled for this cloud profile.",
        ));
    }
    if folder.is_some_and(|folder| !profile.host_directory(folder, &[])) {
        return Err(forbidden(
            "policy.project_directory_not_allowed",
            "This project directory is not allowed for this cloud profile.",
        ));
    }
    Ok(())
}

fn triggers(
    given: Option<Value>,
    now: Timestamp,
    new_id: &mut impl FnMut() -> String,
) -> Result<Vec<Trigger>, ApiError> {
    let given = match given {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(given)) => given,
        Some(_) => return Err(ApiError::invalid("Field `triggers` must be a list.")),
    };
    let mut triggers: Vec<Trigger> = Vec::new();
    for (at, value) in given.into_iter().take(MAX_TRIGGERS).enumerate() {
        let place = format!("triggers[{at}]");
        let Value::Object(value) = value else {
            return Err(ApiError::invalid(format!(
                "Field `{place}` must be an object."
            )));
        };
        let trigger = trigger(&place, &value, now, new_id)?;
        if triggers.iter().any(|known| known.id == trigger.id) {
            return Err(ApiError::invalid(format!(
                "Field `{place}.id` is the id of another trigger; choose another."
            )));
        }
        triggers.push(trigger);
    }
    let webhooks = triggers
        .iter()
        .filter(|trigger| trigger.kind == TriggerKind::Webhook);
    if webhooks.count() > 1 {
        return Err(ApiError::invalid(
            "A workflow may have one webhook trigger; remove the others.",
        ));
    }
    if !triggers
        .iter()
        .any(|trigger| trigger.kind == TriggerKind::Manual)
    {
        let manual = Trigger {
            id: new_id(),
            kind: TriggerKind::Manual,
            enabled: true,
            schedule: None,
        };
        triggers.insert(0, manual);
    }
    Ok(triggers)
}

fn trigger(
    place: &str,
    value: &Map<String, Value>,
    now: Timestamp,
    new_id: &mut impl FnMut() -> String,
) -> Result<Trigger, ApiError> {
    let kind = text(value, "type")
        .and_then(TriggerKind::parse)
        .ok_or_else(|| {
            ApiError::invalid(format!(
                "Field `{place}.type` must be one of manual, schedule, webhook."
            ))
        })?;
    let id = match text(value, "id") {
        Some(id) => bounded(&format!("{place}.id"), id, MAX_NAME)?,
        None => new_id(),
    };
    let schedule = match kind {
        TriggerKind::Schedule => {
            let place = format!("{place}.schedule");
            match value.get("schedule") {
                Some(Value::Object(schedule)) => Some(read_schedule(&place, schedule, now)?),
                _ => return Err(ApiError::invalid(format!("Field `{place}` must say when."))),
            }
        }
        TriggerKind::Manual | TriggerKind::Webhook => None,
    };
    Ok(Trigger {
        id,
        kind,
        enabled: value
            .get("enabled")
            .and_then(Value::as_bool)
            .unwrap_or(true),
        schedule: Some(schedule),
    })
}

/// In the order of 07 §9.2.
fn read_schedule(
    place: &str,
    value: &Map<String, Value>,
    now: Timestamp,
) -> Result<Schedule, ApiError> {
    let wrong = |field: &str, must: &str| {
        ApiError::invalid(format!("Field `{place}.{field}` must be {must}."))
    };
    let kind = text(value, "type")
        .and_then(ScheduleKind::parse)
        .ok_or_else(|| wrong("type", "one of one_time, daily, weekly, monthly"))?;
    let timezone = text(value, "timezone").map(str::trim);
    let timezone = timezone
        .filter(|zone| schedule::is_zone(zone))
        .ok_or_else(|| wrong("timezone", "a time zone such as Europe/Berlin"))?;
    let number = |field: &str, low: u8, high: u8| match value.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(given) => given
            .as_u64()
            .and_then(|number| u8::try_from(number).ok())
            .filter(|number| (low..=high).contains(number))
            .map(Some)
            .ok_or_else(|| wrong(field, &format!("a whole number from {low} to {high}"))),
    };
    let run_at_hour = number("runAtHour", 0, 23)?;
    let run_at_minute = number("runAtMinute", 0, 59)?;
    let day_of_week = number("dayOfWeek", 0, 6)?;
    let day_of_month = number("dayOfMonth", 1, 31)?;
    if kind == ScheduleKind::Weekly && day_of_week.is_none() {
        return Err(wrong(
            "dayOfWeek",
            "given for a weekly schedule: 0 (Sunday) to 6",
        ));
    }
    if kind == ScheduleKind::Monthly && day_of_month.is_none() {
        return Err(wrong("dayOfMonth", "given for a monthly schedule: 1 to 31"));
    }
    let start_at = match value.get("startAt") {
        None | Some(Value::Null) => None,
        Some(given) => {
            let start = given.as_str().and_then(|start| parse_iso(start.trim()));
            let start = start.ok_or_else(|| wrong("startAt", "an ISO-8601 time with its zone"))?;
            if start <= now {
                return Err(wrong("startAt", "in the future"));
            }
            Some(iso(start))
        }
    };
    if kind == ScheduleKind::OneTime && start_at.is_none() {
        return Err(wrong("startAt", "given for a schedule that comes once"));
    }
    Ok(Schedule {
        kind,
        timezone: timezone.to_owned(),
        run_at_hour,
        run_at_minute,
        day_of_week,
        day_of_month,
        start_at,
    })
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object
        .get(key)?
        .as_str()
        .filter(|text| !text.trim().is_empty())
}

/// Given steps win if at least one survives; else they follow from the instructions (07 §9.3).
fn steps(given: &[Value], instructions: &str) -> Vec<Step> {
    let titled = |title: &str| (None, title.to_owned(), None);
    let of_value = |value: &Value| match value {
        Value::String(title) if !title.trim().is_empty() => Some(titled(title)),
        Value::Object(step) => {
            let first = |keys: &[&str]| {
                keys.iter()
                    .find_map(|key| text(step, key))
                    .map(str::to_owned)
            };
            Some((
                first(&["id"]),
                first(&["title", "name", "label", "summary"])?,
                first(&["detail", "description", "instructions"]),
            ))
        }
        _ => None,
    };
    let mut found: Vec<_> = given.iter().filter_map(of_value).collect();
    if found.is_empty() {
        let lines: Vec<&str> = instructions
            .lines()
            .map(unlisted)
            .filter(|line| !line.is_empty())
            .collect();
        let sentences: Vec<&str> = instructions
            .split_inclusive(['.', '!', '?'])
            .map(str::trim)
            .filter(|sentence| !sentence.is_empty())
            .collect();
        found = match (lines.len() >= 2, sentences.len() >= 2) {
            (true, _) => lines.into_iter().map(titled).collect(),
            (false, true) => sentences.into_iter().take(3).map(titled).collect(),
            (false, false) => ["Prepare context", "Execute instructions", "Review output"]
                .into_iter()
                .map(titled)
                .collect(),
        };
    }
    found.truncate(MAX_STEPS);
    let step =
        |(at, (id, title, detail)): (usize, (Option<String>, String, Option<String>))| Step {
            id: id.map_or_else(|| format!("step-{}", at + 1), |id| cut(id.trim(), 64)),
            title: cut(title.trim(), 160),
            detail: detail.map(|detail| cut(detail.trim(), 500)),
        };
    found.into_iter().enumerate().map(step).collect()
}

/// A line without the marker of a list.
fn unlisted(line: &str) -> &str {
    let line = line.trim();
    let plain = line.trim_start_matches(['-', '*', '•', '+']);
    if plain.len() < line.len() {
        return plain.trim_start();
    }
    let digits = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    match digits.strip_prefix(['.', ')']) {
        Some(rest) if digits.len() < line.len() => rest.trim_start(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Options;
    use serde_json::json;

    fn now() -> Timestamp {
        parse_iso("2026-01-01T12:00:00Z").unwrap()
    }

    fn draft(change: Value) -> Result<WorkflowSummary, ApiError> {
        let mut body = json!({"title": " Report ", "instructions": "Write it."});
        if let Value::Object(change) = change {
            body.as_object_mut().unwrap().extend(change);
        }
        let draft = serde_json::from_value(body).unwrap();
        let mut ids = 0;
        let new_id = || {
            ids += 1;
            format!("id-{ids}")
        };
        normalize(
            draft,
            "w".into(),
            &Options::default().profile,
            now(),
            new_id,
        )
    }

    #[test]
    fn a_bare_draft_has_a_manual_trigger_and_an_agent() {
        let workflow = draft(json!({})).unwrap();
        assert_eq!(
            (workflow.title.as_str(), workflow.agent_name.as_str()),
            ("Report", "build")
        );
        let triggers = serde_json::to_value(&workflow.triggers).unwrap();
        assert_eq!(
            triggers,
            json!([{"id": "id-1", "type": "manual", "enabled": true}])
        );
        assert_eq!(workflow.next_run_at, None);
    }

    #[test]
    fn a_schedule_gives_the_next_run() {
        let schedule = json!({"type": "daily", "timezone": "Europe/Berlin"});
        let workflow =
            draft(json!({"triggers": [{"type": "schedule", "schedule": schedule, "secret": "x"}]}))
                .unwrap();
        assert_eq!(
            workflow.next_run_at.as_deref(),
            Some("2026-01-02T08:00:00.000Z")
        );
        assert_eq!(workflow.triggers.len(), 2);
        assert!(!serde_json::to_string(&workflow).unwrap().contains("secret"));
    }

    #[test]
    fn each_wrong_trigger_is_refused_with_its_place() {
        let schedule = |schedule: Value| json!([{"type": "schedule", "schedule": schedule}]);
        for (triggers, words) in [
            (json!("x"), "`triggers` must be a list"),
            (json!([3]), "`triggers[0]` must be an object"),
            (json!([{"type": "cron"}]), "`triggers[0].type`"),
            (json!([{"type": "schedule"}]), "`triggers[0].schedule`"),
            (schedule(json!({"timezone": "UTC"})), "schedule.type`"),
            (schedule(json!({"type": "daily"})), "timezone`"),
            (
                schedule(json!({"type": "daily", "timezone": "Mars"})),
                "timezone`",
            ),
            (
                schedule(json!({"type": "daily", "timezone": "UTC", "runAtHour": 24})),
                "runAtHour`",
            ),
            (
                schedule(json!({"type": "daily", "timezone": "UTC", "runAtMinute": 1.5})),
                "runAtMinute`",
            ),
            (
                schedule(json!({"type": "weekly", "timezone": "UTC"})),
                "dayOfWeek`",
            ),
            (
                schedule(json!({"type": "monthly", "timezone": "UTC", "dayOfMonth": 0})),
                "dayOfMonth`",
            ),
            (
                schedule(json!({"type": "one_time", "timezone": "UTC"})),
                "startAt`",
            ),
            (
                schedule(json!({"type": "one_time", "timezone": "UTC", "startAt": "soon"})),
                "startAt`",
            ),
            (
                schedule(
                    json!({"type": "one_time", "timezone": "UTC", "startAt": "2020-01-01T00:00:00Z"}),
                ),
                "future",
            ),
            (
                json!([{"type": "webhook"}, {"type": "webhook"}]),
                "one webhook",
            ),
            (
                json!([{"type": "webhook", "id": "a"}, {"type": "manual", "id": "a"}]),
                "another trigger",
            ),
        ] {
            let error = draft(json!({"triggers": triggers})).unwrap_err();
            assert_eq!(error.status, 400);
            assert!(error.message.contains(words), "{words}: {}", error.message);
        }
    }

    #[test]
    fn lengths_are_bounded() {
        for change in [
            json!({"title": "x".repeat(513)}),
            json!({"instructions": "x".repeat(50_001)}),
            json!({"agentName": "x".repeat(257)}),
            json!({"draftSessionId": "x".repeat(257)}),
            json!({"title": "  "}),
        ] {
            assert_eq!(draft(change).unwrap_err().status, 400);
        }
        let many: Vec<String> = (0..200)
            .map(|n| format!("{n}{}", "x".repeat(300)))
            .collect();
        let workflow = draft(json!({"skillNames": many, "toolIds": ["a", "a", " "]})).unwrap();
        assert_eq!(workflow.skill_names.len(), 100);
        assert!(workflow.skill_names.iter().all(|name| name.len() == 256));
        assert_eq!(workflow.tool_ids, ["a"]);
    }

    #[test]
    fn steps_come_from_what_is_given_or_from_the_instructions() {
        let titles = |change| -> Vec<String> {
            draft(change)
                .unwrap()
                .steps
                .into_iter()
                .map(|step| step.title)
                .collect()
        };
        let given = json!({"steps": ["One", {"name": "Two", "description": "d"}, 3, {"detail": "no title"}]});
        assert_eq!(titles(given), ["One", "Two"]);
        assert_eq!(
            titles(json!({"instructions": "1. Read\n2) Write\n- Send"})),
            ["Read", "Write", "Send"]
        );
        assert_eq!(
            titles(json!({"instructions": "Read. Write. Send. Rest."})),
            ["Read.", "Write.", "Send."]
        );
        assert_eq!(titles(json!({})).len(), 3);
        let many: Vec<String> = (0..20).map(|n| format!("{n}")).collect();
        assert_eq!(titles(json!({"steps": many})).len(), 8);
    }

    #[test]
    fn what_the_profile_does_not_allow_is_forbidden() {
        let denied = draft(json!({"projectDirectory": "/srv/app"})).unwrap_err();
        assert_eq!(
            (denied.status.as_u16(), denied.code.as_str()),
            (403, "policy.project_directory_not_allowed")
        );
    }
}
