use riverrun_metainfo::bencode::{self, DictWriter, Kind, Limits, ListWriter, Reader, Value};

/// Decoding, spans, and writing back what is canonical.
pub fn bencode(data: &[u8]) {
    for limits in [Limits::METAINFO, Limits::MESSAGE, Limits { depth: 1, tokens: 3 }] {
        match bencode::decode(data, limits) {
            Ok(document) => {
                let root = document.root();
                assert_eq!(root.span().start, 0);
                walk(root, root.span().end, 0, limits.depth);
                if root.is_canonical() {
                    assert_eq!(rewritten(root), root.raw(), "canonical form is written back as it was");
                }
            }
            Err(error) => {
                assert!(error.offset <= data.len());
                assert!(!error.to_string().is_empty());
            }
        }
        let mut reader = Reader::new(data, limits);
        let skipped = reader.skip();
        assert_eq!(skipped.is_ok(), bencode::decode_prefix(data, limits).is_ok());
        if let Ok(document) = bencode::decode_prefix(data, limits) {
            assert_eq!((reader.position(), reader.is_canonical()), (document.end(), document.root().is_canonical()));
            let (end, root) = (document.end(), document.root());
            assert!(end <= data.len());
            let again = bencode::decode(&data[..end], limits).expect("the front that was decoded is a document");
            assert_eq!(again.root().raw(), root.raw());
        }
    }
}

/// Every value lies inside the one around it, and every question about it has an answer.
fn walk(value: Value<'_>, end: usize, depth: usize, most: usize) {
    let span = value.span();
    assert!(span.start < span.end && span.end <= end);
    assert_eq!(value.raw().len(), span.len());
    let _ = (value.form(), value.as_int(), value.as_uint::<u32>(), value.digits(), value.as_array::<20>());
    match value.kind() {
        Kind::Bytes => assert!(value.as_bytes().is_some_and(|bytes| bytes.len() < span.len())),
        Kind::Int => assert!(value.digits().is_some()),
        Kind::List | Kind::Dict => {
            assert!(depth < most);
            let _ = value.repeated_key();
        }
    }
    if depth < 3 {
        let _ = value.path();
    }
    let mut at = span.start;
    for element in value.as_list().into_iter().flatten() {
        assert!(element.span().start >= at);
        at = element.span().end;
        walk(element, span.end, depth + 1, most);
    }
    for (key, element) in value.as_dict().into_iter().flat_map(|dict| dict.iter()) {
        assert!(element.span().start >= at + key.len());
        at = element.span().end;
        walk(element, span.end, depth + 1, most);
    }
    if let Some(dict) = value.as_dict().filter(|dict| !dict.has_repeated_key()) {
        for (key, element) in dict.iter().take(20) {
            assert_eq!(dict.get(key).map(Value::span), Some(element.span()));
        }
    }
}

/// Writes a value through the writer.
fn rewritten(value: Value<'_>) -> Vec<u8> {
    let list = bencode::list(|list| put_in_list(list, value));
    list[1..list.len() - 1].to_vec()
}

fn put_in_list(list: &mut ListWriter<'_>, value: Value<'_>) {
    if let Some(bytes) = value.as_bytes() {
        list.bytes(bytes);
    } else if let Some(number) = value.as_int() {
        list.int(number);
    } else if let Some(elements) = value.as_list() {
        list.list(|list| elements.for_each(|element| put_in_list(list, element)));
    } else if let Some(entries) = value.as_dict() {
        list.dict(|dict| entries.iter().for_each(|(key, entry)| put_in_dict(dict, key, entry)));
    } else {
        list.raw(value.raw());
    }
}

fn put_in_dict(dict: &mut DictWriter<'_>, key: &[u8], value: Value<'_>) {
    if let Some(bytes) = value.as_bytes() {
        dict.bytes(key, bytes);
    } else if let Some(number) = value.as_int() {
        dict.int(key, number);
    } else if let Some(elements) = value.as_list() {
        dict.list(key, |list| elements.for_each(|element| put_in_list(list, element)));
    } else if let Some(entries) = value.as_dict() {
        dict.dict(key, |dict| entries.iter().for_each(|(key, entry)| put_in_dict(dict, key, entry)));
    } else {
        dict.raw(key, value.raw());
    }
}
