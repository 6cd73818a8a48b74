//! The C ABI as C sees it: headers, export list, the tests of `tests/c` against both libraries, plain,
//! under sanitizers and under valgrind; and the promises that the sources can be asked for.
//!
//! A tool that is absent skips its part with a line that says so; with STATEKEEP_NO_SKIP=1 that is a
//! failure.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test program: what cannot be done fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use statekeep_tests::fixtures::{root, skip};
use tempfile::TempDir;

/// One program a file; each gets a folder of its own.
const PROGRAMS: [&str; 27] = [
    "config",
    "manager",
    "metrics",
    "kv",
    "batch",
    "scan",
    "scope",
    "snapshot",
    "atomic",
    "txn",
    "watch",
    "query",
    "upkeep",
    "swap",
    "op",
    "backup",
    "cleanup",
    "monitor",
    "policy",
    "retention",
    "encryption",
    "exchange",
    "plugin",
    "errors",
    "log",
    "threads",
    "fork",
];
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];
/// What a static program needs beside `libstatekeep.a`; the same as `Libs.private`.
const STATIC_LIBS: [&str; 7] = [
    "-lgcc_s",
    "-lutil",
    "-lrt",
    "-lpthread",
    "-lm",
    "-ldl",
    "-lc",
];

fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a tool is there; a test that needs it says when it is not.
fn has(tool: &str) -> bool {
    if Command::new(tool)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return true;
    }
    skip(&format!("{tool} is absent"));
    false
}

/// The folder with both libraries, built by the cargo that runs this test.
fn libraries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // <target>/<profile>/deps/<test>
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap().to_owned();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--package", "statekeep-ffi", "--target-dir"])
            .arg(&target);
        run(cargo.current_dir(root()));
        let folder = target.join("debug");
        // The name that the loader looks for.
        let link = folder.join("libstatekeep.so.0");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink("libstatekeep.so", &link).unwrap();
        folder
    })
}

fn gcc(sources: &[&str], flags: &[&str], program: &Path) -> Command {
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-g"])
        .args(STRICT)
        .args(flags)
        .arg("-I")
        .arg(root().join("include"));
    gcc.args(
        sources
            .iter()
            .map(|name| root().join("tests/c").join(format!("{name}.c"))),
    );
    gcc.arg("-o").arg(program);
    gcc
}

/// Builds a program against the shared library.
fn shared(name: &str, flags: &[&str], folder: &Path) -> PathBuf {
    let program = folder.join(name);
    let mut gcc = gcc(&[name], flags, &program);
    gcc.arg("-L")
        .arg(libraries())
        .arg("-lstatekeep")
        .arg("-pthread");
    run(gcc.arg(format!("-Wl,-rpath,{}", libraries().display())));
    program
}

/// Runs a program in a fresh folder, below `tool` when there is one.
fn start(program: &Path, tool: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    let mut words = tool.iter().map(PathBuf::from).chain([program.to_owned()]);
    let mut command = Command::new(words.next().unwrap());
    run(command
        .args(words)
        .arg(folder.path())
        .env_remove("STATEKEEP_PATH"))
}

#[test]
fn programs_pass_with_the_shared_library() {
    let folder = TempDir::new().unwrap();
    for name in PROGRAMS {
        start(&shared(name, &[], folder.path()), &[]);
    }
}

/// `examples/retention-callback-c`, built as its head says and run as it stands.
#[test]
fn the_example_of_a_policy_as_a_function_does_what_it_says() {
    let folder = TempDir::new().unwrap();
    let program = folder.path().join("releases");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-o"])
        .arg(&program)
        .args(STRICT)
        .arg(root().join("examples/retention-callback-c/releases.c"))
        .arg("-I")
        .arg(root().join("include"))
        .arg("-L")
        .arg(libraries())
        .args(["-lstatekeep", "-Wl,-rpath"])
        .arg(format!("-Wl,{}", libraries().display()));
    run(&mut gcc);
    let report = text(&start(&program, &[]));
    for said in [
        r#""would_delete":2"#,
        r#""retained":2"#,
        "releases: the state of a release",
        "releases: no release; count: number 4, and 1 stay",
        r#""failure":null"#,
    ] {
        assert!(report.contains(said), "{said} is not in {report}");
    }
}

#[test]
fn programs_pass_with_the_static_library() {
    let folder = TempDir::new().unwrap();
    let library = libraries().join("libstatekeep.a");
    for name in PROGRAMS {
        let program = folder.path().join(name);
        run(gcc(&[name], &[], &program).arg(&library).args(STATIC_LIBS));
        start(&program, &[]);
    }
}

