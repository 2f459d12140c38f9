use crate::store::{Database, SqlStore};
use async_trait::async_trait;
use open_cowork_providers::store::IdentityStore;

#[async_trait]
impl<D: Database> IdentityStore for SqlStore<D> {}
