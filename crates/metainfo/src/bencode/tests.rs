#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

mod lifting;

fn kind_of(input: &[u8]) -> DecodeErrorKind {
    decode(input, Limits::METAINFO).unwrap_err().kind
}

fn form_of(input: &[u8]) -> Form {
    decode(input, Limits::METAINFO).unwrap().root().form()
}

#[test]
fn values_and_their_spans() {
    let input = b"d4:infod5:filesl3:abci-12eee3:numi007ee";
    let document = decode(input, Limits::METAINFO).unwrap();
    let root = document.root().as_dict().unwrap();
    let info = root.get("info").unwrap();
    assert_eq!(info.raw(), b"d5:filesl3:abci-12eee");
    assert_eq!(info.span(), 7..28);
    let files: Vec<_> = info.as_dict().unwrap().get("files").unwrap().as_list().unwrap().collect();
    assert_eq!(files.len(), 2);
    assert_eq!((files[0].as_bytes(), files[0].raw(), files[0].kind()), (Some(&b"abc"[..]), &b"3:abc"[..], Kind::Bytes));
    assert_eq!((files[1].as_int(), files[1].raw()), (Some(-12), &b"i-12e"[..]));
    assert_eq!(files[1].path(), "info.files.1");
    assert_eq!(files[1].as_uint::<u32>(), None);
    assert_eq!(root.get("num").unwrap().as_uint::<u16>(), Some(7));
    assert!(root.get("none").is_none());
    let keys: Vec<_> = root.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [&b"info"[..], b"num"]);
    assert_eq!(document.end(), input.len());
}

#[test]
fn a_prefix_gives_its_end() {
    let input = b"d8:msg_typei1e5:piecei0eeraw bytes";
    let document = decode_prefix(input, Limits::MESSAGE).unwrap();
    assert_eq!(&input[document.end()..], b"raw bytes");
    assert_eq!(decode_prefix(b"3:abcd", Limits::MESSAGE).unwrap().end(), 5);
    let error = decode(input, Limits::MESSAGE).unwrap_err();
    assert_eq!((error.kind, error.offset), (DecodeErrorKind::Trailing, 25));
}

#[test]
fn b1_depth_bomb_is_an_error() {
    for open in [&b"l"[..], b"d1:a"] {
        let bomb = open.repeat(1_000_000);
        let error = decode(&bomb, Limits::METAINFO).unwrap_err();
        assert_eq!((error.kind, error.offset), (DecodeErrorKind::Depth(100), 100 * open.len()));
        let closed = [open.repeat(200_000), b"le".to_vec(), b"e".repeat(200_000)].concat();
        assert_eq!(kind_of(&closed), DecodeErrorKind::Depth(100));
    }
    let deep = [b"l".repeat(100), b"e".repeat(100)].concat();
    assert!(decode(&deep, Limits::METAINFO).is_ok());
    assert_eq!(decode(&deep, Limits::MESSAGE).unwrap_err().kind, DecodeErrorKind::Depth(20));
}

#[test]
fn b2_token_bomb_is_an_error() {
    let bomb = [&b"l"[..], &b"0:".repeat(4_000_000), b"e"].concat();
    assert_eq!(kind_of(&bomb), DecodeErrorKind::Tokens(3_000_000));
    let bomb = [&b"l"[..], &b"le".repeat(4_000_000), b"e"].concat();
    assert_eq!(kind_of(&bomb), DecodeErrorKind::Tokens(3_000_000));
    let small = [&b"l"[..], &b"i0e".repeat(1_999), b"e"].concat();
    assert!(decode(&small, Limits::MESSAGE).is_ok());
    let over = [&b"l"[..], &b"i0e".repeat(2_000), b"e"].concat();
    assert_eq!(decode(&over, Limits::MESSAGE).unwrap_err().kind, DecodeErrorKind::Tokens(2_000));
    let keys = [&b"d"[..], &b"0:0:".repeat(2_000), b"e"].concat();
    assert_eq!(decode(&keys, Limits::MESSAGE).unwrap_err().kind, DecodeErrorKind::Tokens(2_000));
    assert!(decode(&keys, Limits { tokens: 2_001, ..Limits::MESSAGE }).is_ok());
    assert_eq!(size_of::<tape::Token>(), 8);
}

