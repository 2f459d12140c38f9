use super::*;
use Operation as O;
use SupportStatus::{BlockedByPolicy, Deferred, NotSupported, Supported};

fn features(list: &[(&str, bool)]) -> Features {
    list.iter()
        .map(|(name, on)| ((*name).to_owned(), *on))
        .collect()
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
    matrix(column, WorkspaceStatus::Online)
        .iter()
        .map(letter)
        .collect()
}

#[test]
fn the_matrix_is_the_contracts() {
    let (none, all) = (Features::new(), {
        let names = [
            "chat",
            "threadIndex",
            "workflows",
            "artifacts",
            "settings",
            "customAgents",
            "customSkills",
            "customMcps",
            "agents",
        ];
        features(&names.map(|name| (name, true)))
    });
    let off: Features = all.keys().map(|name| (name.clone(), false)).collect();
    // sessions 6, paths 2, threads 3, workflows 2, coordination 6, artifacts 6, settings, custom 3,
    // catalogue, local 3, voice 4
    assert_eq!(letters(Column::Local), "S".repeat(37));
    for column in [Column::Gateway, Column::Paired] {
        assert_eq!(letters(column), "DDDDDDNNDDDDDDDDDDDDDDDDNNNNNDNNNNNNN");
    }
    assert_eq!(
        letters(Column::CloudFromDesktop(&all)),
        "SSSSSSNNSSSSSDDSSDDSSSSSNSSSSSNNNNNNN"
    );
    assert_eq!(
        letters(Column::CloudFromDesktop(&none)),
        "SSSSSSNNBBBBBDDBBDDBBBBBNBBBBBNNNNNNN"
    );
    assert_eq!(
        letters(Column::CloudFromDesktop(&off)),
        "BBBBBBNNBBBBBDDBBDDBBBBBNBBBBBNNNNNNN"
    );
    for features in [&all, &none] {
        assert_eq!(
            letters(Column::CloudWeb(features)),
            "SSSSSSNNSSSSSSSSSSSSSSSSNSSSSSNNNNNNN"
        );
    }
    assert_eq!(
        letters(Column::CloudWeb(&off)),
        "BBBBBBNNBBBBBSSSSSSBBBBBNBBBBBNNNNNNN"
    );
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
    assert_eq!(
        status_of(Column::CloudWeb(&sessions_off), O::SessionsPrompt),
        Supported
    );
}

#[test]
fn one_feature_of_the_catalogue_is_enough_in_the_browser_only() {
    let some = features(&[
        ("agents", false),
        ("customSkills", false),
        ("customMcps", true),
    ]);
    assert_eq!(
        status_of(Column::CloudWeb(&some), O::CapabilitiesCatalog),
        Supported
    );
    assert_eq!(
        status_of(Column::CloudFromDesktop(&some), O::CapabilitiesCatalog),
        BlockedByPolicy
    );
}

#[test]
fn each_column_writes_its_own_policy_code_and_all_a_listed_reason() {
    let off = features(&[("artifacts", false)]);
    for (column, operation, policy, reason) in [
        (Column::Local, O::SessionsList, None, None),
        (
            Column::Gateway,
            O::SessionsList,
            Some("workspace.deferred"),
            Some(ReasonCode::Deferred),
        ),
        (
            Column::Paired,
            O::VoiceStt,
            Some("workspace.not_supported"),
            Some(ReasonCode::NotSupported),
        ),
        (
            Column::CloudFromDesktop(&off),
            O::ArtifactsList,
            Some("blocked_by_policy"),
            Some(ReasonCode::PolicyDisabled),
        ),
        (
            Column::CloudFromDesktop(&off),
            O::CoordinationTasks,
            Some("deferred"),
            Some(ReasonCode::Deferred),
        ),
        (
            Column::CloudFromDesktop(&off),
            O::LocalFiles,
            Some("not_supported"),
            Some(ReasonCode::LocalOnly),
        ),
        (Column::CloudFromDesktop(&off), O::SessionsList, None, None),
        (
            Column::CloudWeb(&off),
            O::ArtifactsList,
            None,
            Some(ReasonCode::PolicyDisabled),
        ),
    ] {
        let verdict = support(column, WorkspaceStatus::Online, operation)
            .verdict
            .unwrap();
        assert_eq!(
            verdict.policy_code.as_deref(),
            policy,
            "{column:?} {operation}"
        );
        assert_eq!(verdict.reason_code, reason, "{column:?} {operation}");
        assert_eq!(
            verdict.reason.is_some(),
            !verdict.allowed,
            "{column:?} {operation}"
        );
    }
}

