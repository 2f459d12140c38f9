//! Projection fences: "has the projection reached this point?" (01 §8.1, §8.2).
//!
//! Identities are compared **field by field**. Upstream joins ids with `:` although ids may contain `:`, so
//! that tenant `a:b`, session `c` satisfies a fence of tenant `a`, session `b:c` (01 §16 #1). The joined key
//! is only for logs here.

use jiff::Timestamp;
use open_cowork_contracts::fence::{
    Checkpoint, FenceCode, FenceScope, FenceToken, FenceVerdict, SYNC_VERSION, SyncError,
    SyncErrorKind, SyncIds,
};

/// Why a fence, a checkpoint or an automation event is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// A required field is missing or blank: fill it.
    #[error("{label} is required.")]
    Required {
        /// Name of the field.
        label: &'static str,
    },
    /// An id has characters beyond `[A-Za-z0-9][A-Za-z0-9._:-]*`: send the exact id.
    #[error("{label} must be an exact canonical identifier.")]
    NotCanonical {
        /// Name of the field.
        label: &'static str,
    },
    /// A number isn't whole and non-negative: send such a number.
    #[error("{label} must be a non-negative integer.")]
    NotAnInteger {
        /// Name of the field.
        label: &'static str,
    },
    /// The fence says nothing: name at least one number to reach.
    #[error("A projection fence requires sequence, projectionVersion, or checkpointVersion.")]
    NothingToReach,
    /// The fence inside an automation event is about something else: use the event's own identity.
    #[error("Automation event fence identity must match the event identity.")]
    ForeignFence,
    /// The budget of a wait isn't a finite, non-negative number of milliseconds.
    #[error("timeoutMs must be a finite, non-negative number of milliseconds.")]
    BadTimeout,
}

/// What a fence, a checkpoint or an automation event is about. Two identities are equal when their scope and
/// each id of that scope are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity<'a> {
    /// One thread.
    Session {
        /// Tenant.
        tenant_id: &'a str,
        /// Thread.
        session_id: &'a str,
    },
    /// One workspace.
    Workspace {
        /// Tenant.
        tenant_id: &'a str,
        /// Workspace.
        workspace_id: &'a str,
    },
    /// One run of a workflow.
    WorkflowRun {
        /// Tenant.
        tenant_id: &'a str,
        /// Workflow.
        workflow_id: &'a str,
        /// Run.
        run_id: &'a str,
    },
    /// One client.
    Client {
        /// Tenant.
        tenant_id: &'a str,
        /// Client.
        client_id: &'a str,
    },
}

impl<'a> Identity<'a> {
    /// The identity of a scope and its ids; a missing id counts as blank.
    pub fn of(scope: FenceScope, ids: &'a SyncIds) -> Self {
        let tenant_id = ids.tenant_id.as_str();
        let id = |id: &'a Option<String>| id.as_deref().unwrap_or_default();
        match scope {
            FenceScope::Session => Identity::Session {
                tenant_id,
                session_id: id(&ids.session_id),
            },
            FenceScope::Workspace => Identity::Workspace {
                tenant_id,
                workspace_id: id(&ids.workspace_id),
            },
            FenceScope::WorkflowRun => Identity::WorkflowRun {
                tenant_id,
                workflow_id: id(&ids.workflow_id),
                run_id: id(&ids.run_id),
            },
            FenceScope::Client => Identity::Client {
                tenant_id,
                client_id: id(&ids.client_id),
            },
        }
    }
}

/// The joined key of 01 §8.1, for logs only: different identities can share it.
pub fn identity_key(scope: FenceScope, ids: &SyncIds) -> String {
    match Identity::of(scope, ids) {
        Identity::Session {
            tenant_id,
            session_id,
        } => format!("session:{tenant_id}:{session_id}"),
        Identity::Workspace {
            tenant_id,
            workspace_id,
        } => format!("workspace:{tenant_id}:{workspace_id}"),
        Identity::WorkflowRun {
            tenant_id,
            workflow_id,
            run_id,
        } => {
            format!("workflow-run:{tenant_id}:{workflow_id}:{run_id}")
        }
        Identity::Client {
            tenant_id,
            client_id,
        } => format!("client:{tenant_id}:{client_id}"),
    }
}

