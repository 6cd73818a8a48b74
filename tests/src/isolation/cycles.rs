//! The graph of dependencies, and the search for a cycle in it.

use std::collections::{BTreeSet, VecDeque};

use super::Txn;

/// Why one transaction comes before another.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// Both wrote a key, the second after the first.
    WrittenBefore,
    /// The second read what the first wrote.
    ReadBy,
    /// The first read what the second overwrote.
    Overwritten,
    /// The first had ended when the second began.
    EndedBefore,
}

/// Transactions and their dependencies.
pub(super) struct Graph {
    edges: Vec<BTreeSet<(usize, Edge)>>,
}

impl Graph {
    pub(super) fn new(txns: usize) -> Graph {
        Graph {
            edges: vec![BTreeSet::new(); txns],
        }
    }

    pub(super) fn add(&mut self, from: usize, edge: Edge, to: usize) {
        if from != to {
            self.edges[from].insert((to, edge));
        }
    }

    /// Number of dependencies.
    pub(super) fn len(&self) -> usize {
        self.edges.iter().map(BTreeSet::len).sum()
    }

    /// Adds the order of time: edges to each transaction from those that ended last before it began.
    /// The others that ended before it lead to those.
    pub(super) fn add_times(&mut self, txns: &[Txn]) {
        let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * txns.len());
        for (at, txn) in txns.iter().enumerate() {
            events.push((txn.began, true, at));
            events.push((txn.ended, false, at));
        }
        // Of events at one moment beginnings come first: they are not after an end.
        events.sort_by_key(|(time, begins, at)| (*time, !begins, *at));
        let mut frontier: BTreeSet<usize> = BTreeSet::new();
        for (_, begins, at) in events {
            if begins {
                for before in &frontier {
                    self.add(*before, Edge::EndedBefore, at);
                }
            } else {
                let covered =
                    |before: &usize| self.edges[*before].contains(&(at, Edge::EndedBefore));
                frontier.retain(|before| !covered(before));
                frontier.insert(at);
            }
        }
    }

    /// A short cycle, each transaction with its dependency on the next one, if there is any.
    pub(super) fn find_cycle(&self) -> Option<Vec<(usize, Edge)>> {
        let component = self.components().into_iter().find(|c| c.len() > 1)?;
        let members: BTreeSet<usize> = component.into_iter().collect();
        // Enough starts to find a short one; any start of the component finds one.
        let starts = members.iter().take(100);
        let cycles = starts.filter_map(|start| self.cycle_through(*start, &members));
        cycles.min_by_key(Vec::len)
    }

    /// The shortest cycle through a member of a component.
    fn cycle_through(&self, start: usize, members: &BTreeSet<usize>) -> Option<Vec<(usize, Edge)>> {
        let mut came: Vec<Option<(usize, Edge)>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for (to, edge) in &self.edges[at] {
                if !members.contains(to) || came[*to].is_some() {
                    continue;
                }
                came[*to] = Some((at, *edge));
                if *to == start {
                    let mut cycle = Vec::new();
                    let mut back = start;
                    while let Some((from, edge)) = came[back] {
                        cycle.push((from, edge));
                        back = from;
                        if back == start {
                            break;
                        }
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                queue.push_back(*to);
            }
        }
        None
    }

    /// The strongly connected components (R. Tarjan, 1972), without recursion.
    fn components(&self) -> Vec<Vec<usize>> {
        const NONE: usize = usize::MAX;
        let count = self.edges.len();
        let (mut index, mut low) = (vec![NONE; count], vec![0; count]);
        let mut on_stack = vec![false; count];
        let (mut stack, mut components) = (Vec::new(), Vec::new());
        let mut next = 0;
        for root in 0..count {
            if index[root] != NONE {
                continue;
            }
            let mut calls = vec![(root, self.edges[root].iter())];
            (index[root], low[root], on_stack[root]) = (next, next, true);
            stack.push(root);
            next += 1;
            while let Some((at, rest)) = calls.last_mut() {
                let at = *at;
                if let Some((to, _)) = rest.next() {
                    if index[*to] == NONE {
                        (index[*to], low[*to], on_stack[*to]) = (next, next, true);
                        stack.push(*to);
                        next += 1;
                        calls.push((*to, self.edges[*to].iter()));
                    } else if on_stack[*to] {
                        low[at] = low[at].min(index[*to]);
                    }
                    continue;
                }
                calls.pop();
                if let Some((above, _)) = calls.last() {
                    low[*above] = low[*above].min(low[at]);
                }
                if low[at] == index[at] {
                    let from = stack.iter().rposition(|member| *member == at).unwrap();
                    let component = stack.split_off(from);
                    for member in &component {
                        on_stack[*member] = false;
                    }
                    components.push(component);
                }
            }
        }
        components
    }
}
