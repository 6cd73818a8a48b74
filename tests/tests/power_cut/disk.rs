//! A disk whose writes are logged: a file system on a loop device, on a file that qemu exports over
//! FUSE and logs. And disks made from the log, mounted in the same place.
//!
//! A test that uses them runs in mount and process namespaces of its own: when its process ends, in
//! whatever way, the kernel ends qemu and every child and takes the mounts away.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use statekeep_tests::fixtures;

use crate::log::Log;
use crate::replay::Blocks;

/// Size of the file system. Its file is sparse; backends want more than 128 MiB to be free.
pub const FILE_SYSTEM_BYTES: u64 = 384 << 20;
/// What lies behind it: the sector that marks are written to, filled up to a block.
const BEHIND_BYTES: u64 = 4096;
/// Name of the variable that holds the folder of a test that is in its namespaces.
const FOLDER: &str = "STATEKEEP_POWER_CUT_FOLDER";
/// ext4 guesses less and writes back less by itself than it would: what a program does not sync is
/// not made durable by luck.
const MOUNT_OPTIONS: &str = "loop,noatime,noauto_da_alloc,noinit_itable,commit=600";

/// Runs a test in namespaces of its own, in an empty folder in memory, or says that it is skipped.
/// `test` is the full name of the test that calls.
pub fn isolated(test: &str, body: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        // The end of the process outside ends this one.
        std::thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(1);
        });
        let folder = PathBuf::from(folder);
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "mode=700", "tmpfs"])
            .arg(&folder));
        return body(&folder);
    }
    if let Some(reason) = missing() {
        return fixtures::skip(&reason);
    }
    let folder = fixtures::folder();
    let this = fixtures::one_test(test);
    let mut inside = Command::new("unshare")
        .args(NAMESPACES)
        .arg(this.get_program())
        .args(this.get_args())
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Waiting closes what is left in the child's place.
    let alive = inside.stdin.take();
    let output = inside.wait_with_output().unwrap();
    drop(alive);
    let passed = output.status.success() && has(&output.stdout, "1 passed");
    assert!(passed, "{test}: {}; it says why above", output.status);
}

const NAMESPACES: [&str; 6] = [
    "--mount",
    "--propagation=private",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// Why no power can be cut on this machine.
fn missing() -> Option<String> {
    if fs::metadata("/proc/self").ok()?.uid() != 0 {
        return Some("power cuts take root, who may mount".to_owned());
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if let Err(error) = File::open(device) {
            return Some(format!("power cuts take {device}: {error}"));
        }
    }
    let mut namespaces = Command::new("unshare");
    namespaces.args(NAMESPACES).arg("true");
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.arg("-V");
    let mut qemu = Command::new("qemu-storage-daemon");
    qemu.arg("--help");
    for command in [&mut namespaces, &mut mkfs, &mut qemu] {
        let name = command.get_program().display().to_string();
        let told = match command.output() {
            Err(error) => error.to_string(),
            Ok(output) if !output.status.success() => {
                String::from_utf8_lossy(&output.stderr).trim().to_owned()
            }
            Ok(output) if name.starts_with("qemu") && !has(&output.stdout, "type=]fuse") => {
                "it exports nothing over FUSE".to_owned()
            }
            Ok(_) => continue,
        };
        return Some(format!("power cuts take {name}: {told}"));
    }
    None
}

fn has(output: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(output).contains(text)
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A mounted file system; unmounted when dropped.
pub struct Mounted {
    place: PathBuf,
}

impl Mounted {
    /// Mounts the file system in a file, over loop.
    pub fn new(file: &Path, place: &Path) -> Mounted {
        run(Command::new("mount")
            .args(["-o", MOUNT_OPTIONS])
            .args([file, place]));
        Mounted {
            place: place.to_owned(),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.place).status();
        // It goes with the namespace at the latest.
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.place.display());
        }
    }
}

/// Makes a file with an empty file system and room for marks behind it; answers its content.
pub fn format(disk: &Path) -> Blocks {
    let file = File::create(disk).unwrap();
    file.set_len(FILE_SYSTEM_BYTES + BEHIND_BYTES).unwrap();
    run(Command::new("mkfs.ext4")
        .args(["-q", "-F", "-b", "4096", "-J", "size=8"])
        .args(["-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"])
        .arg(disk)
        .arg(format!("{}k", FILE_SYSTEM_BYTES >> 10)));
    Blocks::read(disk)
}

/// qemu, which exports the file `disk` of a folder as `export` and logs to `log`.
pub struct Logged {
    qemu: Child,
    folder: PathBuf,
}

impl Logged {
    /// Starts it; the export is there when this returns.
    pub fn start(folder: &Path) -> Logged {
        for name in ["log", "export"] {
            File::create(folder.join(name)).unwrap();
        }
        let mut qemu = Command::new("qemu-storage-daemon")
            .args(["--blockdev", "driver=file,node-name=disk,filename=disk"])
            .args(["--blockdev", "driver=file,node-name=log,filename=log"])
            .arg("--blockdev")
            .arg(
                "driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=512,\
                 log-super-update-interval=1",
            )
            .arg("--export")
            .arg("type=fuse,id=export,node-name=logged,mountpoint=export,writable=on")
            .args(["--chardev", "stdio,id=control", "--monitor", "control"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It greets once everything before the monitor on its command line is done.
        let mut greeting = String::new();
        let mut answers = BufReader::new(qemu.stdout.take().unwrap());
        answers.read_line(&mut greeting).unwrap();
        assert!(greeting.contains("QMP"), "{greeting}");
        qemu.stdout = Some(answers.into_inner());
        Logged {
            qemu,
            folder: folder.to_owned(),
        }
    }

    /// The disk, as a file whose writes are logged at once.
    pub fn export(&self) -> PathBuf {
        self.folder.join("export")
    }

    /// Ends it and reads the log.
    pub fn stop(mut self) -> Log {
        let mut orders = self.qemu.stdin.take().unwrap();
        for order in ["qmp_capabilities", "quit"] {
            writeln!(orders, "{{\"execute\": \"{order}\"}}").unwrap();
        }
        // Its answers need no reader, but a pipe that is open.
        let answers = self.qemu.stdout.take();
        let status = self.qemu.wait().unwrap();
        drop(answers);
        assert!(status.success(), "qemu-storage-daemon: {status}");
        Log::read(&self.folder.join("log"), FILE_SYSTEM_BYTES)
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
