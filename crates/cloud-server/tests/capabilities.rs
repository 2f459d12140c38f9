//! The catalogue of tools and skills (03 §8.9).

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod support;

use open_cowork_cloud_server::Options;
use open_cowork_cloud_server::service::capabilities::catalogue;
use open_cowork_config::load::load;
use open_cowork_config::source::{LayerKind, Sources, Surface};
use serde_json::{Value, json};
use std::sync::Arc;
use support::{World, world_with};

const ANN: &str = "member@own";

/// A configuration with tools of both kinds, a skill, and agents that use them.
fn document() -> String {
    json!({
        "tools": [
            {"id": "charts", "name": "Charts", "description": "Draws.", "kind": "mcp", "namespace": "plots",
             "allowPatterns": ["mcp__plots__draw"], "askPatterns": ["mcp__plots__save"]},
            {"id": "notes", "name": "Notes", "description": "Keeps.", "kind": "mcp", "namespace": "notes"},
            {"id": "shell", "name": "Shell", "description": "Runs.", "kind": "built-in", "patterns": ["bash"]},
        ],
        "mcps": [
            {"name": "plots", "type": "remote", "description": "d", "authMode": "none", "url": "https://plots.test"},
            {"name": "notes", "type": "remote", "description": "d", "authMode": "none", "url": "https://notes.test"},
        ],
        "skills": [{"name": "review", "description": "Reviews.", "badge": "Skill", "sourceName": "review", "toolIds": ["shell"]}],
        "agents": [
            {"name": "analyst", "label": "Analyst", "description": "d", "instructions": "i", "toolIds": ["charts"],
             "skillNames": ["review"]},
            {"name": "hidden", "label": "Hidden", "description": "d", "instructions": "i", "toolIds": ["charts"]},
        ],
    })
    .to_string()
}

async fn offering(change: impl FnOnce(&mut Options)) -> World {
    let sources = Sources::new(Surface::Cloud);
    let sources = sources.with(LayerKind::User, "test.json", document());
    let loaded = load(&sources).unwrap();
    world_with(|services| {
        change(&mut services.options);
        let catalogue = catalogue(loaded.config(), &services.options.profile);
        services.options.capabilities = Arc::new(catalogue);
    })
    .await
}

async fn get(world: &World, path: &str) -> Value {
    let reply = world.call(ANN, "GET", &format!("/api/{path}"), None).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.json()
}

fn ids(list: &Value, field: &str) -> Vec<String> {
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_catalogue_shows_what_the_configuration_offers() {
    let world = offering(|_| ()).await;
    let all = get(&world, "capabilities").await;
    assert_eq!(ids(&all["tools"], "id"), ["charts", "notes", "shell"]);
    assert_eq!(ids(&all["skills"], "name"), ["review"]);
    let charts = get(&world, "capabilities/tools/charts").await;
    let charts = &charts["tool"];
    assert_eq!(charts["kind"], "mcp");
    assert_eq!(
        charts["patterns"],
        json!(["mcp__plots__draw", "mcp__plots__save"])
    );
    assert_eq!(charts["agentNames"], json!(["analyst", "hidden"]));
    let notes = get(&world, "capabilities/tools/notes").await;
    assert_eq!(notes["tool"]["patterns"], json!(["notes_*"]));
    let review = get(&world, "capabilities/skills/review").await;
    assert_eq!(review["skill"]["toolIds"], json!(["shell"]));
    assert_eq!(review["skill"]["agentNames"], json!(["analyst"]));
    let bundle = get(&world, "capabilities/skills/review/bundle").await;
    assert_eq!(
        (&bundle["bundle"]["name"], &bundle["bundle"]["files"]),
        (&json!("review"), &json!([]))
    );
    assert_eq!(
        get(&world, "capabilities/tools").await["tools"],
        all["tools"]
    );
    assert_eq!(
        get(&world, "capabilities/skills").await["skills"],
        all["skills"]
    );
    for missing in ["tools/none", "skills/none", "skills/none/bundle"] {
        let path = format!("/api/capabilities/{missing}");
        let reply = world.call(ANN, "GET", &path, None).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (404, "resource.not_found")
        );
    }
}

#[tokio::test]
async fn what_the_profile_does_not_let_through_is_not_in_the_catalogue() {
    let world = offering(|options| {
        let profile = &mut options.profile;
        profile.tools = Some(vec!["charts".into(), "notes".into()]);
        profile.mcps = Some(vec!["plots".into()]);
        profile.agents = Some(vec!["analyst".into()]);
    })
    .await;
    let all = get(&world, "capabilities").await;
    assert_eq!(
        ids(&all["tools"], "id"),
        ["charts"],
        "no shell, and not the server of the notes"
    );
    assert_eq!(all["tools"][0]["agentNames"], json!(["analyst"]));
    let gone = world
        .call(ANN, "GET", "/api/capabilities/tools/shell", None)
        .await;
    assert_eq!(gone.status, 404);
}
