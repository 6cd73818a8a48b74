//! The README's snippets are run: what it shows is what happens. (Its Python is run by the tests of
//! the Python package, its two commands by CI.)

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    statekeep_tests::fixtures::root()
}

/// The fenced blocks of the README in a language.
fn snippets(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    text.split("```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .map(str::to_owned)
        .collect()
}

/// The `statekeep` command, built once by cargo beside these tests.
fn command() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["build", "-q", "-p", "statekeep-cli", "--target-dir"])
        .arg(folder.parent().unwrap())
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    folder.parent().unwrap().join("debug/statekeep")
}

fn run(program: &Path, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_c_snippet_compiles_against_the_header() {
    let snippet = &snippets("c")[0];
    let (include, body) = snippet.split_once("\n\n").unwrap();
    let program = format!(
        "#include <stddef.h>\n{include}\nint main(void) {{\n\
         statekeep_error *err = NULL;\n{body}\nreturn 0;\n}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("app.c");
    std::fs::write(&source, program).unwrap();
    let include = format!("-I{}", root().join("include").display());
    let flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"];
    let output = Command::new("gcc")
        .args(flags)
        .arg(include)
        .arg(&source)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_command_line_does_what_the_readme_shows() {
    let snippet = snippets("sh")
        .into_iter()
        .find(|snippet| snippet.contains("statekeep --path"))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bin = command();
    let path = format!(
        "{}:{}",
        bin.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = Command::new("sh")
        .args(["-e", "-c", &snippet])
        .env("PATH", path)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains(r#"{"name": "Ada"}"#), "{shown}");
    assert!(shown.contains(r#""is_valid":true"#), "{shown}");
}

#[test]
fn the_configuration_is_one_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let bin = command();
    let toml = &snippets("toml")[0];
    for backend in ["fjall", "sled", "redb", "lmdb", "sqlite", "memory"] {
        let toml = toml.replacen("\"fjall\"", &format!("{backend:?}"), 1);
        let file = folder.path().join(format!("{backend}.toml"));
        std::fs::write(
            &file,
            toml.replacen("\"state\"", &format!("{backend:?}"), 1),
        )
        .unwrap();
        let file = file.to_str().unwrap();
        run(&bin, &["--config", file, "config", "check"], folder.path());
        run(
            &bin,
            &["--config", file, "set", "global", "k", "1"],
            folder.path(),
        );
        let info = run(
            &bin,
            &["--config", file, "--json", "config", "show"],
            folder.path(),
        );
        assert!(info.contains(backend), "{info}");
    }
}
