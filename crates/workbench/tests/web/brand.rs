//! A brand on every page, before login too.

use crate::support::Fake;
use crate::visitor::{Browser, options, request, text};
use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use open_cowork_workbench::branding::{Branding, Home, Lower, SignIn, Top, Variant};
use open_cowork_workbench::{Link, Options, Picture, Rgb};

const SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg"><style>path{fill:red}</style></svg>"#;

/// Every text of a brand is `x`.
pub(crate) fn said_everywhere(x: &str) -> Branding {
    let word = || Some(x.to_owned());
    let mut brand = Branding {
        name: x.to_owned(),
        description: x.to_owned(),
        top: Top {
            variant: Some(Variant::IconText),
            icon: word(),
            title: word(),
            subtitle: word(),
            aria_label: word(),
            ..Top::default()
        },
        lower: Lower {
            text: word(),
            secondary: word(),
            link: Link::parse("https://acme.example/").map(|link| (x.to_owned(), link)),
        },
        home: Home {
            greeting: x.to_owned(),
            subtitle: word(),
            placeholder: x.to_owned(),
            ready: x.to_owned(),
        },
        sign_in: SignIn {
            title: word(),
            body: word(),
        },
        ..Branding::default()
    };
    brand.links.help = Link::parse(x);
    brand.links.docs = Link::parse(&format!("https://{x}"));
    brand.links.support = Link::parse(&format!("mailto:{x}@{x}"));
    brand
}

/// A brand with pictures and links.
pub(crate) fn acme() -> Options {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("logo.svg"), SVG).unwrap();
    let logo = Picture::read(folder.path(), "logo.svg").unwrap();
    let mut options = options();
    let brand = &mut options.branding;
    brand.name = "Acme Desk".to_owned();
    brand.description = "Agents for {{brand}} people.".to_owned();
    brand.favicon = Some(logo.clone());
    brand.top.logo = Some(logo);
    brand.top.size = Some(40);
    brand.top.title = Some("Acme".to_owned());
    brand.links.help = Link::parse("https://help.acme.example/");
    brand.links.support = Link::parse("mailto:desk@acme.example");
    brand.home.greeting = "What can {{brand}} do?".to_owned();
    brand.sign_in.body = Some("{{brand}} is for Acme people.".to_owned());
    options.theme = options.theme.with_accent(Rgb(0x0f, 0x6b, 0x4b));
    options
}

/// The address of the first asset whose name begins so.
fn asset<'a>(page: &'a str, stem: &str) -> &'a str {
    let from = page.find(&format!("/assets/{stem}-")).unwrap();
    page[from..].split('"').next().unwrap()
}

#[tokio::test]
async fn a_brand_is_on_the_page_before_and_after_login() {
    let browser = Browser::open(Fake::new(), acme()).await;
    let door = browser.before_login("/").await;
    let home = browser.page("/").await;
    for page in [&door, &home] {
        assert!(page.contains(" · Acme Desk</title>"), "{page}");
        assert!(
            page.contains(r#"<meta name="description" content="Agents for Acme Desk people.">"#)
        );
        assert!(page.contains(r#"<link rel="icon" type="image/svg+xml" href="/assets/icon-"#));
        assert!(page.contains(r#"<img class="logo" src="/assets/logo-"#));
        assert!(page.contains("<strong>Acme</strong>"));
        assert!(page.contains(
            r#"href="https://help.acme.example/" target="_blank" rel="noopener noreferrer">Help<"#
        ));
        assert!(page.contains(r#"href="mailto:desk@acme.example""#));
        assert!(!page.contains("Open Cowork"), "{page}");
    }
    assert!(door.contains("Acme Desk is for Acme people."));
    assert!(home.contains("<h1>What can Acme Desk do?</h1>"));

    let style = text(browser.get(asset(&door, "app")).await).await;
    assert!(style.contains("--accent:#0f6b4b;--accent-foreground:#ffffff;"));
    assert!(style.contains(".brand .logo{max-width:40px;max-height:40px}"));
}

#[tokio::test]
async fn pages_that_fail_carry_the_brand_too() {
    let browser = Browser::open(Fake::new(), acme()).await;
    let missing = browser.get("/nothing").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let page = text(missing).await;
    assert!(
        page.contains("There is no such page · Acme Desk</title>"),
        "{page}"
    );
    assert!(page.contains(r#"<img class="logo""#));
}

#[tokio::test]
async fn a_logo_is_served_to_everybody_and_can_run_nothing() {
    let browser = Browser::open(Fake::new(), acme()).await;
    let page = browser.before_login("/").await;
    let logo = request(Method::GET, asset(&page, "logo")).body(Body::empty());
    let response = browser.send(logo.unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers();
    assert_eq!(headers[header::CONTENT_TYPE], "image/svg+xml");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(
        headers[header::CONTENT_SECURITY_POLICY],
        "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    );
    assert_eq!(text(response).await, SVG);
}

#[tokio::test]
async fn without_a_brand_the_page_is_the_product_s_own() {
    let browser = Browser::open(Fake::new(), options()).await;
    let page = browser.page("/").await;
    assert!(page.contains("New chat · Open Cowork</title>"));
    assert!(page.contains("<strong>Open Cowork</strong>"));
    assert!(page.contains("<h1>What should be done?</h1>"));
    for absent in [
        "brand-links",
        "brand-foot",
        "/assets/logo-",
        "name=\"description\"",
    ] {
        assert!(!page.contains(absent), "{absent}");
    }
}
