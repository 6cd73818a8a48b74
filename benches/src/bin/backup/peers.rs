//! What else backs up the same records: tools over a SQLite file that holds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::table::{Figures, tree_bytes};

/// A tool, by shell commands. They run in a directory of its own, beside `../state.db`; what is kept is
/// in `repo`, and `$N` is 1 for the full, 2 for what comes after.
pub struct Peer {
    pub name: &'static str,
    programs: &'static [&'static str],
    init: &'static str,
    backup: &'static str,
    verify: &'static str,
    restore: &'static str,
}

const PEERS: [Peer; 3] = [
    Peer {
        name: ".backup | zstd -T2",
        programs: &["sqlite3", "zstd"],
        init: "mkdir repo",
        // `.backup` writes a file, which is not what is kept.
        backup: "sqlite3 ../state.db '.backup copy' && zstd -3 -T2 -q --rm copy -o repo/$N && sync repo/$N",
        verify: "zstd -q -t repo/2",
        restore: "zstd -q -d repo/2 -o out/state.db && sync out/state.db",
    },
    Peer {
        name: "restic",
        programs: &["sqlite3", "restic"],
        init: "restic -q -r repo init",
        backup: "restic -q -r repo --no-cache backup ../state.db",
        verify: "restic -q -r repo --no-cache check --read-data",
        restore: "restic -q -r repo --no-cache restore latest --target out",
    },
    Peer {
        name: "borg",
        programs: &["sqlite3", "borg"],
        init: "borg init -e none repo",
        backup: "borg create -C zstd,3 repo::$N ../state.db",
        verify: "borg check --verify-data repo",
        restore: "cd out && borg extract ../repo::2",
    },
];

/// The peers whose programs are installed; says which are not.
pub fn installed() -> Vec<&'static Peer> {
    let is_there = |program: &str| Command::new(program).arg("--help").output().is_ok();
    let mut found = Vec::new();
    for peer in &PEERS {
        match peer.programs.iter().find(|program| !is_there(program)) {
            None => found.push(peer),
            Some(missing) => println!("SKIP {}: {missing} is not installed", peer.name),
        }
    }
    found
}

/// Runs SQL that a step has written on the peers' file.
pub fn sql(directory: &Path, name: &str, peers: &[&Peer]) {
    if !peers.is_empty() {
        let script = format!("sqlite3 -batch state.db < {name} > /dev/null");
        Figures::of(shell(&script).current_dir(directory));
    }
}

fn shell(script: &str) -> Command {
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["sh", "-c", script]);
    timed
}

impl Peer {
    fn place(&self, directory: &Path) -> PathBuf {
        let first = self.programs.last().copied().unwrap_or_default();
        directory.join(format!("peer-{first}"))
    }

    fn run(&self, directory: &Path, script: &str, number: u8) -> Figures {
        let place = self.place(directory);
        let before = tree_bytes(&place.join("repo"));
        let mut shell = shell(script);
        shell.current_dir(&place).env("N", number.to_string());
        shell.env("RESTIC_PASSWORD", "bench");
        shell.env("BORG_BASE_DIR", &place);
        shell.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes");
        shell.env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
        let mut figures = Figures::of(&mut shell);
        figures.bytes = tree_bytes(&place.join("repo")).saturating_sub(before);
        figures
    }

    /// Makes an empty repository.
    pub fn prepare(&self, directory: &Path) {
        let place = self.place(directory);
        let _absent = fs::remove_dir_all(&place);
        fs::create_dir(&place).expect("create a directory");
        self.run(directory, self.init, 0);
    }

    /// The first backup, or after a change another one.
    pub fn backup(&self, directory: &Path, number: u8) -> Figures {
        self.run(directory, self.backup, number)
    }

    /// Reads everything that was stored.
    pub fn verify(&self, directory: &Path) -> Figures {
        self.run(directory, self.verify, 2)
    }

    /// Restores the newest backup.
    pub fn restore(&self, directory: &Path) -> Figures {
        let out = self.place(directory).join("out");
        fs::create_dir(&out).expect("create a directory");
        let figures = self.run(directory, self.restore, 2);
        fs::remove_dir_all(out).expect("remove a directory");
        figures
    }
}
