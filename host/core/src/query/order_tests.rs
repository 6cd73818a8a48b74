//! One order, as values and as bytes.

use proptest::prelude::*;

use super::*;

fn read(json: &str) -> Scalar {
    Scalar::read(json).unwrap()
}

fn encoded(json: &str) -> Vec<u8> {
    read(json).encoded()
}

#[test]
fn values_of_every_type_have_one_order() {
    let long = |tail: &str| format!("\"{}{tail}\"", "z".repeat(256));
    let sorted = [
        "null",
        "false",
        "true",
        "-1e308",
        "-18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775807",
        "-9007199254740993",
        "-9007199254740992",
        "-1.5",
        "-1",
        "-1e-9",
        "0",
        "5e-324",
        "1",
        "1.0000000000000002",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551614",
        "18446744073709551615",
        "18446744073709551616",
        "1e308",
        "\"\"",
        "\"\\u0000\"",
        "\"\\u0000\\u0000\"",
        "\"\\u0000a\"",
        "\"\\u0001\"",
        "\"a\"",
        "\"a\\u0000\"",
        "\"ab\"",
        "\"b\"",
        "\"é\"",
        "\"\u{ffff}\"",
        "\"\u{10000}\"",
    ];
    for (at, a) in sorted.iter().enumerate() {
        for (bt, b) in sorted.iter().enumerate() {
            assert_eq!(read(a).cmp(&read(b)), at.cmp(&bt), "{a} and {b}");
            assert_eq!(encoded(a).cmp(&encoded(b)), at.cmp(&bt), "{a} and {b}");
        }
    }
    for [a, b] in [["1", "1.0"], ["0", "-0.0"], ["-0", "0e5"], ["100", "1E+2"]] {
        assert_eq!((read(a), encoded(a)), (read(b), encoded(b)));
    }
    let (whole, cut, other) = (long(""), long("a"), long("b"));
    assert!(encoded(&whole) < encoded(&cut));
    assert!(read(&cut) < read(&other) && encoded(&cut) == encoded(&other));
    assert!(encoded(&other) < encoded(&format!("\"{}\"", "z".repeat(255) + "{")));
}

#[test]
fn what_has_no_place_is_none() {
    for json in ["[]", "{}", "1e999", "-1e999", r#""\ud800""#, ""] {
        assert!(Scalar::read(json).is_none(), "{json}");
    }
}

fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        Just(Scalar::Null),
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(|n| Scalar::Integer(n.into())),
        any::<u64>().prop_map(|n| Scalar::Integer(n.into())),
        (0..64u32, -2i128..3)
            .prop_map(|(shift, near)| Scalar::Integer((1i128 << shift) - 1 + near.min(1))),
        (0..64i32, -2i32..3).prop_map(|(shift, near)| Scalar::Double(
            2f64.powi(shift) * (1.0 + f64::from(near) * f64::EPSILON)
        )),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Scalar::Double),
        "[\u{0}-\u{2}aé\u{10ffff}]{0,4}".prop_map(Scalar::Text),
        "[\u{0}a]{250,262}".prop_map(Scalar::Text),
    ]
}

/// Compares numbers without a rounding: as multiples of the least double.
fn exact(scalar: &Scalar) -> Option<(bool, Vec<u8>)> {
    let digits = match scalar {
        Scalar::Integer(n) => format!("{n}"),
        Scalar::Double(n) => format!("{:.1100}", n + 0.0),
        _ => return None,
    };
    let negative = digits.starts_with('-');
    let digits = digits.trim_start_matches('-');
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    Some((negative, format!("{whole:0>400}{rest:0<1100}").into_bytes()))
}

proptest! {
    #[test]
    fn bytes_sort_like_values(a in scalars(), b in scalars(), tail in any::<[Vec<u8>; 2]>()) {
        let order = a.cmp(&b);
        if let (Some((a_less, a_size)), Some((b_less, b_size))) = (exact(&a), exact(&b)) {
            let by_size = if a_less { b_size.cmp(&a_size) } else { a_size.cmp(&b_size) };
            prop_assert_eq!(order, b_less.cmp(&a_less).then(by_size));
        }
        let (a_bytes, b_bytes) = (a.encoded(), b.encoded());
        if a_bytes == b_bytes {
            prop_assert!(order.is_eq() || (a.is_cut() && b.is_cut()));
        } else {
            prop_assert_eq!(a_bytes.cmp(&b_bytes), order);
        }
        let followed = [[&a_bytes[..], &tail[0]].concat(), [&b_bytes[..], &tail[1]].concat()];
        let by_tail = a_bytes.cmp(&b_bytes).then(tail[0].cmp(&tail[1]));
        prop_assert_eq!(followed[0].cmp(&followed[1]), by_tail);
    }

    #[test]
    fn an_encoding_is_found_again(scalar in scalars(), tail in any::<Vec<u8>>()) {
        let encoding = scalar.encoded();
        let row = [&encoding[..], &tail].concat();
        prop_assert_eq!(split(&row), Some((&encoding[..], scalar.is_cut(), &tail[..])));
        let (lo, hi) = scalar.kind().bounds();
        prop_assert!(lo <= encoding[0] && encoding[0] < hi);
        split(&tail);
        let mut ended = Vec::new();
        push_ended(&mut ended, &tail);
        prop_assert_eq!(unended(&ended), Some(tail.clone()));
        unended(&tail);
    }

    #[test]
    fn a_prefix_is_that_of_the_encoding(text in "[\u{0}ab]{0,5}", more in "[\u{0}ab]{0,5}") {
        let whole = Scalar::Text(format!("{text}{more}")).encoded();
        prop_assert!(whole.starts_with(&text_prefix(&text)));
        let other = Scalar::Text(more.clone()).encoded();
        prop_assert_eq!(other.starts_with(&text_prefix(&text)), more.starts_with(&text));
    }
}
