//! Tags, stored filters, search (03 §8.7, §11).

use crate::call::Call;
use crate::reply::{self, Answer};
use crate::route::Route;
use crate::service::threads;
use open_cowork_contracts::access::CloudAction;
use open_cowork_contracts::api::threads::{
    CreateFilter, CreateTag, Deleted, Done, FilterAnswer, FilterList, TagAnswer, TagList,
    TagSessions, ThreadFacets, ThreadList, ThreadSearch, ThreadSearchResult, UpdateFilter,
    UpdateTag,
};
use open_cowork_contracts::{FilterId, TagId};

/// The routes.
pub fn routes() -> Vec<Route> {
    let (read, write) = (CloudAction::ThreadsRead, CloudAction::ThreadsWrite);
    vec![
        Route::get(
            "threads",
            read,
            "The caller's threads with their tags",
            list,
        )
        .query(&[
            ("tagId", "Only threads with this tag; may be repeated"),
            ("tagIds", "The same, with commas"),
            ("limit", "Rows: 1 to 500, 500 when absent"),
            ("cursor", "`nextCursor` of the page before"),
        ])
        .answers::<ThreadList>(),
        Route::post(
            "threads/search",
            read,
            "Finds threads by text and filters",
            search,
        )
        .takes::<ThreadSearch>()
        .answers::<ThreadSearchResult>(),
        Route::post(
            "threads/facets",
            read,
            "What the found threads have in common",
            facets,
        )
        .takes::<ThreadSearch>()
        .answers::<ThreadFacets>(),
        Route::get("threads/tags", read, "The tags of the organisation", tags).answers::<TagList>(),
        Route::post("threads/tags", write, "Makes a tag", create_tag)
            .takes::<CreateTag>()
            .answers::<TagAnswer>()
            .status(201),
        Route::patch("threads/tags/:id", write, "Changes a tag", update_tag)
            .takes::<UpdateTag>()
            .answers::<TagAnswer>(),
        Route::delete("threads/tags/:id", write, "Deletes a tag", delete_tag).answers::<Deleted>(),
        Route::post(
            "threads/tags/:id/apply",
            write,
            "Ties a tag to threads",
            apply,
        )
        .takes::<TagSessions>()
        .answers::<Done>(),
        Route::post(
            "threads/tags/:id/remove",
            write,
            "Unties a tag from threads",
            remove,
        )
        .takes::<TagSessions>()
        .answers::<Done>(),
        Route::get("threads/smart-filters", read, "The stored filters", filters)
            .answers::<FilterList>(),
        Route::post(
            "threads/smart-filters",
            write,
            "Stores a filter",
            create_filter,
        )
        .takes::<CreateFilter>()
        .answers::<FilterAnswer>()
        .status(201),
        Route::patch(
            "threads/smart-filters/:id",
            write,
            "Changes a filter",
            update_filter,
        )
        .takes::<UpdateFilter>()
        .answers::<FilterAnswer>(),
        Route::delete(
            "threads/smart-filters/:id",
            write,
            "Deletes a filter",
            delete_filter,
        )
        .answers::<Deleted>(),
    ]
}

async fn list(call: Call) -> Answer {
    let query = call.query();
    let separate = query.all("tagId");
    let joined = query.all("tagIds");
    let joined = joined.iter().flat_map(|tags| tags.split(','));
    let mut tags: Vec<String> = Vec::new();
    for tag in separate.iter().map(String::as_str).chain(joined) {
        let tag = tag.trim();
        if !tag.is_empty() && !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    let (limit, cursor) = (query.limit(500, 500), query.text("cursor"));
    reply::ok(&threads::list(&call.cloud, call.scope()?, tags, limit, cursor).await?)
}

async fn search(call: Call) -> Answer {
    let asked: ThreadSearch = call.json()?;
    reply::ok(&threads::search(&call.cloud, call.scope()?, asked).await?)
}

async fn facets(call: Call) -> Answer {
    let asked: ThreadSearch = call.json()?;
    reply::ok(&threads::facets(&call.cloud, call.scope()?, asked).await?)
}

async fn tags(call: Call) -> Answer {
    let tags = threads::tags(&call.cloud, &call.principal()?.tenant_id).await?;
    reply::ok(&TagList { tags })
}

async fn create_tag(call: Call) -> Answer {
    let tag = threads::create_tag(&call, call.json()?).await?;
    reply::created(&TagAnswer { tag })
}

async fn update_tag(call: Call) -> Answer {
    let (tenant, id) = (&call.principal()?.tenant_id, TagId::new(call.param("id")));
    let tag = threads::update_tag(&call.cloud, tenant, &id, call.json::<UpdateTag>()?).await?;
    reply::ok(&TagAnswer { tag })
}

async fn delete_tag(call: Call) -> Answer {
    let (tenant, id) = (&call.principal()?.tenant_id, TagId::new(call.param("id")));
    let deleted = call.cloud.store.delete_tag(tenant, &id).await?;
    reply::ok(&Deleted { deleted })
}

async fn apply(call: Call) -> Answer {
    link(call, true).await
}

async fn remove(call: Call) -> Answer {
    link(call, false).await
}

async fn link(call: Call, apply: bool) -> Answer {
    let (scope, id) = (call.scope()?, TagId::new(call.param("id")));
    threads::link_tag(&call.cloud, &scope, &id, call.json::<TagSessions>()?, apply).await?;
    reply::ok(&Done { ok: true })
}

async fn filters(call: Call) -> Answer {
    let filters = call
        .cloud
        .store
        .filters(&call.principal()?.tenant_id)
        .await?;
    reply::ok(&FilterList { filters })
}

async fn create_filter(call: Call) -> Answer {
    let filter = threads::create_filter(&call, call.json()?).await?;
    reply::created(&FilterAnswer { filter })
}

async fn update_filter(call: Call) -> Answer {
    let (tenant, id) = (
        &call.principal()?.tenant_id,
        FilterId::new(call.param("id")),
    );
    let change: UpdateFilter = call.json()?;
    let filter = threads::update_filter(&call.cloud, tenant, &id, change).await?;
    reply::ok(&FilterAnswer { filter })
}

async fn delete_filter(call: Call) -> Answer {
    let (tenant, id) = (
        &call.principal()?.tenant_id,
        FilterId::new(call.param("id")),
    );
    let deleted = call.cloud.store.delete_filter(tenant, &id).await?;
    reply::ok(&Deleted { deleted })
}
