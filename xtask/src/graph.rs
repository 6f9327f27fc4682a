//! The dependency graph, as `cargo metadata` tells it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

/// The packages of a resolved workspace and what each depends on.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    /// Every package; edges refer to places in this list.
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Default)]
pub(crate) struct Package {
    /// Its name on the registry.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its SPDX expression, when it states one.
    pub(crate) licence: Option<String>,
    /// Where cargo gets it; `None` for a path.
    pub(crate) source: Option<String>,
    /// It belongs to this workspace.
    pub(crate) member: bool,
    /// What it depends on.
    pub(crate) edges: Vec<Edge>,
}

/// One package depends on another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Edge {
    /// The place of the other package.
    pub(crate) to: usize,
    /// What it is needed for.
    pub(crate) kind: Kind,
}

/// What a dependency is needed for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// It is linked.
    Normal,
    /// The build script or a macro runs it.
    Build,
    /// Tests use it.
    Dev,
}

impl Graph {
    /// Reads the answer of `cargo metadata --format-version 1`; `None` when it has another shape.
    pub(crate) fn from_metadata(value: &Value) -> Option<Self> {
        let members: BTreeSet<&str> = value["workspace_members"].as_array()?.iter().filter_map(Value::as_str).collect();
        let mut graph = Self::default();
        let mut place = HashMap::new();
        let described = value["packages"].as_array()?;
        for package in described {
            let id = package["id"].as_str()?;
            place.insert(id, graph.packages.len());
            graph.packages.push(Package {
                name: package["name"].as_str()?.to_owned(),
                version: package["version"].as_str()?.to_owned(),
                licence: package["license"].as_str().map(str::to_owned),
                source: package["source"].as_str().map(str::to_owned),
                member: members.contains(id),
                edges: Vec::new(),
            });
        }
        for node in value["resolve"]["nodes"].as_array()? {
            let from = *place.get(node["id"].as_str()?)?;
            let enabled = enabled_optionals(&described[from], node);
            for dependency in node["deps"].as_array()? {
                let to = *place.get(dependency["pkg"].as_str()?)?;
                if !is_active(&described[from], &graph.packages[to].name, &enabled) {
                    continue;
                }
                for kind in dependency["dep_kinds"].as_array()? {
                    let kind = match kind["kind"].as_str() {
                        None => Kind::Normal,
                        Some("build") => Kind::Build,
                        Some(_) => Kind::Dev,
                    };
                    let edge = Edge { to, kind };
                    if !graph.packages[from].edges.contains(&edge) {
                        graph.packages[from].edges.push(edge);
                    }
                }
            }
        }
        Some(graph)
    }

    /// The packages that `from` reaches over edges of these kinds, itself left out, in order of their place.
    pub(crate) fn closure(&self, from: usize, kinds: &[Kind]) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for edge in &self.packages[at].edges {
                if kinds.contains(&edge.kind) && seen.insert(edge.to) {
                    open.push(edge.to);
                }
            }
        }
        seen
    }

    /// The strangers' packages that are linked into, or run while building, any member: all but what tests alone use.
    pub(crate) fn shipped(&self) -> BTreeSet<usize> {
        let mut shipped = BTreeSet::new();
        for (place, package) in self.packages.iter().enumerate() {
            if package.member {
                shipped.extend(self.closure(place, &[Kind::Normal, Kind::Build]));
            }
        }
        shipped.retain(|&place| !self.packages[place].member);
        shipped
    }
}

/// The optional dependencies (by the name the manifest gives them) that the enabled features of a package turn on.
fn enabled_optionals<'a>(package: &'a Value, node: &'a Value) -> BTreeSet<&'a str> {
    let mut on = BTreeSet::new();
    for feature in node["features"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        for item in package["features"][feature].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if let Some(name) = item.strip_prefix("dep:") {
                on.insert(name);
            } else if let Some((name, _)) = item.split_once('/')
                && !name.ends_with('?')
            {
                on.insert(name);
            }
        }
    }
    on
}

/// Cargo lists a dependency that only `name?/feature` mentions as if it were there; this tells the two apart.
fn is_active(package: &Value, name: &str, enabled: &BTreeSet<&str>) -> bool {
    let mut named = package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|d| d["name"].as_str() == Some(name))
        .peekable();
    named.peek().is_none()
        || named.any(|d| d["optional"] != Value::Bool(true) || enabled.contains(d["rename"].as_str().unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dependency(name: &str, optional: bool) -> Value {
        json!({"name": name, "optional": optional, "rename": null})
    }

    #[test]
    fn an_optional_dependency_counts_only_when_a_feature_turns_it_on() {
        let package = json!({
            "dependencies": [dependency("ring", true), dependency("aws", true), dependency("std", false)],
            "features": {"default": ["dep:aws", "ring?/std"], "ring": ["dep:ring"]},
        });
        let with = |features: Value| {
            let node = json!({ "features": features });
            let on = enabled_optionals(&package, &node);
            ["ring", "aws", "std"].map(|name| is_active(&package, name, &on))
        };
        assert_eq!(with(json!(["default"])), [false, true, true]);
        assert_eq!(with(json!(["default", "ring"])), [true, true, true]);
        assert_eq!(with(json!([])), [false, false, true]);
    }
}
