//! The judge of secondary indexes: their rows are those that the records give.

use std::collections::BTreeSet;

use super::value_prefix;
use crate::check::rows;
use crate::namespace::Namespace;
use crate::record::RecordView;
use crate::stored_key::prefix_end;
use crate::{Error, KeyRange, Result, Space};

/// Checks that each ready index has exactly the rows of the records that it covers, and each that is
/// being built no other. Rows of dropped indexes may be left.
pub(crate) fn check_indexes(namespace: &Namespace) -> Result<()> {
    for index in namespace.index.all() {
        // Asked first: a build may end while the rows are read.
        let is_ready = index.is_ready();
        let mut expected = BTreeSet::new();
        rows(
            &*namespace.backend,
            Space::Data,
            KeyRange::default(),
            &mut |key, record| {
                if index.has_key(key)
                    && let Some(json) =
                        RecordView::read(record)?.json(&**namespace.index.plugins())?
                    && let Ok(text) = std::str::from_utf8(&json)
                {
                    expected.extend(index.row(text, key));
                }
                Ok(())
            },
        )?;
        let lo = value_prefix(index.id);
        let hi = prefix_end(&lo);
        let range = KeyRange {
            lo: &lo,
            hi: hi.as_deref(),
            reverse: false,
        };
        let mut found = BTreeSet::new();
        rows(&*namespace.backend, Space::Index, range, &mut |key, _| {
            found.insert(key.to_vec());
            Ok(())
        })?;
        let missing = expected.difference(&found).next();
        let missing = missing.filter(|_| is_ready);
        let wrong = missing.or_else(|| found.difference(&expected).next());
        if let Some(row) = wrong {
            let (has, data) = (found.contains(row), expected.contains(row));
            let reason = format!(
                "row {}: in the index {has}, by the data {data}",
                row.escape_ascii()
            );
            return Err(Error::corrupt(format!("index `{}`", index.name), reason));
        }
    }
    Ok(())
}
