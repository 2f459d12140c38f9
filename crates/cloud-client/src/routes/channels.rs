//! Channels: the directory and what gateways use (03 §8.23).

use crate::client::CloudClient;
use crate::deliveries::{Deliveries, DeliveriesQuery};
use crate::error::Error;
use crate::follow::Follow;
use crate::routes::{BindingsQuery, ChatQuery, DeliveryListQuery, IdentitiesQuery, PageQuery};
use open_cowork_contracts::api::artifacts::ArtifactData;
use open_cowork_contracts::api::channels::{
    AckDelivery, BindChannelSession, ChannelBinding, ChannelCursor, ChannelCursorAnswer,
    ChannelDelivery, ChannelIdentity, ChannelMutation, ChannelPrompt, ChannelProvider,
    ChannelSessionAnswer, ClaimProviderEvent, ClaimedProviderEvent, CompleteProviderEvent,
    CreateChannelAgent, CreateChannelBinding, CreateDelivery, CreateInteraction,
    CreatedInteraction, HeadlessAgent, ProviderEvent, ResolveChannelIdentity, ResolveInteraction,
    ResolvedInteraction, SettleDelivery, UpdateChannelAgent, UpdateChannelBinding,
};
use open_cowork_contracts::record::SessionEnvelope;
use reqwest::Method;

/// Methods of channels.
#[derive(Clone, Copy, Debug)]
pub struct ChannelsRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Channels.
    pub fn channels(&self) -> ChannelsRoutes<'_> {
        ChannelsRoutes(self)
    }
}

