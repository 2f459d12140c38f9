//! A web server on another port of the same machine, such as one that the agent starts and the user opens in the
//! browser of the workbench. Browsers tell cookies apart by host and path, never by port.

use crate::page::{Person, Site};
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Html;
use axum::{Router, serve};
use open_cowork_testkit::browser::Locator;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a request brought along.
#[derive(Clone, Debug, PartialEq)]
struct Brought {
    path: String,
    cookie: Option<String>,
    referer: Option<String>,
    origin: Option<String>,
}

type Log = Arc<Mutex<Vec<Brought>>>;

/// Answers every path and notes what came.
struct Neighbour {
    url: String,
    log: Log,
    served: JoinHandle<()>,
}

impl Neighbour {
    async fn start() -> Neighbour {
        let log = Log::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(note).with_state(log.clone());
        let served = tokio::spawn(async move { serve(listener, app).await.unwrap() });
        Neighbour { url, log, served }
    }

    /// What came for that path, once something came.
    async fn brought(&self, path: &str) -> Brought {
        let found = |log: &[Brought]| log.iter().rev().find(|one| one.path == path).cloned();
        crate::support::until("the neighbour is asked", || {
            found(&self.log.lock().unwrap()).is_some()
        })
        .await;
        found(&self.log.lock().unwrap()).unwrap()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn note(State(log): State<Log>, request: Request) -> Html<&'static str> {
    let text = |name: header::HeaderName| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    log.lock().unwrap().push(Brought {
        path: request.uri().path().to_owned(),
        cookie: text(header::COOKIE),
        referer: text(header::REFERER),
        origin: text(header::ORIGIN),
    });
    Html("<!DOCTYPE html><title>Neighbour</title><p id=there>Your app runs here.</p>")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_a_server_on_another_port_gets_no_visit_and_cannot_act() {
    let site = Site::start().await;
    let person = Person::opens(&site).await;
    person.sees(".home").await;
    let home = person.client().current_url().await.unwrap();
    let base = home.path().trim_end_matches('/').to_owned();
    assert!(
        base.len() > "/w/".len() + 20 && home.query().is_none(),
        "{home}"
    );
    let neighbour = Neighbour::start().await;

    // Opened by hand, in the browser that holds the visit.
    for path in ["/", "/w/", "/w", "/chats"] {
        person.goes_to(&format!("{}{path}", neighbour.url)).await;
        person.sees("#there").await;
        let brought = neighbour.brought(path).await;
        assert_eq!((brought.cookie, brought.referer), (None, None), "{path}");
    }

    // Reached by a link of the workbench: it learns neither where the person came from nor a way back.
    person.goes_to(home.as_str()).await;
    person.sees(".home").await;
    let link = format!(
        "const a = document.createElement('a'); a.href = '{}/linked'; document.body.append(a); a.click()",
        neighbour.url
    );
    person.runs(&link, vec![]).await;
    person.sees("#there").await;
    let brought = neighbour.brought("/linked").await;
    assert_eq!((brought.cookie, brought.referer), (None, None));
    let opener = person.runs("return String(window.opener)", vec![]).await;
    assert_eq!(opener, "null");

    // Its page asks the workbench: without the path there is nothing to ask.
    let host = format!("http://{}", home.authority());
    for path in ["/", "/w/", "/chats", "/assets/", "/events"] {
        let ask = format!(
            "return fetch('{host}{path}', {{ credentials: 'include' }}).then((answer) => answer.status, () => 'refused')"
        );
        assert_eq!(person.runs(&ask, vec![]).await, "refused", "{path}");
    }
    let post = format!(
        "const f = document.createElement('form'); f.method = 'post'; f.action = '{host}/chats'; \
         f.innerHTML = '<input name=text value=hello>'; document.body.append(f); f.submit()"
    );
    person.runs(&post, vec![]).await;
    person.reads("body", "There is nothing here").await;
    let source = person.client().source().await.unwrap();
    assert!(!source.contains(&base), "{source}");

    // The chosen theme is remembered over starts, so it is told to every path; it is one word.
    person.goes_to(home.as_str()).await;
    person.clicks(".theme button[value=dark]").await;
    person
        .finds_true("document.documentElement.dataset.theme === 'dark'")
        .await;
    person.reloads().await;
    person
        .finds_true("document.documentElement.dataset.theme === 'dark'")
        .await;
    person.goes_to(&format!("{}/themed", neighbour.url)).await;
    let brought = neighbour.brought("/themed").await;
    assert_eq!(brought.cookie.as_deref(), Some("workbench_theme=dark"));

    // Nothing that came named the path.
    let told = neighbour.log.lock().unwrap().clone();
    let leaks = |one: &&Brought| {
        let said = [&one.cookie, &one.referer, &one.origin];
        said.into_iter().flatten().any(|text| text.contains(&base))
    };
    assert_eq!(told.iter().find(leaks), None);

    // Where it could guess the path, a browser would send the visit: the path is what keeps it.
    person.goes_to(&format!("{}{base}/", neighbour.url)).await;
    let guessed = neighbour.brought(&format!("{base}/")).await.cookie.unwrap();
    let visit = guessed.replace("workbench_theme=dark", "");
    assert!(visit.contains("workbench_"), "the test can fail: {guessed}");

    // The visit still holds, and nobody used it.
    person.goes_to(home.as_str()).await;
    person.client().find(Locator::Css(".home")).await.unwrap();
    let chats = site.rig.desktop.workspace();
    let found = open_cowork_workbench::Workspace::threads(&*chats, Default::default()).await;
    assert!(found.unwrap().threads.is_empty(), "nothing was started");
    drop(chats);
    person.leaves().await;
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_browser_a_page_of_an_earlier_start_says_so_and_its_path_is_gone() {
    let site = Site::start().await;
    let person = Person::opens(&site).await;
    person.prompts_and_waits("Hello [[script:hello]]").await;
    person.reads(".answer", "Hello from the scripted").await;
    let before = person.client().current_url().await.unwrap();
    let site = site.restarts().await;
    person
        .reads("#offline", "The program was restarted; open the address")
        .await;
    person.reloads().await;
    person.reads("body", "There is nothing here").await;
    person.goes_to(&site.url).await;
    person.clicks("#recent a").await;
    person.reads(".answer", "Hello from the scripted").await;
    let now = person.client().current_url().await.unwrap();
    assert_eq!(now.port(), before.port());
    assert_ne!(now.path(), before.path());
    person.leaves().await;
    site.close().await;
}
