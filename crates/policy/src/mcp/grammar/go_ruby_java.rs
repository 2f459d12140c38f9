//! Go, Ruby and Java.

use super::{Call, Known, flag, is_word};
use crate::mcp::package::is_pinned_go;
use crate::mcp::stdio::StdioRefusal;

const RUBY: &[Known] = &[
    flag("-w"),
    flag("-W0"),
    flag("-W1"),
    flag("-W2"),
    flag("--yjit"),
    flag("--disable-gems"),
    flag("--disable=gems"),
];

impl Call<'_> {
    pub(super) fn go(&self) -> Result<Vec<String>, StdioRefusal> {
        match self.args {
            ["run", spec, ..] if is_pinned_go(spec) => self.package(spec),
            ["run", ..] => Err(self.not_pinned("module/path@v1.2.3")),
            _ => Err(self.subcommand("`go run module/path@v1.2.3`")),
        }
    }

    pub(super) fn ruby(&self) -> Result<Vec<String>, StdioRefusal> {
        let parsed = self.options(RUBY, self.args)?;
        self.script(parsed.rest)
    }

    /// Only archives: a class name is looked for in the open folder.
    pub(super) fn java(&self) -> Result<Vec<String>, StdioRefusal> {
        for (index, arg) in self.args.iter().enumerate() {
            let memory = ["-Xmx", "-Xms", "-Xss"]
                .iter()
                .find_map(|name| arg.strip_prefix(name));
            // Properties of the runtime itself can name code.
            let property = arg.strip_prefix("-D").filter(|property| {
                !["java.", "javax.", "jdk.", "sun.", "com.sun."]
                    .iter()
                    .any(|prefix| property.starts_with(prefix))
            });
            match *arg {
                "-jar" => return self.script(&self.args[index + 1..]),
                "-server" => {}
                _ if memory.is_some_and(is_word) || property.is_some() => {}
                _ if arg.starts_with('-') => return Err(self.option(arg)),
                _ => return Err(self.subcommand("`java -jar /path/to/server.jar`")),
            }
        }
        Err(self.no_script())
    }
}