#[test]
fn programs_pass_under_address_and_undefined_behaviour_sanitizers() {
    let folder = TempDir::new().unwrap();
    for name in PROGRAMS {
        let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        let program = shared(name, &flags, folder.path());
        let symbols = text(&run(Command::new("nm").arg(&program)));
        assert!(
            symbols.contains("__asan_init"),
            "{name} has no sanitizer in it"
        );
        start(&program, &[]);
    }
}

#[test]
fn programs_pass_under_valgrind() {
    if !has("valgrind") {
        return;
    }
    let folder = TempDir::new().unwrap();
    for name in PROGRAMS {
        // In a forked child, what the other threads owned is lost by design.
        let leaks = if name == "fork" {
            "--leak-check=no"
        } else {
            "--leak-check=full"
        };
        let valgrind = [
            "valgrind",
            "--quiet",
            "--error-exitcode=9",
            // A thread that is just ending counts as possible.
            "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite",
            leaks,
        ];
        start(&shared(name, &[], folder.path()), &valgrind);
    }
}

#[test]
fn a_second_copy_of_the_library_is_told_who_has_the_state() {
    let folder = TempDir::new().unwrap();
    let copy = folder.path().join("libcopy.so");
    fs::copy(libraries().join("libstatekeep.so"), &copy).unwrap();
    let program = shared("second_copy", &["-ldl"], folder.path());
    run(Command::new(program).arg(folder.path()).arg(copy));
}

/// Each header alone, both in either order, each twice, in two units of one program.
#[test]
fn headers_compile_as_c99_and_as_cpp17() {
    let folder = TempDir::new().unwrap();
    let include = root().join("include");
    let (plugin, host) = (
        "#include <statekeep_plugin.h>\n",
        "#include <statekeep.h>\n",
    );
    let units = [
        host.to_owned(),
        plugin.to_owned(),
        format!("{host}{plugin}{host}{plugin}"),
        format!("{plugin}{host}{plugin}{host}"),
    ];
    for (at, unit) in units.iter().enumerate() {
        let source = folder.path().join(format!("unit{at}.c"));
        fs::write(&source, format!("{unit}int unit{at};\n")).unwrap();
        for (compiler, language, standard) in
            [("gcc", "c", "-std=c99"), ("g++", "c++", "-std=c++17")]
        {
            let mut command = Command::new(compiler);
            command
                .args([standard, "-x", language, "-fsyntax-only"])
                .args(STRICT);
            run(command.arg("-I").arg(&include).arg(&source));
        }
    }
    let sources = ["double_include_a", "double_include_b"];
    for (compiler, standard, language) in [("gcc", "-std=c99", "c"), ("g++", "-std=c++17", "c++")] {
        let program = folder.path().join(compiler);
        let mut command = Command::new(compiler);
        command
            .args([standard, "-x", language])
            .args(STRICT)
            .arg("-I")
            .arg(&include);
        command.args(sources.map(|name| root().join("tests/c").join(format!("{name}.c"))));
        command
            .args(["-x", "none", "-o"])
            .arg(&program)
            .arg("-L")
            .arg(libraries());
        run(command
            .arg("-lstatekeep")
            .arg(format!("-Wl,-rpath,{}", libraries().display())));
        start(&program, &[]);
    }
}

#[test]
fn generated_headers_are_those_of_the_sources() {
    let mut cargo = Command::new(env!("CARGO"));
    run(cargo
        .args([
            "run",
            "--package",
            "statekeep-tools",
            "--",
            "headers",
            "--check",
        ])
        .current_dir(root()));
}

#[test]
fn the_library_exports_what_the_list_says_and_nothing_else() {
    let library = libraries().join("libstatekeep.so");
    let symbols = text(&run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library)));
    let exported: BTreeSet<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    let listed = fs::read_to_string(root().join("include/statekeep.symbols")).unwrap();
    assert_eq!(exported, listed.lines().collect::<BTreeSet<_>>());

    let dynamic = text(&run(Command::new("readelf").arg("-d").arg(&library)));
    assert!(dynamic.contains("[libstatekeep.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

/// `fn statekeep_x(..) -> .. { .. }` of all exported functions: name, comment above, body.
fn exported_functions() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("ffi/src")).unwrap() {
        let source = fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut before = "";
        for (at, part) in source.split("pub unsafe extern \"C\" fn ").enumerate() {
            if at > 0 {
                let name = part.split('(').next().unwrap().trim().to_owned();
                let body = part.split("\n}\n").next().unwrap().lines();
                let code: Vec<&str> = body
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .collect();
                let comment = before.rsplit("\n\n").next().unwrap().to_owned();
                found.push((name, comment, code.join("\n")));
            }
            before = part;
        }
        let all = source.matches("extern \"C\" fn statekeep_").count();
        assert_eq!(all, source.split("pub unsafe extern \"C\" fn ").count() - 1);
    }
    found
}

