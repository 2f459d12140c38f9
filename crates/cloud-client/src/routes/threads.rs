//! Threads: lists, search, facets, tags, smart filters (03 §8.7, §11).

use crate::client::CloudClient;
use crate::error::Error;
use open_cowork_contracts::api::threads::{
    CreateFilter, CreateTag, Deleted, Done, FilterAnswer, FilterList, SmartFilter, Tag, TagAnswer,
    TagList, TagSessions, ThreadFacets, ThreadList, ThreadSearch, ThreadSearchResult, ThreadsQuery,
    UpdateFilter, UpdateTag,
};
use reqwest::Method;

/// Methods of threads.
#[derive(Clone, Copy, Debug)]
pub struct ThreadsRoutes<'c>(&'c CloudClient);

impl CloudClient {
    /// Threads.
    pub fn threads(&self) -> ThreadsRoutes<'_> {
        ThreadsRoutes(self)
    }
}

impl ThreadsRoutes<'_> {
    /// Threads with their tags, newest first.
    pub async fn list(&self, query: &ThreadsQuery) -> Result<ThreadList, Error> {
        let path = ["threads"];
        let call = self.0.api(Method::GET, &path).query(query);
        call.send().await
    }

    /// Searches the text of all threads.
    pub async fn search(&self, body: &ThreadSearch) -> Result<ThreadSearchResult, Error> {
        let path = ["threads", "search"];
        let call = self.0.api(Method::POST, &path).json(body).only_reads();
        call.send().await
    }

    /// How many threads of a search have which project, model, agent, …
    pub async fn facets(&self, body: &ThreadSearch) -> Result<ThreadFacets, Error> {
        let path = ["threads", "facets"];
        let call = self.0.api(Method::POST, &path).json(body).only_reads();
        call.send().await
    }

    /// All tags.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        let path = ["threads", "tags"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<TagList>().await?.tags)
    }

    /// Makes a tag.
    pub async fn create_tag(&self, body: &CreateTag) -> Result<Tag, Error> {
        let path = ["threads", "tags"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<TagAnswer>().await?.tag)
    }

    /// Changes a tag.
    pub async fn update_tag(&self, tag: &str, body: &UpdateTag) -> Result<Tag, Error> {
        let path = ["threads", "tags", tag];
        let call = self.0.api(Method::PATCH, &path).json(body);
        Ok(call.send::<TagAnswer>().await?.tag)
    }

    /// Deletes a tag. False: it was gone.
    pub async fn delete_tag(&self, tag: &str) -> Result<bool, Error> {
        let path = ["threads", "tags", tag];
        let call = self.0.api(Method::DELETE, &path);
        Ok(call.send::<Deleted>().await?.deleted)
    }

    /// Tags threads.
    pub async fn apply_tag(&self, tag: &str, body: &TagSessions) -> Result<bool, Error> {
        let path = ["threads", "tags", tag, "apply"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<Done>().await?.ok)
    }

    /// Takes a tag off threads.
    pub async fn remove_tag(&self, tag: &str, body: &TagSessions) -> Result<bool, Error> {
        let path = ["threads", "tags", tag, "remove"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<Done>().await?.ok)
    }

    /// All smart filters.
    pub async fn smart_filters(&self) -> Result<Vec<SmartFilter>, Error> {
        let path = ["threads", "smart-filters"];
        let call = self.0.api(Method::GET, &path);
        Ok(call.send::<FilterList>().await?.filters)
    }

    /// Keeps a search.
    pub async fn create_smart_filter(&self, body: &CreateFilter) -> Result<SmartFilter, Error> {
        let path = ["threads", "smart-filters"];
        let call = self.0.api(Method::POST, &path).json(body);
        Ok(call.send::<FilterAnswer>().await?.filter)
    }

    /// Changes a kept search.
    pub async fn update_smart_filter(
        &self,
        filter: &str,
        body: &UpdateFilter,
    ) -> Result<SmartFilter, Error> {
        let path = ["threads", "smart-filters", filter];
        let call = self.0.api(Method::PATCH, &path).json(body);
        Ok(call.send::<FilterAnswer>().await?.filter)
    }

    /// Deletes a kept search. False: it was gone.
    pub async fn delete_smart_filter(&self, filter: &str) -> Result<bool, Error> {
        let path = ["threads", "smart-filters", filter];
        let call = self.0.api(Method::DELETE, &path);
        Ok(call.send::<Deleted>().await?.deleted)
    }
}
