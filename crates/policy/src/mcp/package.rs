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

fn is_git(spec: &str) -> bool {
    spec.starts_with("git+https://") || spec.starts_with("git+ssh://")
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
            "https://code.test/a.whl",
            "-x==1",
            "server[==1",
        ] {
            assert!(!is_pinned_python(bad), "{bad}");
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
