//! Is a package named so exactly that it is the same content tomorrow? (05 §7.3)
//!
//! A tag (`@latest`, `@next`), a range (`@^1`), a bare name, a branch or an archive from the network can all be
//! something else tomorrow: whoever publishes it then runs on this machine.

/// An npm package: `name@1.2.3`, `@scope/name@1.2.3`, `git+https://…#<commit>`, or an archive or folder of this
/// machine (`file:/…`, `/….tgz`).
#[must_use]
pub fn is_pinned_npm(spec: &str) -> bool {
    if let Some(path) = spec.strip_prefix("file:") {
        return is_local_path(path);
    }
    if spec.starts_with('/') {
        return is_local_path(spec) && (spec.ends_with(".tgz") || spec.ends_with(".tar.gz"));
    }
    if is_git(spec) {
        return spec
            .rsplit_once('#')
            .is_some_and(|(_, commit)| is_commit(commit));
    }
    let (scope, rest) = match spec.strip_prefix('@') {
        Some(scoped) => match scoped.split_once('/') {
            Some((scope, rest)) => (Some(scope), rest),
            None => return false,
        },
        None => (None, spec),
    };
    rest.split_once('@').is_some_and(|(name, version)| {
        scope.is_none_or(is_name) && is_name(name) && is_semver(version)
    })
}

/// A Python package: `name==1.2.3`, with extras too; `name@1.2.3`, which `uvx` reads as exactly that version;
/// `git+https://…@<commit>`.
#[must_use]
pub fn is_pinned_python(spec: &str) -> bool {
    if is_git(spec) {
        return spec
            .rsplit_once('@')
            .is_some_and(|(_, commit)| is_commit(commit));
    }
    let Some((name, version)) = spec.split_once("==").or_else(|| spec.split_once('@')) else {
        return false;
    };
    let (name, extras) = name.split_once('[').unwrap_or((name, "]"));
    let extras = extras.strip_suffix(']').is_some_and(|extras| {
        extras
            .split(',')
            .all(|extra| extra.is_empty() || is_name(extra))
    });
    is_name(name) && extras && is_python_version(version)
}

/// A Go program: `module/path@v1.2.3`, pseudo-versions included.
#[must_use]
pub fn is_pinned_go(spec: &str) -> bool {
    spec.split_once('@').is_some_and(|(path, version)| {
        path.contains('.')
            && path.split('/').all(is_name)
            && version.strip_prefix('v').is_some_and(is_semver)
    })
}

/// The package's own name: without scope, version, extras and the folders before it, in small letters.
/// `@acme/node@1.2.3` is `node`, `git+https://code.test/a/npx.git#…` is `npx`.
pub(super) fn name(spec: &str) -> String {
    let path = full_name(spec);
    let last = path.rsplit('/').next().unwrap_or(path);
    let last = [".git", ".tar.gz", ".tgz"]
        .iter()
        .find_map(|suffix| last.strip_suffix(suffix))
        .unwrap_or(last);
    last.to_ascii_lowercase()
}

/// May the program come with the package? A name tells nothing for certain; a program that a package brings shares
/// a word with it: `@playwright/mcp` brings `mcp-server-playwright`, but nobody's package brings `rm`.
pub(super) fn may_bring(spec: &str, program: &str) -> bool {
    let squeeze = |text: &str| {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    // Scope or owner count, a host or a folder does not.
    let full = full_name(spec);
    let own: Vec<&str> = full.rsplit('/').take(2).collect();
    let package = squeeze(&own.concat());
    let words = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let long = words.filter(|word| word.len() > 2);
        long.map(str::to_ascii_lowercase).collect::<Vec<_>>()
    };
    let brought = squeeze(program);
    name(spec) == program.to_ascii_lowercase()
        || words(program).iter().any(|word| package.contains(word))
        || own
            .iter()
            .flat_map(|part| words(part))
            .any(|word| brought.contains(&word))
}

/// The spec without version, extras and fragment.
fn full_name(spec: &str) -> &str {
    let spec = spec.split('#').next().unwrap_or(spec).trim_end_matches('/');
    let start = spec.rfind('/').map_or(0, |slash| slash + 1);
    let end = spec[start..]
        .find(['@', '=', '['])
        .map_or(spec.len(), |end| start + end);
    &spec[..end]
}

/// An address of a repository. Its host is a name: ssh takes `-oProxyCommand=…` in its place as an option.
fn is_git(spec: &str) -> bool {
    let address = ["git+https://", "git+ssh://"]
        .iter()
        .find_map(|scheme| spec.strip_prefix(scheme));
    let Some((authority, path)) = address.and_then(|address| address.split_once('/')) else {
        return false;
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("git", authority));
    let (host, port) = host.split_once(':').unwrap_or((host, "22"));
    // npm writes the owner in the port's place: `git+ssh://git@host:owner/repository`.
    let named = |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric());
    named(user) && is_host(host) && is_name(port) && named(path)
}

