//! The support matrix (07 §3): what each kind of workspace can do, and under which context.
//!
//! One function gives the verdict for every surface, so that they can't disagree (07 §20.7). The wire's
//! `policyCode` is kept as upstream writes it in each column; the additive `reasonCode` always names one of the
//! listed codes (07 §20.8).

pub mod promise;

use open_cowork_contracts::authority::{
    ArtifactAccess, AuthorityContext, ExecutionAuthority, MutationSupport, PairingState,
    PathExposure, ReasonCode, SupportStatus, Surface, WorkspaceKind, WorkspaceStatus,
};
use open_cowork_contracts::support::Operation;
use open_cowork_contracts::workspace::{
    LocalAccess, WorkspaceActionVerdict, WorkspaceApiSupport, WorkspacePolicy,
};
use std::collections::BTreeMap;

/// Switches of a workspace by name.
pub type Features = BTreeMap<String, bool>;

/// A workspace as a surface looks at it: a column of the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column<'a> {
    /// On this machine.
    Local,
    /// Behind a standalone gateway.
    Gateway,
    /// On another machine, by pairing.
    Paired,
    /// In a cloud, seen from a desktop. A feature that isn't named is off, except chat.
    CloudFromDesktop(&'a Features),
    /// In a cloud, seen in its browser workbench. A feature that isn't named is on.
    CloudWeb(&'a Features),
}

/// What the matrix says before features are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Supported,
    Deferred,
    NotSupported,
    /// One of these features.
    Feature(&'static [&'static str]),
}

/// A row of the matrix: gateway and paired, cloud from a desktop, cloud in its browser. Local supports all.
fn cells(operation: Operation) -> [Cell; 3] {
    use Cell::{Deferred as D, Feature as F, NotSupported as N, Supported as S};
    use Operation as O;
    match operation {
        O::SessionsList
        | O::SessionsCreate
        | O::SessionsActivate
        | O::SessionsGet
        | O::SessionsPrompt
        | O::SessionsAbort => [D, F(&["chat"]), F(&["chat"])],
        O::SessionsFileSnippet | O::SessionsDiff => [N, N, N],
        O::ThreadsSearch | O::ThreadsTags | O::ThreadsSmartFilters => {
            [D, F(&["threadIndex"]), F(&["threadIndex"])]
        }
        O::WorkflowsList | O::WorkflowsRun => [D, F(&["workflows"]), F(&["workflows"])],
        O::CoordinationProjects
        | O::CoordinationTasks
        | O::CoordinationDelegation
        | O::CoordinationWatches => [D, D, S],
        O::CoordinationRuns | O::CoordinationSchedules => [D, F(&["workflows"]), S],
        O::ArtifactsList
        | O::ArtifactsIndex
        | O::ArtifactsStatus
        | O::ArtifactsUpload
        | O::ArtifactsDownload => [D, F(&["artifacts"]), F(&["artifacts"])],
        O::SettingsPortable => [N, F(&["settings"]), F(&["settings"])],
        O::CustomContentAgents => [N, F(&["customAgents"]), F(&["customAgents"])],
        O::CustomContentSkills => [N, F(&["customSkills"]), F(&["customSkills"])],
        O::CustomContentMcps => [N, F(&["customMcps"]), F(&["customMcps"])],
        O::CapabilitiesCatalog => [
            D,
            F(&["agents"]),
            F(&["agents", "customSkills", "customMcps"]),
        ],
        O::ArtifactsReveal
        | O::LocalFiles
        | O::LocalStdioMcps
        | O::MachineRuntimeConfig
        | O::VoiceCapture
        | O::VoiceStt
        | O::VoiceTts
        | O::VoiceConversation => [N, N, N],
    }
}

/// Operations that only make sense with a path of this machine.
fn is_path_like(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::SessionsFileSnippet
            | Operation::SessionsDiff
            | Operation::ArtifactsReveal
            | Operation::LocalFiles
            | Operation::LocalStdioMcps
            | Operation::MachineRuntimeConfig
    )
}

fn is_artifact(operation: Operation) -> bool {
    operation.as_str().starts_with("artifacts.")
}

/// Support of every operation, in the contract's order.
#[must_use]
pub fn matrix(column: Column<'_>, online: WorkspaceStatus) -> Vec<WorkspaceApiSupport> {
    Operation::ALL
        .iter()
        .map(|operation| support(column, online, *operation))
        .collect()
}

/// Support of one operation.
#[must_use]
pub fn support(
    column: Column<'_>,
    online: WorkspaceStatus,
    operation: Operation,
) -> WorkspaceApiSupport {
    verdict(
        column,
        online,
        operation.as_str(),
        Some(operation),
        status(column, operation),
    )
}

