//! What a misspelt name was meant to be, for the errors that refuse it.

/// Most edits that turn what was written into what was meant; further away it is a guess.
const EDITS_MAX: usize = 2;

/// Most bytes of a name that are compared.
const BYTES_MAX: usize = 64;

/// The known name that another one was meant to be: the closest, within two edits and less than half of
/// the name.
pub fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let known = known.into_iter().map(|known| (edits(name, known), known));
    let (edits, nearest) = known.min_by_key(|(edits, _)| *edits)?;
    (edits <= EDITS_MAX && edits * 2 < name.len()).then_some(nearest)
}

/// How many bytes are to be put in, taken out, exchanged, or swapped with their neighbour, to make one
/// name of the other: the optimal string alignment distance.
pub fn edits(a: &str, b: &str) -> usize {
    let cut = |text: &'_ str| text.bytes().take(BYTES_MAX).collect::<Vec<u8>>();
    let (a, b) = (cut(a), cut(b));
    let mut rows = [
        Vec::new(),
        Vec::new(),
        (0..=b.len()).collect::<Vec<usize>>(),
    ];
    let mut before_a = None;
    for (i, x) in (1..).zip(&a) {
        rows.rotate_left(1);
        let [older, old, row] = &mut rows;
        row.clear();
        row.push(i);
        let (mut left, mut before_b) = (i, None);
        for (j, y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: Option<usize>| {
                at.and_then(|at| row.get(at))
                    .copied()
                    .unwrap_or(usize::MAX / 2)
            };
            let exchanged = cell(old, Some(j)) + usize::from(x != y);
            let mut here = exchanged.min(left + 1).min(cell(old, Some(j + 1)) + 1);
            if before_a == Some(y) && before_b == Some(x) {
                here = here.min(cell(older, j.checked_sub(1)) + 1);
            }
            row.push(here);
            (left, before_b) = (here, Some(y));
        }
        before_a = Some(x);
    }
    let [.., last] = rows;
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_meant_and_a_guess_is_none() {
        for (a, b, wanted) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("zstd", "zstd", 0),
            ("zsdt", "zstd", 1),
            ("fjal", "fjall", 1),
            ("sqllite", "sqlite", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ] {
            assert_eq!(edits(a, b), wanted, "{a} {b}");
        }
        let codecs = ["brotli", "gzip", "lz4", "zstd"];
        assert_eq!(meant("zsdt", codecs), Some("zstd"));
        assert_eq!(meant("lz", codecs), None);
        assert_eq!(meant("snappy", codecs), None);
        assert_eq!(meant("", codecs), None);
        assert_eq!(meant("zstd", []), None);
    }
}
