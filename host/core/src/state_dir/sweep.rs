//! Names of unfinished work, and its removal.
//!
//! What always holds: only names that we give to unfinished work are removed, and only when their
//! maker is dead. A namespace that was in use is not unfinished: it is the undo of a restore or swap.

use std::path::Path;

use ulid::Ulid;

use super::current::TEMPORARY;
use super::ids::parse_ulid;
use super::{NamespaceId, lock, namespaces_in, pending};
use crate::vfs::{DirEntry, Vfs, failed, remove_tree};
use crate::{ErrorKind, Result};

/// Says that a folder without CURRENT is a state in the making.
pub(super) const MARKER: &str = "CREATING";

const CREATING: &str = ".creating-";
const REMOVING: &str = ".removing-";

/// The name under which `name` is built.
pub(super) fn creating(name: &str) -> String {
    format!("{name}{CREATING}{}", Ulid::new())
}

/// The name under which `name` is taken away.
pub(super) fn removing(name: &str) -> String {
    format!("{name}{REMOVING}{}", Ulid::new())
}

/// The name that unfinished work of this name would have had, or have no more.
pub(super) fn unfinished(name: &str) -> Option<&str> {
    [CREATING, REMOVING].iter().find_map(|mark| {
        let (of, id) = name.rsplit_once(mark)?;
        (!of.is_empty() && parse_ulid(id).is_ok()).then_some(of)
    })
}

/// Removes what dead creators left in a state directory whose lock we hold. What cannot be removed
/// is reported and left to the next opening; it is in nobody's way.
pub(super) fn inside(vfs: &dyn Vfs, state_dir: &Path) {
    report(state_dir, try_inside(vfs, state_dir));
}

pub(super) fn try_inside(vfs: &dyn Vfs, state_dir: &Path) -> Result<()> {
    for entry in vfs.read_dir(state_dir).map_err(failed("list", state_dir))? {
        let path = state_dir.join(&entry.name);
        if !is_leftover(&entry) {
            continue;
        }
        if entry.is_dir {
            remove_tree(vfs, &path)?;
        } else {
            vfs.remove_file(&path).map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

/// Removes namespaces that were published and never became current, and takes the mark from the one
/// that did.
pub(super) fn pending(vfs: &dyn Vfs, state_dir: &Path, current: NamespaceId) {
    report(state_dir, try_pending(vfs, state_dir, current));
}

fn try_pending(vfs: &dyn Vfs, state_dir: &Path, current: NamespaceId) -> Result<()> {
    for namespace in namespaces_in(vfs, state_dir)? {
        let folder = state_dir.join(namespace.to_string());
        if namespace == current {
            pending::unmark(vfs, &folder)?;
        } else if pending::is_marked(vfs, &folder)? {
            pending::take_away(vfs, &folder)?;
        }
    }
    Ok(())
}

/// Whether an entry of a state directory is unfinished work: a namespace's folder or a CURRENT.
pub(super) fn is_leftover(entry: &DirEntry) -> bool {
    if entry.is_dir {
        return unfinished(&entry.name).is_some_and(|of| of.parse::<NamespaceId>().is_ok());
    }
    let id = entry.name.strip_prefix(TEMPORARY);
    id.is_some_and(|id| parse_ulid(id).is_ok())
}

/// Removes what dead creators of the state `name` left beside it. A creator that lives holds the
/// lock inside its folder.
pub(super) fn beside(vfs: &dyn Vfs, parent: &Path, name: &str) {
    report(parent, try_beside(vfs, parent, name));
}

fn try_beside(vfs: &dyn Vfs, parent: &Path, name: &str) -> Result<()> {
    for entry in vfs.read_dir(parent).map_err(failed("list", parent))? {
        if !entry.is_dir || unfinished(&entry.name) != Some(name) {
            continue;
        }
        let path = parent.join(&entry.name);
        match lock::take(vfs, &path) {
            Ok(held) => {
                remove_tree(vfs, &path)?;
                drop(held);
            }
            // Alive, or finished and renamed since we listed it.
            Err(error) if matches!(error.kind(), ErrorKind::Busy | ErrorKind::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn report(place: &Path, swept: Result<()>) {
    if let Err(error) = swept {
        tracing::warn!(place = %place.display(), %error, "leftovers of unfinished work stay behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_marks_are_unfinished_work() {
        assert_eq!(unfinished(&creating("state")), Some("state"));
        assert_eq!(unfinished(&removing("a.b")), Some("a.b"));
        assert_eq!(unfinished(&creating("x.creating-y")), Some("x.creating-y"));
        for name in [
            "state",
            "state.creating-",
            "state.creating-me",
            ".creating-01",
            "s.CREATING-x",
        ] {
            assert_eq!(unfinished(name), None, "{name}");
        }
        assert_eq!(unfinished(&creating("")), None);
    }
}
