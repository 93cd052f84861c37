use notify::event::{AccessKind, AccessMode, CreateKind, DataChange, Flag, MetadataKind, RemoveKind};

use super::*;

fn told(kind: EventKind, path: &str) -> Vec<(Operation, String)> {
    let heard = understood(Ok(Event::new(kind).add_path(path.into())), Path::new("/d"));
    let told = |heard: Heard| match heard {
        Heard::Change(change) => Some((change.operation, change.name.into_string().unwrap())),
        _ => None,
    };
    heard.into_iter().filter_map(told).collect()
}

#[test]
fn the_system_has_five_words() {
    let name = |mode| EventKind::Modify(ModifyKind::Name(mode));
    for (kind, expected) in [
        (EventKind::Create(CreateKind::File), Some(Operation::Create)),
        (EventKind::Create(CreateKind::Folder), Some(Operation::Create)),
        (EventKind::Modify(ModifyKind::Data(DataChange::Any)), Some(Operation::Write)),
        (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), Some(Operation::Chmod)),
        (EventKind::Remove(RemoveKind::File), Some(Operation::Remove)),
        (name(RenameMode::From), Some(Operation::Rename)),
        (name(RenameMode::To), Some(Operation::Create)),
        // Beside the two.
        (name(RenameMode::Both), None),
        (EventKind::Access(AccessKind::Close(AccessMode::Write)), None),
        (EventKind::Access(AccessKind::Open(AccessMode::Any)), None),
        (EventKind::Other, None),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|operation| (operation, "x.txt".to_owned())).collect();
        assert_eq!(told(kind, "/d/x.txt"), expected, "{kind:?}");
    }
}

#[test]
fn a_directory_that_is_removed_or_renamed_is_gone() {
    for kind in [EventKind::Remove(RemoveKind::File), EventKind::Modify(ModifyKind::Name(RenameMode::From))] {
        let heard = understood(Ok(Event::new(kind).add_path("/d".into())), Path::new("/d"));
        assert_eq!(heard.last(), Some(&Heard::Gone), "{kind:?}");
        assert!(matches!(&heard[0], Heard::Change(change) if change.name.is_empty()), "{heard:?}");
    }
    let chmod = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    assert_eq!(understood(Ok(Event::new(chmod).add_path("/d".into())), Path::new("/d")).len(), 1);
}

#[test]
fn a_full_queue_and_a_failed_watch_are_told() {
    let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    assert_eq!(understood(Ok(overflow), Path::new("/d")), [Heard::Overflow]);
    let failed = understood(Err(notify::Error::new(ErrorKind::MaxFilesWatch)), Path::new("/d"));
    assert!(
        matches!(&failed[..], [Heard::Failed(text)] if text.contains("fs.inotify.max_user_watches")),
        "{failed:?}"
    );
    let io = io::Error::from_raw_os_error(EMFILE);
    assert!(reason(&notify::Error::io(io)).contains("fs.inotify.max_user_instances"));
}
