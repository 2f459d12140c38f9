//! The shapes of 03 §8 and §9, by name.

use super::shape::{Shapes, parse_all};

/// All named shapes.
pub fn shapes() -> Result<Shapes, String> {
    parse_all(TABLE)
}

const TABLE: &[(&str, &str)] = &[
    // 03 §2.1
    ("Error", "{error:s, code:s, retryAfterMs?:n, verdict?:{allowed:b, reason:s, policyCode:s}}"),
    // 03 §4, §8.1
    ("Role", r#""all-in-one"|"web"|"worker"|"scheduler""#),
    ("Names", "[s]|null"),
    ("Livez", "{ok:b, role:$Role, profileName:s}"),
    ("Readyz", r#"{ok:b, role:$Role, profileName:s, checks:[{name:s, status:"ok"|"error", detail?:s}]}"#),
    ("Progressz", r#"{mode:"off"|"observe"|"enforce", requestedMode:s, configStatus:s, configReason:s,
        counts:{healthy:i, waiting:i, suspect:i, stalled:i}, samples:[o], truncated:b}"#),
    ("Branding", "{productName:s, shortName?:s, description?:s, theme?:{*:s}, dashboard?:{*:s}}"),
    ("Config", "{role:$Role, profileName:s, features:{*:b}, allowedAgents:$Names, allowedTools:$Names,
        allowedMcps:$Names, managedPolicy:$PolicyView, publicBranding:$Branding|null}"),
    ("Workspace", r#"{tenantId:s, tenantName:s|null, orgId:s, orgName:s, userId:s, accountId:s, email:s,
        role:"owner"|"admin"|"member", profileName:s, policy:{features:{*:b}, allowedAgents:$Names,
        allowedTools:$Names, allowedMcps:$Names, localFiles:"disabled", localStdioMcps:"disabled",
        machineRuntimeConfig:"disabled"}}"#),
    ("Heartbeat", "{workerId:s, role:$Role, activeSessionIds:[s], lastSeenAt:t}"),
    ("RuntimeStatus", r#"{role:$Role, profileName:s, canExecute:b, commandProcessing:"inline"|"durable"|"delegated",
        checkpoints:b, heartbeats?:[$Heartbeat], ready?:b}"#),
    ("Heartbeats", "{heartbeats:[$Heartbeat]}"),
    // 03 §8.2
    ("SourceVerdict", "{allowed:b, reason:s|null, policyCode?:s}"),
    ("Snapshot", "{snapshotId:s, objectKey:s, fileCount:i, byteCount:i, createdAt:t, projectSource:o}"),
    // 03 §8.3
    ("Session", r#"{tenantId:s, userId:s, sessionId:s, opencodeSessionId:s, profileName:s,
        status:"idle"|"running"|"closed"|"errored", title:s|null, createdAt:t, updatedAt:t, projectSource?:o|null}"#),
    ("View", r#"{sessionId:s, title:s, status:s, profileName:s, isGenerating:b,
        messages:[{id:s, role:"user"|"assistant"|"system", content:s, createdAt:s, attachments?:[a]}], toolCalls:[o],
        taskRuns:[o], pendingApprovals:[{id:s, sessionId:s, tool:s, input:o, description:s, order:n}],
        pendingQuestions:[{id:s, sessionId:s, questions:[o]}], resolvedApprovals:[o], resolvedQuestions:[o],
        artifacts:[o], todos:[{content:s, status:s, priority:s}], errors:[{id:s, sessionId:s|null, message:s, order:n}],
        sessionCost:n, sessionTokens:{input:n, output:n, reasoning:n, cacheRead:n, cacheWrite:n}, lastInputTokens:n,
        lastError:s|null, origin:o|null, projectSource:o|null, updatedAt:s}"#),
    ("Projection", "{tenantId:s, sessionId:s, sequence:i, view:$View, updatedAt:t}"),
    ("SessionView", "{session:$Session, projection:$Projection|null}"),
    ("Sessions", "{sessions:[$Session], nextCursor:s|null, totalEstimate:i}"),
    ("RenderedView", "{session:$Session, projection:$Projection|null, view:{messages:[o], toolCalls:[o], taskRuns:[o],
        compactions:[o], pendingApprovals:[o], pendingQuestions:[o], errors:[o], todos:[o]}}"),
    ("ProjectionStatus", "{sessionId:s, eventCount:i, latestEventSequence:i, projectionSequence:i, lag:i,
        projectionUpdatedAt:t|null}"),
    ("ProjectionRepair", "{repaired:b, eventCount:i, workspaceEventCount:i, latestEventSequence:i,
        priorProjectionSequence:i, projectionSequence:i, lag:i}"),
    ("Command", r#"{commandId:s, tenantId:s, userId:s, sessionId:s,
        kind:"prompt"|"abort"|"permission.respond"|"question.reply"|"question.reject", payload:o,
        targetLeaseToken:s|null, createdSequence:i, createdAt:t, status:"pending"|"running"|"acked"|"failed",
        claimedBy:s|null, claimedLeaseToken:s|null, attemptCount:i, availableAt:t|null, lastErrorCode:s|null,
        lastErrorSummary:s|null, ackedAt:t|null, error:s|null}"#),
    ("Fence", r#"{version:i, scope:"session", tenantId:s, sessionId:s, commandId:s, sequence:i, projectionVersion:i,
        issuedAt:t}"#),
    ("Mutation", "{command:$Command, processed:i, view:$SessionView, projectionFence:$Fence|null}"),
    // 03 §8.5
    ("Artifact", r#"{artifactId:s, id:s, toolId:"cloud-artifact", toolName:"cloud.artifact", filePath:s, filename:s,
        order:n, source:"cloud", cloudArtifactId:s, sessionId:s, sessionTitle:s|null, workspaceId:s|null, mime?:s,
        contentType:s, size:i, createdAt:t, updatedAt:t, kind:"document"|"chart"|"deck"|"spreadsheet"|"draft",
        status:"draft"|"in-review"|"final", authorAgentId:s|null, projectId:s|null, taskId:s|null,
        statusUpdatedBy:s|null, statusUpdatedAt:t|null}"#),
    ("ArtifactData", "{artifactId:s, contentType:s, dataBase64:s}"),
    ("ArtifactIndex", "{artifacts:[$Artifact], total:i, scannedSessions:i, truncated:b}"),
    // 03 §8.6
    ("Trigger", r#"{id:s, type:"manual"|"schedule"|"webhook", enabled:b, schedule?:o|null}"#),
    ("Run", r#"{id:s, workflowId:s, sessionId:s|null, triggerType:"manual"|"schedule"|"webhook", triggerPayload:o|null,
        status:"queued"|"running"|"completed"|"failed"|"cancelled", title:s, summary:s|null, error:s|null, createdAt:t,
        startedAt:t|null, finishedAt:t|null, projectionFence?:o|null}"#),
    ("Workflow", r#"{id:s, title:s, instructions:s, agentName:s, skillNames:[s], toolIds:[s],
        steps:[{id:s, title:s, detail?:s|null}], status:"active"|"paused"|"running"|"failed"|"archived",
        projectDirectory:s|null, draftSessionId:s|null, triggers:[$Trigger], createdAt:t, updatedAt:t, nextRunAt:t|null,
        lastRunAt:t|null, latestRunId:s|null, latestRunStatus:s|null, latestRunSessionId:s|null,
        latestRunSummary:s|null, webhookUrl:s|null, runs?:[$Run]}"#),
    ("Workflows", "{workflows:[$Workflow], runs:[$Run], nextCursor:s|null, totalEstimate:i}"),
    ("WorkflowMade", "{workflow:$Workflow, webhookSecretReveal:{workflowId:s, triggerId:s, secret:s}|null}"),
    ("RunStarted", "{tenantId:s, workflow:$Workflow, run:$Run, sessionId:s, command:$Command, processed:i}"),
    // 03 §8.7
    ("Tag", "{tenantId:s, tagId:s, name:s, color:s, createdAt:t, updatedAt:t}"),
    ("Filter", "{tenantId:s, filterId:s, name:s, query:o, createdAt:t, updatedAt:t}"),
    ("Threads", "{threads:[{tenantId:s, userId:s, sessionId:s, title:s|null, profileName:s, status:s, createdAt:t,
        updatedAt:t, tags:[$Tag]}]}"),
    ("Facet", "{value:s, label:s, count:i, color?:s}"),
    ("Facets", "{projects:[$Facet], providers:[$Facet], models:[$Facet], agents:[$Facet], tools:[$Facet],
        mcps:[$Facet], statuses:[$Facet], tags:[$Facet]}"),
    // 03 §8.8, §8.9, §8.12
    ("Setting", "{tenantId:s, userId:s|null, key:s, value:o, updatedAt:t}"),
    ("Tool", r#"{id:s, name:s, description:s, kind:"mcp"|"built-in", source:"builtin"|"custom", patterns:[s],
        agentNames:[s], availableTools?:[{id:s, description:s}]}"#),
    ("Skill", r#"{name:s, label:s, description:s, source:"builtin"|"custom", agentNames:[s]}"#),
    ("Bundle", "{name:s, source:s, content:s|null, files:[{path:s}]}"),
    ("Launchpad", "{generatedAt:t, inProgress:[{id:s, title:s, when:t, kind:s, status:s, priority:s}],
        waitingOnYou:[{id:s, title:s, when:t, kind:s, status:s}],
        freshArtifacts:[{id:s, title:s, when:t, artifactId:s, kind:s, status:s}],
        totals:{inProgress:i, waitingOnYou:i, freshArtifacts:i}, truncated:{inProgress:b, waitingOnYou:b,
        freshArtifacts:b}}"),
    // 03 §8.13
    ("UsageEvent", "{eventId:s, orgId:s, accountId:s|null, eventType:s, quantity:n, unit:s, metadata:o, createdAt:t}"),
    ("Quota", r#"{quotaKey:s, label:s, unit:"count"|"byte"|"minute", enabled:b, limit:n|null, used:n, remaining:n|null,
        windowMs:n, windowStartedAt:t, resetAt:t, policyCode:s}"#),
    ("UsageSummary", r#"{enabled:b, generatedAt:t, totalsScope:"recent_events", eventSampleLimit:i, events:[$UsageEvent],
        totals:[{eventType:s, unit:s, quantity:n}], quotas:[$Quota]}"#),
    ("Billing", r#"{enabled:b, mode:"self-host"|"managed", providerId:s, subscription:o|null, entitlements:o, active:b,
        plans:[{planKey:s, label:s, default:b, entitlements:o}]}"#),
    ("Entitlements", "{provider:s, gatingEnabled:b, billingEnabled:b, planKey:s|null, planLabel:s|null,
        subscriptionStatus:s|null, seats:n|null, features:{*:b}, limits:{*:n|null}}"),
    ("Diagnostics", r#"{generatedAt:t, redaction:"secrets-redacted",
        org:{orgId:s, tenantId:s, role:s, profileName:s},
        runtime:{role:$Role, profileName:s, canExecute:b, commandProcessing:s, checkpoints:b, heartbeatCount:i,
        heartbeats:[{workerId:s, role:s, activeSessionCount:i, lastSeenAt:t, ageMs:n, stale:b}]}, billing:o,
        byok:{configuredProviders:i, providers:[o]}, usage:o, gateway:{agents:{total:i, active:i, disabled:i},
        bindingsByProvider:o, deliveriesByStatus:{pending:i, claimed:i, sent:i, failed:i, dead:i},
        deliveriesByStatusScope:"recent_deliveries", deliverySampleLimit:i}, links:o}"#),
    // 03 §8.14 to §8.17
    ("ByokSecret", r#"{secretId:s, providerId:s,
        status:"pending_validation"|"active"|"disabled"|"expired"|"invalid"|"unsupported",
        credentialKind:"plaintext"|"kms_ref", last4:s, keyFingerprint:s, lastValidatedAt:t|null, validationError:s|null,
        createdAt:t, updatedAt:t}"#),
    ("Policy", r#"{allowedProviders:$Names, deniedProviders:[s], allowedModels:$Names, deniedModels:[s],
        keyManagement:"any"|"byok_required"|"org_managed_required",
        extensions:{customProviders:b, customMcps:b, customSkills:b}, features:{*:b},
        permissionCeilings:{bash:s, fileWrite:s, web:s, webSearch:s, task:s, mcp:s, externalDirectory:s},
        updateChannel:s|null, disabledByPolicy?:{*:{disabledByPolicy:b, reason:s}}, orgId?:s, createdAt?:t,
        updatedAt?:t}"#),
    ("PolicyView", "$Policy"),
    ("Token", "{tokenId:s, orgId:s, accountId:s|null, name:s, scopes:[s], channelBindingIds:[s], last4:s,
        expiresAt:t|null, revokedAt:t|null, lastUsedAt:t|null, createdAt:t, updatedAt:t}"),
    ("Member", r#"{orgId:s, accountId:s, email:s, displayName:s|null, role:s, customRoleKey:s|null,
        status:"active"|"invited"|"disabled", createdAt:t, updatedAt:t}"#),
    ("CustomRole", "{orgId:s, roleKey:s, name:s, description:s|null, baseRole:s, permissions:[s], createdAt:t,
        updatedAt:t}"),
    ("Access", "{role:s|null, customRoleKey:s|null, permissions:[s], email:s|null, ssoVerified:b}"),
    ("Overview", r#"{org:{orgId:s, tenantId:s, name:s, planKey:s|null, status:s}, signup:{mode:s,
        allowSelfServiceSignup:b, allowedEmailDomains:[s], invitesEnabled:b}, profile:{name:s, label:s|null,
        description:s|null}, features:{*:b}, allowedAgents:$Names, allowedTools:$Names, allowedMcps:$Names,
        runtime:{configSource:"app", machineRuntimeConfig:s, localStdioMcps:s, hostProjectDirectories:s,
        remoteApprovalResponses:s}, projectSources:o, gateway:{channelsEnabled:b, webhooksEnabled:b}}"#),
    ("AuditEvent", "{eventId:s, orgId:s, accountId:s|null, actorType:s, actorId:s|null, eventType:s, targetType:s|null,
        targetId:s|null, metadata:o, createdAt:t}"),
    ("Sso", r#"{orgId:s, protocol:"saml"|"oidc", enabled:b, enforced:b, displayName:s|null, verifiedDomains:[s],
        domainVerificationToken:s, oidcIssuer:s|null, oidcClientId:s|null, samlEntityId:s|null, samlAcsUrl:s|null,
        samlSloUrl:s|null, samlIdpEntityId:s|null, samlIdpSsoUrl:s|null, samlIdpMetadataUrl:s|null, scimEnabled:b,
        createdAt:t, updatedAt:t, hasOidcClientSecret:b, hasSamlIdpCertificate:b, hasScimToken:b}"#),
    ("Principal", "{tenantId:s, userId:s, email:s, role?:s, authSource?:s}"),
    ("Me", "{principal:$Principal, csrfToken:s|null, expiresAt:t|null}"),
    // 03 §8.23
    ("Provider", "{id:s, provider:s, label:s, available:b, connected:b, bindingCount:i, activeBindingCount:i, status:s}"),
    ("Agent", r#"{agentId:s, orgId:s, tenantId:s, profileName:s, name:s, status:"active"|"disabled", managed:b,
        createdByAccountId:s|null, createdAt:t, updatedAt:t}"#),
    ("Binding", r#"{bindingId:s, orgId:s, agentId:s, provider:s, externalWorkspaceId:s|null, displayName:s,
        status:"active"|"disabled"|"auth_required"|"error", credentialRefConfigured:b, credentialRefKind:s|null,
        settings:o, createdAt:t, updatedAt:t}"#),
    ("Identity", r#"{identityId:s, orgId:s, provider:s, externalWorkspaceId:s|null, externalUserId:s, accountId:s|null,
        role:"owner"|"admin"|"member"|"approver"|"viewer", status:"active"|"disabled"|"pending", metadata:o,
        createdAt:t, updatedAt:t}"#),
    ("SessionBinding", r#"{bindingId:s, orgId:s, agentId:s, channelBindingId:s, provider:s, externalWorkspaceId:s|null,
        externalThreadId:s, externalChatId:s, sessionId:s, lastEventSequence:i, lastWorkspaceSequence:i,
        lastChatMessageId:s|null, status:"active"|"archived", createdAt:t, updatedAt:t}"#),
    ("Interaction", r#"{interactionId:s, orgId:s, agentId:s, channelBindingId:s|null, sessionBindingId:s|null,
        sessionId:s, provider:s, externalInteractionId:s|null, kind:"permission"|"question", targetId:s,
        status:"pending"|"used"|"expired"|"revoked", createdByIdentityId:s|null, expiresAt:t, usedAt:t|null, createdAt:t,
        updatedAt:t}"#),
    ("Delivery", r#"{deliveryId:s, orgId:s, agentId:s, channelBindingId:s, sessionBindingId:s|null, provider:s, target:a,
        eventType:s, payload:a, status:"pending"|"claimed"|"sent"|"failed"|"dead", attemptCount:i, claimedBy:s|null,
        lastClaimedBy:s|null, claimExpiresAt:t|null, nextAttemptAt:t, lastError:s|null, createdAt:t, updatedAt:t}"#),
    ("ProviderEvent", r#"{eventId:s, orgId:s, channelBindingId:s|null, provider:s, providerInstanceId:s,
        externalWorkspaceId:s|null, providerEventId:s, eventType:"message"|"command"|"interaction",
        status:"received"|"processing"|"processed"|"failed", claimedBy:s|null, claimExpiresAt:t|null, attemptCount:i,
        retryable:b, lastError:s|null, metadata:o, processedAt:t|null, createdAt:t, updatedAt:t}"#),
    // 03 §9.3
    ("SessionEvent", "{tenantId:s, sessionId:s, eventId:s, sequence:i, type:s, payload:o, createdAt:t}"),
    ("WorkspaceEvent", r#"{tenantId:s, userId:s, sessionId:s|null, eventId:s, sequence:i,
        entityType:"session"|"artifact"|"workspace", entityId:s, operation:"create"|"update"|"delete",
        projectionVersion:i, type:s, payload:o, createdAt:t}"#),
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_shape_parses_and_names_only_shapes_that_exist() {
        let shapes = super::shapes().unwrap();
        let mut names = Vec::new();
        for shape in shapes.values() {
            let text = format!("{shape:?}");
            for (start, _) in text.match_indices("Named(\"") {
                let name = &text[start + 7..];
                names.push(name[..name.find('"').unwrap()].to_owned());
            }
        }
        assert!(names.len() > 20);
        for name in names {
            assert!(shapes.contains_key(name.as_str()), "{name}");
        }
    }
}
