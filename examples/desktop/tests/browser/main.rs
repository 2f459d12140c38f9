//! The real desktop in a real browser: OpenCode runs, the model follows a script, a person clicks and types.
//!
//! `OPEN_COWORK_SCREENSHOTS=folder` keeps a picture of every page that is passed; `workbench.png` and
//! `workbench-dark.png` among them are those of the README.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail loudly

mod brand;
mod neighbour;
mod page;
#[path = "../support/mod.rs"]
mod support;

use open_cowork_testkit::browser::{BrowserOptions, Locator, Scheme};
use open_cowork_testkit::model::Scenario;
use page::{Person, Site, scenario};
use support::processes_of;

const ENTER: &str = "\u{e007}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_a_first_conversation_streams_into_the_page_and_survives_a_reload() {
    let site = Site::start().await;
    let person = Person::opens(&site).await;
    person.reads("#connection", "Ready").await;
    person.picture("home").await;

    // A prompt and Enter lead into the chat, where the answer grows while the turn runs.
    person.prompts("Hello, who are you?").await;
    person.sees(".answer").await;
    person.marks_the_page().await;
    let mut grew = Vec::new();
    while let Some(length) = person.answer_so_far().await {
        if grew.last() == Some(&length) {
            continue;
        }
        grew.push(length);
        if grew.len() == 3 {
            person.picture("streaming").await;
        }
    }
    assert!(
        grew.len() >= 3,
        "text appears while it is written: {grew:?}"
    );
    person.waits_for_the_end().await;
    person.reads(".answer", "scripted demo model").await;
    person.sees(".answer table").await;
    person.misses("#working .pulse").await;
    person
        .prompts_and_waits("What is in here? [[script:parallel]]")
        .await;
    person.reads(".answer", "Both searches are done.").await;
    person.finds_the_mark().await;
    person.picture("answered").await;

    // A name of its own, in the head and in the rail.
    person.clicks("#rename summary").await;
    person
        .fills("#rename input[name=title]", &format!("First steps{ENTER}"))
        .await;
    person.reads("#chat-name", "First steps").await;
    person.reads("#recent", "First steps").await;

    // Dark at once, and after a reload.
    person.clicks(".theme button[value=dark]").await;
    let dark = "getComputedStyle(document.body).backgroundColor === 'rgb(15, 16, 18)'";
    person.finds_true(dark).await;
    person.picture("dark").await;
    person.finds_the_mark().await;
    let before = person.transcript().await;
    assert_eq!(person.count("#timeline > .item").await, before.len());
    person.reloads().await;
    person.finds_true("!window.marked").await;
    assert_eq!(person.transcript().await, before);
    person.finds_true(dark).await;
    person.reads("#chat-name", "First steps").await;

    // A second tab follows the same chat, without a reload of the first.
    person.marks_the_page().await;
    let first = person.client().window().await.unwrap();
    let address = person.client().current_url().await.unwrap();
    let second = person.client().new_window(true).await.unwrap().handle;
    person
        .client()
        .switch_to_window(second.clone())
        .await
        .unwrap();
    person.goes_to(address.as_str()).await;
    person
        .prompts_and_waits("And from here? [[script:hello]]")
        .await;
    person.client().switch_to_window(first).await.unwrap();
    person
        .reads(".answer", "Hello from the scripted model")
        .await;
    person.finds_the_mark().await;
    let here = person.transcript().await;
    person.client().switch_to_window(second).await.unwrap();
    assert_eq!(person.transcript().await, here);
    person.leaves().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_asks_are_answered_with_mouse_reason_and_key() {
    let site = Site::start().await;
    let options = BrowserOptions {
        height: 860,
        ..BrowserOptions::default()
    };
    let person = Person::opens_with(&site, options).await;

    person.prompts("Read my notes and count the words.").await;
    person.sees(".ask [value=allow]").await;
    person.reads(".ask .subject", "wc -w notes/*.md").await;
    // Nobody is told that work goes on while the work waits for them.
    person.reads("#chat-facts", "Waiting for you").await;
    person.misses("#working .pulse").await;
    person.reads(".call .state", "waits for you").await;
    let folder = site.rig.folder.path();
    person.reads(".ask dl", &folder.display().to_string()).await;
    person.picture("workbench").await;
    person.browser.set_scheme(Scheme::Dark).await.unwrap();
    person.picture("workbench-dark").await;
    person.browser.set_size(390, 844).await.unwrap();
    person.picture("phone-ask-dark").await;
    person.browser.set_scheme(Scheme::Light).await.unwrap();
    person.picture("phone-ask").await;
    person.browser.set_size(1280, 860).await.unwrap();
    person.marks_the_page().await;
    person.clicks(".ask [data-key=a]").await;
    person.reads(".answered", "You allowed once").await;
    person.reads(".answer", "That is all of it").await;
    person.waits_for_the_end().await;
    person.misses(".ask").await;

    person.prompts("run [[script:bash]]").await;
    person
        .types(".ask input[name=reason]", "use another way")
        .await;
    person.clicks(".ask [data-key=d]").await;
    person.reads(".answered", "You denied").await;
    person.reads(".answered", "use another way").await;
    person.waits_for_the_end().await;

    // The key leads to the ask first; what is answered has been looked at.
    person.prompts("again [[script:bash]]").await;
    person.sees(".ask").await;
    person.runs("document.activeElement.blur()", vec![]).await;
    person.presses("a").await;
    person
        .finds_true("document.activeElement.matches('.ask')")
        .await;
    assert_eq!(
        person.count(".ask").await,
        1,
        "the first press only leads there"
    );
    person.presses("a").await;
    person.waits_for_the_end().await;
    person.misses(".ask").await;
    let allowed = person.texts(".answered").await;
    let allowed = allowed
        .iter()
        .filter(|line| line.contains("You allowed once"))
        .count();
    assert_eq!(allowed, 2);
    person.finds_the_mark().await;

    // The output of the real command is in the call, folded.
    person
        .runs(
            "document.querySelectorAll('.call').forEach((call) => call.open = true)",
            vec![],
        )
        .await;
    person.reads(".call .output", "scripted-tool-output").await;
    person.picture("calls-open").await;
    let before = person.transcript().await;
    person.reloads().await;
    assert_eq!(person.transcript().await, before);
    person.leaves().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_questions_todos_and_sub_agents_show_where_they_belong() {
    let site = Site::start().await;
    let person = Person::opens(&site).await;

    person.prompts("Start with a question.").await;
    person.sees(".question [value=send]").await;
    person.misses("#working .pulse").await;
    person.picture("question").await;
    person.marks_the_page().await;
    person
        .clicks(".question input[type=radio][value=Detailed]")
        .await;
    person
        .clicks(".question input[type=checkbox][value=Risks]")
        .await;
    person
        .clicks(".question input[type=checkbox][value=Plan]")
        .await;
    person.clicks(".question [value=send]").await;
    person.reads(".answered", "Detailed").await;
    person.reads(".answered", "Risks, Plan").await;
    person.waits_for_the_end().await;

    person.prompts("ask me [[script:question]]").await;
    person.clicks(".question [value=skip]").await;
    person.reads(".answered", "Skipped").await;
    person.waits_for_the_end().await;
    person.picture("question-answered").await;

    person.prompts("Now the [[script:demo-todos]]").await;
    person.reads("#todo-strip .count", "1 of 3").await;
    person.picture("todos").await;
    person.reads("#todo-strip .count", "3 of 3").await;
    person.waits_for_the_end().await;

    person.prompts("delegate [[script:task-bash]]").await;
    person.reads(".lane .subject", "Run it").await;
    person.reads(".ask", "sub-agent “Run it”").await;
    person
        .reads(".lane > details > summary .state", "waits for you")
        .await;
    person.picture("subagent-ask").await;
    person.clicks(".ask [data-key=a]").await;
    person.reads(".lane .state", "done").await;
    person.waits_for_the_end().await;
    person.clicks("[data-panel]").await;
    person.reads("#drawer .agents", "Run it").await;
    person.clicks(".lane summary").await;
    person.reads(".lane .call", "scripted-tool-output").await;
    person.picture("subagent-drawer").await;
    person.finds_the_mark().await;

    let before = person.transcript().await;
    person.reloads().await;
    assert_eq!(person.transcript().await, before);
    person.leaves().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_a_stop_an_error_and_a_killed_runtime_leave_the_way_on() {
    let site = Site::start().await;
    let person = Person::opens(&site).await;
    person.prompts("Something long, please.").await;
    person.reads(".answer", "Durability").await;
    person.marks_the_page().await;
    person.clicks(".stop").await;
    person.reads(".interrupted", "Stopped by you").await;
    person.waits_for_the_end().await;
    person.picture("stopped").await;

    // A model that refuses, and then doesn't.
    person.prompts("How is the weather?").await;
    person.reads(".error", "bad request (scripted)").await;
    person.picture("error").await;
    let mended = Scenario::parse(
        r#"{"rules":[{"match":{"user_contains":"weather"},"script":"fine"}],"scripts":{"fine":[{"text":"It is fine again."}]}}"#,
    );
    site.rig
        .model
        .set_scenario(scenario().overlaid(mended.unwrap()));
    person.clicks(".error form button").await;
    person.reads(".answer", "It is fine again.").await;
    person.waits_for_the_end().await;
    person.misses(".error form").await;

    // OpenCode dies in mid-stream: a line says so, and Continue goes on.
    person.prompts("Something long once more.").await;
    person.finds_true("[...document.querySelectorAll('.answer')].at(-1)?.textContent.includes('Durability') && document.querySelectorAll('.prompt').length === 4").await;
    let victims = processes_of(site.rig.data.path());
    let serves = |line: &str| line.contains("serve --hostname");
    let (pid, _) = victims.iter().find(|(_, line)| serves(line)).unwrap();
    support::kill_hard(*pid);
    person
        .reads(".interrupted", "Interrupted by a restart")
        .await;
    person.picture("interrupted").await;
    person.reads("#connection", "Ready").await;
    person.clicks(".interrupted form button").await;
    person.reads(".prompt", "Continue.").await;
    person.reads(".answer", "scripted demo model").await;
    person.waits_for_the_end().await;
    person.misses(".interrupted form").await;
    person.finds_the_mark().await;
    person.picture("continued").await;

    let before = person.transcript().await;
    person.reloads().await;
    assert_eq!(person.transcript().await, before);
    person.leaves().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_without_script_the_forms_and_reloads_are_enough() {
    let site = Site::start().await;
    let options = BrowserOptions {
        script: false,
        ..BrowserOptions::default()
    };
    let person = Person::opens_with(&site, options).await;
    person.types("#text", "Hello, who are you?").await;
    person.submits("#composer .send").await;
    person
        .shows_after_reloads("#timeline", "scripted demo model")
        .await;
    person.shows_after_reloads("#actions", "Send").await;
    person.picture("no-script").await;

    person.types("#text", "run [[script:bash]]").await;
    person.submits("#composer .send").await;
    person
        .shows_after_reloads(".ask .subject", "echo scripted-tool-output")
        .await;
    person.types(".ask input[name=reason]", "not today").await;
    person.submits(".ask [data-key=d]").await;
    person.shows_after_reloads(".answered", "not today").await;
    person.shows_after_reloads("#actions", "Send").await;

    person.types("#text", "run [[script:bash]]").await;
    person.submits("#composer .send").await;
    person
        .shows_after_reloads(".ask .subject", "echo scripted-tool-output")
        .await;
    person.submits(".ask [data-key=a]").await;
    person.shows_after_reloads("#actions", "Send").await;
    person.misses(".ask").await;

    person.types("#text", "ask me [[script:question]]").await;
    person.submits("#composer .send").await;
    person
        .shows_after_reloads(".question", "Which colour")
        .await;
    person.clicks(".question input[value=Blue]").await;
    person.submits(".question [value=send]").await;
    person
        .shows_after_reloads("#timeline", "Thank you for the answer.")
        .await;
    person.shows_after_reloads("#actions", "Send").await;

    person.types("#text", "go on [[script:demo-long]]").await;
    person.submits("#composer .send").await;
    person.shows_after_reloads("#timeline", "Durability").await;
    person.submits(".stop").await;
    person
        .shows_after_reloads(".interrupted", "Stopped by you")
        .await;

    person.clicks("#rename summary").await;
    person.fills("#rename input[name=title]", "Plain").await;
    person.submits("#rename button").await;
    person.shows_after_reloads("#chat-name", "Plain").await;
    person.submits(".theme button[value=dark]").await;
    let body = person.client().find(Locator::Css("body")).await.unwrap();
    assert!(
        body.css_value("background-color")
            .await
            .unwrap()
            .contains("15, 16, 18")
    );
    person.leaves().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_settings_health_chats_and_trust_lead_on() {
    let site = Site::start().await;
    let person = Person::opens(&site).await;
    person.reads("#connection", "Demo model").await;

    // A folder that would run code is looked at before anything runs.
    let marker = site.rig.data.path().join("plugin-ran");
    let plugin = format!(
        "require('fs').writeFileSync({marker:?}, 'ran'); export const P = async () => ({{}});"
    );
    site.rig
        .folder
        .write(".opencode/plugin/notes.js", &plugin)
        .unwrap();
    person.prompts("Hello [[script:hello]]").await;
    person.reads(".trust", "notes.js").await;
    assert!(!marker.exists(), "nothing of the folder ran");
    person.picture("trust").await;
    person.clicks(".trust button.primary").await;
    person.misses(".trust").await;
    // The prompt that waited is still there, and goes with Enter.
    person
        .finds_true("document.activeElement.id === 'text' && document.activeElement.value.startsWith('Hello')")
        .await;
    person.presses(ENTER).await;
    person
        .reads(".answer", "Hello from the scripted model")
        .await;
    person.waits_for_the_end().await;
    assert!(marker.exists(), "the trusted plugin runs");

    // Settings: another provider, tested before it is saved, then used.
    person.visits("/settings").await;
    person.picture("settings").await;
    person
        .clicks("select[name=provider] option[value=custom]")
        .await;
    person.fills("input[name=model]", "fake-model").await;
    person
        .fills("input[name=base_url]", "http://127.0.0.1:9/v1")
        .await;
    person.fills("input[name=key]", "sk-not-a-key").await;
    person.clicks("button[formaction$='/settings/test']").await;
    person.sees(".report .tone-danger").await;
    person.picture("settings-failed").await;
    person
        .fills("input[name=base_url]", &site.rig.model.base_url())
        .await;
    person.clicks("button[formaction$='/settings/test']").await;
    person.sees(".report .tone-ok").await;
    person.picture("settings-tested").await;
    person.clicks(".settings button.primary").await;
    person.reads(".report", "Saved.").await;
    person.sees("input[placeholder^='A key is stored']").await;
    person.misses("#connection .tag").await;
    person.reads("#connection", "Ready").await;
    assert!(
        !person
            .client()
            .source()
            .await
            .unwrap()
            .contains("sk-not-a-key")
    );

    person.visits("/health").await;
    person.sees(".checks").await;
    person.picture("health").await;
    person.visits("/chats").await;
    person.sees(".chat-list").await;
    person.picture("chats").await;
    person.browser.set_size(390, 844).await.unwrap();
    person.picture("phone-chats").await;
    person.clicks(".rail-toggle summary").await;
    person.sees("#rail .new-chat").await;
    person.picture("phone-rail").await;
    person.clicks("#rail .new-chat").await;
    person.sees(".home").await;
    person.picture("phone-home").await;
    person.prompts("Is it the real one now?").await;
    person.sees(".answer").await;
    person.waits_for_the_end().await;
    // Wide code scrolls by itself; the page doesn't.
    person.finds_true("document.querySelector('.code pre').scrollWidth > document.querySelector('.code pre').clientWidth").await;
    person.finds_true("document.querySelector('.scroller').scrollWidth === document.querySelector('.scroller').clientWidth").await;
    person.picture("phone-chat").await;
    person.leaves().await;
    site.close().await;
}
