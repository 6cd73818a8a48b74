//! What a picture promises: it needs nothing else, nobody's words get out of their place, and it stays
//! small.

use super::*;
use crate::retention::simulate::simulate_tests::{DAY_MS, HOUR_MS, options, played};

#[test]
fn a_picture_needs_nothing_else_and_nobody_writes_into_it() {
    let simulation = played(
        "hostile<img src=x onerror=\"y\">",
        1,
        &options(DAY_MS, 9 * DAY_MS, 2),
    );
    let simulation = simulation.unwrap();
    for format in [PictureFormat::Svg, PictureFormat::Html] {
        let picture = simulation.picture(format);
        for forbidden in [
            "<script",
            "<img",
            "href",
            "url(",
            "@import",
            "onerror=\"",
            "src=\"",
        ] {
            assert!(!picture.contains(forbidden), "{forbidden} in {format:?}");
        }
        // Its only address names the format.
        assert_eq!(picture.matches("http").count(), 1);
        assert!(picture.contains("prefers-color-scheme:dark"));
        assert!(
            picture.contains("&lt;/title&gt;&lt;script&gt;"),
            "the reason is told"
        );
    }
}

#[test]
fn each_opened_element_is_closed_in_its_place() {
    let simulation = played("newest", 30, &options(HOUR_MS, 40 * DAY_MS, 7)).unwrap();
    let svg = simulation.picture(PictureFormat::Svg);
    let mut open: Vec<&str> = Vec::new();
    for tag in svg
        .split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
    {
        let name = tag.split([' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(
        !svg.contains("NaN") && !svg.contains("inf"),
        "a number that is none"
    );
}

#[test]
fn many_backups_make_a_field_and_a_small_picture() {
    let simulation = played("newest", 24, &options(HOUR_MS, 365 * DAY_MS, 0)).unwrap();
    assert_eq!(simulation.made, 8761);
    let svg = simulation.picture(PictureFormat::Svg);
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
    assert!(
        svg.contains("f month a6"),
        "the field of what is kept by its month"
    );
    assert!(svg.contains("24 in the last day") || svg.contains("25 in the last day"));
}

#[test]
fn the_shortest_simulation_has_a_picture() {
    let simulation = played("newest", 1, &options(DAY_MS, 1, 0)).unwrap();
    assert_eq!((simulation.made, simulation.kept), (1, 1));
    let svg = simulation.picture(PictureFormat::Svg);
    assert!(svg.contains("1 made, 1 kept") && !svg.contains("NaN"));
}
