//! Points go from user to user, many transfers at once, and their sum stays; counters count every
//! task's increments.

use statekeep::engine::{Number, TransactOptions, Transaction};
use statekeep::{BlockingTenant, Durability, Error, ErrorKind, Result, SetOptions, Value};
use statekeep_tests::states::{Random, key, scope};
use tokio::task::JoinSet;

use super::State;

const USERS: u64 = 4;
const POINTS: i64 = 1_000;
const OPTIONS: TransactOptions = TransactOptions {
    durability: Some(Durability::Relaxed),
    attempts_max: 10_000,
};
const RELAXED: SetOptions = SetOptions::with_durability(Durability::Relaxed);

fn points(txn: &mut Transaction, user: u64) -> Result<i64> {
    let value = txn.get(&scope(&format!("user:{user}")), &key("points"))?;
    Ok(value.map_or(0, |value| value.to_json().unwrap().as_i64().unwrap()))
}

fn set_points(txn: &mut Transaction, user: u64, points: i64) -> Result<()> {
    let value = Value::json(points.to_string())?;
    txn.set(
        &scope(&format!("user:{user}")),
        &key("points"),
        value,
        RELAXED,
    )
}

fn transfer(txn: &mut Transaction, from: u64, to: u64, amount: i64) -> Result<()> {
    let has = points(txn, from)?;
    set_points(txn, from, has - amount)?;
    if has < amount {
        return Err(Error::invalid(
            "transfer",
            format!("only {has} points are there"),
        ));
    }
    let has = points(txn, to)?;
    set_points(txn, to, has + amount)
}

fn sum(txn: &mut Transaction) -> Result<i64> {
    (0..USERS).map(|user| points(txn, user)).sum()
}

fn fill(tenant: &BlockingTenant) {
    let fill =
        |txn: &mut Transaction| (0..USERS).try_for_each(|user| set_points(txn, user, POINTS));
    tenant.transact(&OPTIONS, fill).unwrap();
}

/// A random transfer; whether there were points enough.
fn step(tenant: &BlockingTenant, random: &mut Random) -> bool {
    let from = random.below(USERS);
    let to = (from + 1 + random.below(USERS - 1)) % USERS;
    let amount = random.below(POINTS as u64) as i64;
    match tenant.transact(&OPTIONS, |txn| transfer(txn, from, to, amount)) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
            false
        }
    }
}

pub fn keep_the_sum(state: &State) {
    let tenant = state.tenant();
    fill(&tenant);
    let made: usize = std::thread::scope(|threads| {
        let clients: Vec<_> = (0..8u64)
            .map(|n| {
                let tenant = &tenant;
                threads.spawn(move || {
                    let mut random = Random(n);
                    let mut made = 0;
                    for _ in 0..50 {
                        made += usize::from(step(tenant, &mut random));
                        let sum = tenant.transact(&OPTIONS, sum).unwrap();
                        assert_eq!(sum, USERS as i64 * POINTS);
                    }
                    made
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    });
    assert!(made > 0 && made < 400, "{made} transfers were made");
    assert_eq!(
        tenant.transact(&OPTIONS, sum).unwrap(),
        USERS as i64 * POINTS
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_transfer_and_count() {
    for backend in ["memory", "fjall"] {
        let state = State::new(backend);
        let tenant = state.host.manager.default_tenant();
        fill(&tenant.blocking());
        let mut tasks = JoinSet::new();
        for n in 0..10 {
            let tenant = tenant.clone();
            tasks.spawn(async move {
                for k in 0..100 {
                    let by = Number::Integer(1);
                    let (scope, key) = (scope("global"), key("counter"));
                    tenant.increment(&scope, &key, by, RELAXED).await.unwrap();
                    let (from, to) = ((n + k) % USERS, (n + k + 1) % USERS);
                    let transfer = move |txn: &mut Transaction| transfer(txn, from, to, 1);
                    tenant.transact(&OPTIONS, transfer).await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let counter = tenant.get(&scope("global"), &key("counter")).await.unwrap();
        assert_eq!(counter, Some(Value::json("1000").unwrap()));
        let sum = tenant.transact(&OPTIONS, sum).await.unwrap();
        assert_eq!(sum, USERS as i64 * POINTS);
    }
}
