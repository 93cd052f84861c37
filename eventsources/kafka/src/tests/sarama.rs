use crate::sarama::ClientSettings;

/// Settings as `name=value`, and what is told beside them.
fn read(text: &str) -> (Vec<String>, Vec<String>) {
    let (settings, findings) = ClientSettings::read(text);
    let properties = settings.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let told = findings.into_iter().map(|one| format!("{:?} {}", one.severity, one.message)).collect();
    (properties, told)
}

#[test]
fn settings_of_the_references_client_become_those_of_ours() {
    let rows = [
        ("clientID: shop", "client.id=shop"),
        ("CLIENTID: shop", "client.id=shop"),
        ("rackID: a1", "client.rack=a1"),
        ("channelBufferSize: 512", "queued.min.messages=512"),
        ("net: {maxOpenRequests: 5}", "max.in.flight.requests.per.connection=5"),
        ("net: {dialTimeout: 10s}", "socket.connection.setup.timeout.ms=10000"),
        ("net: {dialTimeout: 10000000000}", "socket.connection.setup.timeout.ms=10000"),
        ("net: {readTimeout: 1m30s}", "socket.timeout.ms=90000"),
        ("net: {keepAlive: 10s}", "socket.keepalive.enable=true"),
        ("net: {keepAlive: -1}", "socket.keepalive.enable=false"),
        ("metadata: {full: false}", "topic.metadata.refresh.sparse=true"),
        ("metadata: {refreshFrequency: 5m}", "topic.metadata.refresh.interval.ms=300000"),
        ("metadata: {allowAutoTopicCreation: true}", "allow.auto.create.topics=true"),
        ("metadata: {retry: {backoff: 250ms}}", "topic.metadata.refresh.fast.interval.ms=250"),
        ("consumer: {maxWaitTime: 250ms}", "fetch.wait.max.ms=250"),
        ("consumer: {isolationLevel: 0}", "isolation.level=read_uncommitted"),
        ("consumer: {isolationLevel: ReadCommitted}", "isolation.level=read_committed"),
        ("consumer: {fetch: {min: 1024}}", "fetch.min.bytes=1024"),
        ("consumer: {fetch: {default: 2048}}", "fetch.message.max.bytes=2048"),
        ("consumer: {fetch: {max: 5000000}}", "fetch.max.bytes=5000000"),
        ("consumer: {fetch: {max: 1024}}", "fetch.max.bytes=1000000"),
        ("consumer: {retry: {backoff: 2s}}", "fetch.error.backoff.ms=2000"),
        ("consumer: {offsets: {autoCommit: {interval: 5s}}}", "auto.commit.interval.ms=5000"),
        ("Consumer: {Group: {InstanceId: one}}", "group.instance.id=one"),
        ("consumer: {group: {session: {timeout: 20s}}}", "session.timeout.ms=20000"),
        ("consumer: {group: {heartbeat: {interval: 6s}}}", "heartbeat.interval.ms=6000"),
        ("consumer: {group: {rebalance: {timeout: 2m}}}", "max.poll.interval.ms=120000"),
    ];
    for (text, expected) in rows {
        assert_eq!(read(text), (vec![expected.to_owned()], vec![]), "{text}");
    }
}

#[test]
fn the_beginning_is_a_number_as_in_the_reference() {
    for (text, oldest) in [("-1", Some(false)), ("-2", Some(true))] {
        let (settings, findings) =
            ClientSettings::read(&format!("consumer: {{offsets: {{initial: {text}}}}}"));
        assert_eq!((settings.oldest, findings), (oldest, vec![]));
    }
}

#[test]
fn what_cannot_be_mapped_is_a_warning_with_its_name() {
    let (properties, told) = read(
        "producer: {retry: {max: 3}}\nconsumer: {fetch: {min: 1}, maxProcessingTime: 1s}\nmetadata: {retry: {max: 3}}\n",
    );
    assert_eq!(properties, ["fetch.min.bytes=1"]);
    let expected = [
        "Warning `producer.retry.max` has no effect: this client has nothing like it",
        "Warning `consumer.maxProcessingTime` has no effect: a record is waited for until its event is durable",
        "Warning `metadata.retry.max` has no effect: attempts have no end here, and their pauses are the supervisor's",
    ];
    assert_eq!(told, expected);
}

#[test]
fn wrong_values_are_errors_that_say_what_was_expected() {
    let rows = [
        ("just text", "expected keys and values in YAML"),
        ("a: [", "is no YAML"),
        ("clientID: 7", "`clientID`: expected a text, found `7`"),
        (
            "consumer: {fetch: {min: 0}}",
            "`consumer.fetch.min`: expected a whole number from 1 to 100000000, found `0`",
        ),
        ("net: {dialTimeout: 10ms}", "`net.dialTimeout`: expected a duration from 1s to 5m0s, found `10ms`"),
        (
            "net: {readTimeout: soon}",
            "`net.readTimeout`: expected nanoseconds or a duration such as `10s`, found `soon`",
        ),
        ("metadata: {full: maybe}", "`metadata.full`: expected `true` or `false`, found `maybe`"),
        (
            "consumer: {isolationLevel: 2}",
            "`consumer.isolationLevel`: expected 0 (`ReadUncommitted`) or 1 (`ReadCommitted`), found `2`",
        ),
        (
            "consumer: {offsets: {initial: 0}}",
            "`consumer.offsets.initial`: expected -1 (newest) or -2 (oldest), found `0`",
        ),
    ];
    for (text, expected) in rows {
        let (properties, told) = read(text);
        assert_eq!(properties, [""; 0], "{text}");
        assert!(told.len() == 1 && told[0].starts_with(&format!("Error {expected}")), "{text}: {told:?}");
    }
    for nothing in ["", " \n", "# only a comment\n", "consumer: {fetch: {max: 0}}"] {
        assert_eq!(read(nothing), (vec![], vec![]));
    }
}
