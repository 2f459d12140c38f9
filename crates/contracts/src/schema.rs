//! JSON Schemas of the wire types, generated from the Rust types (decision 23).

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

macro_rules! schemas {
    ($($name:literal $type:ty;)*) => {
        /// Every wire type that stands alone: file name without suffix, JSON Schema (draft 2020-12).
        pub fn all() -> Vec<(&'static str, Value)> {
            vec![$(($name, schema_of::<$type>()),)*]
        }
    };
}

schemas! {
    "session" crate::record::Session;
    "session-event" crate::record::SessionEventRecord;
    "workspace-event" crate::record::WorkspaceEventRecord;
    "runtime-event" crate::event::RuntimeEvent;
    "session-projection" crate::record::Projection;
    "session-envelope" crate::record::SessionEnvelope;
    "projection-view" crate::view::View;
    "session-view" crate::session_view::SessionView;
    "event-descriptor" crate::vocabulary::EventDescriptor;
    "fence-token" crate::fence::FenceToken;
    "checkpoint" crate::fence::Checkpoint;
    "fence-verdict" crate::fence::FenceVerdict;
    "automation-event" crate::automation::AutomationEvent;
    "status-line" crate::automation::StatusLine;
    "error-envelope" crate::error::ErrorEnvelope;
    "authority-contract" crate::authority::AuthorityContract;
    "workspace-info" crate::workspace::WorkspaceInfo;
    "workspace-policy" crate::workspace::WorkspacePolicy;
    "workspace-api-support" crate::workspace::WorkspaceApiSupport;
    "surface-promise" crate::support::SurfacePromise;
    "setup-intent" crate::setup::SetupIntent;
    "health-check" crate::setup::HealthCheck;
    "health-report" crate::health::HealthReport;
    "capability-row" crate::health::CapabilityRow;
    "conflict-row" crate::health::ConflictRow;
    "runtime-status" crate::health::RuntimeStatus;
    "extension-descriptor" crate::setup_bundle::ExtensionDescriptor;
    "setup-bundle" crate::setup_bundle::SetupBundle;
    "setup-import-options" crate::setup_bundle::ImportOptions;
    "setup-import-result" crate::setup_bundle::ImportResult;
}
