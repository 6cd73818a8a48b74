//! Rules, sizes and lengths of time in words, for reports and pictures.

use serde_json::Value;

use super::rule::{Choice, RetentionRule};

/// Options that people expect in this order; others follow by name.
const ORDER: [&str; 8] = [
    "keep", "last", "hourly", "daily", "weekly", "monthly", "yearly", "within",
];

impl RetentionRule {
    /// The rule in words: `size(max_bytes 93.1 GiB) and (calendar(daily 7) or age(max_age 3d))`. A backup
    /// stays when that holds for it, where `or` joins a group of which any member keeps it.
    pub fn in_words(&self) -> String {
        self.words(false)
    }

    fn words(&self, is_member: bool) -> String {
        let (members, joint) = match self {
            RetentionRule::Policy(choice) => return choice_in_words(choice),
            RetentionRule::Any { any } => (any, " or "),
            RetentionRule::All { all } => (all, " and "),
        };
        if let [only] = members.as_slice() {
            return only.words(is_member);
        }
        let words: Vec<String> = members.iter().map(|member| member.words(true)).collect();
        match is_member {
            true => format!("({})", words.join(joint)),
            false => words.join(joint),
        }
    }
}

fn choice_in_words(choice: &Choice) -> String {
    if choice.options.is_empty() {
        return choice.policy.clone();
    }
    let mut options: Vec<_> = choice.options.iter().collect();
    options.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name).unwrap_or(9));
    let words: Vec<String> = options
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name} {text}"),
            Value::Number(number) if name.ends_with("bytes") => match number.as_u64() {
                Some(bytes) => format!("{name} {}", size(bytes)),
                None => format!("{name} {number}"),
            },
            value => format!("{name} {value}"),
        })
        .collect();
    format!("{}({})", choice.policy, words.join(", "))
}

/// A number of bytes with a binary unit: `93.1 GiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while tenths >= 10_240
        && let Some(larger) = units.next()
    {
        tenths /= 1024;
        unit = Some(larger);
    }
    let unit = unit.copied().unwrap_or_default();
    match tenths >= 1_000 {
        true => format!("{} {unit}", tenths / 10),
        false => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

/// About how long that is: `90 minutes`, `36 hours`, `12 days`, `14 months`. Whole hours and days are told
/// as such.
pub(super) fn about(ms: u64) -> String {
    const UNITS: [(u64, u64, &str); 6] = [
        (1_000, 120, "second"),
        (60_000, 120, "minute"),
        (3_600_000, 49, "hour"),
        (86_400_000, 60, "day"),
        (2_629_746_000, 25, "month"),
        (31_556_952_000, u64::MAX, "year"),
    ];
    let units = UNITS.iter().enumerate();
    for (place, (unit, up_to, name)) in units {
        let number = ms.saturating_add(unit / 2) / unit;
        let larger = UNITS.get(place + 1).filter(|_| place < 3);
        let is_whole = larger.is_some_and(|(larger, ..)| ms > 0 && ms.is_multiple_of(*larger));
        if number < *up_to && !is_whole {
            return format!("{number} {name}{}", if number == 1 { "" } else { "s" });
        }
    }
    format!("{ms} ms")
}

/// A number with its thousands set apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_sizes_and_times_read_well() {
        let rule = json!({ "all": [
            { "policy": "size", "max_bytes": 100_000_000_000_u64 },
            { "any": [
                { "policy": "calendar", "daily": 7, "hourly": 24, "tags": ["release"] },
                { "any": [{ "policy": "age", "max_age": "3d" }] },
            ]},
        ]});
        let rule: RetentionRule = serde_json::from_value(rule).unwrap();
        let words = "size(max_bytes 93.1 GiB) and (calendar(hourly 24, daily 7, tags [\"release\"]) or \
                     age(max_age 3d))";
        assert_eq!(rule.in_words(), words);
        let sizes = [size(1023), size(1024), size(150 << 20), size(u64::MAX)];
        assert_eq!(sizes, ["1023 B", "1.0 KiB", "150 MiB", "16383 PiB"]);
        let times = [0, 1_000, 5_400_000, 86_400_000, 32_000_000_000].map(about);
        assert_eq!(
            times,
            ["0 seconds", "1 second", "90 minutes", "1 day", "12 months"]
        );
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
