//! One run of a workload on a logged disk, and the power cuts in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use statekeep_tests::fixtures;
use statekeep_tests::states::Random;

use crate::child::{ORDERS, Orders, Workload};
use crate::disk::{self, Logged, Mounted};
use crate::log::{Entry, Log};
use crate::replay::{Blocks, Cut, Replay, Survivors};

/// The log of a workload, and the disk before it.
pub struct Recording {
    folder: PathBuf,
    workload: Workload,
    before: Blocks,
    log: Log,
}

impl Recording {
    /// Runs the workload to its end on a disk that is made in the folder.
    pub fn new(folder: &Path, workload: Workload) -> Recording {
        let place = folder.join("place");
        let _ = fs::create_dir(&place);
        let before = disk::format(&folder.join("disk"));
        let logged = Logged::start(folder);
        let mounted = Mounted::new(&logged.export(), &place);
        let output = child(folder, &workload, None);
        assert!(output.status.success(), "{}", complaint(&output));
        drop(mounted);
        let log = logged.stop();
        Recording {
            folder: folder.to_owned(),
            workload,
            before,
            log,
        }
    }

    /// So many moments after a write or a mark, in order, a quarter of them between the first mark
    /// and the second; the ways to lose power take turns.
    pub fn cuts(&self, count: usize, ways: &[Survivors], random: &mut Random) -> Vec<Cut> {
        let marks = self.log.find(|entry| matches!(entry, Entry::Mark(_)));
        let moments = self.log.find(|entry| !matches!(entry, Entry::Flush));
        let (early, late): (Vec<usize>, Vec<usize>) = moments
            .into_iter()
            .filter(|at| (marks[0]..=marks[marks.len() - 1]).contains(at))
            .partition(|at| *at < marks[1]);
        let mut cuts: Vec<Cut> = (0..count)
            .map(|number| {
                let moments = if number % 4 == 0 { &early } else { &late };
                Cut {
                    after: moments[random.below(moments.len() as u64) as usize] + 1,
                    survivors: ways[number % ways.len()],
                    seed: random.number(),
                }
            })
            .collect();
        cuts.sort_by_key(|cut| cut.after);
        cuts
    }

    /// What was found broken after each cut, with the cut. The disk of the first of them is kept
    /// under a name in the target folder, to be mounted by hand.
    pub fn losses(&self, cuts: &[Cut], keep: Option<&str>) -> Vec<String> {
        let [image, place] = ["image", "place"].map(|name| self.folder.join(name));
        let mut replay = Replay::new(&self.log, &self.before);
        let mut losses = Vec::new();
        for cut in cuts {
            replay.cut(*cut, &image);
            let mounted = Mounted::new(&image, &place);
            let output = child(
                &self.folder,
                &self.workload,
                Some(self.log.marks(cut.after)),
            );
            drop(mounted);
            fs::remove_file(&image).unwrap();
            if output.status.success() {
                continue;
            }
            let mut loss = format!("{cut:?}: {}", complaint(&output));
            if let (Some(name), true) = (keep, losses.is_empty()) {
                let kept = fixtures::kept(&format!("power-cut-{name}.img"));
                replay.cut(*cut, &kept);
                loss += &format!("\nthe disk is kept as {}", kept.display());
            }
            losses.push(loss);
        }
        losses
    }
}

/// Runs a child: to work, or to check with the marks that were told.
fn child(folder: &Path, workload: &Workload, marks: Option<Vec<String>>) -> Output {
    let orders = Orders {
        workload: workload.clone(),
        place: folder.join("place"),
        marks,
    };
    let path = folder.join("orders");
    fs::write(&path, serde_json::to_vec(&orders).unwrap()).unwrap();
    fixtures::one_test("child_process")
        .env(ORDERS, path)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}

/// What a child said before it failed.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    format!("{}\n{}", output.status, text.trim())
}
