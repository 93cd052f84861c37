use std::collections::BTreeSet;

use super::*;

const MOST: usize = 10;

fn object(key: &str, second: i64) -> Found {
    let modified = Timestamp::from_second(second).unwrap();
    Found { key: key.to_owned(), etag: "e".to_owned(), size: 1, modified }
}

fn keys(found: &[Found]) -> Vec<&str> {
    found.iter().map(|object| object.key.as_str()).collect()
}

/// One whole look at a bucket with these objects, a few to a page; what is new in it.
fn look(known: &mut Known, bucket: &[Found]) -> Vec<Found> {
    let mut new = Vec::new();
    let after = known.begin();
    let left: Vec<_> =
        bucket.iter().filter(|one| after.as_ref().is_none_or(|after| one.key > *after)).cloned().collect();
    for page in left.chunks(3) {
        let found = known.new_ones(page.to_vec());
        known.remember(&found);
        if known.emits() {
            new.extend(found);
        }
    }
    known.end(Timestamp::MAX);
    new
}

fn restarted(known: &Known, after: Option<String>) -> Known {
    Known::new("b".to_owned(), MOST, Existing::Skip).restored(Some(&known.written(after)))
}

fn known(existing: Existing) -> Known {
    Known::new("b".to_owned(), MOST, existing)
}

#[test]
fn keys_may_come_in_any_order_and_a_replaced_object_is_new() {
    let mut known = known(Existing::Skip);
    let mut bucket = vec![object("m", 5), object("z", 1)];
    assert_eq!(look(&mut known, &bucket), []);
    // Before all others in the listing, and older than one that is there.
    bucket.insert(0, object("a", 3));
    assert_eq!(keys(&look(&mut known, &bucket)), ["a"]);
    assert_eq!(look(&mut known, &bucket), []);
    bucket[2] = object("z", 9);
    assert_eq!(keys(&look(&mut known, &bucket)), ["z"]);
    // The same content once more, and another one in the same second.
    bucket[0] = object("a", 10);
    bucket[2] = Found { etag: "other".to_owned(), ..object("z", 9) };
    assert_eq!(keys(&look(&mut known, &bucket)), ["z", "a"]);
    assert_eq!(look(&mut restarted(&known, None), &bucket), []);
}

#[test]
fn what_is_there_at_first_is_an_event_only_where_asked_for() {
    let bucket = [object("a", 1), object("b", 2)];
    assert_eq!(look(&mut known(Existing::Skip), &bucket), []);
    let mut emitting = known(Existing::Emit);
    assert_eq!(keys(&look(&mut emitting, &bucket)), ["a", "b"]);
    assert_eq!(look(&mut emitting, &bucket), []);
}

#[test]
fn a_larger_bucket_than_is_remembered_is_seen_whole_once() {
    let mut bucket: Vec<_> =
        (0..100).map(|number| object(&format!("{:03}", 997 * number % 1000), number)).collect();
    bucket.sort_by(|one, other| one.key.cmp(&other.key));
    let mut known = known(Existing::Emit);
    let new = look(&mut known, &bucket);
    let distinct: BTreeSet<_> = keys(&new).into_iter().map(str::to_owned).collect();
    assert_eq!((new.len(), distinct.len()), (100, 100));
    assert_eq!(known.seen.len(), MOST);
    assert_eq!(look(&mut known, &bucket), []);
    bucket.insert(0, object("!", 101));
    assert_eq!(keys(&look(&mut known, &bucket)), ["!"]);
    let mut again = restarted(&known, None);
    assert_eq!(look(&mut again, &bucket), []);
    assert_eq!(again.seen.len(), MOST);
}

#[test]
fn a_look_that_was_broken_off_goes_on_behind_the_last_key() {
    let bucket: Vec<_> = (0..100).map(|number| object(&format!("{number:03}"), 1000 - number)).collect();
    let mut first = known(Existing::Emit);
    first.begin();
    let mut new = first.new_ones(bucket[..50].to_vec());
    first.remember(&new);
    let mut second = Known::new("b".to_owned(), MOST, Existing::Emit)
        .restored(Some(&first.written(Some("049".to_owned()))));
    new.extend(look(&mut second, &bucket));
    assert_eq!(new.len(), 100);
    assert_eq!(look(&mut second, &bucket), []);
}

#[test]
fn what_was_removed_makes_room() {
    let mut known = known(Existing::Emit);
    for round in 0..50 {
        let bucket: Vec<_> = (0..5).map(|number| object(&format!("{round}-{number}"), round)).collect();
        assert_eq!(look(&mut known, &bucket).len(), 5);
    }
    assert_eq!((known.seen.len(), known.floor), (5, i64::MIN));
}

#[test]
fn a_place_in_another_bucket_says_nothing() {
    let mut here = known(Existing::Emit);
    look(&mut here, &[object("a", 1)]);
    let there = Known::new("c".to_owned(), MOST, Existing::Emit).restored(Some(&here.written(None)));
    assert!(there.is_first && there.seen.is_empty());
    assert!(Known::new("b".to_owned(), MOST, Existing::Emit).restored(Some(b"{")).is_first);
}

#[test]
fn who_remembers_less_than_an_hour_is_told_so() {
    let now = Timestamp::from_second(1_000_000).unwrap();
    let end = |modified: i64| {
        let mut known = known(Existing::Emit);
        known.begin();
        let bucket: Vec<_> = (0..20).map(|number| object(&number.to_string(), modified + number)).collect();
        let new = known.new_ones(bucket);
        known.remember(&new);
        known.end(now)
    };
    assert_eq!(end(1_000_000 - 7200), None);
    let told = end(1_000_000 - 60).unwrap();
    assert!(told.starts_with("more than 10 objects changed within an hour"), "{told}");
}

#[test]
fn only_a_look_that_found_something_is_written() {
    let mut known = known(Existing::Skip);
    let bucket = [object("a", 1)];
    look(&mut known, &bucket);
    assert!(known.has_changed(), "the first look has ended");
    look(&mut known, &bucket);
    assert!(!known.has_changed());
}
