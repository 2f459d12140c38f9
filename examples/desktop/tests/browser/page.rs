//! The desktop's page in a real browser: what a person sees, clicks and types. Everything waits for a condition.

use crate::support::{PATIENCE, Rig, processes_of, until};
use open_cowork_desktop::DesktopOptions;
use open_cowork_desktop::serve::Page;
use open_cowork_testkit::browser::{Browser, BrowserClient, BrowserOptions, Locator};
use open_cowork_testkit::model::Scenario;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What the model says: the demo's words (`tool`, `question`, `todos`, `subagent`, `long`) and the built-in scripts.
pub(crate) fn scenario() -> Scenario {
    let ours = Scenario::parse(include_str!("scenario.json")).unwrap();
    Scenario::demo().unwrap().overlaid(ours)
}

/// A served desktop.
pub(crate) struct Site {
    pub(crate) rig: Arc<Rig>,
    pub(crate) url: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Site {
    pub(crate) async fn start() -> Site {
        Site::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut DesktopOptions)) -> Site {
        let rig = Arc::new(Rig::start_with(change).await);
        rig.model.set_scenario(scenario());
        let page = Page::bind(0).await.unwrap();
        let url = page.url();
        let (stop, served) = serve(&rig, page);
        Site {
            rig,
            url,
            stop,
            served,
        }
    }

    /// Ends the page and serves it anew on the same port, as a restarted program does.
    pub(crate) async fn restarts(self) -> Site {
        let Site {
            rig,
            url,
            stop,
            served,
        } = self;
        ends(stop, served).await;
        let port = url.split(['/', ':']).nth(4).unwrap().parse().unwrap();
        let page = Page::bind(port).await.unwrap();
        let url = page.url();
        let (stop, served) = serve(&rig, page);
        Site {
            rig,
            url,
            stop,
            served,
        }
    }

    /// Ends the page, then the desktop; nothing of it is left.
    pub(crate) async fn close(self) {
        ends(self.stop, self.served).await;
        let rig = Arc::into_inner(self.rig).expect("the page let go of the desktop");
        let data = rig.data.path().to_owned();
        rig.desktop.close().await;
        until("every process of the desktop ends", || {
            processes_of(&data).is_empty()
        })
        .await;
    }
}

fn serve(rig: &Arc<Rig>, page: Page) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let serving = rig.clone();
    let served = tokio::spawn(async move {
        page.serve(&serving.desktop, async move { stopped.await.unwrap_or(()) })
            .await
    });
    (stop, served)
}

async fn ends(stop: oneshot::Sender<()>, served: JoinHandle<()>) {
    stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, served)
        .await
        .expect("open streams end with the page")
        .unwrap();
}

/// A person in front of the page.
pub(crate) struct Person {
    pub(crate) browser: Browser,
}

impl Person {
    /// Opens the address that the program printed.
    pub(crate) async fn opens(site: &Site) -> Person {
        Person::opens_with(site, BrowserOptions::default()).await
    }

    pub(crate) async fn opens_with(site: &Site, options: BrowserOptions) -> Person {
        Person::opens_at(&site.url, options).await
    }

    pub(crate) async fn opens_at(url: &str, options: BrowserOptions) -> Person {
        let browser = Browser::start_with(options).await.unwrap();
        let person = Person { browser };
        person.goes_to(url).await;
        person
    }

    pub(crate) fn client(&self) -> &BrowserClient {
        self.browser.client()
    }

    pub(crate) async fn goes_to(&self, url: &str) {
        self.client().goto(url).await.unwrap();
    }

    /// Follows a path below the base of the same site.
    pub(crate) async fn visits(&self, path: &str) {
        let home = self.runs("return document.body.dataset.home", vec![]).await;
        let url = self.client().current_url().await.unwrap();
        let home = url.join(home.as_str().unwrap()).unwrap();
        self.goes_to(home.join(path.trim_start_matches('/')).unwrap().as_str())
            .await;
    }

    pub(crate) async fn reloads(&self) {
        self.client().refresh().await.unwrap();
    }

