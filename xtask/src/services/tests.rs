use super::*;

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn an_installation_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path().join("cache"));
    let error = cache.folder("thing-1", |folder| {
        std::fs::write(folder.join("half"), "")?;
        anyhow::bail!("no network")
    });
    assert_eq!(format!("{:#}", error.unwrap_err()), "installing thing-1: no network");
    assert_eq!(entries(&folder.path().join("cache")), 0);
}

#[test]
fn what_is_installed_is_not_installed_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path().to_owned());
    let first = cache.folder("thing-1", |folder| Ok(std::fs::write(folder.join("whole"), "")?)).unwrap();
    assert_eq!(cache.folder("thing-1", |_| anyhow::bail!("must not be called")).unwrap(), first);
    assert!(first.join("whole").is_file());
    assert_eq!(entries(folder.path()), 1);
}

#[test]
fn one_that_can_t_be_installed_keeps_no_other_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let found = Mutex::new(Vec::new());
    let installed = servers::install(&servers::some(), &Cache::at(folder.path().to_owned()), |name, _| {
        found.lock().unwrap().push(name.to_owned());
        Ok(())
    });
    assert_eq!(installed.unwrap_err().to_string(), "no network");
    assert_eq!(found.into_inner().unwrap(), ["there"]);
}

#[test]
fn a_server_and_a_program_have_names_of_their_own() {
    let servers = SERVERS.iter().map(|server| server.name);
    let programs = SERVERS.iter().flat_map(|server| server.programs).map(|(name, _)| *name);
    for mut names in [servers.collect::<Vec<_>>(), programs.chain([KAFKA]).collect()] {
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

#[test]
fn a_process_that_is_not_our_broker_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::under(folder.path());
    std::fs::create_dir_all(&place.folder).unwrap();
    // Our own process: were it stopped, this test would not end well.
    let broker = json!({"pid": std::process::id(), "plaintext": "127.0.0.1:1"});
    place.write(&Map::from_iter([("kafka".to_owned(), broker)])).unwrap();
    place.down().unwrap();
    assert!(!place.folder.exists());
}

#[test]
fn a_process_that_does_not_listen_to_a_request_to_end_is_ended() {
    let mut child = std::process::Command::new("sh")
        .args(["-c", "trap '' TERM; echo ready; while :; do read -r line; done"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    process::stop_within(child.id(), 2).unwrap();
    assert!(!child.wait().unwrap().success());
}