#[test]
fn b3_string_length_past_the_end_is_an_error() {
    for (input, promised) in [
        (&b"5:abcd"[..], 5),
        (b"4294967299:abc", 4_294_967_299),
        (b"18446744073709551615:abc", u64::MAX),
        (b"2147483648:", 1 << 31),
    ] {
        let error = decode(input, Limits::METAINFO).unwrap_err();
        let DecodeErrorKind::StringPastEnd { promised: found, available } = error.kind else { panic!("{error}") };
        assert_eq!((found, available), (promised, input.len() - error.offset));
    }
    assert_eq!(kind_of(b"18446744073709551616:abc"), DecodeErrorKind::Length);
    assert_eq!(kind_of(b"99999999999999999999:abc"), DecodeErrorKind::Length);
    assert_eq!(kind_of(b"000000000000000000003:abc"), DecodeErrorKind::Length);
    assert_eq!(kind_of(&b"1".repeat(1_000_000)), DecodeErrorKind::Length);
    assert_eq!(kind_of(b"-1:a"), DecodeErrorKind::NotAValue(b'-'));
    assert_eq!(kind_of(b"1x:a"), DecodeErrorKind::LengthDigit(b'x'));
}

#[test]
fn b3_the_error_names_the_string_and_the_place() {
    let error = decode(b"d4:infod6:pieces20480:abcdefghijklmn", Limits::METAINFO).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::StringPastEnd { promised: 20480, available: 14 });
    assert_eq!((error.offset, error.path.as_str()), (22, "info.pieces"));
    assert_eq!(error.to_string(), "string of 20480 bytes with only 14 left at byte 22 in \"info.pieces\"");
    let error = decode(b"d4:infod5:filesld6:lengthi1eed6:lengthi1x", Limits::METAINFO).unwrap_err();
    assert_eq!((error.kind, error.path.as_str()), (DecodeErrorKind::Integer(b'x'), "info.files.1.length"));
}

