//! Colours: periods from light to dark as they get longer, so that they can be told apart without seeing
//! hues (after the plasma map), other policies in hues of their own, floors in grey.

use crate::retention::Floor;
use crate::retention::simulate::keeper::PERIODS;
use crate::retention::simulate::{Keeper, KeeperKind};

/// Class, colour on light ground, colour on dark ground.
pub(super) const COLOURS: [(&str, &str, &str); 13] = [
    ("year", "#23306e", "#8c9bff"),
    ("month", "#6c2f9c", "#b98af0"),
    ("week", "#b8398a", "#f078b4"),
    ("day", "#e2683f", "#ff9862"),
    ("hour", "#f0ad2e", "#ffd166"),
    ("one", "#0f7f8c", "#3cc4c4"),
    ("two", "#2f6fc4", "#6eaef8"),
    ("three", "#6d8f1e", "#aacb5c"),
    ("four", "#8a6240", "#cda67c"),
    ("five", "#4b4f9c", "#9aa0f0"),
    ("floor", "#6b7686", "#94a0b2"),
    ("parent", "#a7b0bc", "#626d7d"),
    ("nobody", "#c3c9d1", "#4a5462"),
];

/// Where the hues of policies begin and how many there are.
const HUES: (usize, usize) = (5, 5);

/// The class of each keeper's colour.
pub(super) fn classes(keepers: &[Keeper]) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    let mut classes = Vec::with_capacity(keepers.len());
    for keeper in keepers {
        let period = PERIODS.iter().position(|period| *period == keeper.period);
        let place = match (keeper.kind, period) {
            (KeeperKind::Policy, Some(place)) => place,
            (KeeperKind::Policy, None) => {
                if !names.contains(&keeper.name.as_str()) {
                    names.push(&keeper.name);
                }
                HUES.0 + (names.len() - 1) % HUES.1
            }
            (KeeperKind::Floor, _) if keeper.name == Floor::Parent.reason() => 11,
            (KeeperKind::Floor, _) => 10,
            (KeeperKind::Nobody, _) => 12,
        };
        classes.push(COLOURS.get(place).map_or("nobody", |colour| colour.0));
    }
    classes
}

/// The words of a keeper in the legend.
pub(super) fn words(keeper: &Keeper) -> String {
    match (keeper.kind, keeper.period.as_str()) {
        (KeeperKind::Policy, "") => keeper.name.clone(),
        (KeeperKind::Policy, period) => format!("{}: first of {period}", keeper.name),
        (KeeperKind::Floor, _) if keeper.name == Floor::Parent.reason() => {
            "others stand on it".to_owned()
        }
        (KeeperKind::Floor | KeeperKind::Nobody, _) => keeper.name.clone(),
    }
}

/// The style of a picture. Its classes hold inside pictures only, and mean the same in each of them.
pub(super) fn style() -> String {
    let rules = |of: fn(&(&str, &str, &str)) -> String| COLOURS.iter().map(of).collect::<String>();
    let light = rules(|(class, light, _)| format!("--{class}:{light};"));
    let dark = rules(|(class, _, dark)| format!("--{class}:{dark};"));
    let fills = rules(|(class, ..)| format!(".sk .{class}{{--c:var(--{class})}}\n"));
    format!(
        "<style>\n\
         .sk{{{light}--ground:#fff;--ink:#1b2430;--soft:#5d6979;--faint:#e6e9ee;--edge:#c9d0d9;\
         --bytes:#3d5a80;--trash:#3d5a8055;\
         font-family:Inter,\"Segoe UI\",system-ui,-apple-system,\"Helvetica Neue\",Arial,sans-serif;\
         font-size:12px;font-variant-numeric:tabular-nums}}\n\
         @media(prefers-color-scheme:dark){{.sk{{{dark}--ground:#10151d;--ink:#e8ecf2;--soft:#98a4b5;\
         --faint:#222b37;--edge:#3a4555;--bytes:#8fb3de;--trash:#8fb3de4d}}}}\n\
         .sk .ground{{fill:var(--ground)}}.sk text{{fill:var(--soft)}}\n\
         .sk .title{{fill:var(--ink);font-size:21px;font-weight:650;letter-spacing:-.2px}}\n\
         .sk .head{{fill:var(--ink);font-size:13px;font-weight:600}}.sk .ink{{fill:var(--ink)}}\n\
         .sk .small{{font-size:11px}}.sk .big{{fill:var(--ink);font-size:19px;font-weight:650}}\n\
         .sk .grid{{stroke:var(--faint);stroke-width:1}}.sk .axis{{stroke:var(--edge);stroke-width:1}}\n\
         .sk .leader{{stroke:var(--edge);stroke-width:1;fill:none}}\n\
         {fills}\
         .sk .f{{fill:var(--c)}}.sk .s{{stroke:var(--c);fill:none;stroke-linecap:round;stroke-linejoin:round}}\n\
         .sk .a1{{fill-opacity:.16}}.sk .a2{{fill-opacity:.26}}.sk .a3{{fill-opacity:.4}}\
         .sk .a4{{fill-opacity:.58}}.sk .a5{{fill-opacity:.78}}.sk .a6{{fill-opacity:.95}}\n\
         .sk .w1{{stroke-width:.8;stroke-opacity:.75}}.sk .w2{{stroke-width:1.3;stroke-opacity:.85}}\
         .sk .w3{{stroke-width:2}}.sk .w4{{stroke-width:2.6}}\n\
         .sk .live{{fill:var(--bytes)}}.sk .trash{{fill:var(--trash)}}\n\
         .sk path:hover{{stroke-width:3.5;stroke-opacity:1}}.sk .f:hover,.sk .live:hover,.sk .trash:hover\
         {{stroke:none}}\n\
         </style>"
    )
}