impl ChannelsRoutes<'_> {
    /// Providers, and how many bindings each has.
    pub async fn providers(&self) -> Result<Vec<ChannelProvider>, Error> {
        let path = ["channels", "providers"];
        let call = self.0.api(Method::GET, &path);
        call.member("providers").await
    }

    /// Channel coworkers.
    pub async fn agents(&self, query: &PageQuery) -> Result<Vec<HeadlessAgent>, Error> {
        let path = ["channels", "agents"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.member("agents").await
    }

    /// Makes a channel coworker. Its id is the one in the answer.
    pub async fn create_agent(&self, body: &CreateChannelAgent) -> Result<HeadlessAgent, Error> {
        let path = ["channels", "agents"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("agent").await
    }

    /// Changes a channel coworker.
    pub async fn update_agent(
        &self,
        agent: &str,
        body: &UpdateChannelAgent,
    ) -> Result<HeadlessAgent, Error> {
        let path = ["channels", "agents", agent];
        let call = self.0.api(Method::PATCH, &path).json(body);
        call.member("agent").await
    }

    /// Bindings of coworkers to providers.
    pub async fn bindings(&self, query: &BindingsQuery) -> Result<Vec<ChannelBinding>, Error> {
        let path = ["channels", "bindings"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.member("bindings").await
    }

    /// Binds a coworker to a provider. Its id is the one in the answer.
    pub async fn create_binding(
        &self,
        body: &CreateChannelBinding,
    ) -> Result<ChannelBinding, Error> {
        let path = ["channels", "bindings"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("binding").await
    }

    /// Changes a binding; the status `Disabled` ends it.
    pub async fn update_binding(
        &self,
        binding: &str,
        body: &UpdateChannelBinding,
    ) -> Result<ChannelBinding, Error> {
        let path = ["channels", "bindings", binding];
        let call = self.0.api(Method::PATCH, &path).json(body);
        call.member("binding").await
    }

    /// People of channels.
    pub async fn identities(&self, query: &IdentitiesQuery) -> Result<Vec<ChannelIdentity>, Error> {
        let path = ["channels", "identities"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.member("identities").await
    }

    /// Finds or makes a person of a channel.
    pub async fn resolve_identity(
        &self,
        body: &ResolveChannelIdentity,
    ) -> Result<ChannelIdentity, Error> {
        let path = ["channels", "identities", "resolve"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("identity").await
    }

    /// Binds a chat to a session.
    pub async fn bind_session(
        &self,
        body: &BindChannelSession,
    ) -> Result<ChannelSessionAnswer, Error> {
        let path = ["channels", "sessions", "bind"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// The session of a chat.
    pub async fn session_by_thread(
        &self,
        query: &ChatQuery,
    ) -> Result<ChannelSessionAnswer, Error> {
        let path = ["channels", "sessions", "by-thread"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Sends the prompt of a chat. A repeated `idempotencyKey` gives the first command.
    pub async fn prompt(&self, body: &ChannelPrompt) -> Result<ChannelMutation, Error> {
        let path = ["channels", "sessions", "prompt"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// The session behind a binding, and its view.
    pub async fn snapshot(&self, binding: &str) -> Result<SessionEnvelope, Error> {
        let path = ["channels", "sessions", binding, "snapshot"];
        let call = self.0.api(Method::GET, &path);
        call.send().await
    }

    /// A deliverable of the session behind a binding, with its bytes.
    pub async fn artifact(&self, binding: &str, artifact: &str) -> Result<ArtifactData, Error> {
        let path = ["channels", "sessions", binding, "artifacts", artifact];
        let call = self.0.api(Method::GET, &path).carries_files();
        call.member("artifact").await
    }

    /// Remembers how far a chat has read.
    pub async fn update_cursor(&self, body: &ChannelCursor) -> Result<ChannelCursorAnswer, Error> {
        let path = ["channels", "cursor"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Makes a single-use token that answers an ask.
    pub async fn create_interaction(
        &self,
        body: &CreateInteraction,
    ) -> Result<CreatedInteraction, Error> {
        let path = ["channels", "interactions"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Answers an ask by its token.
    pub async fn resolve_interaction(
        &self,
        body: &ResolveInteraction,
    ) -> Result<ResolvedInteraction, Error> {
        let path = ["channels", "interactions", "resolve"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Claims an event of a provider, so that it is handled once.
    pub async fn claim_provider_event(
        &self,
        body: &ClaimProviderEvent,
    ) -> Result<ClaimedProviderEvent, Error> {
        let path = ["channels", "provider-events", "claim"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.send().await
    }

    /// Says how a claimed event went.
    pub async fn complete_provider_event(
        &self,
        event: &str,
        body: &CompleteProviderEvent,
    ) -> Result<ProviderEvent, Error> {
        let path = ["channels", "provider-events", event, "complete"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("event").await
    }

    /// Messages to chats.
    pub async fn list_deliveries(
        &self,
        query: &DeliveryListQuery,
    ) -> Result<Vec<ChannelDelivery>, Error> {
        let path = ["channels", "deliveries"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.member("deliveries").await
    }

    /// Makes a message to a chat.
    pub async fn create_delivery(&self, body: &CreateDelivery) -> Result<ChannelDelivery, Error> {
        let path = ["channels", "deliveries"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("delivery").await
    }

    /// Says how a delivery went.
    pub async fn ack_delivery(
        &self,
        delivery: &str,
        body: &AckDelivery,
    ) -> Result<ChannelDelivery, Error> {
        let path = ["channels", "deliveries", delivery, "ack"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("delivery").await
    }

    /// Sends a delivery again.
    pub async fn retry_delivery(
        &self,
        delivery: &str,
        body: &SettleDelivery,
    ) -> Result<ChannelDelivery, Error> {
        let path = ["channels", "deliveries", delivery, "retry"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("delivery").await
    }

    /// Gives a delivery up.
    pub async fn dead_letter_delivery(
        &self,
        delivery: &str,
        body: &SettleDelivery,
    ) -> Result<ChannelDelivery, Error> {
        let path = ["channels", "deliveries", delivery, "dead-letter"];
        let call = self.0.api(Method::POST, &path).json(body);
        call.member("delivery").await
    }

    /// Follows the session behind a binding, from a snapshot.
    pub fn follow(&self, binding: &str) -> Follow {
        let snapshot = ["channels", "sessions", binding, "snapshot"];
        let events = ["channels", "sessions", binding, "events"];
        Follow::from_snapshot(self.0, &snapshot, &events)
    }

    /// Follows the session behind a binding after a sequence.
    pub fn follow_after(&self, binding: &str, cursor: u64) -> Follow {
        let snapshot = ["channels", "sessions", binding, "snapshot"];
        let events = ["channels", "sessions", binding, "events"];
        Follow::after(self.0, &snapshot, &events, cursor)
    }

    /// Takes deliveries as they fall due.
    pub fn deliveries(&self, query: &DeliveriesQuery) -> Deliveries {
        Deliveries::new(self.0, query)
    }
}
