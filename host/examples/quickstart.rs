//! An agent's memory, a backup, a mishap, and the way back.
//!
//! `cargo run -p statekeep --example quickstart -- /tmp/agent-state`

use statekeep::{Config, CreateOptions, Key, Progress, RestoreOptions, Scope, SetOptions, Value};

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> statekeep::Result<()> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "agent-state".to_owned());
    let host = statekeep::open(&Config::new(path))?;
    let state = host.manager.default_tenant();
    let agent: Scope = "agent:planner".parse()?;
    let memory = Key::new("memory")?;

    let good = Value::json(r#"{"likes": ["tea"]}"#)?;
    state
        .set(&agent, &memory, good, SetOptions::default())
        .await?;
    let backup = host
        .backups
        .create(&CreateOptions::default(), &Progress::new())?;
    eprintln!("backed up as {}", backup.id);

    state
        .set(&agent, &memory, Value::json("null")?, SetOptions::default())
        .await?;
    host.backups
        .restore(backup.id, &RestoreOptions::default(), &Progress::new())?;
    let value = state.get(&agent, &memory).await?;
    let text = value.map(Value::into_bytes).unwrap_or_default();
    eprintln!("the planner remembers {}", String::from_utf8_lossy(&text));
    host.close()
}
