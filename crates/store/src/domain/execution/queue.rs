//! Commands: into the queue, to a worker, to their end.

use super::lease;
use super::{json, time};
use crate::dialect::{Connection, Row, undecodable};
use crate::owner;
use crate::transaction::Stop;
use open_cowork_contracts::api::sessions::{Command, CommandKind, CommandStatus};
use open_cowork_contracts::{CommandId, JsonObject};
use open_cowork_providers::store::append::same_json;
use open_cowork_providers::store::execution::{
    ClaimedCommand, CommandFailure, Deferral, Enqueued, Lanes, MAX_EXECUTIONS, NewCommand,
    QueueLimits, SUMMARY_CHARS, SessionLease,
};
use open_cowork_providers::store::{QuotaDenial, SessionKey, StoreError};
use open_cowork_providers::time::{Timestamp, iso, parse_iso};

/// A command with what only the store needs.
pub(super) struct Stored {
    pub(super) command: Command,
    traceparent: Option<String>,
    spared: u64,
}

macro_rules! select_commands {
    ($($tail:expr),*) => {
        concat!(
            "SELECT c.command_id, t.tenant_id, c.given_by, s.session_id, c.kind, c.payload, c.created_sequence, ",
            "c.created_at, c.status, c.claimed_by, c.claimed_token, c.attempts, c.available_ms, c.error_code, ",
            "c.error_summary, c.ended_ms, c.error, c.traceparent, c.spared FROM commands c ",
            "JOIN sessions s ON s.tenant_no = c.tenant_no AND s.session_no = c.session_no ",
            "JOIN tenants t ON t.tenant_no = c.tenant_no ",
            $($tail),*
        )
    };
}

fn stored(row: &Row) -> Result<Stored, sqlx::Error> {
    let kind = CommandKind::parse(row.stored(4)?).ok_or_else(|| undecodable(4))?;
    let status = CommandStatus::parse(row.stored(8)?).ok_or_else(|| undecodable(8))?;
    let payload: JsonObject = json(row, 5)?;
    let waits = row.int(12)? > 0 && status == CommandStatus::Pending;
    let available_at = waits.then(|| time(row, 12)).transpose()?;
    let acked = status == CommandStatus::Acked;
    let acked_at = acked.then(|| time(row, 15)).transpose()?;
    let command = Command {
        command_id: row.text(0)?.into(),
        tenant_id: row.text(1)?.into(),
        user_id: row.text(2)?.into(),
        session_id: row.text(3)?.into(),
        kind,
        payload,
        target_lease_token: None,
        created_sequence: row.unsigned(6)?,
        created_at: row.text(7)?,
        status,
        claimed_by: row.optional_text(9)?,
        claimed_lease_token: row.optional_text(10)?,
        attempt_count: u32::try_from(row.unsigned(11)?).map_err(|_| undecodable(11))?,
        available_at: available_at.map(iso),
        last_error_code: row.optional_text(13)?,
        last_error_summary: row.optional_text(14)?,
        acked_at: acked_at.map(iso),
        error: row.optional_text(16)?,
    };
    Ok(Stored {
        command,
        traceparent: row.optional_text(17)?,
        spared: row.unsigned(18)?,
    })
}

pub(super) async fn find(
    connection: &mut Connection,
    key: &SessionKey,
    id: &CommandId,
) -> Result<Option<Stored>, sqlx::Error> {
    let by_key =
        select_commands!("WHERE c.command_id = $3 AND t.tenant_id = $1 AND s.session_id = $2");
    let row = connection
        .query(by_key)
        .bind(key.tenant_id.as_str())
        .bind(key.session_id.as_str())
        .bind(id.as_str())
        .fetch_optional()
        .await?;
    row.as_ref().map(stored).transpose()
}

async fn by_sequence(
    connection: &mut Connection,
    (tenant_no, session_no): (i64, i64),
    sequence: i64,
) -> Result<Stored, sqlx::Error> {
    let select = select_commands!(
        "WHERE c.tenant_no = $1 AND c.session_no = $2 AND c.created_sequence = $3"
    );
    let row = connection
        .query(select)
        .bind(tenant_no)
        .bind(session_no)
        .bind(sequence)
        .fetch_one()
        .await?;
    stored(&row)
}

