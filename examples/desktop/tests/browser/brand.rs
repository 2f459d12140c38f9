//! A brand in a real browser, before and after login. The configuration is the one that `docs/branding.md` shows.

use crate::page::{Person, Site};
use open_cowork_config::load::Loaded;
use open_cowork_desktop::{branding, config};
use open_cowork_testkit::browser::{BrowserOptions, Scheme};
use open_cowork_workbench::{Access, Options, router};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

const PAGE: &str = include_str!("../../../../docs/branding.md");
const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 28 28"><rect width="28" height="28" rx="6" fill="#0f6b4b"/><path d="M7 21 14 6l7 15M10 16h8" fill="none" stroke="#fff" stroke-width="2.4"/></svg>"##;

/// The first document of the page.
fn documented() -> &'static str {
    let from = PAGE.find("```json\n").unwrap() + "```json\n".len();
    PAGE[from..].split("```").next().unwrap()
}

/// Loads a document as `--config` does, in a folder with the logo.
fn loaded(folder: &Path, document: &str) -> Arc<Loaded> {
    fs::create_dir_all(folder.join("branding")).unwrap();
    fs::write(folder.join("branding/logo.svg"), LOGO).unwrap();
    fs::write(folder.join("acme.json"), document).unwrap();
    let mut environment = config::environment();
    (environment.home, environment.managed) = (None, None);
    environment.vars.clear();
    config::find(environment, vec![folder.join("acme.json")]).unwrap()
}

async fn sees_the_brand(person: &Person) {
    person.sees(".brand .logo").await;
    // A picture that the page may not load has no size of its own.
    person
        .finds_true("document.querySelector('.brand .logo').naturalWidth > 0")
        .await;
    person.reads(".brand", "Acme Desk").await;
    person
        .finds_true("document.title.endsWith(' · Acme Desk')")
        .await;
    let help = "document.querySelector('.brand-links a')?.href === 'https://help.acme.example/'";
    person.finds_true(help).await;
    person
        .finds_true("!document.documentElement.outerHTML.includes('Open Cowork')")
        .await;
    person
        .finds_true("document.querySelector('link[rel=icon]').href.includes('/assets/icon-')")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_a_brand_of_under_ten_lines_shows_before_and_after_login() {
    assert!(documented().lines().count() < 10, "{}", documented());
    let folder = tempfile::tempdir().unwrap();
    let config = loaded(folder.path(), documented());
    let site = Site::start_with(|options| options.config = Some(config)).await;
    let options = BrowserOptions {
        height: 640,
        ..BrowserOptions::default()
    };
    let (door, _token) = site.url.split_once('?').unwrap();
    let person = Person::opens_at(door, options).await;
    person.reads("h1", "Open it with its start address").await;
    sees_the_brand(&person).await;
    person.picture("branding-before-login").await;

    person.goes_to(&site.url).await;
    sees_the_brand(&person).await;
    let green = "getComputedStyle(document.querySelector('.button.primary.send')).backgroundColor === 'rgb(15, 107, 75)'";
    person.finds_true(green).await;
    let link = "getComputedStyle(document.documentElement).getPropertyValue('--accent-strong') === '#0f6b4b'";
    person.finds_true(link).await;
    person.reads("#connection", "Ready").await;
    person.picture("branding").await;
    person.clicks(".theme button[value=dark]").await;
    person.finds_true(green).await;
    person.finds_true(&format!("!({link})")).await; // on black that green could not be read
    person.leaves().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_two_brands_are_two_looks_of_one_chat() {
    let site = Site::start().await;
    let options = BrowserOptions {
        width: 800,
        height: 720,
        ..BrowserOptions::default()
    };
    let person = Person::opens_with(&site, options).await;
    person.prompts("Read my notes and count the words.").await;
    person.sees(".ask [value=allow]").await;
    let chat = person.client().current_url().await.unwrap();
    let chat = chat.path().rsplit('/').next().unwrap().to_owned();
    let pictures = tempfile::tempdir().unwrap();
    let mut grounds = Vec::new();
    for (name, document, scheme) in [
        ("first", "{}", Scheme::Light),
        (
            "second",
            r#"{"branding": {"defaultTheme": "nord"}}"#,
            Scheme::Dark,
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let look = branding::look_of(&loaded(folder.path(), document), &[]);
        assert_eq!(look.remarks, Vec::<String>::new());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut options = Options::new(Access::loopback(port).unwrap());
        (options.branding, options.theme) = (look.branding, look.theme);
        let home = format!("http://127.0.0.1:{port}");
        let entry = format!("{home}{}", options.entry_path());
        let app = router(site.rig.desktop.workspace(), options);
        let served = tokio::spawn(async move { axum::serve(listener, app).await });
        person.browser.set_scheme(scheme).await.unwrap();
        person.goes_to(&entry).await;
        person.goes_to(&format!("{home}/chats/{chat}")).await;
        person.sees(".ask [value=allow]").await;
        let ground = "return getComputedStyle(document.body).backgroundColor";
        grounds.push(person.runs(ground, vec![]).await);
        let file = pictures.path().join(format!("{name}.png"));
        person.browser.screenshot(&file).await.unwrap();
        served.abort();
    }
    assert_eq!(
        grounds,
        [json!("rgb(251, 251, 250)"), json!("rgb(46, 52, 64)")]
    );

    let both = "<!DOCTYPE html><style>body{margin:0;display:flex}img{width:50%}</style>\
                <img src=first.png><img src=second.png>";
    fs::write(pictures.path().join("both.html"), both).unwrap();
    person.browser.set_size(1600, 720).await.unwrap();
    person
        .goes_to(&format!("file://{}/both.html", pictures.path().display()))
        .await;
    person
        .finds_true("[...document.images].every((image) => image.naturalWidth === 800)")
        .await;
    person.picture("themes").await;
    person.leaves().await;
    site.close().await;
}
