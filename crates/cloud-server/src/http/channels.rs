//! Channels (03 §8.23).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::artifacts;
use crate::service::channels::{asks, chats, deliveries, directory, events, proof};
use crate::sse;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use open_cowork_contracts::ArtifactId;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::artifacts::{ArtifactData, ArtifactWithData};
use open_cowork_contracts::api::channels::{
    AckDelivery, BindChannelSession, ChannelAgentAnswer, ChannelAgents, ChannelBindingAnswer,
    ChannelBindings, ChannelCursor, ChannelCursorAnswer, ChannelDeliveries, ChannelDeliveryAnswer,
    ChannelIdentities, ChannelIdentityAnswer, ChannelMutation, ChannelPrompt, ChannelProviders,
    ChannelSessionAnswer, ClaimProviderEvent, ClaimedProviderEvent, CompleteProviderEvent,
    CreateChannelAgent, CreateChannelBinding, CreateDelivery, CreateInteraction,
    CreatedInteraction, ProviderEventAnswer, ResolveChannelIdentity, ResolveInteraction,
    ResolvedInteraction, SettleDelivery, UpdateChannelAgent, UpdateChannelBinding,
};
use open_cowork_contracts::record::SessionEnvelope;

const PAGE: &[(&str, &str)] = &[
    ("limit", "Rows: 1 to 500, 100 when absent"),
    ("cursor", "`nextCursor` of the page before"),
];

/// The proof of a binding, where the policy asks for it.
fn proven(route: Route) -> Route {
    route.proves(|call| {
        // The proof looks at the request only; what it needs of it is small.
        let call = call.glance();
        async move { proof::holds(&call).await }
    })
}

/// The routes.
pub fn routes() -> Vec<Route> {
    let mut routes = directory_routes();
    routes.extend(chat_routes().into_iter().map(proven));
    routes.extend(delivery_routes().into_iter().map(proven));
    routes
}

fn directory_routes() -> Vec<Route> {
    use CloudAction::{
        ChannelsDirectoryRead, ChannelsManageRead, ChannelsManageWrite, ChannelsServiceIdentity,
    };
    vec![
        Route::get(
            "channels/providers",
            ChannelsDirectoryRead,
            "Providers, and how many channels each has",
            providers,
        )
        .answers::<ChannelProviders>(),
        Route::get(
            "channels/agents",
            ChannelsManageRead,
            "Coworkers of channels",
            agents,
        )
        .query(PAGE)
        .answers::<ChannelAgents>(),
        Route::post(
            "channels/agents",
            ChannelsManageWrite,
            "Makes a coworker of channels",
            create_agent,
        )
        .takes::<CreateChannelAgent>()
        .answers::<ChannelAgentAnswer>()
        .status(201),
        Route::patch(
            "channels/agents/:id",
            ChannelsManageWrite,
            "Changes a coworker of channels",
            update_agent,
        )
        .takes::<UpdateChannelAgent>()
        .answers::<ChannelAgentAnswer>(),
        Route::get(
            "channels/bindings",
            ChannelsManageRead,
            "Channels",
            bindings,
        )
        .query(&[
            ("agentId", "Only of this coworker"),
            ("limit", "Rows: 1 to 500, 100 when absent"),
            ("cursor", "`nextCursor` of the page before"),
        ])
        .answers::<ChannelBindings>(),
        Route::post(
            "channels/bindings",
            ChannelsManageWrite,
            "Connects a channel",
            create_binding,
        )
        .takes::<CreateChannelBinding>()
        .answers::<ChannelBindingAnswer>()
        .status(201),
        Route::patch(
            "channels/bindings/:id",
            ChannelsManageWrite,
            "Changes a channel",
            update_binding,
        )
        .takes::<UpdateChannelBinding>()
        .answers::<ChannelBindingAnswer>(),
        Route::get(
            "channels/identities",
            ChannelsDirectoryRead,
            "People of channels",
            identities,
        )
        .query(&[
            ("provider", "Only of this provider"),
            ("externalWorkspaceId", "Only in this workspace of it"),
            (
                "role",
                "Only `owner`, `admin`, `member`, `approver` or `viewer`",
            ),
            ("status", "Only `active`, `disabled` or `pending`"),
            ("limit", "Rows: 1 to 500, 100 when absent"),
            ("cursor", "`nextCursor` of the page before"),
        ])
        .answers::<ChannelIdentities>(),
        proven(
            Route::post(
                "channels/identities/resolve",
                ChannelsServiceIdentity,
                "Finds or makes a person of a channel",
                resolve_identity,
            )
            .takes::<ResolveChannelIdentity>()
            .answers::<ChannelIdentityAnswer>(),
        ),
    ]
}