#[test]
fn b4_integers_over_64_bits_are_kept_raw_and_never_wrapped() {
    let digits = "9".repeat(400);
    for text in ["9223372036854775808", "-9223372036854775809", "18446744073709551616", &digits] {
        let input = format!("d1:ai{text}e1:bi1ee");
        let document = decode(input.as_bytes(), Limits::METAINFO).unwrap();
        let dict = document.root().as_dict().unwrap();
        let huge = dict.get("a").unwrap();
        assert_eq!((huge.as_int(), huge.digits()), (None, Some(text)));
        assert_eq!(huge.raw(), format!("i{text}e").as_bytes());
        assert_eq!(dict.get("b").unwrap().as_int(), Some(1));
    }
    for (text, int) in [("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)] {
        let input = format!("i{text}e");
        assert_eq!(decode(input.as_bytes(), Limits::METAINFO).unwrap().root().as_int(), Some(int));
    }
}

#[test]
fn b5_integers_out_of_form_are_reported_or_refused() {
    let zeros = Form { leading_zeros: true, ..Form::default() };
    assert_eq!(form_of(b"i007e"), zeros);
    assert_eq!(form_of(b"i-03e"), zeros);
    assert_eq!(form_of(b"03:abc"), zeros);
    assert_eq!(form_of(b"00:"), zeros);
    assert_eq!(form_of(b"i-0e"), Form { minus_zero: true, ..Form::default() });
    for canonical in [&b"i0e"[..], b"0:", b"i-10e", b"10:aaaaaaaaaa", b"le", b"de"] {
        assert!(form_of(canonical).is_canonical());
    }
    assert_eq!(kind_of(b"i+5e"), DecodeErrorKind::Integer(b'+'));
    assert_eq!(kind_of(b"ie"), DecodeErrorKind::Integer(b'e'));
    assert_eq!(kind_of(b"i-e"), DecodeErrorKind::Integer(b'e'));
    assert_eq!(kind_of(b"i--1e"), DecodeErrorKind::Integer(b'-'));
    assert_eq!(kind_of(b"i1 e"), DecodeErrorKind::Integer(b' '));
    assert_eq!(kind_of(b"i1"), DecodeErrorKind::Ended);
    assert_eq!(kind_of(b"i"), DecodeErrorKind::Ended);
}

#[test]
fn b6_repeated_keys_are_reported_with_their_place() {
    for input in [&b"d1:ai1e1:ai2ee"[..], b"d1:ai1e1:bi2e1:ai3ee"] {
        let document = decode(input, Limits::METAINFO).unwrap();
        assert!(document.root().form().repeated_keys);
        let repeated = document.root().repeated_key().unwrap();
        assert_eq!((repeated.path.as_str(), repeated.offset), ("a", input.len() - 7));
        assert!(document.root().as_dict().unwrap().has_repeated_key());
    }
    let input = b"d1:xl3:onedee4:infod6:lengthi1e4:name1:n6:lengthi2eee";
    let document = decode(input, Limits::METAINFO).unwrap();
    let dict = document.root().as_dict().unwrap();
    assert_eq!(dict.get("info").unwrap().repeated_key().unwrap().path, "info.length");
    assert_eq!(dict.get("x").unwrap().repeated_key(), None);
    assert!(dict.get("x").unwrap().is_canonical());
    assert!(!dict.is_sorted() && !dict.has_repeated_key());
}

#[test]
fn b6_looking_for_repeated_keys_is_not_quadratic() {
    let mut input = b"d".to_vec();
    for key in (0..400_000).rev() {
        input.extend_from_slice(format!("6:{key:06}0:").as_bytes());
    }
    input.push(b'e');
    let document = decode(&input, Limits::METAINFO).unwrap();
    assert_eq!(document.root().form(), Form { unsorted_keys: true, ..Form::default() });
    assert_eq!(document.root().repeated_key(), None);
}

#[test]
fn b7_unsorted_keys_are_reported() {
    let unsorted = Form { unsorted_keys: true, ..Form::default() };
    assert_eq!(form_of(b"d1:bi1e1:ai2ee"), unsorted);
    assert_eq!(form_of(b"d2:aai1e1:ai2ee"), unsorted);
    assert_eq!(form_of(b"ld1:bi1e1:ai2eee"), unsorted);
    assert!(form_of(b"d0:i0e1:ai1e2:aai2e1:\xffi3ee").is_canonical());
}

#[test]
fn b10_every_prefix_is_an_error() {
    let input = b"d8:announce3:url4:infod5:filesld6:lengthi1e4:pathl1:aeee4:name1:n12:piece lengthi16384eee";
    assert!(decode(input, Limits::METAINFO).is_ok());
    assert_eq!(kind_of(b""), DecodeErrorKind::Empty);
    for end in 1..input.len() {
        let kind = decode(&input[..end], Limits::METAINFO).unwrap_err().kind;
        assert!(matches!(kind, DecodeErrorKind::Ended | DecodeErrorKind::StringPastEnd { .. }), "{end}: {kind}");
    }
}

#[test]
fn a_reader_takes_what_it_is_asked_for() {
    let input = b"d4:infod5:filesld6:lengthi12e4:pathl1:a1:bee3:oddee4:nonei-7ee";
    let (mut lengths, mut names) = (Vec::new(), Vec::new());
    let mut reader = Reader::new(input, Limits::METAINFO);
    let mut file = |reader: &mut Reader<'static>, key: &[u8]| match key {
        b"length" => reader.int().map(|int| lengths.push(int)),
        b"path" => reader.list(|reader| reader.bytes().map(|name| names.push(name))),
        _ => Ok(()),
    };
    let read: Result<(), ReadError> = reader.dict(|reader, key| match key {
        b"info" => reader.dict(|reader, _| {
            reader.list(|reader| if reader.kind()? == Kind::Dict { reader.dict(&mut file) } else { Ok(()) })
        }),
        _ => Ok(()),
    });
    assert_eq!(read, Ok(()));
    assert_eq!((lengths, names), (vec![Some(12)], vec![&b"a"[..], b"b"]));
    assert_eq!((reader.position(), reader.is_canonical()), (input.len(), true));

    let mut reader = Reader::new(b"l3:abce", Limits::MESSAGE);
    let wrong: Result<(), ReadError> = reader.list(|reader| reader.int().map(drop));
    assert_eq!(wrong, Err(ReadError::Kind { expected: Kind::Int, offset: 1 }));
    assert_eq!(wrong.unwrap_err().to_string(), "not an integer at byte 1");
    let cut = Reader::new(b"l3:ab", Limits::MESSAGE).list(|reader| reader.bytes().map(drop));
    let kind = DecodeErrorKind::StringPastEnd { promised: 3, available: 2 };
    assert_eq!(cut, Err(ReadError::Decode { kind, offset: 3 }));
}

#[test]
fn b4_a_reader_does_not_wrap_integers() {
    let texts = [("9223372036854775807", Some(i64::MAX)), ("-9223372036854775808", Some(i64::MIN)), ("-12", Some(-12))];
    for (text, int) in texts.into_iter().chain([("9223372036854775808", None), ("-9223372036854775809", None)]) {
        assert_eq!(Reader::new(format!("i{text}e").as_bytes(), Limits::MESSAGE).int(), Ok(int));
    }
}

