//! Attacks on the page. OpenCode isn't needed: the door is ours.

use crate::program::{Place, Served};
use crate::web::{Answer, Page, encoded, exchange};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

fn served(place: &Place) -> Served {
    Served::start(
        &place.data(),
        &[
            "--opencode",
            "/nope",
            "--demo-endpoint",
            "http://127.0.0.1:9/v1",
        ],
    )
}

#[track_caller]
fn refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    for secret in ["panicked", "RUST_BACKTRACE", "src/"] {
        assert!(!answer.body.contains(secret), "{answer:?}");
    }
}

/// A chat that exists but could not be prompted, since there is no OpenCode.
fn idle_chat(page: &Page) -> String {
    let answer = page.post("/chats", &[("text", "hello")]);
    assert_eq!(answer.status, 503, "{answer:?}");
    let id = answer.body.split("/chats/").nth(1).unwrap();
    id.split('"').next().unwrap().to_owned()
}

#[test]
fn nobody_gets_in_without_the_token_the_name_and_the_form_token() {
    let place = Place::new();
    let served = served(&place);
    let page = &served.page;
    for (path, cookie) in [
        ("/", ""),
        ("/", "workbench_x=y"),
        ("/?token=", ""),
        ("/?token=AAAA", ""),
        ("/settings", ""),
    ] {
        refused(
            &page.send("GET", path, &[&format!("Cookie: {cookie}")], ""),
            403,
        );
    }
    for host in [
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.evil.example",
        "",
    ] {
        refused(&page.send("GET", "/", &[&format!("Host: {host}")], ""), 403);
    }
    let form = format!("csrf={}&text=hi", encoded(&page.csrf));
    for header in [
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ] {
        refused(&page.send("POST", "/chats", &[header], &form), 403);
    }
    for csrf in ["", "wrong", &page.csrf[1..]] {
        refused(
            &page.send(
                "POST",
                "/chats",
                &[],
                &format!("csrf={}&text=hi", encoded(csrf)),
            ),
            403,
        );
    }
    // Another visit's form token is worth nothing.
    let other = page.request("GET", "/", &[], "");
    assert!(exchange(&page.address, &other).body.contains(&page.csrf));
    refused(
        &page.send("POST", "/settings", &["Cookie: workbench_other=1"], &form),
        403,
    );
    assert_eq!(page.get("/chats").status, 200);
    assert!(
        !page.get("/chats").body.contains("/chats/0"),
        "nothing was made"
    );
}

#[test]
fn outside_the_path_of_this_start_there_is_nothing() {
    let place = Place::new();
    let served = Served::start(
        &place.data(),
        &["--opencode", "/nope", "--log", "info,open_cowork=trace"],
    );
    let page = &served.page;
    assert!(page.base.len() > "/w/".len() + 20, "{}", page.base);
    let token = page.cookie.split('=').nth(1).unwrap();
    let mut outside = page.clone();
    let cut = page.base.len() - 1;
    let almost = [&page.base[..cut], "/w", "", "/w/x", "/x/.."].map(str::to_owned);
    let changed = [
        page.base.to_ascii_uppercase(),
        format!("{}x", page.base),
        format!("/w%2F{}", &page.base[3..]),
    ];
    for base in almost.into_iter().chain(changed) {
        outside.base = base;
        for path in ["/", "/chats", "/settings", "/events", "/?token=x"] {
            for method in ["GET", "POST", "PUT"] {
                let answer = outside.send(method, path, &[], "csrf=x&text=hi");
                refused(&answer, 404);
                for secret in [&page.base[3..], token, "set-cookie", "location:", "assets"] {
                    let told = answer.body.contains(secret) || answer.head.contains(secret);
                    assert!(!told, "{}{path}: {answer:?}", outside.base);
                }
            }
        }
    }
    // The other names of the machine are no way to learn it either.
    outside.base = String::new();
    for host in ["localhost", "127.0.0.1"] {
        refused(
            &outside.send("GET", "/", &[&format!("Host: {host}")], ""),
            403,
        );
    }
    assert_eq!(page.get("/chats").status, 200);
    assert!(!served.log().contains(&page.base), "{}", served.log());
}

#[test]
fn tricks_in_the_address_reach_nothing() {
    let place = Place::new();
    let served = served(&place);
    let page = &served.page;
    let long = format!("/chats/{}", "a".repeat(20_000));
    for (path, allowed) in [
        ("/chats/../settings", &[404][..]),
        ("/chats/%2e%2e/settings", &[404]),
        ("/chats/..%2fsettings", &[404]),
        ("/chats/%00", &[404]),
        ("/chats/%ff%fe", &[400, 404]),
        ("/chats/' OR 1=1 --", &[400]),
        ("/chats/%27%20OR%201%3D1%20--", &[404]),
        ("/chats/x/calls/%2e%2e", &[404]),
        ("/chats/x/events", &[404]),
        ("/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", &[404]),
        ("//evil.example/", &[404]),
        (&long, &[404, 414]),
        ("/chats?after=%00&q=%25_%27%22", &[200, 400]),
        ("/chats?cursor=AAAA", &[200, 400]),
    ] {
        let answer = page.get(path);
        assert!(
            allowed.contains(&answer.status),
            "{path:.80}: {answer:.300?}"
        );
        assert!(!answer.body.contains("root:x:"), "{path}");
    }
    for path in [
        "/chats/x/prompt",
        "/chats/x/stop",
        "/chats/x/rename",
        "/chats/x/retry",
        "/chats/x/trust",
    ] {
        let answer = page.post(path, &[("text", "hi"), ("title", "t"), ("digest", "d")]);
        refused(&answer, 404);
        assert!(answer.body.contains("no such chat"), "{path}: {answer:?}");
    }
    for path in ["/chats/x/asks/per_1", "/chats/x/questions/que_1"] {
        refused(
            &page.post(path, &[("answer", "allow"), ("count", "0")]),
            404,
        );
    }
    let chat = idle_chat(page);
    for after in ["-1", "1.5", "abc", "99999999999999999999999999"] {
        let answer = page.get(&format!("/chats/{chat}/events?after={after}"));
        refused(&answer, 400);
    }
    let far = page.listen(
        &format!("/chats/{chat}/events?after=18446744073709551615"),
        Duration::from_secs(1),
    );
    assert!(
        far.starts_with("HTTP/1.1 200") || far.starts_with("HTTP/1.1 400"),
        "{far}"
    );
}