fn chat_routes() -> Vec<Route> {
    use CloudAction::{
        ChannelsServiceArtifact, ChannelsServiceCursor, ChannelsServiceInteraction,
        ChannelsServiceSession,
    };
    vec![
        Route::post(
            "channels/sessions/bind",
            ChannelsServiceSession,
            "Binds a chat to a thread",
            bind,
        )
        .takes::<BindChannelSession>()
        .answers::<ChannelSessionAnswer>(),
        Route::get(
            "channels/sessions/by-thread",
            ChannelsServiceSession,
            "The thread of a chat",
            by_thread,
        )
        .query(&[
            ("provider", "Provider"),
            ("externalWorkspaceId", "Workspace of the provider"),
            ("externalChatId", "Chat of the provider"),
            ("externalThreadId", "Thread of the provider"),
        ])
        .answers::<ChannelSessionAnswer>(),
        Route::post(
            "channels/sessions/prompt",
            ChannelsServiceSession,
            "Says something in a chat",
            prompt,
        )
        .takes::<ChannelPrompt>()
        .answers::<ChannelMutation>()
        .status(202),
        Route::get(
            "channels/sessions/:bindingId/snapshot",
            ChannelsServiceSession,
            "The thread of a chat with its projection",
            snapshot,
        )
        .answers::<SessionEnvelope>(),
        Route::get(
            "channels/sessions/:bindingId/events",
            ChannelsServiceSession,
            "Follows the thread of a chat",
            follow,
        )
        .query(&[("after", "The last sequence that the caller has seen")])
        .streaming(),
        Route::get(
            "channels/sessions/:bindingId/artifacts/:aid",
            ChannelsServiceArtifact,
            "A deliverable of the thread of a chat, with its bytes",
            artifact,
        )
        .answers::<ArtifactWithData>(),
        Route::post(
            "channels/cursor",
            ChannelsServiceCursor,
            "Remembers how far a chat shows its thread",
            cursor,
        )
        .takes::<ChannelCursor>()
        .answers::<ChannelCursorAnswer>(),
        Route::post(
            "channels/interactions",
            ChannelsServiceInteraction,
            "Asks something in a chat, to be answered once",
            create_interaction,
        )
        .takes::<CreateInteraction>()
        .answers::<CreatedInteraction>()
        .status(201)
        .secret(),
        Route::post(
            "channels/interactions/resolve",
            ChannelsServiceInteraction,
            "Answers what was asked in a chat",
            resolve_interaction,
        )
        .takes::<ResolveInteraction>()
        .answers::<ResolvedInteraction>()
        .status(202),
    ]
}

fn delivery_routes() -> Vec<Route> {
    use CloudAction::{
        ChannelsDeliveriesRead, ChannelsDeliveriesWrite, ChannelsServiceDelivery,
        ChannelsServiceProviderEvent,
    };
    vec![
        Route::post(
            "channels/provider-events/claim",
            ChannelsServiceProviderEvent,
            "Claims what a provider reported",
            claim_event,
        )
        .takes::<ClaimProviderEvent>()
        .answers::<ClaimedProviderEvent>(),
        Route::post(
            "channels/provider-events/:id/complete",
            ChannelsServiceProviderEvent,
            "Tells how what a provider reported was treated",
            complete_event,
        )
        .takes::<CompleteProviderEvent>()
        .answers::<ProviderEventAnswer>(),
        Route::get(
            "channels/deliveries",
            ChannelsDeliveriesRead,
            "Messages to chats",
            list_deliveries,
        )
        .query(&[
            ("deliveryId", "Only with this id"),
            (
                "status",
                "Only `pending`, `claimed`, `sent`, `failed` or `dead`",
            ),
            ("channelBindingId", "Only on this channel; repeated"),
            ("limit", "Rows: 1 to 200, 50 when absent"),
            ("cursor", "`nextCursor` of the page before"),
        ])
        .answers::<ChannelDeliveries>(),
        Route::post(
            "channels/deliveries",
            ChannelsServiceDelivery,
            "Makes a message to a chat",
            create_delivery,
        )
        .takes::<CreateDelivery>()
        .answers::<ChannelDeliveryAnswer>()
        .status(201),
        Route::get(
            "channels/deliveries/stream",
            ChannelsServiceDelivery,
            "Claims messages to chats as they come due",
            stream_deliveries,
        )
        .query(&[
            ("claimedBy", "The name to claim under"),
            ("ttlMs", "How long a claim lasts, 30000 when absent"),
            ("channelBindingId", "Only on this channel; repeated"),
        ])
        .streaming()
        .media("text/event-stream"),
        Route::post(
            "channels/deliveries/:id/ack",
            ChannelsServiceDelivery,
            "Tells how a claimed message went",
            ack_delivery,
        )
        .takes::<AckDelivery>()
        .answers::<ChannelDeliveryAnswer>(),
        Route::post(
            "channels/deliveries/:id/retry",
            ChannelsDeliveriesWrite,
            "Makes a message due now",
            retry_delivery,
        )
        .takes::<SettleDelivery>()
        .answers::<ChannelDeliveryAnswer>(),
        Route::post(
            "channels/deliveries/:id/dead-letter",
            ChannelsDeliveriesWrite,
            "Gives a message up",
            dead_letter,
        )
        .takes::<SettleDelivery>()
        .answers::<ChannelDeliveryAnswer>(),
    ]
}