/// Checks a fence and trims the ids of its scope: `createCloudProjectionFenceToken`. A blank `issuedAt`
/// becomes `now` (ISO-8601). Ids of other scopes are kept as given and never compared.
///
/// # Errors
/// [`FenceError`] naming the field.
pub fn check_fence(mut fence: FenceToken, now: &str) -> Result<FenceToken, FenceError> {
    fence.version = SYNC_VERSION;
    check_ids(fence.scope, &mut fence.ids)?;
    if let Some(command_id) = &mut fence.command_id {
        *command_id = exact_identifier("commandId", command_id)?;
    }
    if fence.sequence.is_none()
        && fence.projection_version.is_none()
        && fence.checkpoint_version.is_none()
    {
        return Err(FenceError::NothingToReach);
    }
    if fence.issued_at.is_empty() {
        now.clone_into(&mut fence.issued_at);
    }
    Ok(fence)
}

/// Checks a checkpoint and trims the ids of its scope: `createCloudProjectionCheckpoint`.
///
/// # Errors
/// [`FenceError`] naming the field.
pub fn check_checkpoint(mut checkpoint: Checkpoint) -> Result<Checkpoint, FenceError> {
    checkpoint.version = SYNC_VERSION;
    check_ids(checkpoint.scope, &mut checkpoint.ids)?;
    Ok(checkpoint)
}

/// Checks and trims the tenant and the ids of the scope.
pub(crate) fn check_ids(scope: FenceScope, ids: &mut SyncIds) -> Result<(), FenceError> {
    ids.tenant_id = exact_identifier("tenantId", &ids.tenant_id)?;
    let needed: &mut [(&'static str, &mut Option<String>)] = match scope {
        FenceScope::Session => &mut [("sessionId", &mut ids.session_id)],
        FenceScope::Workspace => &mut [("workspaceId", &mut ids.workspace_id)],
        FenceScope::WorkflowRun => &mut [
            ("workflowId", &mut ids.workflow_id),
            ("runId", &mut ids.run_id),
        ],
        FenceScope::Client => &mut [("clientId", &mut ids.client_id)],
    };
    for (label, id) in needed {
        **id = Some(exact_identifier(label, id.as_deref().unwrap_or_default())?);
    }
    Ok(())
}

/// An exact identifier, trimmed: `[A-Za-z0-9][A-Za-z0-9._:-]*`, no wildcard and no case folding.
pub(crate) fn exact_identifier(label: &'static str, id: &str) -> Result<String, FenceError> {
    let id = crate::coerce::js_trim(id);
    let Some(first) = id.bytes().next() else {
        return Err(FenceError::Required { label });
    };
    let canonical = first.is_ascii_alphanumeric()
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b));
    if !canonical {
        return Err(FenceError::NotCanonical { label });
    }
    Ok(id.to_owned())
}

/// Reads an optional number of a fence from JSON.
///
/// # Errors
/// [`FenceError::NotAnInteger`] for anything but a non-negative whole number; absent and null are `None`.
pub fn read_number(
    label: &'static str,
    value: Option<&serde_json::Value>,
) -> Result<Option<u64>, FenceError> {
    match value {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(value) => {
            let whole = value
                .as_f64()
                .filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n <= 9_007_199_254_740_991.0);
            whole
                .map(|n| Some(n as u64))
                .ok_or(FenceError::NotAnInteger { label })
        }
    }
}

/// True when the checkpoint is about the same thing and has reached every number of the fence
/// (`cloudProjectionFenceObserved`). Doesn't look at the expiry.
pub fn observed(fence: &FenceToken, checkpoint: &Checkpoint) -> bool {
    let reached = |wanted: Option<u64>, seen: Option<u64>| {
        wanted.is_none_or(|wanted| seen.is_some_and(|seen| seen >= wanted))
    };
    same_identity(fence, checkpoint)
        && reached(fence.sequence, Some(checkpoint.sequence))
        && reached(
            fence.projection_version,
            Some(checkpoint.projection_version),
        )
        && reached(fence.checkpoint_version, checkpoint.checkpoint_version)
}