/// Status, reason and context of an operation as its column writes them; `None` is one that nobody knows.
fn verdict(
    column: Column<'_>,
    online: WorkspaceStatus,
    name: &str,
    operation: Option<Operation>,
    status: SupportStatus,
) -> WorkspaceApiSupport {
    let path_like = operation.is_some_and(is_path_like);
    let mut context = AuthorityContext::of(authority(column), status);
    context.online_state = online;
    let reason = match operation {
        Some(operation) => reason(status, operation),
        None => Some((
            ReasonCode::NotSupported,
            "This version doesn't know this operation.",
        )),
    };
    let policy_code = match (column, reason) {
        (_, None) | (Column::Local | Column::CloudWeb(_), _) => None,
        (Column::Gateway | Column::Paired, Some(_)) => listed(status).map(ReasonCode::as_str),
        (Column::CloudFromDesktop(_), Some(_)) => Some(status.as_str()),
    };
    match column {
        Column::Local => {}
        Column::Gateway | Column::Paired => {
            context.workflows = match status {
                SupportStatus::Deferred => MutationSupport::Deferred,
                _ => MutationSupport::NotSupported,
            };
            match operation {
                Some(Operation::ArtifactsIndex | Operation::ArtifactsStatus) => {
                    context.artifacts.body = ArtifactAccess::RedactedMetadataOnly;
                }
                _ if path_like || operation.is_none() => {
                    context.artifacts.body = ArtifactAccess::None;
                }
                _ => {}
            }
            if operation.is_none_or(is_artifact) || path_like {
                context.artifacts.reveal = ArtifactAccess::None;
            }
            context.blocked_reason = listed(status);
        }
        Column::CloudFromDesktop(_) => {
            if status == SupportStatus::NotSupported {
                context.path_exposure = PathExposure::NotExposed;
            }
            if operation.is_none() {
                context.artifacts.body = ArtifactAccess::None;
            }
            if operation.is_none_or(|operation| operation == Operation::ArtifactsReveal) {
                context.artifacts.reveal = ArtifactAccess::None;
            }
            context.blocked_reason = listed(status);
        }
        Column::CloudWeb(features) => {
            context.surface = Surface::CloudWeb;
            let artifacts_off = features.get("artifacts") == Some(&false);
            let blocked = status == SupportStatus::BlockedByPolicy;
            if artifacts_off || blocked || operation.is_none() {
                context.artifacts.body = ArtifactAccess::None;
            }
            context.artifacts.reveal = ArtifactAccess::None;
            context.blocked_reason = blocked.then_some(ReasonCode::PolicyDisabled);
        }
    }
    if column == Column::Paired {
        context.pairing_state = match online {
            WorkspaceStatus::Online => PairingState::PairedOnline,
            WorkspaceStatus::Offline => PairingState::PairedOffline,
            _ => PairingState::PairingRequired,
        };
    }
    WorkspaceApiSupport {
        api: name.to_owned(),
        status,
        verdict: Some(WorkspaceActionVerdict {
            allowed: is_allowed(status),
            reason: reason.map(|(_, sentence)| sentence.to_owned()),
            policy_code: policy_code.map(str::to_owned),
            reason_code: reason.map(|(code, _)| code),
        }),
        context: Some(context),
    }
}

/// Support of an operation that a client named by text; a name that nobody knows is not supported (07 §2.1).
#[must_use]
pub fn support_named(
    column: Column<'_>,
    online: WorkspaceStatus,
    operation: &str,
) -> WorkspaceApiSupport {
    match Operation::parse(operation) {
        Some(known) => support(column, online, known),
        None => {
            let status = SupportStatus::NotSupported;
            verdict(column, online, operation, None, status)
        }
    }
}

/// What holds when support can't be loaded: nothing may be done (07 §3.1).
#[must_use]
pub fn unavailable(kind: WorkspaceKind) -> Vec<WorkspaceApiSupport> {
    let entry = |operation: &Operation| {
        let mut context = AuthorityContext::of(authority_of(kind), SupportStatus::BlockedByPolicy);
        context.online_state = WorkspaceStatus::Error;
        context.path_exposure = PathExposure::NotExposed;
        context.artifacts.body = ArtifactAccess::None;
        context.artifacts.reveal = ArtifactAccess::None;
        context.blocked_reason = Some(ReasonCode::PolicyDisabled);
        WorkspaceApiSupport {
            api: operation.as_str().to_owned(),
            status: SupportStatus::BlockedByPolicy,
            verdict: Some(WorkspaceActionVerdict {
                allowed: false,
                reason: Some("The workspace's policy can't be loaded; try again.".to_owned()),
                policy_code: Some(POLICY_UNAVAILABLE.to_owned()),
                reason_code: Some(ReasonCode::PolicyDisabled),
            }),
            context: Some(context),
        }
    };
    Operation::ALL.iter().map(entry).collect()
}

/// The one code that surfaces add to the list (07 §2.1).
pub const POLICY_UNAVAILABLE: &str = "workspace.policy_unavailable";

/// Whether something may be changed. `None`: support is still loading.
#[must_use]
pub fn can_write(support: Option<&WorkspaceApiSupport>) -> bool {
    support.is_some_and(|support| support.status == SupportStatus::Supported)
}

/// Whether something may be read. `None`: support is still loading.
#[must_use]
pub fn can_read(support: Option<&WorkspaceApiSupport>) -> bool {
    support.is_some_and(|support| {
        is_allowed(support.status)
            || support
                .verdict
                .as_ref()
                .is_some_and(|verdict| verdict.allowed)
    })
}

