//! The words of the cloud's access decisions (07 §4): actions, principals, scopes, features, roles,
//! permissions and denial codes. The rules over them are in the crate `policy`.

names! {
    /// What a request of the cloud's API does. Every request is exactly one of them.
    CloudAction {
        /// Read the config and the workspace.
        WorkspaceRead = "workspace.read",
        /// Follow the events of the workspace.
        WorkspaceEvents = "workspace.events",
        /// Check a git or snapshot source.
        ProjectSourcesValidate = "projectSources.validate",
        /// Upload a snapshot.
        ProjectSourcesUpload = "projectSources.upload",
        /// Import a local thread.
        SessionsImport = "sessions.import",
        /// List threads.
        SessionsList = "sessions.list",
        /// Start a thread.
        SessionsCreate = "sessions.create",
        /// Read a thread.
        SessionsGet = "sessions.get",
        /// Open a thread.
        SessionsActivate = "sessions.activate",
        /// Read a thread's view.
        SessionsView = "sessions.view",
        /// Follow a thread's events.
        SessionsEvents = "sessions.events",
        /// Send a prompt.
        SessionsPrompt = "sessions.prompt",
        /// Stop a turn.
        SessionsAbort = "sessions.abort",
        /// Answer a question.
        SessionsQuestionReply = "sessions.questionReply",
        /// Dismiss a question.
        SessionsQuestionReject = "sessions.questionReject",
        /// Answer an approval.
        SessionsPermissionRespond = "sessions.permissionRespond",
        /// Compare a projection with its log.
        SessionsProjectionRead = "sessions.projectionRead",
        /// Fold a projection anew.
        SessionsProjectionRepair = "sessions.projectionRepair",
        /// List all deliverables.
        ArtifactsIndex = "artifacts.index",
        /// List the deliverables of a thread.
        ArtifactsList = "artifacts.list",
        /// Upload a deliverable.
        ArtifactsUpload = "artifacts.upload",
        /// Read a deliverable.
        ArtifactsRead = "artifacts.read",
        /// Finish a direct upload.
        ArtifactsFinalize = "artifacts.finalize",
        /// Give a direct upload up.
        ArtifactsAbort = "artifacts.abort",
        /// Change a deliverable's status.
        ArtifactsUpdate = "artifacts.update",
        /// List playbooks.
        WorkflowsList = "workflows.list",
        /// Make a playbook without a webhook.
        WorkflowsCreate = "workflows.create",
        /// Read a playbook.
        WorkflowsGet = "workflows.get",
        /// Make a playbook with a webhook.
        WorkflowsCreateWebhook = "workflows.createWebhook",
        /// Run a playbook.
        WorkflowsRun = "workflows.run",
        /// Pause a playbook.
        WorkflowsPause = "workflows.pause",
        /// Resume a playbook.
        WorkflowsResume = "workflows.resume",
        /// Archive a playbook.
        WorkflowsArchive = "workflows.archive",
        /// Renew a webhook's secret.
        WorkflowsRotateWebhookSecret = "workflows.rotateWebhookSecret",
        /// Start what is due.
        WorkflowsSchedulerTick = "workflows.schedulerTick",
        /// Start a playbook by its webhook.
        WorkflowsWebhookInvoke = "workflows.webhookInvoke",
        /// List channel providers and people.
        ChannelsDirectoryRead = "channels.directory.read",
        /// List channel coworkers and bindings.
        ChannelsManageRead = "channels.manage.read",
        /// Change channel coworkers and bindings.
        ChannelsManageWrite = "channels.manage.write",
        /// Resolve a person of a channel.
        ChannelsServiceIdentity = "channels.service.identity",
        /// Bind, prompt and read threads of a channel.
        ChannelsServiceSession = "channels.service.session",
        /// Read a deliverable for a channel.
        ChannelsServiceArtifact = "channels.service.artifact",
        /// Remember how far a channel has read.
        ChannelsServiceCursor = "channels.service.cursor",
        /// Ask and answer in a channel.
        ChannelsServiceInteraction = "channels.service.interaction",
        /// Claim and finish events of a provider.
        ChannelsServiceProviderEvent = "channels.service.providerEvent",
        /// Take, make and confirm deliveries.
        ChannelsServiceDelivery = "channels.service.delivery",
        /// List deliveries.
        ChannelsDeliveriesRead = "channels.deliveries.read",
        /// Retry deliveries or give them up.
        ChannelsDeliveriesWrite = "channels.deliveries.write",
        /// Read settings.
        SettingsRead = "settings.read",
        /// Change settings.
        SettingsWrite = "settings.write",
        /// Read threads, tags and saved searches.
        ThreadsRead = "threads.read",
        /// Change tags and saved searches.
        ThreadsWrite = "threads.write",
        /// Read boards.
        CoordinationRead = "coordination.read",
        /// Change boards.
        CoordinationWrite = "coordination.write",
        /// Read watches.
        CoordinationWatchesRead = "coordination.watches.read",
        /// Change watches.
        CoordinationWatchesWrite = "coordination.watches.write",
        /// Read knowledge.
        KnowledgeRead = "knowledge.read",
        /// Propose knowledge.
        KnowledgePropose = "knowledge.propose",
        /// Decide about knowledge.
        KnowledgeAdminWrite = "knowledge.adminWrite",
        /// Propose knowledge as a coworker.
        KnowledgeAgentPropose = "knowledge.agentPropose",
        /// Read the feed of the start page.
        LaunchpadRead = "launchpad.read",
        /// Read the catalogue of tools and skills.
        CapabilitiesRead = "capabilities.read",
        /// Read the subscription.
        BillingRead = "billing.read",
        /// Change the subscription.
        BillingWrite = "billing.write",
        /// Apply what the billing provider reports.
        BillingWebhookApply = "billing.webhookApply",
        /// Read usage.
        UsageRead = "usage.read",
        /// List provider keys, without their values.
        ByokRead = "byok.read",
        /// Set and withdraw provider keys.
        ByokWrite = "byok.write",
        /// Read the managed policy as it applies.
        PolicyEffectiveRead = "policy.effectiveRead",
        /// Read the managed policy.
        PolicyRead = "policy.read",
        /// Change the managed policy.
        PolicyWrite = "policy.write",
        /// List API tokens.
        ApiTokensRead = "apiTokens.read",
        /// Issue and revoke API tokens.
        ApiTokensWrite = "apiTokens.write",
        /// Read the overview of the organisation.
        AdminRead = "admin.read",
        /// Read the audit log.
        AdminAuditRead = "admin.audit.read",
        /// List roles.
        AdminRolesRead = "admin.roles.read",
        /// Change roles.
        AdminRolesWrite = "admin.roles.write",
        /// List members.
        AdminMembersRead = "admin.members.read",
        /// Invite and change members.
        AdminMembersWrite = "admin.members.write",
        /// Read the single sign-on.
        AdminSsoRead = "admin.sso.read",
        /// Change the single sign-on.
        AdminSsoWrite = "admin.sso.write",
        /// List workers.
        AdminWorkersRead = "admin.workers.read",
        /// Change workers.
        AdminWorkersWrite = "admin.workers.write",
        /// Read metrics.
        OperatorMetricsRead = "operator.metricsRead",
        /// Read diagnostics.
        OperatorDiagnosticsRead = "operator.diagnosticsRead",
        /// Read the runtime's status.
        OperatorRuntimeRead = "operator.runtimeRead",
        /// A worker reports that it lives.
        WorkerHeartbeat = "worker.heartbeat",
    }
    /// How a principal proved who it is.
    AuthSource {
        /// A login.
        User = "user",
        /// No login: the server's own machine.
        Local = "local",
        /// Headers of a trusted proxy.
        Header = "header",
        /// A managed worker's credential.
        Worker = "worker",
        /// A webhook signed for one workflow.
        SignedWorkflowWebhook = "signed_workflow_webhook",
        /// A coworker's signed knowledge token.
        SignedKnowledgeAgent = "signed_knowledge_agent",
        /// A webhook that the billing provider signed.
        VerifiedBillingWebhook = "verified_billing_webhook",
        /// An API token.
        ApiToken = "api_token",
    }
    /// What a principal counts as, in decisions and in metrics.
    PrincipalClass {
        /// A person who logged in.
        User = "user",
        /// The server's own machine.
        Local = "local",
        /// A person whom a trusted proxy names.
        Header = "header",
        /// A managed worker.
        WorkerService = "worker-service",
        /// A signed workflow webhook.
        WorkflowWebhookService = "workflow-webhook-service",
        /// A coworker's knowledge token.
        KnowledgeAgentService = "knowledge-agent-service",
        /// The billing provider.
        BillingWebhookService = "billing-webhook-service",
        /// A token with the scope `desktop` alone.
        DesktopService = "desktop-service",
        /// A token with the scope `gateway` alone.
        GatewayService = "gateway-service",
        /// A token with the scope `admin` alone.
        AdminService = "admin-service",
        /// A token with the scope `operator` alone.
        OperatorService = "operator-service",
        /// A token with the scope `worker-internal` alone.
        WorkerInternalService = "worker-internal-service",
        /// A token with several scopes.
        MixedService = "mixed-service",
        /// Anything else; may do nothing.
        Unknown = "unknown",
    }
    /// What an API token may be used for. None of them is a wildcard.
    TokenScope {
        /// A desktop.
        Desktop = "desktop",
        /// A channel gateway.
        Gateway = "gateway",
        /// Administration.
        Admin = "admin",
        /// Operation.
        Operator = "operator",
        /// The cloud's own workers.
        WorkerInternal = "worker-internal",
    }
    /// A switch of a cloud profile.
    Feature {
        /// Threads.
        Chat = "chat",
        /// Coworkers in the catalogue.
        Agents = "agents",
        /// Deliverables.
        Artifacts = "artifacts",
        /// Search, tags and saved searches.
        ThreadIndex = "threadIndex",
        /// Playbooks.
        Workflows = "workflows",
        /// Settings that travel.
        Settings = "settings",
        /// Own skills.
        CustomSkills = "customSkills",
        /// Own coworkers.
        CustomAgents = "customAgents",
        /// Own MCP servers.
        CustomMcps = "customMcps",
        /// Knowledge.
        Knowledge = "knowledge",
        /// Channels.
        Channels = "channels",
        /// Own provider keys.
        Byok = "byok",
        /// Webhooks of playbooks.
        Webhooks = "webhooks",
    }
    /// Why a request is refused: a closed set.
    DenialCode {
        /// No action belongs to the method and path.
        ActionUnknown = "authorization.action_unknown",
        /// This kind of principal, or this role, may not.
        PrincipalDenied = "authorization.principal_denied",
        /// The credential lacks the scope, or its holder the rank.
        ScopeRequired = "authorization.scope_required",
        /// A gateway token must prove its channel binding.
        BindingScopeRequired = "channels.binding_scope_required",
        /// No feature of the catalogue is on.
        CapabilitiesDisabled = "capabilities.disabled",
        /// The feature `threadIndex` is off.
        ThreadIndexDisabled = "thread_index.disabled",
        /// The feature `chat` is off.
        ChatDisabled = "chat.disabled",
        /// The feature `artifacts` is off.
        ArtifactsDisabled = "artifacts.disabled",
        /// The feature `workflows` is off.
        WorkflowsDisabled = "workflows.disabled",
        /// The feature `webhooks` is off.
        WebhooksDisabled = "webhooks.disabled",
        /// The feature `channels` is off.
        ChannelsDisabled = "channels.disabled",
        /// The feature `settings` is off.
        SettingsDisabled = "settings.disabled",
        /// The feature `knowledge` is off.
        KnowledgeDisabled = "knowledge.disabled",
        /// The feature `byok` is off.
        ByokDisabled = "byok.disabled",
    }
    /// What a role may do, in catalogue order.
    Permission {
        /// Read the organisation.
        OrgRead = "org:read",
        /// Manage the organisation.
        OrgManage = "org:manage",
        /// List members.
        MembersRead = "members:read",
        /// Invite and change members.
        MembersManage = "members:manage",
        /// Manage custom roles.
        RolesManage = "roles:manage",
        /// Manage the single sign-on.
        SsoManage = "sso:manage",
        /// List API tokens.
        ApiTokensRead = "api_tokens:read",
        /// Issue and revoke API tokens.
        ApiTokensManage = "api_tokens:manage",
        /// Manage the subscription.
        BillingManage = "billing:manage",
        /// Manage the managed policy and provider keys.
        PolicyManage = "policy:manage",
        /// Read the audit log.
        AuditRead = "audit:read",
        /// Read threads.
        SessionsRead = "sessions:read",
        /// Prompt in threads.
        SessionsWrite = "sessions:write",
        /// Manage playbooks.
        WorkflowsManage = "workflows:manage",
        /// See usage and operation.
        OperationsView = "operations:view",
        /// See diagnostics.
        DiagnosticsView = "diagnostics:view",
    }
    /// Roles that every organisation has, the most senior first.
    BuiltInRole {
        /// Everything.
        Owner = "owner",
        /// Everything but roles, single sign-on and billing.
        Admin = "admin",
        /// Own work.
        Member = "member",
    }
    /// State of a membership.
    MembershipStatus {
        /// May work.
        Active = "active",
        /// Has not accepted yet.
        Invited = "invited",
        /// May not work.
        Disabled = "disabled",
    }
    /// A part of the administration, in the order of the menu (07 §19.4).
    AdminSection {
        /// People.
        Members = "members",
        /// Custom roles.
        Roles = "roles",
        /// The managed policy.
        Policies = "policies",
        /// Provider keys and single sign-on.
        Providers = "providers",
        /// Usage and quotas.
        Usage = "usage",
        /// The audit log.
        Audit = "audit",
        /// The deployment.
        Deployment = "deployment",
        /// The subscription.
        Billing = "billing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_sets_have_the_contracts_sizes() {
        assert_eq!(CloudAction::ALL.len(), 87);
        assert_eq!(Permission::ALL.len(), 16);
        assert_eq!(DenialCode::ALL.len(), 14);
        assert_eq!(Feature::ALL.len(), 13);
        assert_eq!(PrincipalClass::ALL.len(), 14);
    }

    #[test]
    fn names_read_back() {
        for action in CloudAction::ALL {
            assert_eq!(CloudAction::parse(action.as_str()), Some(*action));
            let json = serde_json::to_string(action).unwrap();
            assert_eq!(json, format!("\"{action}\""));
        }
    }
}