pub(in crate::domain) async fn enqueue(
    connection: &mut Connection,
    new: &NewCommand,
    limits: QueueLimits,
    now: Timestamp,
) -> Result<Enqueued, Stop> {
    let unknown = || StoreError::NotFound(new.key.session_id.to_string());
    let Some(tenant_no) = owner::tenant_no(connection, &new.key.tenant_id).await? else {
        return Err(unknown().into());
    };
    if limits != QueueLimits::default() {
        // Two that see room for one more come one after the other.
        let lock = "SELECT tenant_no FROM tenants WHERE tenant_no = $1";
        let locked = connection
            .select_for_update(lock, "tenants")
            .bind(tenant_no);
        locked.fetch_one().await?;
    }
    let select =
        "SELECT session_no, user_no FROM sessions WHERE tenant_no = $1 AND session_id = $2";
    let session = connection
        .select_for_update(select, "sessions")
        .bind(tenant_no)
        .bind(new.key.session_id.as_str())
        .fetch_optional()
        .await?;
    let Some(session) = session else {
        return Err(unknown().into());
    };
    let place = (tenant_no, session.int(0)?);
    if let Some(command) = replay(connection, new).await? {
        return Ok(Enqueued {
            command,
            created: false,
        });
    }
    within_limits(connection, tenant_no, limits, now).await?;
    let payload =
        serde_json::to_string(&new.payload).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let lane = match new.kind {
        CommandKind::Prompt => PROMPTS,
        _ => CONTROL,
    };
    let insert = "INSERT INTO commands (tenant_no, session_no, created_sequence, user_no, lane, is_open, status, \
                  available_ms, command_id, given_by, kind, payload, traceparent, attempts, spared, created_at) \
                  SELECT $1, $2, COALESCE(MAX(created_sequence), 0) + 1, $3, $4, 1, 'pending', 0, $5, $6, $7, $8, $9, \
                  0, 0, $10 FROM commands WHERE tenant_no = $1 AND session_no = $2 RETURNING created_sequence";
    let inserted = connection
        .query(insert)
        .bind(place.0)
        .bind(place.1)
        .bind(session.int(1)?)
        .bind(lane)
        .bind(new.command_id.as_str())
        .bind(new.user_id.as_str())
        .bind(new.kind.as_str())
        .bind(payload)
        .bind(new.traceparent.as_deref())
        .bind(iso(now))
        .fetch_one()
        .await?;
    let stored = by_sequence(connection, place, inserted.int(0)?).await?;
    Ok(Enqueued {
        command: stored.command,
        created: true,
    })
}

const CONTROL: i64 = 0;
const PROMPTS: i64 = 1;

/// The stored command of this id, if it is the same one.
async fn replay(connection: &mut Connection, new: &NewCommand) -> Result<Option<Command>, Stop> {
    let by_id = select_commands!("WHERE c.command_id = $1");
    let row = connection
        .query(by_id)
        .bind(new.command_id.as_str())
        .fetch_optional()
        .await?;
    let Some(row) = row else { return Ok(None) };
    let known = stored(&row)?.command;
    let same = known.tenant_id == new.key.tenant_id
        && known.session_id == new.key.session_id
        && known.user_id == new.user_id
        && known.kind == new.kind
        && same_object(&known.payload, &new.payload);
    if !same {
        let taken = format!(
            "The command id {} is taken; choose another.",
            new.command_id
        );
        return Err(StoreError::Conflict(taken).into());
    }
    Ok(Some(known))
}

fn same_object(a: &JsonObject, b: &JsonObject) -> bool {
    let same = |(name, value)| b.get(name).is_some_and(|other| same_json(value, other));
    a.len() == b.len() && a.iter().all(same)
}

