//! The feed of the start page (03 §8.12).

use crate::call::Call;
use crate::error::ApiError;
use open_cowork_contracts::access::Feature;
use open_cowork_contracts::api::launchpad::{
    FreshArtifactItem, LaunchpadFeed, LaunchpadItem, LaunchpadTotals, LaunchpadTruncated,
    WaitingItem, WaitingKind, WaitingStatus,
};
use open_cowork_contracts::record::Session;
use open_cowork_contracts::view::{PendingApproval, PendingQuestion};
use open_cowork_providers::store::artifacts::ArtifactQuery;
use open_cowork_providers::store::{SessionKey, SessionQuery};

/// Threads that are looked through, the newest.
const SCANNED: u32 = 100;

/// A limit of the query: 1 to 50.
fn limit(call: &Call, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = call.query().text(name) else {
        return Ok(None);
    };
    match text.trim().parse::<usize>() {
        Ok(limit @ 1..=50) => Ok(Some(limit)),
        _ => Err(ApiError::invalid(format!(
            "Query parameter `{name}` must be a whole number from 1 to 50."
        ))),
    }
}

/// What is in progress, what waits on the caller, and what appeared lately. Tasks of boards come with coordination.
///
/// # Errors
/// 400 for a limit that is none.
pub async fn feed(call: &Call) -> Result<LaunchpadFeed, ApiError> {
    let general = limit(call, "limit")?.unwrap_or(8);
    limit(call, "inProgressLimit")?;
    let most_waiting = limit(call, "waitingLimit")?.unwrap_or(general);
    let most_fresh = limit(call, "artifactsLimit")?.unwrap_or(general);
    let project = call.query().text("projectId");
    let mut waiting = waiting(call, project.as_deref()).await?;
    let mut fresh = fresh(call, project).await?;
    let totals = LaunchpadTotals {
        in_progress: 0,
        waiting_on_you: waiting.len() as u64,
        fresh_artifacts: fresh.len() as u64,
    };
    let truncated = LaunchpadTruncated {
        in_progress: false,
        waiting_on_you: waiting.len() > most_waiting,
        fresh_artifacts: fresh.len() > most_fresh,
    };
    waiting.truncate(most_waiting);
    fresh.truncate(most_fresh);
    Ok(LaunchpadFeed {
        generated_at: call.cloud.now_iso(),
        in_progress: Vec::new(),
        waiting_on_you: waiting,
        fresh_artifacts: fresh,
        totals,
        truncated,
    })
}

/// Open asks of the newest threads. They belong to no project, so a feed of one has none.
async fn waiting(call: &Call, project: Option<&str>) -> Result<Vec<WaitingItem>, ApiError> {
    if project.is_some() {
        return Ok(Vec::new());
    }
    let query = SessionQuery {
        scope: call.scope()?,
        status: None,
        profile_name: None,
        text: None,
        cursor: None,
        limit: SCANNED,
    };
    let page = call.cloud.log.page_sessions(&query).await?;
    let mut items = Vec::new();
    for row in page.rows {
        let key = SessionKey::of(&row.session);
        let asks = call.cloud.log.read(&key, |state| {
            (
                state.view.pending_approvals.clone(),
                state.view.pending_questions.clone(),
            )
        });
        let (approvals, questions) = asks.await?;
        items.extend(approvals.iter().map(|ask| approval(&row.session, ask)));
        items.extend(questions.iter().map(|ask| question(&row.session, ask)));
    }
    items.sort_by(|a, b| {
        b.item
            .when
            .cmp(&a.item.when)
            .then_with(|| a.item.id.cmp(&b.item.id))
    });
    Ok(items)
}

fn item(session: &Session, id: &str, title: String) -> LaunchpadItem {
    LaunchpadItem {
        id: id.to_owned(),
        title,
        session_id: Some(session.session_id.to_string()),
        when: session.updated_at.clone(),
        updated_at: Some(session.updated_at.clone()),
        ..LaunchpadItem::default()
    }
}

fn approval(session: &Session, ask: &PendingApproval) -> WaitingItem {
    let title = match ask.description.trim() {
        "" => ask.tool.clone(),
        description => description.to_owned(),
    };
    WaitingItem {
        item: item(session, &ask.id, title),
        kind: WaitingKind::Permission,
        status: WaitingStatus::Pending,
    }
}

fn question(session: &Session, ask: &PendingQuestion) -> WaitingItem {
    let first = ask.questions.first();
    let title = first.map(|question| question.question.clone());
    WaitingItem {
        item: item(
            session,
            &ask.id,
            title.unwrap_or_else(|| "Question".to_owned()),
        ),
        kind: WaitingKind::Question,
        status: WaitingStatus::Pending,
    }
}

/// Deliverables, touched last first; none without the feature or a place for them.
async fn fresh(call: &Call, project: Option<String>) -> Result<Vec<FreshArtifactItem>, ApiError> {
    let cloud = &call.cloud;
    let on = cloud
        .options
        .features()
        .get(Feature::Artifacts.as_str())
        .copied();
    if cloud.objects.is_none() || on == Some(false) {
        return Ok(Vec::new());
    }
    let query = ArtifactQuery {
        project_id: project,
        limit: SCANNED,
        ..ArtifactQuery::new(call.scope()?)
    };
    let page = cloud.store.page_artifacts(&query).await?;
    let rows = page.rows.into_iter().map(|row| row.artifact);
    Ok(rows
        .map(|artifact| FreshArtifactItem {
            item: LaunchpadItem {
                id: artifact.artifact_id.to_string(),
                title: artifact.filename,
                project_id: artifact.project_id,
                task_id: artifact.task_id,
                session_id: Some(artifact.session_id.to_string()),
                when: artifact.updated_at.clone(),
                updated_at: Some(artifact.updated_at),
                ..LaunchpadItem::default()
            },
            artifact_id: artifact.artifact_id.to_string(),
            kind: artifact.kind.as_str().to_owned(),
            status: artifact.status.as_str().to_owned(),
            author_agent_id: artifact.author_agent_id,
            created_at: Some(artifact.created_at),
        })
        .collect())
}