fn same_identity(fence: &FenceToken, checkpoint: &Checkpoint) -> bool {
    Identity::of(fence.scope, &fence.ids) == Identity::of(checkpoint.scope, &checkpoint.ids)
}

/// Compares a fence with a checkpoint at `now_ms` (Unix milliseconds), in the order of 01 §8.2: expiry wins
/// even over an observed fence.
pub fn evaluate(fence: &FenceToken, checkpoint: Option<&Checkpoint>, now_ms: i64) -> FenceVerdict {
    let code = match checkpoint {
        _ if is_expired(fence, now_ms) => FenceCode::Expired,
        None => FenceCode::CheckpointMissing,
        Some(checkpoint) if !same_identity(fence, checkpoint) => FenceCode::IdentityMismatch,
        Some(checkpoint) if observed(fence, checkpoint) => FenceCode::Observed,
        Some(_) => FenceCode::Stale,
    };
    verdict(code, fence, checkpoint.cloned(), 0)
}

/// The verdict of the session projection service on a fence that isn't about a session (01 §8.2).
pub fn refuse_scope(fence: &FenceToken) -> FenceVerdict {
    verdict(FenceCode::IdentityMismatch, fence, None, 0)
}

pub(crate) fn verdict(
    code: FenceCode,
    fence: &FenceToken,
    checkpoint: Option<Checkpoint>,
    waited_ms: u64,
) -> FenceVerdict {
    let ok = code == FenceCode::Observed;
    let error = (!ok).then(|| SyncError {
        kind: SyncErrorKind::Projection,
        code: code.as_str().to_owned(),
        message: message(code).to_owned(),
        retryable: code.is_retryable(),
    });
    FenceVerdict {
        ok,
        code,
        fence: fence.clone(),
        checkpoint,
        error,
        waited_ms,
    }
}

fn message(code: FenceCode) -> &'static str {
    match code {
        FenceCode::Observed => "The projection has reached the fence.",
        FenceCode::Stale => "The projection has not reached the fence yet; try again.",
        FenceCode::CheckpointMissing => {
            "There is no projection to compare the fence with yet; try again."
        }
        FenceCode::IdentityMismatch => {
            "The fence is about something else than this projection; ask for a new fence."
        }
        FenceCode::Expired => "The fence has expired; ask for a new one.",
        FenceCode::Timeout => "The projection did not reach the fence in time; try again.",
    }
}

