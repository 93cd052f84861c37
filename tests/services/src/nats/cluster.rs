use std::collections::BTreeSet;

use serde_json::Value;

use crate::nats::{NatsServer, NatsVersion};
use crate::process::{eventually, free_ports};

/// Servers that replicate among each other. End with the value.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<NatsServer>,
    running: Vec<bool>,
}

impl NatsCluster {
    /// Returns when the nodes have a leader and all are current.
    ///
    /// # Panics
    ///
    /// Where they have none in time, with the nodes' logs.
    pub fn start(version: NatsVersion, count: usize) -> Self {
        Self::start_with(version, count, "")
    }

    /// With this text in the configuration of each.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_with(version: NatsVersion, count: usize, conf: &str) -> Self {
        // One after another, all held at the end of each: ports of a cluster must differ.
        let ports: Vec<[u16; 3]> = distinct(count);
        let routes: Vec<String> =
            ports.iter().map(|[_, _, route]| format!("nats-route://127.0.0.1:{route}")).collect();
        let node = |[port, monitoring, route]: [u16; 3]| {
            let node = NatsServer::prepared(version, [port, monitoring], None);
            let routes = routes.join(", ");
            node.write(&format!(
                "cluster {{ name: zetes, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}\n{conf}"
            ));
            node
        };
        let mut cluster = Self { nodes: ports.into_iter().map(node).collect(), running: vec![true; count] };
        for node in &mut cluster.nodes {
            node.launch();
        }
        for node in &mut cluster.nodes {
            assert!(node.is_up(), "a node ended:\n{}", node.log());
        }
        cluster.ready();
        cluster
    }

    /// Of all nodes, running or not.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(NatsServer::url).collect()
    }

    /// # Panics
    ///
    /// Where there are fewer nodes.
    pub fn node(&self, index: usize) -> &NatsServer {
        &self.nodes[index]
    }

    /// SIGKILL to one.
    ///
    /// # Panics
    ///
    /// Where there are fewer nodes.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].kill();
        self.running[index] = false;
    }

    /// Starts one again, on its ports and its store, and returns when it has caught up.
    ///
    /// # Panics
    ///
    /// Where it does not, and where there are fewer nodes.
    pub fn restart(&mut self, index: usize) {
        self.nodes[index].restart();
        self.running[index] = true;
        self.ready();
    }

    /// Waits for a leader of JetStream's own records among the nodes that run, and gives its index.
    ///
    /// # Panics
    ///
    /// Where there is none in time.
    pub fn leader(&self) -> usize {
        eventually("a leader of the cluster", || {
            let running =
                || self.running.iter().enumerate().filter(|(_, running)| **running).map(|(index, _)| index);
            let named = running().find_map(|index| leader(&self.nodes[index]))?;
            running().find(|index| self.nodes[*index].name() == named)
        })
    }

    /// All that run know the same leader and are current. It may change meanwhile.
    fn ready(&self) {
        let running = || self.nodes.iter().zip(&self.running).filter(|(_, running)| **running);
        eventually("all nodes to know one leader and to be current", || {
            let leaders: Option<BTreeSet<String>> = running().map(|(node, _)| leader(node)).collect();
            let is_one = leaders.is_some_and(|leaders| leaders.len() == 1);
            let are_current = || running().all(|(node, _)| node.monitoring("/healthz").is_some());
            (is_one && are_current()).then_some(())
        });
    }
}

/// Whom a node takes for the leader of JetStream's own records.
fn leader(node: &NatsServer) -> Option<String> {
    let answer: Value = serde_json::from_str(&node.monitoring("/jsz")?).ok()?;
    let leader = answer.get("meta_cluster")?.get("leader")?.as_str()?;
    (!leader.is_empty()).then(|| leader.to_owned())
}

/// Three ports for each node, all different.
fn distinct(count: usize) -> Vec<[u16; 3]> {
    let mut found: Vec<[u16; 3]> = Vec::new();
    while found.len() < count {
        let ports = free_ports();
        if !found.iter().flatten().any(|known| ports.contains(known)) {
            found.push(ports);
        }
    }
    found
}