async fn within_limits(
    connection: &mut Connection,
    tenant_no: i64,
    limits: QueueLimits,
    now: Timestamp,
) -> Result<(), Stop> {
    if limits == QueueLimits::default() {
        return Ok(());
    }
    let select =
        "SELECT COUNT(*), MIN(created_at) FROM commands WHERE tenant_no = $1 AND is_open = 1";
    let row = connection.query(select).bind(tenant_no).fetch_one().await?;
    let queued = row.unsigned(0)?;
    if let Some(limit) = limits.max_queued
        && queued >= u64::from(limit)
    {
        return Err(StoreError::Quota(Box::new(QuotaDenial {
            code: "quota.queued_commands_exceeded".to_owned(),
            limit: u64::from(limit),
            used: queued,
            reset_at: None,
            retry_after_ms: 60_000,
            message:
                "Too many commands are waiting in this organisation; try again when some are done."
                    .to_owned(),
        }))
        .into());
    }
    let oldest = row.optional_text(1)?.as_deref().and_then(parse_iso);
    if let (Some(limit), Some(oldest)) = (limits.max_age, oldest) {
        let age = now.as_millisecond().saturating_sub(oldest.as_millisecond());
        let age = u64::try_from(age).unwrap_or_default();
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        if age > limit {
            return Err(StoreError::Quota(Box::new(QuotaDenial {
                code: "quota.queue_age_exceeded".to_owned(),
                limit,
                used: age,
                reset_at: None,
                retry_after_ms: limit.clamp(1_000, 60_000),
                message: "A command of this organisation has been waiting for too long; try again when it is done."
                    .to_owned(),
            })).into());
        }
    }
    Ok(())
}

pub(super) async fn claim(
    connection: &mut Connection,
    lease: &SessionLease,
    lanes: Lanes,
    now: Timestamp,
) -> Result<Option<ClaimedCommand>, Stop> {
    let place = lease::live_session(connection, lease, now).await?;
    let Some(sequence) = next(connection, place, lanes, now).await? else {
        return Ok(None);
    };
    let before = by_sequence(connection, place, sequence).await?;
    let executions = u64::from(before.command.attempt_count).saturating_sub(before.spared);
    let update = "UPDATE commands SET status = 'running', claimed_by = $4, claimed_token = $5, available_ms = 0, \
                  attempts = attempts + 1, error_code = NULL, error_summary = NULL \
                  WHERE tenant_no = $1 AND session_no = $2 AND created_sequence = $3";
    connection
        .query(update)
        .bind(place.0)
        .bind(place.1)
        .bind(sequence)
        .bind(lease.worker_id.as_str())
        .bind(lease.token.expose())
        .execute()
        .await?;
    let claimed = by_sequence(connection, place, sequence).await?;
    Ok(Some(ClaimedCommand {
        command: claimed.command,
        traceparent: claimed.traceparent,
        exhausted: executions >= u64::from(MAX_EXECUTIONS),
    }))
}

/// The sequence of the command that comes next.
async fn next(
    connection: &mut Connection,
    (tenant_no, session_no): (i64, i64),
    lanes: Lanes,
    now: Timestamp,
) -> Result<Option<i64>, sqlx::Error> {
    let control = "SELECT created_sequence FROM commands WHERE tenant_no = $1 AND session_no = $2 AND is_open = 1 \
                   AND lane = 0 AND status = 'pending' AND available_ms <= $3 ORDER BY created_sequence LIMIT 1";
    if !matches!(lanes, Lanes::PromptsBefore(_)) {
        let found = connection
            .query(control)
            .bind(tenant_no)
            .bind(session_no)
            .bind(now.as_millisecond())
            .fetch_optional()
            .await?;
        if let Some(row) = found {
            return row.int(0).map(Some);
        }
    }
    if lanes == Lanes::Control {
        return Ok(None);
    }
    let head = "SELECT created_sequence, status, available_ms FROM commands \
                WHERE tenant_no = $1 AND session_no = $2 AND is_open = 1 AND lane = 1 \
                ORDER BY created_sequence LIMIT 1";
    let head = connection
        .query(head)
        .bind(tenant_no)
        .bind(session_no)
        .fetch_optional()
        .await?;
    let Some(row) = head else { return Ok(None) };
    let sequence = row.int(0)?;
    let ready = match lanes {
        Lanes::PromptsBefore(limit) => u64::try_from(sequence).is_ok_and(|own| own < limit),
        _ => row.int(2)? <= now.as_millisecond(),
    };
    Ok((ready && row.stored(1)? == "pending").then_some(sequence))
}

