//! The support matrix (07 §3): what each kind of workspace can do, and under which context.
//!
//! One function gives the verdict for every surface, so that they can't disagree (07 §20.7). The wire's
//! `policyCode` is kept as upstream writes it in each column; the additive `reasonCode` always names one of the
//! listed codes (07 §20.8).

pub mod promise;

use open_cowork_contracts::authority::{
    ArtifactAccess, AuthorityContext, ExecutionAuthority, MutationSupport, PairingState, PathExposure,
    ReasonCode, SupportStatus, Surface, WorkspaceKind, WorkspaceStatus,
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
    let status = status(column, operation);
    let mut context = AuthorityContext::of(authority(column), status);
    context.online_state = online;
    let reason = reason(status, operation);
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
                Operation::ArtifactsIndex | Operation::ArtifactsStatus => {
                    context.artifacts.body = ArtifactAccess::RedactedMetadataOnly;
                }
                operation if is_path_like(operation) => {
                    context.artifacts.body = ArtifactAccess::None;
                }
                _ => {}
            }
            if is_artifact(operation) || is_path_like(operation) {
                context.artifacts.reveal = ArtifactAccess::None;
            }
            context.blocked_reason = listed(status);
        }
        Column::CloudFromDesktop(_) => {
            if status == SupportStatus::NotSupported {
                context.path_exposure = PathExposure::NotExposed;
            }
            if operation == Operation::ArtifactsReveal {
                context.artifacts.reveal = ArtifactAccess::None;
            }
            context.blocked_reason = listed(status);
        }
        Column::CloudWeb(features) => {
            context.surface = Surface::CloudWeb;
            let artifacts_off = features.get("artifacts") == Some(&false);
            let blocked = status == SupportStatus::BlockedByPolicy;
            if artifacts_off || blocked {
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
        api: operation.as_str().to_owned(),
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
    if let Some(operation) = Operation::parse(operation) {
        return support(column, online, operation);
    }
    let status = SupportStatus::NotSupported;
    WorkspaceApiSupport {
        api: operation.to_owned(),
        status,
        verdict: Some(WorkspaceActionVerdict {
            allowed: false,
            reason: Some("This version doesn't know this operation.".to_owned()),
            policy_code: None,
            reason_code: Some(ReasonCode::NotSupported),
        }),
        context: Some(AuthorityContext {
            online_state: online,
            ..AuthorityContext::of(authority(column), status)
        }),
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
        is_allowed(support.status) || support.verdict.as_ref().is_some_and(|verdict| verdict.allowed)
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
    let (cell, on): (Cell, Box<dyn Fn(&str) -> bool + '_>) = match column {
        Column::Local => return SupportStatus::Supported,
        Column::Gateway | Column::Paired => (remote, Box::new(|_| false)),
        Column::CloudFromDesktop(features) => {
            let on = |name: &str| match name {
                "chat" => *features
                    .get("chat")
                    .or_else(|| features.get("sessions"))
                    .unwrap_or(&true),
                name => features.get(name) == Some(&true),
            };
            (desktop, Box::new(on))
        }
        Column::CloudWeb(features) => {
            let on = |name: &str| features.get(name) != Some(&false);
            (web, Box::new(on))
        }
    };
    match cell {
        Cell::Supported => SupportStatus::Supported,
        Cell::Deferred => SupportStatus::Deferred,
        Cell::NotSupported => SupportStatus::NotSupported,
        Cell::Feature(names) if names.iter().any(|name| on(name)) => SupportStatus::Supported,
        Cell::Feature(_) => SupportStatus::BlockedByPolicy,
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
        SupportStatus::BlockedByPolicy => {
            (code, "The workspace's policy switched this off; ask its administrator.")
        }
        SupportStatus::Supported | SupportStatus::ReadOnly => {
            (code, "The workspace is offline; it can only be read.")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation as O;
    use SupportStatus::{BlockedByPolicy, Deferred, NotSupported, Supported};

    fn features(list: &[(&str, bool)]) -> Features {
        list.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect()
    }

    fn status_of(column: Column<'_>, operation: Operation) -> SupportStatus {
        support(column, WorkspaceStatus::Online, operation).status
    }

    /// One letter per operation, in order: S, D, N, B.
    fn letters(column: Column<'_>) -> String {
        let letter = |support: &WorkspaceApiSupport| match support.status {
            Supported => 'S',
            Deferred => 'D',
            NotSupported => 'N',
            BlockedByPolicy => 'B',
            SupportStatus::ReadOnly => 'R',
        };
        matrix(column, WorkspaceStatus::Online).iter().map(letter).collect()
    }

    #[test]
    fn the_matrix_is_the_contracts() {
        let (none, all) = (Features::new(), {
            let names = ["chat", "threadIndex", "workflows", "artifacts", "settings", "customAgents", "customSkills", "customMcps", "agents"];
            features(&names.map(|name| (name, true)))
        });
        let off: Features = all.keys().map(|name| (name.clone(), false)).collect();
        // sessions 6, paths 2, threads 3, workflows 2, coordination 6, artifacts 6, settings, custom 3,
        // catalogue, local 3, voice 4
        assert_eq!(letters(Column::Local), "S".repeat(37));
        for column in [Column::Gateway, Column::Paired] {
            assert_eq!(letters(column), "DDDDDDNNDDDDDDDDDDDDDDDDNNNNNDNNNNNNN");
        }
        assert_eq!(letters(Column::CloudFromDesktop(&all)), "SSSSSSNNSSSSSDDSSDDSSSSSNSSSSSNNNNNNN");
        assert_eq!(letters(Column::CloudFromDesktop(&none)), "SSSSSSNNBBBBBDDBBDDBBBBBNBBBBBNNNNNNN");
        assert_eq!(letters(Column::CloudFromDesktop(&off)), "BBBBBBNNBBBBBDDBBDDBBBBBNBBBBBNNNNNNN");
        for features in [&all, &none] {
            assert_eq!(letters(Column::CloudWeb(features)), "SSSSSSNNSSSSSSSSSSSSSSSSNSSSSSNNNNNNN");
        }
        assert_eq!(letters(Column::CloudWeb(&off)), "BBBBBBNNBBBBBSSSSSSBBBBBNBBBBBNNNNNNN");
    }

    #[test]
    fn chat_on_a_desktop_falls_back_to_sessions_and_then_to_on() {
        for (list, expected) in [
            (vec![], Supported),
            (vec![("sessions", false)], BlockedByPolicy),
            (vec![("sessions", false), ("chat", true)], Supported),
            (vec![("chat", false), ("sessions", true)], BlockedByPolicy),
        ] {
            let features = features(&list);
            let column = Column::CloudFromDesktop(&features);
            assert_eq!(status_of(column, O::SessionsPrompt), expected, "{list:?}");
        }
        let sessions_off = features(&[("sessions", false)]);
        assert_eq!(status_of(Column::CloudWeb(&sessions_off), O::SessionsPrompt), Supported);
    }

    #[test]
    fn one_feature_of_the_catalogue_is_enough_in_the_browser_only() {
        let some = features(&[("agents", false), ("customSkills", false), ("customMcps", true)]);
        assert_eq!(status_of(Column::CloudWeb(&some), O::CapabilitiesCatalog), Supported);
        assert_eq!(status_of(Column::CloudFromDesktop(&some), O::CapabilitiesCatalog), BlockedByPolicy);
    }

    #[test]
    fn each_column_writes_its_own_policy_code_and_all_a_listed_reason() {
        let off = features(&[("artifacts", false)]);
        for (column, operation, policy, reason) in [
            (Column::Local, O::SessionsList, None, None),
            (Column::Gateway, O::SessionsList, Some("workspace.deferred"), Some(ReasonCode::Deferred)),
            (Column::Paired, O::VoiceStt, Some("workspace.not_supported"), Some(ReasonCode::NotSupported)),
            (Column::CloudFromDesktop(&off), O::ArtifactsList, Some("blocked_by_policy"), Some(ReasonCode::PolicyDisabled)),
            (Column::CloudFromDesktop(&off), O::CoordinationTasks, Some("deferred"), Some(ReasonCode::Deferred)),
            (Column::CloudFromDesktop(&off), O::LocalFiles, Some("not_supported"), Some(ReasonCode::LocalOnly)),
            (Column::CloudFromDesktop(&off), O::SessionsList, None, None),
            (Column::CloudWeb(&off), O::ArtifactsList, None, Some(ReasonCode::PolicyDisabled)),
        ] {
            let verdict = support(column, WorkspaceStatus::Online, operation).verdict.unwrap();
            assert_eq!(verdict.policy_code.as_deref(), policy, "{column:?} {operation}");
            assert_eq!(verdict.reason_code, reason, "{column:?} {operation}");
            assert_eq!(verdict.reason.is_some(), !verdict.allowed, "{column:?} {operation}");
        }
    }

    #[test]
    fn contexts_follow_their_column() {
        let off = features(&[("artifacts", false)]);
        let of = |column, operation| support(column, WorkspaceStatus::Online, operation).context.unwrap();

        let gateway = of(Column::Gateway, O::ArtifactsDownload);
        assert_eq!(gateway.artifacts.body, ArtifactAccess::GatewayArtifactStore);
        assert_eq!(gateway.artifacts.reveal, ArtifactAccess::None);
        assert_eq!(gateway.path_exposure, PathExposure::RedactedRemote);
        assert_eq!(gateway.workflows, MutationSupport::Deferred);
        assert_eq!(gateway.blocked_reason, Some(ReasonCode::Deferred));
        assert_eq!(of(Column::Gateway, O::ArtifactsIndex).artifacts.body, ArtifactAccess::RedactedMetadataOnly);
        let local_files = of(Column::Gateway, O::LocalFiles);
        assert_eq!(local_files.artifacts.body, ArtifactAccess::None);
        assert_eq!(local_files.workflows, MutationSupport::NotSupported);
        assert_eq!(of(Column::Gateway, O::SessionsList).artifacts.reveal, ArtifactAccess::GatewayArtifactStore);
        assert_eq!(of(Column::Paired, O::ArtifactsList).artifacts.body, ArtifactAccess::RedactedMetadataOnly);

        let desktop = of(Column::CloudFromDesktop(&off), O::ArtifactsReveal);
        assert_eq!(desktop.path_exposure, PathExposure::NotExposed);
        assert_eq!(desktop.artifacts.reveal, ArtifactAccess::None);
        let desktop = of(Column::CloudFromDesktop(&off), O::ArtifactsList);
        assert_eq!(desktop.path_exposure, PathExposure::CloudSafeRefs);
        assert_eq!(desktop.artifacts.body, ArtifactAccess::CloudObjectStore);
        assert_eq!(desktop.workflows, MutationSupport::Blocked);
        assert_eq!(desktop.surface, Surface::DesktopCloud);

        let web = of(Column::CloudWeb(&off), O::SessionsList);
        assert_eq!((web.artifacts.body, web.artifacts.reveal), (ArtifactAccess::None, ArtifactAccess::None));
        assert_eq!((web.surface, web.blocked_reason), (Surface::CloudWeb, None));
        assert_eq!(of(Column::CloudWeb(&off), O::LocalFiles).blocked_reason, None);
        assert_eq!(of(Column::CloudWeb(&off), O::ArtifactsList).workflows, MutationSupport::Blocked);
        assert_eq!(of(Column::Local, O::LocalFiles).path_exposure, PathExposure::LocalPrivate);
    }

    #[test]
    fn a_pairing_shows_its_state() {
        for (online, expected) in [
            (WorkspaceStatus::Online, PairingState::PairedOnline),
            (WorkspaceStatus::Offline, PairingState::PairedOffline),
            (WorkspaceStatus::Disabled, PairingState::PairingRequired),
            (WorkspaceStatus::AuthRequired, PairingState::PairingRequired),
        ] {
            let context = support(Column::Paired, online, O::SessionsList).context.unwrap();
            assert_eq!((context.pairing_state, context.online_state), (expected, online));
        }
    }

    #[test]
    fn nothing_may_be_done_while_support_loads_or_when_it_cannot_be_loaded() {
        assert!(!can_read(None) && !can_write(None) && !may_show_paths(None));
        for kind in WorkspaceKind::ALL {
            let all = unavailable(*kind);
            assert_eq!(all.len(), 37);
            for support in &all {
                assert!(!can_read(Some(support)) && !can_write(Some(support)) && !may_show_paths(Some(support)));
                assert_eq!(support.verdict.as_ref().unwrap().policy_code.as_deref(), Some("workspace.policy_unavailable"));
            }
        }
    }

    #[test]
    fn a_read_only_operation_can_be_read_and_not_written() {
        let mut support = support(Column::Local, WorkspaceStatus::Online, O::SessionsList);
        assert!(can_write(Some(&support)) && may_show_paths(Some(&support)));
        support.status = SupportStatus::ReadOnly;
        assert!(can_read(Some(&support)) && !can_write(Some(&support)));
    }

    #[test]
    fn an_unknown_operation_is_not_supported_anywhere() {
        let answer = support_named(Column::Local, WorkspaceStatus::Online, "sessions.teleport");
        assert_eq!(answer.status, NotSupported);
        assert!(!can_read(Some(&answer)));
    }

    #[test]
    fn only_the_local_workspace_allows_anything_by_default() {
        let local = default_policy(WorkspaceKind::Local);
        assert!(local.features.values().all(|on| *on) && local.features.len() == 7);
        assert_eq!((local.allowed_agents, local.machine_runtime_config), (None, LocalAccess::Allowlisted));
        for kind in [WorkspaceKind::Cloud, WorkspaceKind::Gateway, WorkspaceKind::PairedDesktop] {
            let policy = default_policy(kind);
            assert!(policy.features.values().all(|on| !on));
            assert_eq!(policy.allowed_tools, Some(vec![]));
            assert_eq!(policy.local_files, LocalAccess::Disabled);
        }
    }

    #[test]
    fn switching_a_feature_off_never_supports_more() {
        let names = ["chat", "sessions", "threadIndex", "workflows", "artifacts", "settings", "customAgents", "customSkills", "customMcps", "agents"];
        for bits in 0..(1_u32 << names.len()) {
            let on: Features = names
                .iter()
                .enumerate()
                .map(|(i, name)| ((*name).to_owned(), bits & (1 << i) != 0))
                .collect();
            let operations = [O::SessionsList, O::CapabilitiesCatalog, O::ArtifactsList, O::CoordinationRuns];
            for name in names {
                let mut less = on.clone();
                less.insert(name.to_owned(), false);
                for operation in operations {
                    for (before, after) in [
                        (Column::CloudWeb(&on), Column::CloudWeb(&less)),
                        (Column::CloudFromDesktop(&on), Column::CloudFromDesktop(&less)),
                    ] {
                        assert!(
                            status(before, operation) == Supported || status(after, operation) != Supported
                        );
                    }
                }
            }
        }
    }
}