fn is_host(host: &str) -> bool {
    host.split('.').all(|label| {
        label.starts_with(|c: char| c.is_ascii_alphanumeric())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// A full SHA-1 or SHA-256; shorter ones can be made to collide.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Absolute and without a step up.
fn is_local_path(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|part| part != "..")
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~'))
}

/// `1.2.3`, with a pre-release and build part if need be.
pub(super) fn is_semver(version: &str) -> bool {
    let tail = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
    };
    let (rest, build) = version.split_once('+').unwrap_or((version, "x"));
    let (core, pre) = rest.split_once('-').unwrap_or((rest, "x"));
    let numbers: Vec<&str> = core.split('.').collect();
    tail(build)
        && tail(pre)
        && numbers.len() == 3
        && numbers
            .iter()
            .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A PEP 440 version without wildcard: starts with a digit, holds letters, digits, `. + ! _ -`.
fn is_python_version(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'!' | b'_' | b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn an_npm_package_names_one_content() {
        for good in [
            "server@1.2.3",
            "@acme/server@0.1.0-beta.2+build",
            "file:/opt/server",
            "/opt/server.tgz",
            "/opt/server.tar.gz",
            &format!("git+https://code.test/a/b.git#{COMMIT}"),
            &format!("git+ssh://git@code.test/a/b.git#{COMMIT}"),
            &format!("git+ssh://git@code.test:a/b.git#{COMMIT}"),
            &format!("git+ssh://git@code.test:2222/a/b.git#{COMMIT}"),
            &format!("git+https://me:token@code.test/a/b.git#{COMMIT}"),
        ] {
            assert!(is_pinned_npm(good), "{good}");
        }
        for bad in [
            "",
            "server",
            "@acme/server",
            "server@latest",
            "server@next",
            "server@^1.2.3",
            "server@~1.2.3",
            "server@1",
            "server@1.2",
            "server@1.2.x",
            "server@*",
            "server@>=1.2.3",
            "server@1.2.3 || 2",
            "server@npm:other@1.2.3",
            "a@npm:b@1.2.3",
            "git+https://code.test/a/b.git",
            "git+https://code.test/a/b.git#main",
            "git+https://code.test/a/b.git#0123456",
            "git+https://code.test/a/b.git#semver:1.2.3",
            &format!("git+ssh://-oProxyCommand=x/a#{COMMIT}"),
            &format!("git+ssh://git@-oProxyCommand=x/a#{COMMIT}"),
            &format!("git+ssh://-oProxyCommand=x@code.test/a#{COMMIT}"),
            &format!("git+ssh://%2doProxyCommand=x/a#{COMMIT}"),
            &format!("git+ssh:///a#{COMMIT}"),
            &format!("git+https://code.test#{COMMIT}"),
            "https://code.test/a.tgz",
            "acme/server",
            "github:acme/server",
            "./server.tgz",
            "file:../server",
            "file:/opt/../etc",
            "-y@1.2.3",
            "@/x@1.2.3",
        ] {
            assert!(!is_pinned_npm(bad), "{bad}");
        }
    }

    #[test]
    fn a_python_package_names_one_content() {
        for good in [
            "server==1.2.3",
            "server[http,cli]==1.2",
            "server@1.2.3",
            "server==1.0rc1",
            &format!("git+https://code.test/a/b@{COMMIT}"),
        ] {
            assert!(is_pinned_python(good), "{good}");
        }
        for bad in [
            "",
            "server",
            "server@latest",
            "server==1.*",
            "server>=1",
            "server~=1.2",
            "server===1",
            "server==1,<2",
            "server==",
            "git+https://code.test/a/b@main",
            &format!("git+ssh://-oProxyCommand=x/a@{COMMIT}"),
            "https://code.test/a.whl",
            "-x==1",
            "server[==1",
        ] {
            assert!(!is_pinned_python(bad), "{bad}");
        }
    }

    #[test]
    fn a_package_has_one_name() {
        for (spec, expected) in [
            ("server@1.2.3", "server"),
            ("@acme/Node@1.2.3", "node"),
            ("mcp[cli]==1.2", "mcp"),
            ("python@3.12", "python"),
            ("file:/opt/npx/", "npx"),
            ("/opt/npm-10.0.0.tgz", "npm-10.0.0"),
            (&format!("git+https://code.test/a/npx.git#{COMMIT}"), "npx"),
            (&format!("git+ssh://git@code.test/a/uv@{COMMIT}"), "uv"),
            ("code.test/cmd/gosh@v1.2.3", "gosh"),
        ] {
            assert_eq!(name(spec), expected, "{spec}");
        }
    }

    #[test]
    fn a_program_shares_a_word_with_its_package() {
        for (spec, program, expected) in [
            ("@acme/server@1.2.3", "acme-server", true),
            ("@playwright/mcp@0.0.30", "mcp-server-playwright", true),
            ("@upstash/context7-mcp@1.0.0", "context7-mcp", true),
            ("mcp[cli]==1.2.3", "mcp", true),
            (
                "office-powerpoint-mcp-server==2.0.6",
                "ppt_mcp_server",
                true,
            ),
            (
                &format!("git+https://code.test/oraios/serena@{COMMIT}"),
                "serena",
                true,
            ),
            ("fastmcp-server@1.0.0", "fastmcpserver", true),
            ("qr@1.0.0", "qr", true),
            ("good@1.0.0", "rm", false),
            ("good@1.0.0", "evil", false),
            ("good@1.0.0", "busctl", false),
            (
                &format!("git+https://evil.test/a/b#{COMMIT}"),
                "evil",
                false,
            ),
        ] {
            assert_eq!(may_bring(spec, program), expected, "{spec} {program}");
        }
    }

    #[test]
    fn a_go_program_names_one_content() {
        for (spec, expected) in [
            ("code.test/a/b@v1.2.3", true),
            ("code.test/a/b@v0.0.0-20240101000000-abcdefabcdef", true),
            ("code.test/a/b@latest", false),
            ("code.test/a/b@main", false),
            ("code.test/a/b", false),
            ("./cmd@v1.2.3", false),
            ("main.go", false),
        ] {
            assert_eq!(is_pinned_go(spec), expected, "{spec}");
        }
    }
}