/// How an execution ended.
#[derive(Clone, Copy)]
pub(super) enum Outcome<'a> {
    Acked,
    Failed(&'a CommandFailure),
    Deferred(&'a Deferral),
}

pub(super) async fn settle(
    connection: &mut Connection,
    lease: &SessionLease,
    id: &CommandId,
    outcome: Outcome<'_>,
    now: Timestamp,
) -> Result<Command, Stop> {
    let place = lease::live_session(connection, lease, now).await;
    let Some(known) = find(connection, &lease.key, id).await? else {
        return Err(StoreError::Missing("command").into());
    };
    match (known.command.status, outcome) {
        (CommandStatus::Acked, Outcome::Acked) | (CommandStatus::Failed, Outcome::Failed(_)) => {
            return Ok(known.command);
        }
        _ => {}
    }
    let place = place?;
    let held = known.command.status == CommandStatus::Running
        && known.command.claimed_lease_token.as_deref() == Some(lease.token.expose());
    if !held {
        return Err(StoreError::StaleFence.into());
    }
    let now_ms = now.as_millisecond();
    let (status, open, available, ended, spared, code, summary, error) = match outcome {
        Outcome::Acked => ("acked", 0, 0, Some(now_ms), 0, None, None, None),
        Outcome::Failed(failure) => {
            let (code, message) = (failure.code.clone(), failure.message.clone());
            let summary = cut(&message);
            (
                "failed",
                0,
                0,
                Some(now_ms),
                0,
                Some(code),
                Some(summary),
                Some(message),
            )
        }
        Outcome::Deferred(deferral) => {
            let until = super::end(now, deferral.retry_after).as_millisecond();
            let (code, summary) = (deferral.code.clone(), cut(&deferral.summary));
            (
                "pending",
                1,
                until,
                None,
                1,
                Some(code),
                Some(summary),
                None,
            )
        }
    };
    let keeps_owner = i64::from(open == 0);
    let update = "UPDATE commands SET status = $4, is_open = $5, available_ms = $6, ended_ms = $7, \
                  spared = spared + $8, error_code = $9, error_summary = $10, error = $11, \
                  claimed_by = CASE WHEN $12 = 1 THEN claimed_by END, \
                  claimed_token = CASE WHEN $12 = 1 THEN claimed_token END \
                  WHERE tenant_no = $1 AND session_no = $2 AND created_sequence = $3";
    let sequence = known.command.created_sequence as i64;
    connection
        .query(update)
        .bind(place.0)
        .bind(place.1)
        .bind(sequence)
        .bind(status)
        .bind(open)
        .bind(available)
        .bind(ended)
        .bind(spared)
        .bind(code)
        .bind(summary)
        .bind(error)
        .bind(keeps_owner)
        .execute()
        .await?;
    Ok(by_sequence(connection, place, sequence).await?.command)
}

fn cut(text: &str) -> String {
    text.chars().take(SUMMARY_CHARS).collect()
}

pub(super) async fn prune(
    connection: &mut Connection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let commands = "DELETE FROM commands WHERE (tenant_no, session_no, created_sequence) IN ( \
                    SELECT tenant_no, session_no, created_sequence FROM commands \
                    WHERE is_open = 0 AND ended_ms < $1 ORDER BY ended_ms LIMIT $2)";
    let commands = connection
        .query(commands)
        .bind(before.as_millisecond())
        .bind(i64::from(limit))
        .execute()
        .await?;
    let left = i64::from(limit).saturating_sub(i64::try_from(commands).unwrap_or(i64::MAX));
    let beats = "DELETE FROM worker_heartbeats WHERE worker_id IN ( \
                 SELECT worker_id FROM worker_heartbeats WHERE last_seen_at < $1 ORDER BY last_seen_at LIMIT $2)";
    let beats = connection
        .query(beats)
        .bind(iso(before))
        .bind(left.max(0))
        .execute()
        .await?;
    Ok(commands + beats)
}
