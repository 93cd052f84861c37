//! The README's first command.

use crate::harness::command;

#[tokio::test]
async fn a_real_push_becomes_a_workflow_and_a_call_and_another_branch_is_rejected_with_both_values() {
    let output = command(&["demo"]).output().await.unwrap();
    let (told, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{stderr}");

    let word_after = |what: &str| {
        told.split(what).nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned)
    };
    let commit = word_after("git push origin main   (commit").unwrap().trim_end_matches(')').to_owned();
    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
    assert_eq!(word_after("event id").unwrap().len(), 32, "{told}");
    assert!(told.contains("HTTP 200"), "{told}");
    assert!(told.contains(&format!("\"commit\":\"{commit}\"")), "the call holds the commit: {told}");

    let path = word_after("the Workflow").unwrap();
    let workflow: serde_json::Value =
        serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(workflow["spec"]["arguments"]["parameters"][1]["value"], commit.as_str());
    assert_eq!(workflow["metadata"]["labels"]["events.argoproj.io/sensor"], "build-on-push");

    assert!(told.contains("rejected as `push` by filters.data[0]"), "{told}");
    assert!(
        told.contains("`refs/heads/feature`") && told.contains("^refs/heads/main$"),
        "both values: {told}"
    );
    std::fs::remove_dir_all(path.split("/data/").next().unwrap()).unwrap();
}