    /// Tries until it works; a patch may replace an element between finding and using it.
    async fn tries<T, F, Fut>(&self, what: &str, mut attempt: F) -> T
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Option<T>>,
    {
        let work = async {
            loop {
                if let Some(done) = attempt().await {
                    return done;
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(done) => done,
            Err(_) => panic!(
                "{what}: did not happen; the page says:\n{}",
                self.texts("main").await.join("\n")
            ),
        }
    }

    /// Waits until an element is on the page and visible.
    pub(crate) async fn sees(&self, css: &str) {
        self.tries(&format!("sees {css}"), || async {
            let element = self.client().find(Locator::Css(css)).await.ok()?;
            element.is_displayed().await.ok()?.then_some(())
        })
        .await;
    }

    /// Waits until the text of one of these elements holds these words.
    pub(crate) async fn reads(&self, css: &str, words: &str) {
        self.tries(&format!("reads {words:?} in {css}"), || async {
            let texts = self.texts(css).await;
            texts.iter().any(|text| text.contains(words)).then_some(())
        })
        .await;
    }

    /// Waits until no such element is left.
    pub(crate) async fn misses(&self, css: &str) {
        self.tries(&format!("misses {css}"), || async {
            let found = self.client().find_all(Locator::Css(css)).await.ok()?;
            found.is_empty().then_some(())
        })
        .await;
    }

    /// A click with the mouse.
    pub(crate) async fn clicks(&self, css: &str) {
        self.tries(&format!("clicks {css}"), || async {
            let element = self.client().find(Locator::Css(css)).await.ok()?;
            element.click().await.ok()
        })
        .await;
    }

    /// Clicks what sends a form, and waits for the page that answers: a reload in between would take it back.
    pub(crate) async fn submits(&self, css: &str) {
        let before = self.client().find(Locator::Css("html")).await.unwrap();
        self.clicks(css).await;
        self.tries(&format!("an answer to {css}"), || async {
            before.tag_name().await.err().map(drop)
        })
        .await;
    }

    /// Types into a field; `\u{e007}` is Enter.
    pub(crate) async fn types(&self, css: &str, text: &str) {
        self.sees(css).await;
        let field = self.client().find(Locator::Css(css)).await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Replaces what a field holds.
    pub(crate) async fn fills(&self, css: &str, text: &str) {
        self.sees(css).await;
        let field = self.client().find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// A key, wherever the focus is.
    pub(crate) async fn presses(&self, key: &str) {
        let focused = self.client().active_element().await.unwrap();
        focused.send_keys(key).await.unwrap();
    }

    /// Writes a prompt and sends it with Enter.
    pub(crate) async fn prompts(&self, text: &str) {
        self.types("#text", &format!("{text}\u{e007}")).await;
    }

    /// Sends a prompt and waits until its turn is over.
    pub(crate) async fn prompts_and_waits(&self, text: &str) {
        let before = self.count(".prompt").await;
        self.prompts(text).await;
        self.tries("the prompt is on the page", || async {
            (self.count(".prompt").await > before).then_some(())
        })
        .await;
        self.waits_for_the_end().await;
    }

    /// Waits until the composer offers to send again.
    pub(crate) async fn waits_for_the_end(&self) {
        self.sees("#actions .send").await;
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        let found = self.client().find_all(Locator::Css(css)).await;
        found.map_or(0, |found| found.len())
    }

    /// The texts of all these elements, shown or folded.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let script =
            "return [...document.querySelectorAll(arguments[0])].map((el) => el.textContent)";
        let texts = self.runs(script, vec![json!(css)]).await;
        serde_json::from_value(texts).unwrap_or_default()
    }

    pub(crate) async fn runs(&self, script: &str, arguments: Vec<Value>) -> Value {
        let done = self.client().execute(script, arguments).await;
        done.unwrap_or(Value::Null)
    }

    /// Waits until an expression of the page is true.
    pub(crate) async fn finds_true(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        self.tries(expression, || async {
            (self.runs(&script, vec![]).await == json!(true)).then_some(())
        })
        .await;
    }

    /// Without script a page shows what was when it was loaded: loads it until it shows these words.
    pub(crate) async fn shows_after_reloads(&self, css: &str, words: &str) {
        self.tries(&format!("shows {words:?} in {css}"), || async {
            let found = self.client().find_all(Locator::Css(css)).await.ok()?;
            for element in found {
                if element.text().await.ok()?.contains(words) {
                    return Some(());
                }
            }
            self.reloads().await;
            None
        })
        .await;
    }

    /// Everything in the transcript, as it reads.
    pub(crate) async fn transcript(&self) -> Vec<String> {
        self.texts("#timeline > .item").await
    }

    /// Length of the newest answer's text while its turn runs.
    pub(crate) async fn answer_so_far(&self) -> Option<u64> {
        let script = "return document.querySelector('.stop') && \
             [...document.querySelectorAll('.answer')].at(-1).textContent.length";
        self.runs(script, vec![]).await.as_u64()
    }

    /// Leaves a mark that only this very document has.
    pub(crate) async fn marks_the_page(&self) {
        self.runs("window.marked = true", vec![]).await;
    }

    /// The document with the mark is still there: it was patched, not loaded anew.
    pub(crate) async fn finds_the_mark(&self) {
        let marked = self.runs("return window.marked === true", vec![]).await;
        assert_eq!(marked, json!(true), "the page was loaded anew");
    }

    /// With `OPEN_COWORK_SCREENSHOTS=folder`, keeps a picture.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("OPEN_COWORK_SCREENSHOTS") else {
            return;
        };
        let file = PathBuf::from(folder).join(format!("{name}.png"));
        self.browser.screenshot(&file).await.unwrap();
    }

    pub(crate) async fn leaves(self) {
        self.browser.close().await;
    }
}