async fn providers(call: Call) -> Answer {
    let providers = directory::providers(&call).await?;
    reply::ok(&ChannelProviders { providers })
}

async fn agents(call: Call) -> Answer {
    reply::ok(&directory::agents(&call).await?)
}

async fn create_agent(call: Call) -> Answer {
    directory::administrator(&call)?;
    let agent = directory::create_agent(&call, call.json()?).await?;
    reply::created(&ChannelAgentAnswer { agent })
}

async fn update_agent(call: Call) -> Answer {
    directory::administrator(&call)?;
    let agent = directory::update_agent(&call, call.json()?).await?;
    reply::ok(&ChannelAgentAnswer { agent })
}

async fn bindings(call: Call) -> Answer {
    reply::ok(&directory::bindings(&call).await?)
}

async fn create_binding(call: Call) -> Answer {
    directory::administrator(&call)?;
    let binding = directory::create_binding(&call, call.json()?).await?;
    reply::created(&ChannelBindingAnswer { binding })
}

async fn update_binding(call: Call) -> Answer {
    directory::administrator(&call)?;
    let binding = directory::update_binding(&call, call.json()?).await?;
    reply::ok(&ChannelBindingAnswer { binding })
}

async fn identities(call: Call) -> Answer {
    reply::ok(&directory::identities(&call).await?)
}

async fn resolve_identity(call: Call) -> Answer {
    let identity = directory::resolve_identity(&call, call.json()?).await?;
    reply::ok(&ChannelIdentityAnswer { identity })
}

async fn bind(call: Call) -> Answer {
    reply::ok(&chats::bind(&call, call.json()?).await?)
}

async fn by_thread(call: Call) -> Answer {
    reply::ok(&chats::by_thread(&call).await?)
}

async fn prompt(call: Call) -> Answer {
    reply::accepted(&chats::prompt(&call, call.json()?).await?)
}

async fn snapshot(call: Call) -> Answer {
    let (row, key) = chats::in_path(&call).await?;
    let body = crate::service::sessions::read_json(&call.cloud, &row.scope, &key).await?;
    Ok(reply::bytes(axum::http::StatusCode::OK, body))
}

async fn follow(call: Call) -> Answer {
    let (_, key) = chats::in_path(&call).await?;
    sse::session_of(&call, &key).await
}

async fn artifact(call: Call) -> Answer {
    let (_, key) = chats::in_path(&call).await?;
    let id = ArtifactId::from(call.param("aid"));
    let (artifact, data) = artifacts::read(&call, &key, &id).await?;
    let artifact = ArtifactData {
        artifact,
        data_base64: STANDARD.encode(&data),
    };
    reply::ok(&ArtifactWithData { artifact })
}

async fn cursor(call: Call) -> Answer {
    reply::ok(&chats::cursor(&call, call.json()?).await?)
}

async fn create_interaction(call: Call) -> Answer {
    reply::created(&asks::create(&call, call.json()?).await?)
}

async fn resolve_interaction(call: Call) -> Answer {
    reply::accepted(&asks::resolve(&call, call.json()?).await?)
}

async fn claim_event(call: Call) -> Answer {
    reply::ok(&events::claim(&call, call.json()?).await?)
}

async fn complete_event(call: Call) -> Answer {
    let event = events::complete(&call, call.json()?).await?;
    reply::ok(&ProviderEventAnswer { event })
}

async fn list_deliveries(call: Call) -> Answer {
    reply::ok(&deliveries::list(&call).await?)
}

async fn create_delivery(call: Call) -> Answer {
    let delivery = deliveries::create(&call, call.json()?).await?;
    reply::created(&ChannelDeliveryAnswer { delivery })
}

async fn stream_deliveries(call: Call) -> Answer {
    let mut answer = sse::answer(&call, deliveries::stream(&call).await?)?;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

async fn ack_delivery(call: Call) -> Answer {
    let delivery = deliveries::ack(&call, call.json()?).await?;
    reply::ok(&ChannelDeliveryAnswer { delivery })
}

async fn retry_delivery(call: Call) -> Answer {
    let delivery = deliveries::retry(&call, call.json()?).await?;
    reply::ok(&ChannelDeliveryAnswer { delivery })
}

async fn dead_letter(call: Call) -> Answer {
    let delivery = deliveries::dead_letter(&call, call.json()?).await?;
    reply::ok(&ChannelDeliveryAnswer { delivery })
}
