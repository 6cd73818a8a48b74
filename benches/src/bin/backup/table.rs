//! Figures of steps, and how they are printed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use statekeep_benches::median;

/// What a step took.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// Of the operation; of a peer, of its process.
    pub wall: f64,
    pub cpu: f64,
    /// CPU seconds of the whole process.
    pub process_cpu: f64,
    pub peak_mb: f64,
    pub bytes: u64,
}

impl Figures {
    /// Runs a command under `time`, given without its arguments.
    pub fn of(timed: &mut Command) -> Figures {
        Figures::with_lines(timed).0
    }

    /// As `of`, and what it prints.
    fn with_lines(timed: &mut Command) -> (Figures, Vec<Vec<f64>>) {
        timed.env("TIME", "%e %U %S %M").stderr(Stdio::piped());
        let output = timed.output().expect("run /usr/bin/time");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{timed:?}: {told}");
        let took = numbers(told.lines().last().unwrap_or_default());
        let [wall, user, system, peak] = took[..] else {
            panic!("time said {told}");
        };
        let figures = Figures {
            wall,
            cpu: user + system,
            process_cpu: user + system,
            peak_mb: peak / 1024.0,
            bytes: 0,
        };
        let lines = String::from_utf8_lossy(&output.stdout);
        (figures, lines.lines().map(numbers).collect())
    }
}

fn numbers(line: &str) -> Vec<f64> {
    let parse = |word: &str| word.parse().unwrap_or(f64::NAN);
    line.split_whitespace().map(parse).collect()
}

/// Runs a step of Statekeep in a process of its own; a figure for each line that it prints.
pub fn own(step: &str, directory: &Path, records: u64, round: usize) -> Vec<Figures> {
    let mut timed = Command::new("/usr/bin/time");
    timed.arg(std::env::current_exe().expect("this program"));
    timed.args(["--step", step]).arg(directory);
    timed.args([records.to_string(), round.to_string()]);
    let (process, lines) = Figures::with_lines(&mut timed);
    let figures = lines.iter().map(|line| Figures {
        wall: line[0],
        cpu: line[1],
        bytes: line[2] as u64,
        ..process
    });
    figures.collect()
}

/// Bytes of all files in a directory.
pub fn tree_bytes(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let bytes = entries.map(|entry| {
        let entry = entry.expect("an entry");
        let facts = entry.metadata().expect("metadata");
        if facts.is_dir() {
            tree_bytes(&entry.path())
        } else {
            facts.len()
        }
    });
    bytes.sum()
}

/// Figures by tool and step, in the order in which they came.
#[derive(Default)]
pub struct Table {
    rows: Vec<((&'static str, &'static str), Vec<Figures>)>,
    /// Bytes of keys and records.
    pub raw_bytes: u64,
}

/// The name of Statekeep's rows.
pub const OWN: &str = "statekeep";
/// The name of the rows of limits.
pub const LIMIT: &str = "limit";

impl Table {
    /// Adds a measurement of a step.
    pub fn add(&mut self, tool: &'static str, step: &'static str, figures: Figures) {
        match self.rows.iter_mut().find(|(name, _)| *name == (tool, step)) {
            Some((_, all)) => all.push(figures),
            None => self.rows.push(((tool, step), vec![figures])),
        }
    }

    /// Medians of a row.
    pub fn figures(&self, tool: &str, step: &str) -> Figures {
        let row = self.rows.iter().find(|(name, _)| *name == (tool, step));
        let all = row.map_or(&[][..], |(_, all)| all);
        let of = |part: fn(&Figures) -> f64| median(&mut all.iter().map(part).collect::<Vec<_>>());
        Figures {
            wall: of(|f| f.wall),
            cpu: of(|f| f.cpu),
            process_cpu: of(|f| f.process_cpu),
            peak_mb: of(|f| f.peak_mb),
            bytes: of(|f| f.bytes as f64) as u64,
        }
    }

    /// CPU seconds that no full backup goes below.
    fn floor(&self) -> f64 {
        let limits = self.rows.iter().filter(|((tool, _), _)| *tool == LIMIT);
        limits
            .map(|((_, step), _)| self.figures(LIMIT, step).cpu)
            .sum()
    }

    /// Prints all rows, with ratios to the floor, to the full backup and to the peers.
    pub fn print(&self) {
        let gb = self.raw_bytes as f64 / 1e9;
        println!("  {:.3} GB of keys and records", gb);
        println!(
            "  {:<20} {:<12} {:>7} {:>7} {:>8} {:>9} {:>8} {:>9}",
            "", "", "wall s", "CPU s", "CPU s/GB", "process", "peak MB", "MB"
        );
        for ((tool, step), _) in &self.rows {
            let row = self.figures(tool, step);
            println!(
                "  {tool:<20} {step:<12} {:7.2} {:7.2} {:8.2} {:9.2} {:8.0} {:9.2}",
                row.wall,
                row.cpu,
                row.cpu / gb,
                row.process_cpu,
                row.peak_mb,
                row.bytes as f64 / 1e6
            );
        }
        let (full, incremental) = (self.figures(OWN, "full"), self.figures(OWN, "incremental"));
        let floor = self.floor();
        println!(
            "  full: {:.2} x the floor of {floor:.2} CPU s",
            full.cpu / floor
        );
        println!(
            "  incremental: {:.1} % of the full's CPU, {:.1} % of its wall time, {:.1} % of its bytes",
            100.0 * incremental.cpu / full.cpu,
            100.0 * incremental.wall / full.wall,
            100.0 * incremental.bytes as f64 / full.bytes as f64
        );
        for ((tool, step), _) in &self.rows {
            if *tool != OWN && *tool != LIMIT {
                let (own, peer) = (self.figures(OWN, step), self.figures(tool, step));
                println!(
                    "  {step}: {:.2} x the CPU of {tool}",
                    own.process_cpu / peer.cpu
                );
            }
        }
    }
}

/// How Statekeep's steps grow with the number of records.
pub fn print_growth(tables: &[(u64, Table)]) {
    println!("growth: CPU us a record, and peak MB");
    for step in ["full", "incremental", "verify", "restore"] {
        print!("  {step:<12}");
        for (records, table) in tables {
            let row = table.figures(OWN, step);
            let each = row.cpu * 1e6 / *records as f64;
            print!("  {records:>8}: {each:6.2} us {:4.0} MB", row.peak_mb);
        }
        println!();
    }
}
