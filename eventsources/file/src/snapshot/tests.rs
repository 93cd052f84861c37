use super::*;

fn stat(inode: u64, seconds: i64) -> Stat {
    let identity = Identity { device: 1, inode, born: None };
    Stat { identity, mode: 0o100_644, modified: (seconds, 0), length: 1, is_file: true }
}

fn snapshot(files: &[(&str, Stat)]) -> Snapshot {
    Snapshot(files.iter().map(|(name, stat)| (OsString::from(name), *stat)).collect())
}

fn told(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| format!("{:?} {}", change.operation, change.name.display())).collect()
}

#[test]
fn what_is_otherwise_is_told_as_polling_does_and_as_the_system_would_have() {
    let chmodded = Stat { mode: 0o100_755, ..stat(1, 1) };
    let empty = Stat { length: 0, ..stat(2, 1) };
    let folder = Stat { is_file: false, ..stat(2, 1) };
    let longer = Stat { length: 2, ..stat(1, 1) };
    let born = |second| Stat {
        identity: Identity {
            born: Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second)),
            ..stat(1, 1).identity
        },
        ..stat(1, 1)
    };
    let (one, two) = (stat(1, 1), stat(2, 1));
    for (before, now, polled, missed) in [
        (&[("a", one)][..], &[("a", one)][..], &[][..], &[][..]),
        (&[], &[("a", one)], &["Create a"], &["Create a", "Write a"]),
        (&[], &[("a", empty)], &["Create a"], &["Create a"]),
        (&[], &[("a", folder)], &["Create a"], &["Create a"]),
        (&[("a", one)], &[], &["Remove a"], &["Remove a"]),
        (&[("a", one)], &[("a", stat(1, 2))], &["Write a"], &["Write a"]),
        (&[("a", one)], &[("a", longer)], &["Write a"], &["Write a"]),
        (&[("a", one)], &[("a", chmodded)], &["Chmod a"], &["Chmod a"]),
        (
            &[("a", one)],
            &[("a", Stat { mode: 0, ..stat(1, 2) })],
            &["Write a", "Chmod a"],
            &["Write a", "Chmod a"],
        ),
        (&[("a", one)], &[("b", one)], &["Rename a"], &["Rename a", "Create b"]),
        (&[("a", one)], &[("b", stat(1, 9))], &["Rename a"], &["Rename a", "Create b"]),
        (&[("a", one)], &[("b", two)], &["Create b", "Remove a"], &["Create b", "Write b", "Remove a"]),
        // The number was given anew.
        (
            &[("a", born(1))],
            &[("b", born(2))],
            &["Create b", "Remove a"],
            &["Create b", "Write b", "Remove a"],
        ),
        // Put in the place of another.
        (&[("a", one), ("b", stat(2, 2))], &[("b", one)], &["Write b", "Remove a"], &["Write b", "Remove a"]),
        // The directory itself is looked at, too; the system tells its own changes only.
        (&[("", one)], &[("", stat(1, 2))], &["Write "], &[]),
    ] {
        let (before, now) = (snapshot(before), snapshot(now));
        assert_eq!(told(&before.polled(&now)), polled, "{before:?} -> {now:?}");
        assert_eq!(told(&before.missed(&now)), missed, "{before:?} -> {now:?}");
    }
}

#[test]
fn what_a_look_has_told_is_not_told_again() {
    let mut known = snapshot(&[("a", stat(1, 1))]);
    let heard = |operation, inode| Change { operation, name: "a".into(), stat: Some(stat(inode, 1)) };
    assert_eq!(known.take(heard(Operation::Create, 1)), None);
    assert!(known.take(heard(Operation::Write, 1)).is_some());
    // Another file in its place.
    assert!(known.take(heard(Operation::Create, 2)).is_some());
    assert!(known.take(Change::new(Operation::Remove, "a")).is_some());
    assert!(known.take(heard(Operation::Create, 2)).is_some());
    // It was gone before it could be looked at.
    assert!(known.take(Change::new(Operation::Create, "b")).is_some());
}

#[tokio::test]
async fn a_file_that_vanishes_while_it_is_looked_at_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let busy = std::thread::spawn(move || {
        for round in 0..300 {
            let files: Vec<_> = (0..20).map(|n| path.join(format!("{round}-{n}"))).collect();
            for file in &files {
                std::fs::write(file, "x").unwrap();
            }
            for file in &files {
                std::fs::remove_file(file).unwrap();
            }
        }
    });
    while !busy.is_finished() {
        Snapshot::of(folder.path()).await.unwrap();
    }
    busy.join().unwrap();
    assert_eq!(Snapshot::of(folder.path()).await.unwrap().0.len(), 1);
}

#[tokio::test]
async fn what_is_no_directory_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for name in ["absent", "file", "file/below"] {
        let told = Snapshot::of(&folder.path().join(name)).await.unwrap_err().to_string();
        assert!(told.contains(&format!("{name}` does not exist; make it")), "{told}");
    }
}
