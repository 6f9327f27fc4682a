#![allow(clippy::unwrap_used)]

use super::*;

#[test]
#[expect(clippy::disallowed_methods, reason = "one moment to start from")]
fn d6_a_reply_must_come_from_where_the_query_went_and_name_it() {
    let now = Instant::now();
    let mut secrets = Secrets::new([1; 32]);
    let mut exchanges = Exchanges::default();
    let (to, other_port): (SocketAddr, SocketAddr) = ("1.2.3.4:5".parse().unwrap(), "1.2.3.4:6".parse().unwrap());
    let id = exchanges.begin(now, &mut secrets, to, None, Purpose::Ping).unwrap().to_be_bytes();
    let mut wrong = id;
    wrong[3] ^= 1;
    assert!(exchanges.end(now, other_port, &id).is_none());
    assert!(exchanges.end(now, to, &wrong).is_none());
    assert!(exchanges.end(now, to, &id[..3]).is_none());
    assert!(exchanges.end(now, to, &[&id[..], b"x"].concat()).is_none());
    assert!(exchanges.end(now, to, &id).is_some());
    assert!(exchanges.end(now, to, &id).is_none(), "once");
    assert_eq!((exchanges.len(), exchanges.next_due()), (0, None));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "one moment to start from")]
fn d6_nobody_guesses_the_next_transaction() {
    let now = Instant::now();
    let mut secrets = Secrets::new([1; 32]);
    let mut exchanges = Exchanges::default();
    let to: SocketAddr = "1.2.3.4:5".parse().unwrap();
    let ids: BTreeSet<u32> =
        (0..1000).map(|_| exchanges.begin(now, &mut secrets, to, None, Purpose::Ping).unwrap()).collect();
    assert_eq!(ids.len(), 1000);
    let high = ids.iter().filter(|id| **id > u32::MAX / 2).count();
    assert!((400..600).contains(&high), "they lie all over the 32 bits");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "one moment to start from")]
fn an_answer_is_late_by_what_answers_usually_take_and_lost_after_five_seconds() {
    let start = Instant::now();
    let mut secrets = Secrets::new([1; 32]);
    let mut exchanges = Exchanges::default();
    let to: SocketAddr = "1.2.3.4:5".parse().unwrap();
    exchanges.begin(start, &mut secrets, to, None, Purpose::Ping).unwrap();
    assert_eq!(exchanges.next_due(), Some(start + DEFAULT_LATE));
    assert!(exchanges.overdue(start).is_none());
    assert!(matches!(exchanges.overdue(start + DEFAULT_LATE), Some(Overdue::Late(_))));
    assert!(exchanges.overdue(start + DEFAULT_LATE).is_none());
    assert!(matches!(exchanges.overdue(start + QUERY_TIMEOUT), Some(Overdue::Lost(_))));
    assert_eq!(exchanges.len(), 0);
    for _ in 0..50 {
        let id = exchanges.begin(start, &mut secrets, to, None, Purpose::Ping).unwrap();
        exchanges.end(start + Duration::from_millis(200), to, &id.to_be_bytes()).unwrap();
    }
    exchanges.begin(start, &mut secrets, to, None, Purpose::Ping).unwrap();
    let late = exchanges.next_due().unwrap() - start;
    assert!(late >= Duration::from_millis(200) && late < Duration::from_millis(230), "{late:?}");
    let full = (0..3000).filter(|_| exchanges.begin(start, &mut secrets, to, None, Purpose::Ping).is_some()).count();
    assert_eq!(full, MAX_QUERIES - 1);
}