#[test]
fn b1_b2_a_reader_keeps_the_limits() {
    let error = |kind, offset| Err(ReadError::Decode { kind, offset });
    let bomb = b"l".repeat(1_000_000);
    assert_eq!(Reader::new(&bomb, Limits::METAINFO).skip(), error(DecodeErrorKind::Depth(100), 100));
    let inner = Reader::new(&bomb, Limits::METAINFO).list(Reader::skip);
    assert_eq!(inner, error(DecodeErrorKind::Depth(100), 100));
    let limits = Limits { depth: 2, tokens: 5 };
    let values = b"lli1ei2eei3ei4ee";
    assert_eq!(Reader::new(values, limits).list(Reader::skip), error(DecodeErrorKind::Tokens(5), 12));
    assert_eq!(Reader::new(b"llleee", limits).list(|inner| inner.list(|inner| inner.list(|_| Ok(())))), {
        error(DecodeErrorKind::Depth(2), 2)
    });
    let flat = b"llelelelee";
    assert_eq!(Reader::new(flat, limits).list(|inner| inner.list(|_| Ok(()))), Ok::<(), ReadError>(()));
}

#[test]
fn misplaced_tokens_are_errors() {
    assert_eq!(kind_of(b"e"), DecodeErrorKind::NotAValue(b'e'));
    assert_eq!(kind_of(b"x"), DecodeErrorKind::NotAValue(b'x'));
    assert_eq!(kind_of(b"di1e1:ae"), DecodeErrorKind::NotAKey(b'i'));
    assert_eq!(kind_of(b"dle1:ae"), DecodeErrorKind::NotAKey(b'l'));
    assert_eq!(kind_of(b"d1:ae"), DecodeErrorKind::NoValue);
    assert_eq!(kind_of(b"lee"), DecodeErrorKind::Trailing);
    let error = decode(b"d1:\x1b[31mx", Limits::METAINFO).unwrap_err();
    assert_eq!(error.to_string(), "\"[\" in place of a value at byte 4 in \"\\x1b\"");
}

#[test]
fn the_writer_sorts_and_keeps_the_last_of_a_repeated_key() {
    let written = dict(|dict| {
        dict.int("b", 2).bytes("a", "first").raw("info", b"d1:z0:1:y0:e");
        dict.dict("aa", |inner| {
            inner.list("z", |list| {
                list.int(-1).bytes("x").list(|_| {}).dict(|_| {}).raw(b"i0e");
            });
            inner.int("", i64::MIN);
        });
        dict.bytes("a", "second");
    });
    assert_eq!(
        written.escape_ascii().to_string(),
        "d1:a6:second2:aad0:i-9223372036854775808e1:zli-1e1:xledei0eee1:bi2e4:infod1:z0:1:y0:ee"
    );
    let ints = list(|list| {
        list.int(1u32).int(i64::MAX);
    });
    assert_eq!(ints, b"li1ei9223372036854775807ee");
    assert_eq!(dict(|_| {}), b"de");
}

/// A model of a value, to compare with.
#[derive(Clone, PartialEq, Debug)]
enum Model {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Model>),
    Dict(BTreeMap<Vec<u8>, Model>),
}

impl Model {
    fn any() -> impl Strategy<Value = Self> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..12);
        let leaf = prop_oneof![any::<i64>().prop_map(Self::Int), bytes().prop_map(Self::Bytes)];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            let dict = prop::collection::btree_map(bytes(), inner.clone(), 0..8);
            prop_oneof![prop::collection::vec(inner, 0..8).prop_map(Self::List), dict.prop_map(Self::Dict)]
        })
    }

    fn write_in(&self, list: &mut ListWriter<'_>, reverse: bool) {
        match self {
            Self::Int(int) => drop(list.int(*int)),
            Self::Bytes(bytes) => drop(list.bytes(bytes)),
            Self::List(items) => drop(list.list(|list| items.iter().for_each(|item| item.write_in(list, reverse)))),
            Self::Dict(entries) => drop(list.dict(|dict| {
                let write = |(key, value): (&Vec<u8>, &Self)| {
                    let list = list_of(value, reverse);
                    dict.raw(key, &list[1..list.len() - 1]);
                };
                if reverse { entries.iter().rev().for_each(write) } else { entries.iter().for_each(write) }
            })),
        }
    }

    fn read(value: Value<'_>) -> Self {
        match value.kind() {
            Kind::Int => Self::Int(value.as_int().unwrap()),
            Kind::Bytes => Self::Bytes(value.as_bytes().unwrap().to_vec()),
            Kind::List => Self::List(value.as_list().unwrap().map(Self::read).collect()),
            Kind::Dict => {
                Self::Dict(value.as_dict().unwrap().iter().map(|(k, v)| (k.to_vec(), Self::read(v))).collect())
            }
        }
    }
}

