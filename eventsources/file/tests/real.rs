//! Against directories of the machine.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod file {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use eventsource_core::testkit::{self, Kit, Upstream, eventually};
    use eventsource_file::File;
    use serde_json::{Value, json};
    use tempfile::{TempDir, tempdir};

    const ALL: &str = "CREATE|WRITE|REMOVE|RENAME|CHMOD";

    fn config(directory: &Path, operations: &str, polling: bool) -> Value {
        json!({
            "eventType": operations, "polling": polling,
            "watchPathConfig": {"directory": directory, "pathRegexp": "^[^.]+$"},
        })
    }

    /// Base names and numbers of the operations of all events.
    async fn told(kit: &Kit, count: usize) -> Vec<(String, u64)> {
        let data = kit.data(count).await;
        let name = |data: &Value| data["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        data.iter().map(|data| (name(data), data["op"].as_u64().unwrap())).collect()
    }

    /// A file for each message.
    struct Directory(TempDir);

    impl Upstream for Directory {
        async fn send(&mut self, number: usize) {
            fs::write(self.0.path().join(number.to_string()), "").unwrap();
        }

        fn number(&self, data: &Value) -> usize {
            data["name"].as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
        }
    }

    #[tokio::test]
    async fn every_message_becomes_one_event() {
        let mut directory = Directory(tempdir().unwrap());
        let config = config(directory.0.path(), "CREATE", false);
        testkit::every_message_becomes_one_event::<File>(&Kit::new(), &config, &mut directory).await;
    }

    /// Its name, what is done, and what is told then.
    type Step<'s> = (&'s str, fn(&Path), &'s [(&'s str, u64)]);

    /// One step after the other, so that polling sees each.
    async fn story(polling: bool, steps: &[Step<'_>]) {
        let folder = tempdir().unwrap();
        fs::write(folder.path().join("old"), "x").unwrap();
        let kit = Kit::new();
        let source = kit.start::<File>(config(folder.path(), ALL, polling));
        source.serving().await;
        let mut expected = Vec::new();
        for (what, step, changes) in steps {
            step(folder.path());
            expected.extend(changes.iter().map(|(name, number)| ((*name).to_owned(), *number)));
            let mut all = told(&kit, expected.len()).await;
            if polling {
                // That something came or went is a WRITE of the directory.
                let itself = folder.path().file_name().unwrap().to_str().unwrap();
                all = eventually("as many events of files", async || {
                    let mut all = told(&kit, 0).await;
                    all.retain(|(name, _)| name != itself);
                    (all.len() >= expected.len()).then_some(all)
                })
                .await;
            }
            assert_eq!(all, expected, "{what}");
        }
        source.stop().await;
    }

    #[tokio::test]
    async fn the_system_tells_what_happens() {
        story(
            false,
            &[
                ("made", |d| drop(fs::File::create(d.join("a")).unwrap()), &[("a", 1)]),
                ("written", |d| fs::write(d.join("old"), "").unwrap(), &[("old", 2)]),
                ("made and written", |d| fs::write(d.join("b"), "b").unwrap(), &[("b", 1), ("b", 2)]),
                ("renamed", |d| fs::rename(d.join("a"), d.join("c")).unwrap(), &[("a", 8), ("c", 1)]),
                (
                    "renamed over another",
                    |d| fs::rename(d.join("c"), d.join("b")).unwrap(),
                    &[("c", 8), ("b", 1)],
                ),
                (
                    "chmodded",
                    |d| fs::set_permissions(d.join("b"), Permissions::from_mode(0o600)).unwrap(),
                    &[("b", 16)],
                ),
                ("linked", |d| fs::hard_link(d.join("b"), d.join("l")).unwrap(), &[("l", 1)]),
                ("removed", |d| fs::remove_file(d.join("l")).unwrap(), &[("l", 4)]),
                ("a folder", |d| fs::create_dir(d.join("f")).unwrap(), &[("f", 1)]),
                ("below it", |d| fs::write(d.join("f/x"), "x").unwrap(), &[]),
                ("moved out", |d| fs::rename(d.join("b"), d.join("f/b")).unwrap(), &[("b", 8)]),
                ("moved in", |d| fs::rename(d.join("f/b"), d.join("g")).unwrap(), &[("g", 1)]),
                ("another name that does not match", |d| fs::write(d.join("no.txt"), "x").unwrap(), &[]),
                ("removed with the folder", |d| fs::remove_dir_all(d.join("f")).unwrap(), &[("f", 4)]),
            ],
        )
        .await;
    }

    #[tokio::test]
    async fn polling_finds_what_has_happened() {
        story(
            true,
            &[
                ("made", |d| drop(fs::File::create(d.join("a")).unwrap()), &[("a", 1)]),
                ("written", |d| fs::write(d.join("old"), "longer").unwrap(), &[("old", 2)]),
                ("made and written", |d| fs::write(d.join("b"), "b").unwrap(), &[("b", 1)]),
                ("renamed", |d| fs::rename(d.join("a"), d.join("c")).unwrap(), &[("a", 8)]),
                (
                    "chmodded",
                    |d| fs::set_permissions(d.join("b"), Permissions::from_mode(0o600)).unwrap(),
                    &[("b", 16)],
                ),
                ("removed", |d| fs::remove_file(d.join("b")).unwrap(), &[("b", 4)]),
                ("a folder", |d| fs::create_dir(d.join("f")).unwrap(), &[("f", 1)]),
                ("moved out", |d| fs::rename(d.join("c"), d.join("f/c")).unwrap(), &[("f", 2), ("c", 4)]),
            ],
        )
        .await;
    }

    #[tokio::test]
    async fn a_name_is_the_whole_path_and_with_polling_the_base_name() {
        let folder = tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        for (directory, polling, expected) in [
            (format!("{path}/"), false, json!({"name": format!("{path}/in"), "op": 1, "metadata": null})),
            (path.to_owned(), false, json!({"name": format!("{path}/in"), "op": 1, "metadata": null})),
            (path.to_owned(), true, json!({"name": "in", "op": 1, "metadata": null})),
        ] {
            let kit = Kit::new();
            let watched = json!({"directory": directory, "path": "in"});
            let source = kit.start::<File>(
                json!({"eventType": "CREATE", "polling": polling, "watchPathConfig": watched}),
            );
            source.serving().await;
            fs::write(folder.path().join("in"), "x").unwrap();
            assert_eq!(kit.data(1).await, [expected]);
            fs::remove_file(folder.path().join("in")).unwrap();
            source.stop().await;
        }
    }

    /// Ten thousand files from four threads, each made, written, and every second one removed.
    async fn crowd(polling: bool) {
        const THREADS: usize = 4;
        const EACH: usize = 2_500;
        let folder = tempdir().unwrap();
        let kit = Kit::new();
        let source = kit.start::<File>(config(folder.path(), "CREATE|REMOVE", polling));
        source.serving().await;
        let made: Vec<_> = (0..THREADS)
            .map(|thread| {
                let folder = folder.path().to_owned();
                std::thread::spawn(move || {
                    for n in 0..EACH {
                        fs::write(folder.join(format!("{thread}-{n}")), "x").unwrap();
                    }
                })
            })
            .collect();
        let names: BTreeSet<String> =
            (0..THREADS).flat_map(|thread| (0..EACH).map(move |n| format!("{thread}-{n}"))).collect();
        kit.events(names.len()).await;
        for made in made {
            made.join().unwrap();
        }
        let created: Vec<_> = told(&kit, names.len()).await;
        assert!(created.iter().all(|(_, number)| *number == 1), "nothing was removed yet");
        assert_eq!(created.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>(), names);
        assert_eq!(created.len(), names.len(), "each once");
        for name in names.iter().step_by(2) {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        let all = told(&kit, names.len() + names.len() / 2).await;
        let mut counts: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (name, number) in &all {
            counts.entry(name).or_default().push(*number);
        }
        for (position, name) in names.iter().enumerate() {
            let expected: &[u64] = if position % 2 == 0 { &[1, 4] } else { &[1] };
            assert_eq!(counts[name.as_str()], expected, "{name}");
        }
        source.stop().await;
    }

    async fn removed_and_made_again(polling: bool) {
        let parent = tempdir().unwrap();
        let folder = parent.path().join("in");
        let kit = Kit::new();
        let source = kit.start::<File>(config(&folder, "CREATE|REMOVE", polling));
        let missing = source.failure().await;
        assert!(
            missing.ends_with("in` does not exist; make it, or correct watchPathConfig.directory"),
            "{missing}"
        );
        fs::create_dir(&folder).unwrap();
        source.serving().await;
        fs::write(folder.join("a"), "x").unwrap();
        assert_eq!(told(&kit, 1).await, [("a".to_owned(), 1)]);
        fs::remove_dir_all(&folder).unwrap();
        let gone = source.failure().await;
        assert!(gone.contains("has vanished or was replaced"), "{gone}");
        // Before it is looked at again.
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("b"), "x").unwrap();
        source.serving().await;
        let made = |all: &[(String, u64)], name: &str| all.iter().any(|told| *told == (name.to_owned(), 1));
        eventually("the file that came first", async || made(&told(&kit, 0).await, "b").then_some(())).await;
        fs::write(folder.join("c"), "x").unwrap();
        eventually("the file that came last", async || made(&told(&kit, 0).await, "c").then_some(())).await;
        let mut all = told(&kit, 0).await;
        all.retain(|(name, _)| name != "in");
        let expected =
            [("a", 1), ("a", 4), ("b", 1), ("c", 1)].map(|(name, number)| (name.to_owned(), number));
        assert_eq!(all, expected);
        source.stop().await;

        // What was there at the start is no event, now that it has not been away.
        let source = kit.start::<File>(config(&folder, "CREATE|REMOVE", polling));
        source.serving().await;
        fs::write(folder.join("d"), "x").unwrap();
        eventually("the next file", async || made(&told(&kit, 0).await, "d").then_some(())).await;
        assert_eq!(told(&kit, 0).await.iter().filter(|(_, number)| *number == 1).count(), 4);
        source.stop().await;
    }

    #[tokio::test]
    async fn a_directory_that_was_removed_is_found_again() {
        removed_and_made_again(false).await;
    }

    #[tokio::test]
    async fn a_directory_that_was_removed_is_found_again_by_polling() {
        removed_and_made_again(true).await;
    }

    #[tokio::test]
    async fn a_directory_that_was_put_aside_is_noticed() {
        let parent = tempdir().unwrap();
        let (first, second, link) =
            (parent.path().join("1"), parent.path().join("2"), parent.path().join("in"));
        fs::create_dir(&first).unwrap();
        fs::create_dir(&second).unwrap();
        fs::write(second.join("b"), "x").unwrap();
        std::os::unix::fs::symlink(&first, &link).unwrap();
        let kit = Kit::new();
        let source = kit.start::<File>(config(&link, "CREATE", false));
        source.serving().await;
        fs::write(first.join("a"), "x").unwrap();
        kit.events(1).await;
        // No word of the system's tells that the link leads elsewhere.
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(&second, &link).unwrap();
        assert_eq!(told(&kit, 2).await[1], ("b".to_owned(), 1));
        source.stop().await;
    }

    #[tokio::test]
    async fn a_restart_tells_nothing_of_what_was_there() {
        let folder = tempdir().unwrap();
        let kit = Kit::new();
        for (round, polling) in [false, true, false].into_iter().enumerate() {
            let source = kit.start::<File>(config(folder.path(), "CREATE", polling));
            source.serving().await;
            fs::write(folder.path().join(format!("{round}")), "x").unwrap();
            assert_eq!(told(&kit, round + 1).await.len(), round + 1);
            source.kill();
        }
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_changes() {
        let folder = tempdir().unwrap();
        let kit = Kit::new();
        for polling in [false, true] {
            let source = kit.start::<File>(config(folder.path(), "CREATE", polling));
            source.serving().await;
            let begin = tokio::time::Instant::now();
            source.stop().await;
            assert!(begin.elapsed().as_secs() < 2, "{:?}", begin.elapsed());
        }
    }

    #[tokio::test]
    async fn a_bus_that_refuses_is_told_and_what_comes_later_arrives() {
        let folder = tempdir().unwrap();
        let kit = Kit::new();
        let source = kit.start::<File>(config(folder.path(), "CREATE", false));
        source.serving().await;
        kit.refuse();
        fs::write(folder.path().join("lost"), "x").unwrap();
        let told = source.failure().await;
        assert!(told.contains("the bus did not take the event"), "{told}");
        kit.take();
        source.serving().await;
        fs::write(folder.path().join("next"), "x").unwrap();
        kit.events(1).await;
        source.stop().await;
    }

    mod slow {
        use super::*;

        #[tokio::test]
        async fn of_ten_thousand_files_none_is_missed() {
            crowd(false).await;
        }

        #[tokio::test]
        async fn of_ten_thousand_files_polling_misses_none() {
            crowd(true).await;
        }

        /// The source runs on this thread, so it hears nothing while the files are made.
        #[tokio::test]
        async fn changes_that_the_system_dropped_are_found_by_looking() {
            let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
            let count = limit.trim().parse::<usize>().unwrap() + 8_192;
            let folder = tempdir().unwrap();
            for name in ["written", "removed", "renamed", "chmodded", "left"] {
                fs::write(folder.path().join(name), "x").unwrap();
            }
            let kit = Kit::new();
            let source = kit.start::<File>(config(folder.path(), ALL, false));
            source.serving().await;
            (0..count).for_each(|n| drop(fs::File::create(folder.path().join(n.to_string())).unwrap()));
            fs::write(folder.path().join("written"), "longer").unwrap();
            fs::remove_file(folder.path().join("removed")).unwrap();
            fs::rename(folder.path().join("renamed"), folder.path().join("to")).unwrap();
            fs::set_permissions(folder.path().join("chmodded"), Permissions::from_mode(0o600)).unwrap();
            let told = told(&kit, count + 5).await;
            assert!(source.trouble().await.contains("changed faster than the system could tell"));
            let (numbered, mut named): (Vec<_>, Vec<_>) = told
                .into_iter()
                .partition(|(name, _)| name.starts_with(|first: char| first.is_ascii_digit()));
            named.sort();
            let expected = [("chmodded", 16), ("removed", 4), ("renamed", 8), ("to", 1), ("written", 2)];
            assert_eq!(named, expected.map(|(name, number)| (name.to_owned(), number)));
            assert_eq!(numbered.len(), count, "each once");
            assert_eq!(numbered.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), count);
            source.stop().await;
        }
    }
}
