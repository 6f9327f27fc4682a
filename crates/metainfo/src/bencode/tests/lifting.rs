//! Values that are read on the way to a document.

use super::*;

/// Reads all of a value on the way to its document.
fn lift(input: &[u8], like: bool) -> (Result<Document<'_>, DecodeError>, Option<Model>) {
    let mut read = None;
    let document = decode_lifting(input, Limits::METAINFO, &[b"a", b"b"], &mut |reader| {
        read = Model::pull(reader).ok();
        read.is_some() && like
    });
    (document, read)
}

#[test]
fn a_lifted_value_is_read_once_and_the_rest_is_there() {
    let input = b"d1:ad1:bli1el1:xee1:cli2eee1:di3ee";
    let (document, read) = lift(input, true);
    let document = document.unwrap();
    let a = document.root().as_dict().unwrap().get("a").unwrap();
    let (b, c) = (a.as_dict().unwrap().get("b").unwrap(), a.as_dict().unwrap().get("c").unwrap());
    assert_eq!((b.kind(), b.as_list().is_none(), b.raw()), (Kind::List, true, &b"li1el1:xee"[..]));
    assert_eq!(read, Some(Model::read(decode(b.raw(), Limits::METAINFO).unwrap().root())));
    assert_eq!(c.as_list().unwrap().next().unwrap().as_int(), Some(2));
    assert_eq!((c.path(), document.root().value_at(c.span().start).unwrap().raw()), ("a.c".into(), c.raw()));
    assert!(document.root().value_at(b.span().start + 1).is_none(), "nothing is known of what is within");
    assert_eq!(document.root().as_dict().unwrap().get("d").unwrap().as_int(), Some(3));
}

#[test]
fn what_is_not_liked_or_not_canonical_is_in_the_document() {
    let whole = |(document, read): (Result<Document<'_>, _>, Option<Model>)| {
        let (document, read) = (document.unwrap(), read.unwrap());
        let a = document.root().as_dict().unwrap().get("a").unwrap();
        Model::read(a.as_dict().unwrap().get("b").unwrap()) == read
    };
    assert!(whole(lift(b"d1:ad1:bli1eeee", false)));
    let (document, read) = lift(b"d1:ad1:bli01eeee", true);
    assert!(document.as_ref().unwrap().root().form().leading_zeros);
    assert!(whole((document, read)));
}

#[test]
fn what_was_lifted_counts_for_the_limits() {
    let limits = Limits { depth: 3, tokens: 5 };
    let lift = |input| decode_lifting(input, limits, &[b"a"], &mut |reader| reader.skip().is_ok()).map(drop);
    assert_eq!(lift(b"d1:ali1ei2ee1:bi3ee"), Ok(()));
    assert_eq!(lift(b"d1:ali1ei2ee1:bi3e1:ci4ee").unwrap_err().kind, DecodeErrorKind::Tokens(5));
    assert_eq!(lift(b"d1:alllleeeee").unwrap_err().kind, DecodeErrorKind::Depth(3));
}

proptest! {
    #[test]
    fn lifting_changes_nothing_around(inner in almost(), like: bool) {
        let input = [&b"d1:ad1:b"[..], &inner, b"1:cd1:xleee1:di1ee"].concat();
        let (lifted, read) = lift(&input, like);
        let plain = decode_prefix(&input, Limits::METAINFO);
        prop_assert_eq!(lifted.as_ref().map(Document::end), plain.as_ref().map(Document::end));
        if let (Ok(lifted), Ok(plain)) = (lifted, plain) {
            prop_assert_eq!(lifted.root().form(), plain.root().form());
            prop_assert_eq!(lifted.root().repeated_key(), plain.root().repeated_key());
            let get = |document: &Document<'_>, key| {
                Some(document.root().as_dict()?.get("a")?.as_dict()?.get(key)?.raw().to_vec())
            };
            prop_assert_eq!(get(&lifted, "b"), get(&plain, "b"));
            prop_assert_eq!(get(&lifted, "c"), get(&plain, "c"));
            if let Some(read) = read {
                let value = |document: &Document<'_>| Some(Model::read(document.root().as_dict()?.get("a")?.as_dict()?.get("b")?));
                prop_assert_eq!(value(&plain), Some(read));
            }
        }
    }
}
