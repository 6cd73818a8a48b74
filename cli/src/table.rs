//! Columns for people.

/// Rows of cells, the last of which is not padded.
pub struct Table {
    right: &'static [usize],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table whose columns of these numbers are flush right.
    pub fn new(right: &'static [usize]) -> Table {
        Table {
            right,
            rows: Vec::new(),
        }
    }

    /// A table with a line of titles.
    pub fn titled(right: &'static [usize], titles: &[&str]) -> Table {
        let mut table = Table::new(right);
        table.row(titles.iter().map(ToString::to_string).collect());
        table
    }

    /// Adds a row; an empty cell shows as `-`.
    pub fn row(&mut self, mut cells: Vec<String>) {
        for cell in &mut cells {
            if cell.is_empty() {
                cell.push('-');
            }
        }
        self.rows.push(cells);
    }

    /// The lines.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |row: &Vec<String>| {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if at > 0 {
                    line.push_str("  ");
                }
                match self.right.contains(&at) {
                    true => line.push_str(&format!("{cell:>width$}")),
                    false => line.push_str(&format!("{cell:<width$}")),
                }
            }
            line.truncate(line.trim_end().len());
            line
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_one_another() {
        let mut table = Table::titled(&[0], &["N", "NAME", "VALUE"]);
        table.row(vec!["7".into(), "\u{e9}t\u{e9}".into(), String::new()]);
        table.row(vec!["1000".into(), "a".into(), "long text".into()]);
        assert_eq!(
            table.lines(),
            [
                "   N  NAME  VALUE",
                "   7  \u{e9}t\u{e9}   -",
                "1000  a     long text"
            ]
        );
    }
}
