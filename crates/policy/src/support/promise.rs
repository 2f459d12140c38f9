//! What each surface promises (07 §3.2): one row per capability, one cell per surface.

use open_cowork_contracts::authority::Surface;
use open_cowork_contracts::support::{PromiseLevel, SurfaceCapability, SurfacePromise};

use PromiseLevel::{Blocked as B, Deferred as D, NotSupported as N, ReadOnly as R, Supported as S};

type Cell = (PromiseLevel, &'static str);

/// Columns, in the order of the table.
pub const SURFACES: [Surface; 7] = [
    Surface::DesktopLocal,
    Surface::DesktopCloud,
    Surface::CloudWeb,
    Surface::CloudChannelGateway,
    Surface::GatewayStandalone,
    Surface::DesktopPaired,
    Surface::AdminOperator,
];

fn cells(capability: SurfaceCapability) -> [Cell; 7] {
    const PLAIN: Cell = (S, "");
    const NEVER: Cell = (N, "");
    const BY_POLICY: Cell = (S, "by policy");
    match capability {
        SurfaceCapability::DirectPrompt => [
            PLAIN,
            (S, "online and signed in"),
            (S, "online and signed in"),
            (S, "in the bound chat"),
            PLAIN,
            (S, "online and allowlisted"),
            NEVER,
        ],
        SurfaceCapability::SessionList => [
            PLAIN,
            (S, "read-only while offline"),
            PLAIN,
            (S, "the bound chat only"),
            PLAIN,
            (S, "by the projection policy"),
            (S, "scoped"),
        ],
        SurfaceCapability::LocalProjectPicker => [
            PLAIN,
            NEVER,
            NEVER,
            NEVER,
            (N, "not from channels"),
            NEVER,
            NEVER,
        ],
        SurfaceCapability::CloudGitSource => [
            NEVER,
            BY_POLICY,
            BY_POLICY,
            (S, "by the binding's default"),
            (N, "unless its own policy allows it"),
            NEVER,
            (S, "setup"),
        ],
        SurfaceCapability::UploadedSnapshot => [
            (N, "unless importing"),
            (S, "explicit"),
            (S, "explicit"),
            (D, "except the provider's uploads"),
            BY_POLICY,
            (D, ""),
            (S, "setup"),
        ],
        SurfaceCapability::LocalStdioMcp => [
            BY_POLICY,
            NEVER,
            NEVER,
            NEVER,
            (S, "by its private policy"),
            (B, "unless confirmed locally"),
            (B, "unless mapped"),
        ],
        SurfaceCapability::RemoteMcpMetadata => [
            PLAIN,
            BY_POLICY,
            BY_POLICY,
            (S, "by the session's policy"),
            PLAIN,
            (R, ""),
            PLAIN,
        ],
        SurfaceCapability::MachineRuntimeConfig => [
            (S, "explicit opt-in"),
            NEVER,
            NEVER,
            NEVER,
            (S, "private setup only"),
            NEVER,
            NEVER,
        ],
        SurfaceCapability::ArtifactMetadata => [
            PLAIN,
            (S, "cached read-only"),
            PLAIN,
            (S, "where it can be rendered"),
            PLAIN,
            (S, "redacted"),
            (S, "summaries"),
        ],
        SurfaceCapability::ArtifactBody => [
            PLAIN,
            BY_POLICY,
            BY_POLICY,
            (S, "as file or link"),
            BY_POLICY,
            (B, "unless the pairing allows it"),
            (S, "authorised support only"),
        ],
        SurfaceCapability::WorkflowRun => [
            PLAIN,
            BY_POLICY,
            BY_POLICY,
            (S, "by command or delivery"),
            PLAIN,
            (D, ""),
            (R, "visibility"),
        ],
        SurfaceCapability::ProviderKeyEntry => {
            [NEVER, NEVER, (S, "admins only"), NEVER, NEVER, NEVER, PLAIN]
        }
        SurfaceCapability::GatewayDeliveryRetry => [
            NEVER,
            NEVER,
            (S, "admins"),
            (S, "internal"),
            (S, "internal"),
            NEVER,
            PLAIN,
        ],
        SurfaceCapability::DiagnosticsExport => [
            (S, "redacted"),
            (S, "redacted"),
            (S, "admins, redacted"),
            (S, "redacted"),
            (S, "redacted"),
            (S, "path-aware"),
            (S, "operator scope"),
        ],
    }
}

/// What one surface promises about one capability.
#[must_use]
pub fn promise(capability: SurfaceCapability, surface: Surface) -> SurfacePromise {
    let cells = cells(capability);
    let column = match surface {
        Surface::DesktopLocal => 0,
        Surface::DesktopCloud => 1,
        Surface::CloudWeb => 2,
        Surface::CloudChannelGateway => 3,
        Surface::GatewayStandalone => 4,
        Surface::DesktopPaired => 5,
        Surface::AdminOperator => 6,
    };
    let (level, condition) = cells[column];
    SurfacePromise {
        capability,
        surface,
        level,
        condition,
    }
}

/// The whole table: capability by capability, surface by surface.
pub fn promises() -> impl Iterator<Item = SurfacePromise> {
    SurfaceCapability::ALL.iter().flat_map(|capability| {
        SURFACES
            .iter()
            .map(|surface| promise(*capability, *surface))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_contracts() {
        let level = |promise: &SurfacePromise| match promise.level {
            S => 'S',
            R => 'R',
            B => 'B',
            N => 'N',
            D => 'D',
        };
        let all: Vec<SurfacePromise> = promises().collect();
        let rows: Vec<String> = all
            .chunks(SURFACES.len())
            .map(|row| row.iter().map(level).collect())
            .collect();
        assert_eq!(
            rows,
            [
                "SSSSSSN", "SSSSSSS", "SNNNNNN", "NSSSNNS", "NSSDSDS", "SNNNSBB", "SSSSSRS",
                "SNNNSNN", "SSSSSSS", "SSSSSBS", "SSSSSDR", "NNSNNNS", "NNSSSNS", "SSSSSSS"
            ]
        );
    }

    #[test]
    fn every_cell_is_found_by_its_surface() {
        for found in promises() {
            assert_eq!(promise(found.capability, found.surface), found);
        }
        assert_eq!(promises().count(), 98);
    }
}