fn is_expired(fence: &FenceToken, now_ms: i64) -> bool {
    let expiry = fence
        .expires_at
        .as_deref()
        .and_then(|at| at.trim().parse::<Timestamp>().ok());
    expiry.is_some_and(|at| at.as_millisecond() <= now_ms)
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const T1: i64 = 1_767_225_601_000; // 2026-01-01T00:00:01Z

    fn fence(extra: serde_json::Value) -> FenceToken {
        let mut value = json!({"version": 1, "scope": "session", "tenantId": "t", "sessionId": "s", "sequence": 4, "issuedAt": ""});
        for (key, field) in extra.as_object().unwrap() {
            value[key] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    fn checkpoint(tenant: &str, session: &str, sequence: u64) -> Checkpoint {
        serde_json::from_value(json!({
            "version": 1, "scope": "session", "tenantId": tenant, "sessionId": session,
            "sequence": sequence, "projectionVersion": sequence, "updatedAt": ""
        }))
        .unwrap()
    }

    #[test]
    fn ids_of_the_scope_are_exact_and_others_are_left_alone() {
        let checked = check_fence(
            fence(json!({"tenantId": " t ", "clientId": "any thing*"})),
            "now",
        )
        .unwrap();
        assert_eq!(
            (
                checked.ids.tenant_id.as_str(),
                checked.ids.client_id.as_deref()
            ),
            ("t", Some("any thing*"))
        );
        assert_eq!(checked.issued_at, "now");
        for (extra, message) in [
            (json!({"tenantId": " "}), "tenantId is required."),
            (json!({"sessionId": null}), "sessionId is required."),
            (
                json!({"sessionId": "s*"}),
                "sessionId must be an exact canonical identifier.",
            ),
            (
                json!({"sessionId": "-s"}),
                "sessionId must be an exact canonical identifier.",
            ),
            (
                json!({"commandId": "a/b"}),
                "commandId must be an exact canonical identifier.",
            ),
            (
                json!({"scope": "workflow-run", "workflowId": "w"}),
                "runId is required.",
            ),
            (
                json!({"sequence": null}),
                "A projection fence requires sequence, projectionVersion, or checkpointVersion.",
            ),
        ] {
            assert_eq!(
                check_fence(fence(extra), "now").unwrap_err().to_string(),
                message
            );
        }
    }

    #[test]
    fn numbers_are_whole_and_not_negative() {
        assert_eq!(read_number("sequence", Some(&json!(3.0))), Ok(Some(3)));
        assert_eq!(read_number("sequence", None), Ok(None));
        for bad in [json!(-1), json!(1.5), json!("3"), json!([])] {
            let error = read_number("sequence", Some(&bad)).unwrap_err();
            assert_eq!(
                error.to_string(),
                "sequence must be a non-negative integer."
            );
        }
    }

    #[test]
    fn verdicts_come_in_the_order_of_the_contract() {
        let code = |fence: &FenceToken, checkpoint: Option<&Checkpoint>| {
            evaluate(fence, checkpoint, T1).code
        };
        let seen = checkpoint("t", "s", 4);
        assert_eq!(code(&fence(json!({})), Some(&seen)), FenceCode::Observed);
        assert_eq!(
            code(&fence(json!({"sequence": 5})), Some(&seen)),
            FenceCode::Stale
        );
        assert_eq!(
            code(&fence(json!({})), Some(&checkpoint("t", "x", 9))),
            FenceCode::IdentityMismatch
        );
        assert_eq!(code(&fence(json!({})), None), FenceCode::CheckpointMissing);
        let expired = json!({"expiresAt": "2026-01-01T00:00:01.000Z"});
        assert_eq!(
            code(&fence(expired.clone()), Some(&seen)),
            FenceCode::Expired,
            "expiry wins"
        );
        assert_eq!(code(&fence(expired), None), FenceCode::Expired);
        let later = json!({"expiresAt": "2026-01-01T00:00:01.001Z"});
        assert_eq!(code(&fence(later), Some(&seen)), FenceCode::Observed);
        assert_eq!(
            code(&fence(json!({"expiresAt": "soon"})), Some(&seen)),
            FenceCode::Observed
        );
    }

    #[test]
    fn a_missing_checkpoint_version_reaches_nothing() {
        assert!(!observed(
            &fence(json!({"checkpointVersion": 0})),
            &checkpoint("t", "s", 9)
        ));
    }

    #[test]
    fn only_what_can_change_is_retryable() {
        let verdict = evaluate(&fence(json!({})), None, T1);
        assert!(verdict.error.unwrap().retryable);
        let verdict = evaluate(&fence(json!({})), Some(&checkpoint("x", "s", 9)), T1);
        assert!(!verdict.error.unwrap().retryable);
        assert!(
            evaluate(&fence(json!({})), Some(&checkpoint("t", "s", 9)), T1)
                .error
                .is_none()
        );
        assert_eq!(
            refuse_scope(&fence(json!({}))).code,
            FenceCode::IdentityMismatch
        );
    }

    #[test]
    fn identities_that_share_a_key_are_still_different() {
        let mine = fence(json!({"tenantId": "a:b", "sessionId": "c"}));
        let other = checkpoint("a", "b:c", 99);
        assert_eq!(
            identity_key(mine.scope, &mine.ids),
            identity_key(other.scope, &other.ids)
        );
        assert_eq!(
            evaluate(&mine, Some(&other), T1).code,
            FenceCode::IdentityMismatch
        );
    }

    proptest! {
        #[test]
        fn a_fence_never_accepts_another_identity(
            a in "[a-c:]{1,3}", b in "[a-c:]{1,3}", c in "[a-c:]{1,3}", d in "[a-c:]{1,3}", sequence in 0u64..10,
        ) {
            let fence = fence(json!({"tenantId": a, "sessionId": b, "sequence": sequence}));
            let accepted = evaluate(&fence, Some(&checkpoint(&c, &d, 9)), T1).ok;
            prop_assert_eq!(accepted, a == c && b == d);
        }
    }
}
