use riverrun_proto::address::AddressList;

/// Any bytes are ranges or errors that name the line, and there are no more ranges than bytes.
pub fn address_list(data: &[u8]) {
    let mut list = AddressList::default();
    for (line, number) in data.split(|byte| *byte == b'\n').zip(1..) {
        if let Err(error) = list.line(line) {
            let text = error.to_string();
            assert!(text.starts_with(&format!("line {number}: ")) && text.len() < 1000, "{text}");
        }
    }
    let ranges = list.finish();
    assert!(ranges.len() <= data.len());
}