/// A panic or a forked child must meet the guard in every function; it is not put in by hand here
/// and there.
#[test]
fn every_function_goes_through_the_guard() {
    let functions = exported_functions();
    for (name, _, body) in &functions {
        let statements = body.split_once('{').unwrap().1.trim_start();
        // A callback's data is taken first, so that its `destroy` runs whatever happens.
        let rest = statements
            .strip_prefix("let user = ")
            .map_or(statements, |rest| {
                rest.split_once(";\n").unwrap().1.trim_start()
            });
        assert!(
            rest.starts_with("guard!("),
            "{name} does not begin with the guard: {rest}"
        );
        assert_eq!(body.matches("guard!(").count(), 1, "{name}");
        let tail = rest.trim_end();
        assert!(
            tail.ends_with(')'),
            "{name} does something after the guard: {tail}"
        );
    }
    let listed = fs::read_to_string(root().join("include/statekeep.symbols")).unwrap();
    let names: BTreeSet<&str> = functions.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, listed.lines().collect::<BTreeSet<_>>());
}

#[test]
fn every_function_says_its_threads_and_since_when() {
    for (name, comment, _) in exported_functions() {
        let comment = comment.replace("\n/// ", " ");
        let tags = [
            "`[any-thread]`",
            "`[one-thread-at-a-time]`",
            "`[not-in-callback]`",
        ];
        assert!(
            tags.iter().any(|tag| comment.contains(tag)),
            "{name} has no thread tag"
        );
        assert!(comment.contains("Since: 0."), "{name} has no `Since`");
    }
}

#[test]
fn every_function_is_called_from_c_and_in_a_forked_child() {
    let read = |name: &str| fs::read_to_string(root().join("tests/c").join(name)).unwrap();
    let all: String = PROGRAMS
        .iter()
        .map(|name| read(&format!("{name}.c")))
        .collect();
    let fork = read("fork.c");
    // They hold no state and work in a child, see the header.
    let anywhere = [
        "statekeep_buf_",
        "statekeep_error_",
        "statekeep_status_",
        "statekeep_version",
        "statekeep_abi_",
    ];
    for (name, ..) in exported_functions() {
        let call = format!("{name}(");
        assert!(all.contains(&call), "no C test calls {name}");
        if !anywhere.iter().any(|prefix| name.starts_with(prefix)) {
            assert!(
                fork.contains(&format!("FORKED({call}")),
                "fork.c does not call {name}"
            );
        }
    }
}

/// A program that knows only `pkg-config` finds headers and libraries, wherever the tree was moved.
#[test]
fn an_installed_library_is_found_by_pkg_config() {
    if !has("pkg-config") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (first, moved) = (folder.path().join("first"), folder.path().join("moved"));
    let mut install = Command::new(root().join("scripts/install"));
    run(install
        .arg(&first)
        .arg("lib/x")
        .env("STATEKEEP_BUILT", libraries()));
    fs::rename(&first, &moved).unwrap();
    let libdir = moved.join("lib/x");
    for (mode, name) in [(&[][..], "dynamic"), (&["--static"][..], "static")] {
        let mut config = Command::new("pkg-config");
        config
            .args(["--cflags", "--libs"])
            .args(mode)
            .arg("statekeep");
        let flags = text(&run(config.env("PKG_CONFIG_PATH", libdir.join("pkgconfig"))));
        let program = folder.path().join(name);
        let mut gcc = Command::new("gcc");
        gcc.arg("-std=c11")
            .arg(root().join("tests/c/kv.c"))
            .arg("-o")
            .arg(&program);
        run(gcc
            .args(flags.split_whitespace())
            .arg(format!("-Wl,-rpath,{}", libdir.display())));
        start(&program, &[]);
    }
    let mut version = Command::new("pkg-config");
    version
        .args(["--modversion", "statekeep"])
        .env("PKG_CONFIG_PATH", libdir.join("pkgconfig"));
    assert_eq!(text(&run(&mut version)).trim(), env!("CARGO_PKG_VERSION"));
}
