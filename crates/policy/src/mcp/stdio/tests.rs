use super::*;
use proptest::prelude::*;

fn judge(origin: Origin, line: &str) -> Result<Launch, StdioRefusal> {
    let mut words = line.split_whitespace().map(str::to_owned);
    let command = words.next().unwrap_or_default();
    check(&command, &words.collect::<Vec<_>>(), origin)
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Command lines that people really write for MCP servers.
#[test]
fn ordinary_servers_run() {
    let commit = format!("npx -y git+https://code.test/a/b.git#{COMMIT}");
    for line in [
        "node /srv/server.js",
        "node --no-warnings --max-old-space-size=512 /srv/server.js -e -p --eval",
        "/usr/bin/node /srv/server.js",
        "/opt/acme/bin/acme-mcp --port 1 -c config",
        "npx -y @acme/server@1.2.3 --root /data",
        "npx --package=@acme/server@1.2.3 acme-server",
        "npx -p acme-tools@1.2.3 acme -c -p",
        &commit,
        "npx /opt/server.tgz",
        "npx file:/opt/server",
        "npm exec --yes -- @acme/server@1.2.3 -c x",
        "npm exec a@1.2.3 -- -c x",
        "npm x --package acme-tools@1.2.3 -- acme",
        "pnpm dlx @acme/server@1.2.3",
        "pnpm --silent dlx --package=acme-tools@1.2.3 acme",
        "npx -y @modelcontextprotocol/server-filesystem@2025.1.1 /data",
        "npx -y -p @playwright/mcp@0.0.30 mcp-server-playwright --headless",
        "npx -y -p left@1.0.0 -p @acme/server@1.2.3 acme-server",
        "npx -y mcp-remote@0.1.18 https://a.test/mcp",
        "npx -y @upstash/context7-mcp@1.0.14",
        "bunx -p @acme/server@1.2.3 acme-server",
        "/usr/lib/node_modules/npm/bin/npx-cli.js -y a@1.2.3",
        "node /usr/lib/node_modules/npm/bin/npx-cli.js -y a@1.2.3 -c x",
        "node /usr/bin/npx -y a@1.2.3",
        "node /srv/git.js",
        "uvx mcp-server-git==2025.1.1 --repository x",
        "uvx mcp-server-time==2025.1.1 --local-timezone UTC",
        "uvx --from awslabs.core-mcp-server==1.0.0 awslabs.core-mcp-server.exe",
        "uvx --python 3.12 -p pypy@3.10 c==3",
        "uv run -p 3.13t /srv/server.py",
        "uv run --directory /srv fastmcp run server.py",
        "uv run --with mcp==1.9.0 /srv/server.py",
        "python -I -m mcp_server_time",
        "python3 -I -m mcp_server_fetch.cli",
        "bun /srv/server.ts",
        "bun run /srv/server.ts",
        "bun x a@1.2.3",
        "bunx --bun a@1.2.3 -p",
        "python /srv/server.py -c x",
        "python3 -uB /srv/server.py",
        "python3 -I -m mcp_server_fetch --x",
        "python3.11 -W ignore -X utf8 /srv/server.py",
        "uvx mcp-server-git==1.2.3",
        "uvx mcp-server-git@1.2.3 --repository /r",
        "uvx --from mcp[cli]==1.2.3 mcp",
        "uvx --python 3.12 --with a==1,b==2 c==3",
        "uv tool run a==1.2",
        "uv run /srv/server.py",
        "uv --directory /srv/weather run weather.py",
        "uv run --directory /srv/weather weather-server",
        "uv --directory /srv run python -u server.py",
        "deno run --allow-net=a.test --allow-read /srv/server.ts",
        "deno run -A npm:@acme/server@1.2.3",
        "deno run jsr:@acme/server@1.2.3",
        "go run code.test/a/b@v1.2.3 -x",
        "ruby -W0 /srv/server.rb -e",
        "java -Xmx512m -Dspring.ai.mcp.server.stdio=true -jar /srv/server.jar -cp x",
    ] {
        // `python3.11` needs its path outside of a distribution.
        let origin = match line.starts_with("python3.11") {
            true => Origin::Product,
            false => Origin::Machine,
        };
        assert!(
            judge(origin, line).is_ok(),
            "{line}: {:?}",
            judge(origin, line)
        );
    }
}

/// Ways to make the command line itself the program.
#[test]
fn detours_are_refused() {
    for line in [
        "",
        "sh",
        "bash -c id",
        "/bin/bash -c id",
        "/bin/BASH",
        "/bin/bash-5.2",
        "C:\\Windows\\System32\\cmd.exe /c calc",
        "/usr/bin/busybox sh",
        "/usr/bin/env bash",
        "/usr/bin/env node /srv/a.js",
        "/usr/bin/sudo id",
        "/usr/bin/xargs id",
        "/usr/bin/perl -e x",
        "/usr/bin/perl5.36 /srv/a.pl",
        "/lib64/ld-linux-x86-64.so.2 /bin/sh",
        "/usr/bin/docker run -v /:/h alpine",
        "make",
        "acme-mcp",
        "./server",
        "../server",
        "node",
        "node -",
        "node -e x",
        "node -ex",
        "node -p x",
        "node -pe x",
        "node --eval x",
        "node --eval=x",
        "node --print x",
        "node -r /x /srv/a.js",
        "node --require=/x /srv/a.js",
        "node --import data:text/javascript,x /srv/a.js",
        "node --import=/x /srv/a.js",
        "node --loader /x /srv/a.js",
        "node --experimental-loader=/x /srv/a.js",
        "node --env-file=/x /srv/a.js",
        "node --inspect /srv/a.js",
        "node -i /srv/a.js",
        "node --run x",
        "node --test",
        "node data:text/javascript,x",
        "node https://a.test/x.js",
        "node server.js",
        "node ./server.js",
        "/usr/local/bin/node22 -e x",
        "npx server",
        "npx -y server@latest",
        "npx server@next",
        "npx server@^1",
        "npx git+https://code.test/a/b.git",
        "npx https://code.test/a.tgz",
        "npx -c id",
        "npx --call=id a@1.2.3",
        "npx -p server acme",
        "npx --package=server acme",
        "npx -p a@1.2.3 /bin/sh",
        "npx --registry=http://evil.test a@1.2.3",
        "npx --node-options=--import=x a@1.2.3",
        "npx --shell-auto-fallback a@1.2.3",
        "npx",
        "/usr/bin/npx server",
        "/usr/local/lib/npx.cmd server",
        "npm run start",
        "npm start",
        "npm install a",
        "npm exec server",
        "npm exec a@1.2.3 -c id",
        "npm exec a@1.2.3 --call=id",
        "npm exec -- server",
        "pnpm exec server",
        "pnpm dlx server",
        "pnpm dlx -c a@1.2.3",
        "pnpm dlx --shell-mode a@1.2.3",
        "bun",
        "bun -e x",
        "bun --eval=x",
        "bun -p x",
        "bun run start",
        "bun install",
        "bun --preload=/x /srv/a.ts",
        "bun -r /x /srv/a.ts",
        "bun x server",
        "bunx server@latest",
        "python",
        "python -",
        "python -c x",
        "python -cx",
        "python -uc x",
        "python -i /srv/a.py",
        "python -m http.server",
        "python -I -m pip",
        "python -I -mpdb",
        "python -m mcp_server",
        "python -I -m a/b",
        "python -W error::evil.X /srv/a.py",
        "python -X importtime /srv/a.py",
        "python --help-all",
        "uvx server",
        "uvx server@latest",
        "uvx --from server x",
        "uvx --from a==1 bash",
        "uvx --from a==1 python",
        "uvx --with evil a==1",
        "uvx --index-url http://evil.test a==1",
        "uvx --with-editable /x a==1",
        "uv pip install x",
        "uv run python -c x",
        "uv run bash",
        "uv run -",
        "uv run server",
        "uv run uv run uv run uv run uv run python /srv/a.py",
        "uv run --with evil /srv/a.py",
        "uv --directory rel run server.py",
        "uv --directory /srv run ../../etc/x.py",
        "uv --directory /srv run node -e x",
        "npx -y -p good@1.0.0 bash -c x",
        "npx -p good@1.0.0 node -e x",
        "npx -p good@1.0.0 curl http://x",
        "npx -p good@1.0.0 npx evil",
        "npx -p good@1.0.0 rm -rf /srv",
        "npx -p good@1.0.0 busctl",
        "npx -p good@1.0.0",
        "npx -p good@1.0.0 -- --good",
        "npm exec -p good@1.0.0 -- node -e 1",
        "npm exec --package=good@1.0.0 -- bash -i",
        "bunx -p good@1.0.0 bash",
        "bun x -p good@1.0.0 node -e x",
        "pnpm dlx --package good@1.0.0 sh",
        "uv run --directory /p npx -y -p a@1.0.0 sh",
        "npx node@22.0.0 -e x",
        "npx npm@10.0.0 exec evil",
        "npx npx@10.2.0 evil",
        "npx pnpm@9.0.0 dlx evil",
        "npx deno@2.0.0 eval x",
        "npx tsx@4.0.0 -e x",
        "npx @babel/node@7.0.0 -e x",
        "npx file:/opt/node -e x",
        "npx /opt/npm-10.0.0.tgz exec evil",
        "bunx node@22.0.0 -e x",
        "deno run -A npm:npx@10.2.0 evil",
        "deno run -A jsr:@a/node@1.2.3 -e x",
        "uvx python@3.12 -c x",
        "uv tool run python@3.12 -c x",
        "uvx cpython@3.12 -c x",
        "uvx pypy@3.10 -c x",
        "uvx python3@3.12 -c x",
        "uvx --from python@3.12 python-x",
        "uvx uv==0.5.0 run x",
        "uvx ipython==8.0 -c x",
        "uvx --from uv==0.5.0 UV run",
        "uvx --from uv==0.5.0 uvtool",
        "uvx --from good==1.0 rm",
        "uvx -p bash a==1",
        "uvx --python /bin/bash a==1",
        "uv run -p bash /srv/a.py",
        "/usr/bin/python3.13t -c x",
        "/usr/bin/python3-dbg -c x",
        "/usr/bin/bash-static -c x",
        "/usr/bin/php-cgi /srv/a.php",
        "/lib/ld-2.31.so /bin/sh",
        "/lib64/ld64.so.2 /bin/sh",
        "/usr/bin/qemu-x86_64 /bin/sh",
        "/usr/bin/corepack npx x",
        "/usr/bin/nvim -c x",
        "/usr/lib/node_modules/npm/bin/npx-cli.js -y evil",
        "/usr/lib/node_modules/npm/bin/npm-cli.js run x",
        "node /usr/lib/node_modules/npm/bin/npx-cli.js -y evil",
        "node /usr/bin/npx -y evil",
        "node /usr/lib/node_modules/corepack/dist/corepack.js npx x",
        "bun /usr/bin/npx -y evil",
        "python /usr/bin/pip install evil",
        "uv run /usr/bin/npx -y evil",
        "python -I -m _pyrepl",
        "python -I -m pydoc -p 0",
        "python -I -m pickle /srv/x",
        "python -I -m multiprocessing.spawn",
        "python -I -m sqlite3",
        "python -I -m xmlrpc.server",
        "python -I -m wsgiref.simple_server",
        "python -I -m debugpy --listen 1 /srv/x.py",
        "python -I -m coverage run x",
        "python -I -m pytest",
        "python -I -m jupyter",
        "python -I -m ptpython",
        "python -I -m uvicorn evil:app",
        "python -I -m flask run",
        "deno eval x",
        "deno repl",
        "deno task x",
        "deno run",
        "deno run https://a.test/x.ts",
        "deno run npm:server",
        "deno run npm:server@latest",
        "deno run --import-map=/x /srv/a.ts",
        "deno run --preload=/x /srv/a.ts",
        "deno run --allow-run /srv/a.ts",
        "deno run -",
        "go build",
        "go run main.go",
        "go run .",
        "go run -exec sh code.test/a@v1.2.3",
        "go run code.test/a@latest",
        "go tool x",
        "ruby -e x",
        "ruby -rx /srv/a.rb",
        "ruby -I/x /srv/a.rb",
        "ruby",
        "java Main",
        "java -cp /x Main",
        "java -javaagent:/x -jar /srv/a.jar",
        "java -XX:OnOutOfMemoryError=id -jar /srv/a.jar",
        "java -Djava.system.class.loader=x -jar /srv/a.jar",
        "java @/x",
        "java /srv/Main.java",
        "java -jar server.jar",
        "/opt/server a;b",
        "/opt/server a|b",
        "/opt/server $HOME",
        "/opt/server `id`",
        "/opt/server a>b",
        "/opt/ser;ver",
    ] {
        let refused = judge(Origin::Machine, line);
        assert!(refused.is_err(), "{line}");
    }
}

#[test]
fn a_line_break_is_a_metacharacter() {
    for arg in ["a\nb", "a\rb", "a\0b"] {
        assert!(matches!(
            check("/opt/server", &[arg.to_owned()], Origin::Machine),
            Err(StdioRefusal::Metacharacter { .. })
        ));
    }
}

#[test]
fn a_project_may_run_its_own_files_only() {
    assert_eq!(
        judge(Origin::Project, "node tools/server.js")
            .unwrap()
            .files,
        ["tools/server.js"]
    );
    assert_eq!(
        judge(Origin::Project, "./bin/server").unwrap().program,
        Program::Relative("./bin/server".into())
    );
    for line in [
        "node ../server.js",
        "node a/../../b.js",
        "../server",
        "./../x",
    ] {
        assert!(
            matches!(
                judge(Origin::Project, line),
                Err(StdioRefusal::OutsideProject { .. })
            ),
            "{line}"
        );
    }
}

#[test]
fn a_distribution_may_name_what_it_ships() {
    assert_eq!(
        judge(Origin::Product, "acme-mcp --x").unwrap().program,
        Program::Bare("acme-mcp".into())
    );
    assert!(judge(Origin::Product, "bash").is_err());
    assert!(judge(Origin::Product, "npx server").is_err());
}

#[test]
fn what_hides_behind_a_link_is_judged_too() {
    assert!(check_program_name("/opt/acme/bin/server").is_ok());
    assert!(check_program_name("/usr/bin/bash").is_err());
    let eval = ["-e".to_owned(), "x".to_owned()];
    assert!(check_resolved("/usr/bin/node", &eval, Origin::Machine).is_err());
    assert!(check_resolved("/opt/acme/bin/server", &eval, Origin::Machine).is_ok());
    // What `/usr/bin/npx` leads to.
    let runner = "/usr/lib/node_modules/npm/bin/npx-cli.js";
    let args = |spec: &str| ["-y".to_owned(), spec.to_owned()];
    assert!(check_resolved(runner, &args("evil"), Origin::Machine).is_err());
    assert!(check_resolved(runner, &args("@acme/server@1.2.3"), Origin::Machine).is_ok());
}

/// `/usr/bin/bunx` leads to `bun`, and a version manager's `npx` to the manager: the name that was called counts.
#[test]
fn a_program_that_acts_by_its_name_is_judged_by_it() {
    let resolved = |path: &str, line: &str| {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        check_resolved(path, &args, Origin::Machine)
    };
    assert!(resolved("/opt/bun/bin/bun", "a@1.2.3").is_ok());
    assert!(resolved("/opt/bun/bin/bun", "/srv/server.ts").is_ok());
    assert!(resolved("/opt/bun/bin/bun", "evil").is_err());
    assert!(resolved("/opt/bun/bin/bun", "-e x").is_err());
    assert!(resolved("/usr/bin/mise", "-y @acme/server@1.2.3").is_ok());
    assert!(judge(Origin::Machine, "/usr/bin/mise exec -- sh").is_err());
    assert!(judge(Origin::Machine, "/shims/npx -y evil").is_err());
}

#[test]
fn no_message_repeats_a_value() {
    for line in [
        "node --eval=hunter2 /a.js",
        "node -ehunter2",
        "npx --call=hunter2",
        "npx hunter2",
        "python -chunter2",
        "uvx --from hunter2 x",
        "/opt/server hunter2;",
    ] {
        let refusal = judge(Origin::Machine, line).unwrap_err();
        assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
        assert!(!format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
    }
}

proptest! {
    #[test]
    fn no_command_line_panics(command in "\\PC{0,20}", args in prop::collection::vec("\\PC{0,12}", 0..6)) {
        for origin in [Origin::Product, Origin::Machine, Origin::Project] {
            let _ = check(&command, &args, origin);
        }
    }

    /// Wherever an evaluating option stands before the script, it is found, for any runtime and any path to it.
    #[test]
    fn an_evaluating_option_before_the_script_is_found(
        runtime in prop::sample::select(vec!["node", "bun", "python3", "ruby", "deno"]),
        path in prop::sample::select(vec!["", "/usr/bin/", "/opt/x/"]),
        option in prop::sample::select(vec!["-e", "--eval", "-c", "-r", "--require=/x", "--import=/x", "-p"]),
    ) {
        let args = [option.to_owned(), "/srv/server".to_owned()];
        let program = format!("{path}{runtime}");
        prop_assert!(check(&program, &args, Origin::Machine).is_err());
    }

    /// What a project may run, a user may run by absolute path: nothing is special about projects but paths.
    #[test]
    fn a_stricter_origin_never_permits_more(words in prop::collection::vec(
        prop::sample::select(vec![
            "node", "npx", "uvx", "run", "-y", "-e", "a@1.2.3", "a==1.2", "server", "/srv/a.js", "--from",
            "python", "-m", "-I", "--", "acme", "exec", "dlx", "x",
        ]), 1..6)
    ) {
        let args: Vec<String> = words[1..].iter().map(|word| (*word).to_owned()).collect();
        if check(words[0], &args, Origin::Machine).is_ok() {
            prop_assert!(check(words[0], &args, Origin::Product).is_ok());
            prop_assert!(check(words[0], &args, Origin::Project).is_ok());
        }
    }
}
