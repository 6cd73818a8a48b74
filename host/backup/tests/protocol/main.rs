//! The protocol of a repository that several processes share, as a small model: every order in which
//! writers, readers, collectors, deletions, undeletes and expiring leases can act is tried, and no
//! backup that was acknowledged may miss a segment in any of them, nor one that is being read; none
//! that was undeleted may be purged. Each rule of the protocol is also left out once, and the search must
//! then find a loss: so the model would see one.

mod world;

use std::collections::{HashMap, VecDeque};

use world::{Cast, RULES, Rule, World};

/// More of everybody at once are more than ten million states.
const CASTS: [Cast; 9] = [
    Cast {
        writers: 0,
        collectors: 2,
        readers: 0,
        deleted: &[0, 0],
        is_fine: true,
    },
    Cast {
        writers: 1,
        collectors: 2,
        readers: 0,
        deleted: &[0],
        is_fine: true,
    },
    Cast {
        writers: 0,
        collectors: 3,
        readers: 0,
        deleted: &[0],
        is_fine: true,
    },
    Cast {
        writers: 2,
        collectors: 2,
        readers: 0,
        deleted: &[0],
        is_fine: false,
    },
    Cast {
        writers: 2,
        collectors: 1,
        readers: 0,
        deleted: &[0, 1],
        is_fine: false,
    },
    Cast {
        writers: 1,
        collectors: 2,
        readers: 0,
        deleted: &[0, 0],
        is_fine: false,
    },
    Cast {
        writers: 1,
        collectors: 1,
        readers: 1,
        deleted: &[0, 1],
        is_fine: false,
    },
    Cast {
        writers: 1,
        collectors: 2,
        readers: 1,
        deleted: &[0],
        is_fine: false,
    },
    Cast {
        writers: 0,
        collectors: 2,
        readers: 1,
        deleted: &[0, 0],
        is_fine: false,
    },
];

/// Tries every order; answers how many states there are, or the shortest way to a loss.
fn search(cast: &Cast, without: Option<Rule>) -> Result<usize, Vec<String>> {
    let begin = World::new();
    let mut from: HashMap<World, Option<(usize, String)>> = HashMap::from([(begin.clone(), None)]);
    let mut order = vec![begin];
    let mut queue = VecDeque::from([0]);
    while let Some(at) = queue.pop_front() {
        let world = order[at].clone();
        if let Some(loss) = world.loss(cast) {
            let mut way = vec![loss];
            let mut here = at;
            while let Some(Some((before, step))) = from.get(&order[here]) {
                way.push(step.clone());
                here = *before;
            }
            way.reverse();
            return Err(way);
        }
        world.steps(cast, without, &mut |step, next| {
            if !from.contains_key(&next) {
                from.insert(next.clone(), Some((at, step)));
                queue.push_back(order.len());
                order.push(next);
            }
        });
    }
    Ok(order.len())
}

#[test]
fn no_order_loses_a_backup() {
    for cast in &CASTS {
        match search(cast, None) {
            Ok(states) => println!("{cast:?}: {states} states"),
            Err(way) => panic!("{}", way.join("\n")),
        }
    }
}

#[test]
fn each_rule_is_needed() {
    for rule in RULES {
        let mut casts = CASTS
            .iter()
            .filter(|cast| (cast.readers > 0) == rule.is_of_readers());
        let found = casts.find_map(|cast| search(cast, Some(rule)).err());
        let way = found.unwrap_or_else(|| panic!("{rule:?} can be left out"));
        println!("without {rule:?}:\n  {}", way.join("\n  "));
    }
}