#[test]
fn huge_and_odd_forms_are_refused_with_a_sentence() {
    let place = Place::new();
    let served = served(&place);
    let page = &served.page;
    refused(
        &page.post("/chats", &[("text", &"x".repeat(64 * 1024 + 1))]),
        413,
    );
    refused(&page.post("/chats", &[("text", " ")]), 400);
    refused(
        &page.post("/chats", &[("text", "hi"), ("agent", &"a".repeat(100_000))]),
        400,
    );
    for directory in [
        "relative",
        "/nope",
        "/etc/passwd",
        "/a\u{0}b",
        "/",
        &"/x".repeat(5000),
    ] {
        let answer = page.post("/chats", &[("text", "hi"), ("directory", directory)]);
        refused(&answer, 400);
        assert!(
            answer.body.len() < 20_000 && answer.body.contains("older"),
            "{answer:?}"
        );
    }
    let data = place.data();
    for own in ["", "keys", "runtime-home"] {
        std::fs::create_dir_all(data.join(own)).unwrap();
        let answer = page.post(
            "/chats",
            &[
                ("text", "hi"),
                ("directory", data.join(own).to_str().unwrap()),
            ],
        );
        refused(&answer, 400);
        assert!(answer.body.contains("own data"), "{answer:?}");
    }
    let chat = idle_chat(page);
    refused(
        &page.post(
            &format!("/chats/{chat}/rename"),
            &[("title", &"t".repeat(201))],
        ),
        400,
    );
    refused(
        &page.post(
            &format!("/chats/{chat}/rename"),
            &[("title", "\u{0}\u{1b}")],
        ),
        400,
    );
    let answer = page.post(
        &format!("/chats/{chat}/rename"),
        &[("title", "a\u{0}b \u{1b}[2J <script>x</script> مرحبا 👩‍👩‍👧")],
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let shown = page.get(&format!("/chats/{chat}")).body;
    assert!(
        shown.contains("ab [2J &lt;script&gt;") && shown.contains("مرحبا 👩‍👩‍👧"),
        "{shown}"
    );

    refused(
        &page.post(
            "/settings",
            &[
                ("provider", "custom"),
                ("base_url", "nope"),
                ("model", "m"),
                ("key", "sk-canary"),
            ],
        ),
        400,
    );
    refused(
        &page.post(
            "/settings",
            &[
                ("provider", "openai"),
                ("model", "m"),
                ("key", "sk-canary\nX: y"),
            ],
        ),
        400,
    );
    let form = format!(
        "csrf={}&provider=custom&base_url=nope&model=m&key=sk-canary",
        encoded(&page.csrf)
    );
    let shown = page.send("POST", "/settings", &[], &form);
    assert!(
        shown.status == 400 && !shown.body.contains("canary"),
        "{shown:?}"
    );
    assert!(!data.join("settings.json").exists());

    // Far more than any form may have is refused while it is read.
    let mut stream = TcpStream::connect(&page.address).unwrap();
    let head = page
        .request("POST", "/chats", &[], "")
        .replace("Length: 0", "Length: 1073741824");
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(&[b'x'; 1024 * 1024]); // it may close before that is taken
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[test]
fn clients_that_never_finish_neither_block_others_nor_the_end() {
    let place = Place::new();
    let mut served = served(&place);
    let page = served.page.clone();
    let mut slow = Vec::new();
    for text in [
        "GET / HT".to_owned(),
        page.request("POST", "/chats", &[], "")
            .replace("Length: 0", "Length: 50"),
    ] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(&page.address).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
            slow.push(stream);
        }
    }
    let listeners: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut stream = TcpStream::connect(&page.address).unwrap();
            stream
                .write_all(page.request("GET", "/events", &[], "").as_bytes())
                .unwrap();
            stream
        })
        .collect();
    assert_eq!(page.get("/").status, 200);
    assert_eq!(served.stop(), Some(0), "{}", served.log());
    drop((slow, listeners));
}

#[test]
fn a_folder_that_is_gone_keeps_its_chat_and_says_so() {
    let place = Place::new();
    let served = served(&place);
    let folder = place.path().join("project");
    std::fs::create_dir(&folder).unwrap();
    let page = &served.page;
    let answer = page.post(
        "/chats",
        &[("text", "hello"), ("directory", folder.to_str().unwrap())],
    );
    let chat = answer
        .body
        .split("/chats/")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    std::fs::rename(&folder, place.path().join("renamed")).unwrap();
    let answer = page.post(&format!("/chats/{chat}/prompt"), &[("text", "hello")]);
    refused(&answer, 409);
    assert!(
        answer.body.contains("isn't there any more") && answer.body.contains("bring it back"),
        "{answer:?}"
    );
    assert_eq!(page.get(&format!("/chats/{chat}")).status, 200);
    // A link to our own data in its place is no way in.
    std::os::unix::fs::symlink(place.data(), &folder).unwrap();
    let answer = page.post(&format!("/chats/{chat}/prompt"), &[("text", "hello")]);
    refused(&answer, 400);
    assert!(answer.body.contains("own data"), "{answer:?}");
}