#[test]
fn contexts_follow_their_column() {
    let off = features(&[("artifacts", false)]);
    let of = |column, operation| {
        support(column, WorkspaceStatus::Online, operation)
            .context
            .unwrap()
    };

    let gateway = of(Column::Gateway, O::ArtifactsDownload);
    assert_eq!(gateway.artifacts.body, ArtifactAccess::GatewayArtifactStore);
    assert_eq!(gateway.artifacts.reveal, ArtifactAccess::None);
    assert_eq!(gateway.path_exposure, PathExposure::RedactedRemote);
    assert_eq!(gateway.workflows, MutationSupport::Deferred);
    assert_eq!(gateway.blocked_reason, Some(ReasonCode::Deferred));
    assert_eq!(
        of(Column::Gateway, O::ArtifactsIndex).artifacts.body,
        ArtifactAccess::RedactedMetadataOnly
    );
    let local_files = of(Column::Gateway, O::LocalFiles);
    assert_eq!(local_files.artifacts.body, ArtifactAccess::None);
    assert_eq!(local_files.workflows, MutationSupport::NotSupported);
    assert_eq!(
        of(Column::Gateway, O::SessionsList).artifacts.reveal,
        ArtifactAccess::GatewayArtifactStore
    );
    assert_eq!(
        of(Column::Paired, O::ArtifactsList).artifacts.body,
        ArtifactAccess::RedactedMetadataOnly
    );

    let desktop = of(Column::CloudFromDesktop(&off), O::ArtifactsReveal);
    assert_eq!(desktop.path_exposure, PathExposure::NotExposed);
    assert_eq!(desktop.artifacts.reveal, ArtifactAccess::None);
    let desktop = of(Column::CloudFromDesktop(&off), O::ArtifactsList);
    assert_eq!(desktop.path_exposure, PathExposure::CloudSafeRefs);
    assert_eq!(desktop.artifacts.body, ArtifactAccess::CloudObjectStore);
    assert_eq!(desktop.workflows, MutationSupport::Blocked);
    assert_eq!(desktop.surface, Surface::DesktopCloud);

    let web = of(Column::CloudWeb(&off), O::SessionsList);
    assert_eq!(
        (web.artifacts.body, web.artifacts.reveal),
        (ArtifactAccess::None, ArtifactAccess::None)
    );
    assert_eq!((web.surface, web.blocked_reason), (Surface::CloudWeb, None));
    assert_eq!(
        of(Column::CloudWeb(&off), O::LocalFiles).blocked_reason,
        None
    );
    assert_eq!(
        of(Column::CloudWeb(&off), O::ArtifactsList).workflows,
        MutationSupport::Blocked
    );
    assert_eq!(
        of(Column::Local, O::LocalFiles).path_exposure,
        PathExposure::LocalPrivate
    );
}

#[test]
fn a_pairing_shows_its_state() {
    for (online, expected) in [
        (WorkspaceStatus::Online, PairingState::PairedOnline),
        (WorkspaceStatus::Offline, PairingState::PairedOffline),
        (WorkspaceStatus::Disabled, PairingState::PairingRequired),
        (WorkspaceStatus::AuthRequired, PairingState::PairingRequired),
    ] {
        let context = support(Column::Paired, online, O::SessionsList)
            .context
            .unwrap();
        assert_eq!(
            (context.pairing_state, context.online_state),
            (expected, online)
        );
    }
}

