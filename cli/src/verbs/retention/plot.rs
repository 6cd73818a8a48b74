//! A course in one line of block characters.

/// Most columns.
const COLUMNS_MAX: usize = 72;
const BLOCKS: [char; 8] = [
    '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}',
];

/// The values from left to right, the largest a full block; several that share a column show the largest.
pub fn spark(values: &[u64]) -> String {
    let columns = values.len().min(COLUMNS_MAX);
    let max = values.iter().copied().max().unwrap_or(0).max(1);
    let column = |number: usize| {
        let from = number * values.len() / columns;
        let to = (number + 1) * values.len() / columns;
        let most = values.get(from..to)?.iter().max()?;
        let height = u128::from(*most) * (BLOCKS.len() as u128 - 1) / u128::from(max);
        BLOCKS.get(usize::try_from(height).ok()?)
    };
    (0..columns).filter_map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_a_full_block_and_peaks_stay() {
        assert_eq!(spark(&[0, 7, 14]), "▁▄█");
        assert_eq!(spark(&[]), "");
        assert_eq!(spark(&[0]), "▁");
        let mut many = vec![0; 1000];
        many[500] = u64::MAX;
        let line = spark(&many);
        assert_eq!((line.chars().count(), line.matches('█').count()), (72, 1));
    }
}
