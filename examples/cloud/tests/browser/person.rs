//! A person in front of the cloud's page: what they see, click and type. Everything waits for a condition.

use crate::support::PATIENCE;
use open_cowork_testkit::browser::{Browser, BrowserClient, BrowserOptions, Locator};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) struct Person {
    pub(crate) browser: Browser,
}

impl Person {
    pub(crate) async fn opens(url: &str) -> Person {
        let browser = Browser::start_with(BrowserOptions::default())
            .await
            .unwrap();
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
                self.texts("body").await.join("\n")
            ),
        }
    }

    /// Waits until the text of one of these elements holds these words.
    pub(crate) async fn reads(&self, css: &str, words: &str) {
        self.tries(&format!("reads {words:?} in {css}"), || async {
            let texts = self.texts(css).await;
            texts.iter().any(|text| text.contains(words)).then_some(())
        })
        .await;
    }

    /// Waits until an element is on the page and visible.
    pub(crate) async fn sees(&self, css: &str) {
        self.tries(&format!("sees {css}"), || async {
            let element = self.client().find(Locator::Css(css)).await.ok()?;
            element.is_displayed().await.ok()?.then_some(())
        })
        .await;
    }

    pub(crate) async fn clicks(&self, css: &str) {
        self.tries(&format!("clicks {css}"), || async {
            let element = self.client().find(Locator::Css(css)).await.ok()?;
            element.click().await.ok()
        })
        .await;
    }

    pub(crate) async fn types(&self, css: &str, text: &str) {
        self.sees(css).await;
        let field = self.client().find(Locator::Css(css)).await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Writes a prompt and sends it with Enter.
    pub(crate) async fn prompts(&self, text: &str) {
        self.types("#text", &format!("{text}\u{e007}")).await;
    }

    /// Waits until the composer offers to send again.
    pub(crate) async fn waits_for_the_end(&self) {
        self.sees("#actions .send").await;
    }

    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let Ok(found) = self.client().find_all(Locator::Css(css)).await else {
            return Vec::new();
        };
        let mut texts = Vec::new();
        for element in found {
            texts.extend(element.text().await);
        }
        texts
    }

    /// What the transcript says, in order.
    pub(crate) async fn transcript(&self) -> Vec<String> {
        self.texts(".prompt, .answer").await
    }

    /// A picture, when somebody asked for pictures.
    pub(crate) async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("OPEN_COWORK_SCREENSHOTS") else {
            return;
        };
        let file = PathBuf::from(folder).join(format!("cloud-{name}.png"));
        self.browser.screenshot(&file).await.unwrap();
    }

    pub(crate) async fn leaves(self) {
        self.browser.close().await;
    }
}
