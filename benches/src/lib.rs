//! What the benchmarks share: medians, generated agent-like state, and how figures are printed.
//!
//! Every program measures its peer in the same run, interleaved, and prints ratios of medians: the
//! machines have few and noisy cores.

pub mod raw;

/// The median; sorts in place.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A small generator (xorshift64*, Vigna 2016) so that every run sees the same data.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }
}

const WORDS: &[&str] = &[
    "plan",
    "search",
    "result",
    "agent",
    "memory",
    "the",
    "a",
    "to",
    "of",
    "file",
    "test",
    "error",
    "retry",
    "summary",
    "user",
    "asks",
    "deploy",
    "branch",
    "review",
    "table",
    "column",
    "index",
    "query",
    "cache",
    "token",
    "budget",
    "step",
    "tool",
    "call",
    "returns",
    "invoice",
    "ticket",
    "customer",
    "meeting",
    "draft",
    "translate",
    "compare",
    "schedule",
    "report",
    "weather",
];

/// One JSON message of an agent: about 100 B, 1 KiB or 16 KiB in the mix 70/25/5.
pub fn message(random: &mut Random, turn: u64) -> String {
    let bytes = match random.below(100) {
        0..70 => 60 + random.below(80),
        70..95 => 700 + random.below(700),
        _ => 12_000 + random.below(8_000),
    };
    let mut text = format!(
        "{{\"turn\":{turn},\"role\":\"assistant\",\"id\":{},\"content\":\"",
        random.number()
    );
    while (text.len() as u64) < bytes {
        let word = WORDS[random.below(WORDS.len() as u64) as usize];
        text.push_str(word);
        text.push(' ');
    }
    text.push_str("\"}");
    text
}