#[test]
fn nothing_may_be_done_while_support_loads_or_when_it_cannot_be_loaded() {
    assert!(!can_read(None) && !can_write(None) && !may_show_paths(None));
    for kind in WorkspaceKind::ALL {
        let all = unavailable(*kind);
        assert_eq!(all.len(), 37);
        for support in &all {
            assert!(
                !can_read(Some(support))
                    && !can_write(Some(support))
                    && !may_show_paths(Some(support))
            );
            assert_eq!(
                support.verdict.as_ref().unwrap().policy_code.as_deref(),
                Some("workspace.policy_unavailable")
            );
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
    let none = Features::new();
    for (column, surface, policy_code, paths) in [
        (Column::Gateway, None, Some("workspace.not_supported"), None),
        (Column::Paired, None, Some("workspace.not_supported"), None),
        (
            Column::CloudFromDesktop(&none),
            None,
            Some("not_supported"),
            Some(PathExposure::NotExposed),
        ),
        (Column::CloudWeb(&none), Some(Surface::CloudWeb), None, None),
    ] {
        let answer = support_named(column, WorkspaceStatus::Online, "sessions.teleport");
        let (verdict, context) = (answer.verdict.unwrap(), answer.context.unwrap());
        assert_eq!(verdict.policy_code.as_deref(), policy_code, "{column:?}");
        assert_eq!(verdict.reason_code, Some(ReasonCode::NotSupported));
        assert_eq!(context.artifacts.body, ArtifactAccess::None, "{column:?}");
        assert_eq!(context.artifacts.reveal, ArtifactAccess::None, "{column:?}");
        let blocked = policy_code.map(|_| ReasonCode::NotSupported);
        assert_eq!(context.blocked_reason, blocked, "{column:?}");
        if let Some(surface) = surface {
            assert_eq!(context.surface, surface);
        }
        if let Some(paths) = paths {
            assert_eq!(context.path_exposure, paths);
        }
    }
}

#[test]
fn only_the_local_workspace_allows_anything_by_default() {
    let local = default_policy(WorkspaceKind::Local);
    assert!(local.features.values().all(|on| *on) && local.features.len() == 7);
    assert_eq!(
        (local.allowed_agents, local.machine_runtime_config),
        (None, LocalAccess::Allowlisted)
    );
    for kind in [
        WorkspaceKind::Cloud,
        WorkspaceKind::Gateway,
        WorkspaceKind::PairedDesktop,
    ] {
        let policy = default_policy(kind);
        assert!(policy.features.values().all(|on| !on));
        assert_eq!(policy.allowed_tools, Some(vec![]));
        assert_eq!(policy.local_files, LocalAccess::Disabled);
    }
}

#[test]
fn switching_a_feature_off_never_supports_more() {
    let names = [
        "chat",
        "sessions",
        "threadIndex",
        "workflows",
        "artifacts",
        "settings",
        "customAgents",
        "customSkills",
        "customMcps",
        "agents",
    ];
    for bits in 0..(1_u32 << names.len()) {
        let on: Features = names
            .iter()
            .enumerate()
            .map(|(i, name)| ((*name).to_owned(), bits & (1 << i) != 0))
            .collect();
        let operations = [
            O::SessionsList,
            O::CapabilitiesCatalog,
            O::ArtifactsList,
            O::CoordinationRuns,
        ];
        for name in names {
            let mut less = on.clone();
            less.insert(name.to_owned(), false);
            for operation in operations {
                for (before, after) in [
                    (Column::CloudWeb(&on), Column::CloudWeb(&less)),
                    (
                        Column::CloudFromDesktop(&on),
                        Column::CloudFromDesktop(&less),
                    ),
                ] {
                    assert!(
                        status(before, operation) == Supported
                            || status(after, operation) != Supported
                    );
                }
            }
        }
    }
}
