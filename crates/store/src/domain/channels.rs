use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::ChannelStore;

#[async_trait]
impl<D: Database> ChannelStore for SqlStore<D> {}
