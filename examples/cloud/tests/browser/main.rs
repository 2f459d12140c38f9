//! The real cloud in a real browser: the program runs as people start it, OpenCode is real, the model follows a script.
//!
//! `OPEN_COWORK_SCREENSHOTS=folder` keeps pictures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod person;
#[path = "../support/mod.rs"]
mod support;

use open_cowork_testkit::model::ScriptedModel;
use open_cowork_testkit::opencode::provision;
use open_cowork_testkit::postgres::{Durability, Postgres};
use person::Person;
use std::path::Path;
use support::{Node, configuration, free_port, processes_of, ready};

/// Settings that every process of these tests has.
fn settings(folder: &Path, model: &ScriptedModel) -> Vec<(String, String)> {
    let config = configuration(folder, model);
    let root = folder.join("root");
    let opencode = provision().unwrap();
    [
        ("OPEN_COWORK_CONFIG_PATH", config.display().to_string()),
        ("ROOT", root.display().to_string()),
        ("OPENCODE_BIN", opencode.display().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn node(name: &'static str, folder: &Path, model: &ScriptedModel, more: &[(&str, &str)]) -> Node {
    let common = settings(folder, model);
    let common = common
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<_> = common.chain(more.iter().copied()).collect();
    Node::new(name, folder, &all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_a_newcomer_opens_the_link_prompts_approves_and_reads_the_answer() {
    let model = ScriptedModel::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let mut cloud = node("cloud", folder.path(), &model, &[("PORT", &port)]);
    cloud.start();
    let base = format!("http://127.0.0.1:{port}");
    ready(&base).await;
    let link = cloud
        .log()
        .lines()
        .find_map(|line| line.strip_prefix("open ").map(str::to_owned));
    let link = link.expect("the program prints its link");
    assert_eq!(link, format!("{base}/"));

    let person = Person::opens(&link).await;
    person.reads("#connection", "Ready").await;
    person.reads(".place", "Default").await;
    person.picture("home").await;
    person.prompts("Hello [[script:hello]]").await;
    person
        .reads(".answer", "Hello from the scripted model")
        .await;
    person.waits_for_the_end().await;

    person.prompts("run [[script:bash]]").await;
    person.sees(".ask [value=allow]").await;
    person.reads("#chat-facts", "Waiting for you").await;
    person.picture("ask").await;
    person.clicks(".ask [value=allow]").await;
    person.waits_for_the_end().await;
    person.reads(".answered", "You allowed once").await;
    person.picture("answered").await;

    // What was shown while it happened is what a new page shows.
    let before = person.transcript().await;
    person.client().refresh().await.unwrap();
    person.waits_for_the_end().await;
    assert_eq!(person.transcript().await, before);

    person.goes_to(&format!("{base}/health")).await;
    person.reads(".checks", "Records").await;
    person.picture("health").await;
    person.goes_to(&format!("{base}/settings")).await;
    person.reads("h2", "Provider keys").await;
    person.picture("settings").await;
    person.leaves().await;

    cloud.stop();
    assert_eq!(processes_of(folder.path()), [], "nothing is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_a_second_web_process_shows_the_same_thread_live() {
    let database = Postgres::start(Durability::Fast).await.unwrap();
    let model = ScriptedModel::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = database.url();
    let key = "pQ3x7Vb1Zk9Lm4Rt8Wy2Hs6Dg5Fj0NcAeUi";
    let shared = [("CONTROL_PLANE_URL", url.as_str()), ("SECRET_KEY", key)];
    let (one, two) = (free_port().to_string(), free_port().to_string());
    let with = |more: &[(&'static str, &str)]| -> Vec<(String, String)> {
        let all = shared.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let make = |name, more: &[(&'static str, &str)]| {
        let all = with(more);
        let all: Vec<_> = all
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        node(name, folder.path(), &model, &all)
    };
    let mut nodes = [
        make("web-1", &[("ROLE", "web"), ("PORT", &one)]),
        make("web-2", &[("ROLE", "web"), ("PORT", &two)]),
        make("worker", &[("ROLE", "worker"), ("WORKER_ID", "worker-1")]),
    ];
    nodes.iter_mut().for_each(Node::start);
    let bases = [&one, &two].map(|port| format!("http://127.0.0.1:{port}"));
    for base in &bases {
        ready(base).await;
    }

    let ada = Person::opens(&bases[0]).await;
    ada.prompts("Hello [[script:hello]]").await;
    ada.reads(".answer", "Hello from the scripted model").await;
    ada.waits_for_the_end().await;
    let path = ada.client().current_url().await.unwrap().path().to_owned();

    let elsewhere = Person::opens(&format!("{}{path}", bases[1])).await;
    elsewhere
        .reads(".answer", "Hello from the scripted model")
        .await;
    // Both pages stay open: what happens on one side is on the other without a reload.
    ada.prompts("run [[script:bash]]").await;
    elsewhere.sees(".ask [value=allow]").await;
    elsewhere.clicks(".ask [value=allow]").await;
    ada.reads(".answered", "You allowed once").await;
    ada.waits_for_the_end().await;
    elsewhere.waits_for_the_end().await;
    assert_eq!(elsewhere.transcript().await, ada.transcript().await);
    elsewhere.picture("second-process").await;
    ada.leaves().await;
    elsewhere.leaves().await;
    for node in &mut nodes {
        node.stop();
    }
    assert_eq!(processes_of(folder.path()), [], "nothing is left");
}