/// Whether a path of this machine may be shown. `None`: support is still loading.
#[must_use]
pub fn may_show_paths(support: Option<&WorkspaceApiSupport>) -> bool {
    let context = support.and_then(|support| support.context.as_ref());
    context.is_some_and(|context| context.path_exposure == PathExposure::LocalPrivate)
}

/// What a workspace of this kind allows before anything better is known (07 §3.1): everything on this machine,
/// nothing elsewhere.
#[must_use]
pub fn default_policy(kind: WorkspaceKind) -> WorkspacePolicy {
    let local = kind == WorkspaceKind::Local;
    let names = [
        "sessions",
        "threads",
        "workflows",
        "artifacts",
        "settings",
        "customContent",
        "capabilities",
    ];
    let list = || if local { None } else { Some(Vec::new()) };
    let access = if local {
        LocalAccess::Enabled
    } else {
        LocalAccess::Disabled
    };
    WorkspacePolicy {
        features: names.map(|name| (name.to_owned(), local)).into(),
        allowed_agents: list(),
        allowed_tools: list(),
        allowed_mcps: list(),
        local_files: access,
        local_stdio_mcps: access,
        machine_runtime_config: if local {
            LocalAccess::Allowlisted
        } else {
            LocalAccess::Disabled
        },
    }
}

fn is_allowed(status: SupportStatus) -> bool {
    matches!(status, SupportStatus::Supported | SupportStatus::ReadOnly)
}

fn status(column: Column<'_>, operation: Operation) -> SupportStatus {
    let [remote, desktop, web] = cells(operation);
    let cell = match column {
        Column::Local => return SupportStatus::Supported,
        Column::Gateway | Column::Paired => remote,
        Column::CloudFromDesktop(_) => desktop,
        Column::CloudWeb(_) => web,
    };
    match cell {
        Cell::Supported => SupportStatus::Supported,
        Cell::Deferred => SupportStatus::Deferred,
        Cell::NotSupported => SupportStatus::NotSupported,
        Cell::Feature(names) if names.iter().any(|name| is_on(column, name)) => {
            SupportStatus::Supported
        }
        Cell::Feature(_) => SupportStatus::BlockedByPolicy,
    }
}

fn is_on(column: Column<'_>, feature: &str) -> bool {
    match column {
        Column::Local => true,
        Column::Gateway | Column::Paired => false,
        Column::CloudFromDesktop(features) if feature == "chat" => *features
            .get("chat")
            .or_else(|| features.get("sessions"))
            .unwrap_or(&true),
        Column::CloudFromDesktop(features) => features.get(feature) == Some(&true),
        Column::CloudWeb(features) => features.get(feature) != Some(&false),
    }
}

fn authority(column: Column<'_>) -> ExecutionAuthority {
    match column {
        Column::Local => ExecutionAuthority::DesktopLocal,
        Column::Gateway => ExecutionAuthority::GatewayStandalone,
        Column::Paired => ExecutionAuthority::DesktopPaired,
        Column::CloudFromDesktop(_) | Column::CloudWeb(_) => ExecutionAuthority::CloudWorker,
    }
}

fn authority_of(kind: WorkspaceKind) -> ExecutionAuthority {
    match kind {
        WorkspaceKind::Local => ExecutionAuthority::DesktopLocal,
        WorkspaceKind::Gateway => ExecutionAuthority::GatewayStandalone,
        WorkspaceKind::PairedDesktop => ExecutionAuthority::DesktopPaired,
        WorkspaceKind::Cloud => ExecutionAuthority::CloudWorker,
    }
}

/// The listed code of a status.
fn listed(status: SupportStatus) -> Option<ReasonCode> {
    match status {
        SupportStatus::Supported => None,
        SupportStatus::ReadOnly => Some(ReasonCode::OfflineReadOnly),
        SupportStatus::BlockedByPolicy => Some(ReasonCode::PolicyDisabled),
        SupportStatus::NotSupported => Some(ReasonCode::NotSupported),
        SupportStatus::Deferred => Some(ReasonCode::Deferred),
    }
}

/// Why an operation isn't there: the precise code, and a sentence.
fn reason(status: SupportStatus, operation: Operation) -> Option<(ReasonCode, &'static str)> {
    let code = listed(status)?;
    Some(match status {
        SupportStatus::NotSupported if operation == Operation::ArtifactsReveal => (
            ReasonCode::LocalOnly,
            "Only files of this machine can be shown in its file manager; export the artifact instead.",
        ),
        SupportStatus::NotSupported if is_path_like(operation) => (
            ReasonCode::LocalOnly,
            "This works only with files of this machine; use the local workspace.",
        ),
        SupportStatus::NotSupported => (code, "This workspace doesn't offer this."),
        SupportStatus::Deferred => (code, "This workspace doesn't offer this yet."),
        SupportStatus::BlockedByPolicy => (
            code,
            "The workspace's policy switched this off; ask its administrator.",
        ),
        SupportStatus::Supported | SupportStatus::ReadOnly => {
            (code, "The workspace is offline; it can only be read.")
        }
    })
}

#[cfg(test)]
mod tests;