impl Model {
    fn pull(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        Ok(match reader.kind()? {
            Kind::Int => Self::Int(reader.int()?.unwrap()),
            Kind::Bytes => Self::Bytes(reader.bytes()?.to_vec()),
            Kind::List => {
                let mut list = Vec::new();
                reader.list(|reader| Self::pull(reader).map(|model| list.push(model)))?;
                Self::List(list)
            }
            Kind::Dict => {
                let mut dict = BTreeMap::new();
                reader.dict(|reader, key| Self::pull(reader).map(|model| drop(dict.insert(key.to_vec(), model))))?;
                Self::Dict(dict)
            }
        })
    }
}

fn list_of(model: &Model, reverse: bool) -> Vec<u8> {
    list(|list| model.write_in(list, reverse))
}

/// Bytes that look enough like bencode to get past the first one.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        &b"d"[..],
        b"l",
        b"e",
        b"i",
        b"i0e",
        b"i-1e",
        b"i01e",
        b"1:a",
        b"1:b",
        b"0:",
        b"2:ab",
        b"00:",
        b"9",
        b":",
        b"-",
        b"i-0e",
    ]);
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

/// The end of the value at the front of `input`, by plain recursion.
fn oracle(input: &[u8], at: usize) -> Option<usize> {
    match input.get(at)? {
        b'i' => {
            let end = at + input[at..].iter().position(|&b| b == b'e')?;
            let text = std::str::from_utf8(&input[at + 1..end]).ok()?;
            let digits = text.strip_prefix('-').unwrap_or(text);
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(end + 1)
        }
        b'0'..=b'9' => {
            let colon = at + input[at..].iter().position(|&b| b == b':')?;
            let length: usize = std::str::from_utf8(&input[at..colon]).ok()?.parse().ok()?;
            Some(colon + 1 + length).filter(|&end| end <= input.len())
        }
        open @ (b'l' | b'd') => {
            let mut at = at + 1;
            let mut count = 0;
            while *input.get(at)? != b'e' {
                if *open == b'd' && count % 2 == 0 && !input[at].is_ascii_digit() {
                    return None;
                }
                at = oracle(input, at)?;
                count += 1;
            }
            (*open == b'l' || count % 2 == 0).then_some(at + 1)
        }
        _ => None,
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(model in Model::any()) {
        let written = list_of(&model, false);
        prop_assert_eq!(&list_of(&model, true), &written);
        let document = decode(&written, Limits::METAINFO).unwrap();
        prop_assert!(document.root().is_canonical());
        let read = document.root().as_list().unwrap().next().unwrap();
        prop_assert_eq!(read.raw(), &written[1..written.len() - 1]);
        prop_assert_eq!(Model::read(read), model);
    }

    #[test]
    fn b10_prefixes_of_anything_are_errors(model in Model::any()) {
        let written = list_of(&model, false);
        for end in 0..written.len() {
            prop_assert!(decode(&written[..end], Limits::METAINFO).is_err());
        }
    }

    #[test]
    fn agrees_with_plain_recursion(input in almost()) {
        let found = decode_prefix(&input, Limits::METAINFO);
        prop_assert_eq!(found.as_ref().ok().map(Document::end), oracle(&input, 0));
        if let Ok(document) = found {
            let model = Model::read(document.root());
            let written = list_of(&model, false);
            let same = written[1..written.len() - 1] == input[..document.end()];
            prop_assert_eq!(document.root().is_canonical(), same);
            prop_assert_eq!(document.root().form().repeated_keys, document.root().repeated_key().is_some());
        }
    }

    #[test]
    fn a_reader_agrees_with_a_document(input in almost()) {
        let document = decode_prefix(&input, Limits::METAINFO);
        for skip in [true, false] {
            let mut reader = Reader::new(&input, Limits::METAINFO);
            let model = if skip { reader.skip().map(|()| None) } else { Model::pull(&mut reader).map(Some) };
            prop_assert_eq!(model.is_ok(), document.is_ok());
            if let (Ok(model), Ok(document)) = (model, &document) {
                prop_assert_eq!(reader.position(), document.end());
                prop_assert_eq!(reader.is_canonical(), document.root().is_canonical());
                prop_assert_eq!(model.unwrap_or_else(|| Model::read(document.root())), Model::read(document.root()));
            }
        }
    }

    #[test]
    fn any_bytes_never_panic(input in prop::collection::vec(any::<u8>(), 0..64)) {
        match decode(&input, Limits::MESSAGE) {
            Ok(document) => { let _ = (document.root().form(), format!("{:?}", document.root())); }
            Err(error) => prop_assert!(error.offset <= input.len() && !error.to_string().is_empty()),
        }
    }
}
