//! The operations of a workspace, in their fixed order, and what each surface promises (07 §3).

use crate::authority::Surface;
use schemars::JsonSchema;
use serde::Serialize;

names! {
    /// One operation of a workspace. The order is the contract's: lists of support come in it.
    Operation {
        /// List threads.
        SessionsList = "sessions.list",
        /// Start a thread.
        SessionsCreate = "sessions.create",
        /// Open a thread.
        SessionsActivate = "sessions.activate",
        /// Read a thread.
        SessionsGet = "sessions.get",
        /// Send a prompt.
        SessionsPrompt = "sessions.prompt",
        /// Stop a turn.
        SessionsAbort = "sessions.abort",
        /// Read a piece of a file of the thread's folder.
        SessionsFileSnippet = "sessions.fileSnippet",
        /// Read what a thread changed.
        SessionsDiff = "sessions.diff",
        /// Search threads.
        ThreadsSearch = "threads.search",
        /// Tag threads.
        ThreadsTags = "threads.tags",
        /// Saved searches.
        ThreadsSmartFilters = "threads.smartFilters",
        /// List playbooks.
        WorkflowsList = "workflows.list",
        /// Run a playbook.
        WorkflowsRun = "workflows.run",
        /// Project boards.
        CoordinationProjects = "coordination.projects",
        /// Tasks of a board.
        CoordinationTasks = "coordination.tasks",
        /// Runs of a board.
        CoordinationRuns = "coordination.runs",
        /// Schedules of a board.
        CoordinationSchedules = "coordination.schedules",
        /// Watches of a board.
        CoordinationWatches = "coordination.watches",
        /// Handing work on.
        CoordinationDelegation = "coordination.delegation",
        /// List the deliverables of a thread.
        ArtifactsList = "artifacts.list",
        /// List all deliverables.
        ArtifactsIndex = "artifacts.index",
        /// Change a deliverable's status.
        ArtifactsStatus = "artifacts.status",
        /// Upload a deliverable.
        ArtifactsUpload = "artifacts.upload",
        /// Download a deliverable.
        ArtifactsDownload = "artifacts.download",
        /// Show a deliverable in the file manager.
        ArtifactsReveal = "artifacts.reveal",
        /// Settings that travel.
        SettingsPortable = "settings.portable",
        /// Own coworkers.
        CustomContentAgents = "customContent.agents",
        /// Own skills.
        CustomContentSkills = "customContent.skills",
        /// Own MCP servers.
        CustomContentMcps = "customContent.mcps",
        /// The catalogue of tools and skills.
        CapabilitiesCatalog = "capabilities.catalog",
        /// Files of this machine.
        LocalFiles = "localFiles",
        /// MCP servers started as processes.
        LocalStdioMcps = "localStdioMcps",
        /// The machine's own runtime configuration.
        MachineRuntimeConfig = "machineRuntimeConfig",
        /// Microphone.
        VoiceCapture = "voice.capture",
        /// Speech to text.
        VoiceStt = "voice.stt",
        /// Text to speech.
        VoiceTts = "voice.tts",
        /// Spoken conversation.
        VoiceConversation = "voice.conversation",
    }
    /// What a person can expect of a surface (07 §3.2). Keys are ours; the rows are the contract's.
    SurfaceCapability {
        /// Prompting a coworker.
        DirectPrompt = "direct_prompt",
        /// Listing and opening threads.
        SessionList = "session_list",
        /// Choosing a folder of this machine.
        LocalProjectPicker = "local_project_picker",
        /// Working on a git repository in the cloud.
        CloudGitSource = "cloud_git_source",
        /// Working on an uploaded snapshot.
        UploadedSnapshot = "uploaded_snapshot",
        /// MCP servers started as processes.
        LocalStdioMcp = "local_stdio_mcp",
        /// What remote MCP servers offer.
        RemoteMcpMetadata = "remote_mcp_metadata",
        /// The machine's own runtime configuration.
        MachineRuntimeConfig = "machine_runtime_config",
        /// Names and sizes of deliverables.
        ArtifactMetadata = "artifact_metadata",
        /// Bytes of deliverables.
        ArtifactBody = "artifact_body",
        /// Running playbooks.
        WorkflowRun = "workflow_run",
        /// Entering provider keys.
        ProviderKeyEntry = "provider_key_entry",
        /// Delivering again to a channel.
        GatewayDeliveryRetry = "gateway_delivery_retry",
        /// Exporting diagnostics.
        DiagnosticsExport = "diagnostics_export",
    }
    /// How far a promise goes.
    PromiseLevel {
        /// It works, within the condition.
        Supported = "supported",
        /// Only reading.
        ReadOnly = "read_only",
        /// Not unless the condition is met.
        Blocked = "blocked",
        /// It isn't there.
        NotSupported = "not_supported",
        /// Later.
        Deferred = "deferred",
    }
}

/// What one surface promises about one capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SurfacePromise {
    /// The capability.
    pub capability: SurfaceCapability,
    /// The surface.
    pub surface: Surface,
    /// How far it goes.
    pub level: PromiseLevel,
    /// Under which condition, in a few words; empty: under none.
    pub condition: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_37_operations_in_the_contracts_order() {
        assert_eq!(Operation::ALL.len(), 37);
        assert_eq!(Operation::ALL[0].as_str(), "sessions.list");
        assert_eq!(Operation::ALL[13].as_str(), "coordination.projects");
        assert_eq!(Operation::ALL[24].as_str(), "artifacts.reveal");
        assert_eq!(Operation::ALL[36].as_str(), "voice.conversation");
    }

    #[test]
    fn a_name_finds_its_operation() {
        for operation in Operation::ALL {
            assert_eq!(Operation::parse(operation.as_str()), Some(*operation));
        }
        assert_eq!(Operation::parse("sessions.teleport"), None);
    }
}
