//! The models that a LiteLLM key reaches: each name that its callers may send, and the deployments that LiteLLM sends it to.
//!
//! A name that is an alias goes elsewhere than a model of that name. So a key reaches a model only by the names that no
//! alias takes.

use std::collections::{BTreeMap, BTreeSet};

use super::lists::{List, Overlap, have_common};
use super::models::{Deployed, Models};
use crate::command::policy::import::list::matches;
use crate::command::policy::import::rights::{ALL, Rights};

/// The aliases that a key has besides the proxy's: its own, and those of its team.
#[derive(Default)]
pub(super) struct Aliases {
    pub(super) key: BTreeMap<String, String>,
    pub(super) team: BTreeMap<String, String>,
}

/// A name that callers send: the names by which lists permit it, and the name of its deployments.
struct Way<'n> {
    permitted_by: Vec<&'n str>,
    target: &'n str,
}

impl Models {
    /// Returns the models that all lists permit a key of this team.
    ///
    /// # Errors
    /// The reason for which no names and patterns say which models these are.
    pub(super) fn reach(
        &self,
        lists: &[List<'_>],
        aliases: &Aliases,
        team: Option<&str>,
    ) -> Result<Rights, String> {
        let mut rights = Rights::default();
        if lists.iter().all(|list| list.is_open) {
            self.of_team(team).filter(|it| it.is_passed).for_each(|it| rights.add(&it.provider, ALL));
        }
        for name in self.exact_names(aliases, team) {
            let way = self.way(name, aliases);
            let permits = |list: &List<'_>, name: &str| {
                (list.has_team_aliases && aliases.team.contains_key(name))
                    || list.permits(name, &self.groups_of(name, team))
            };
            if lists.iter().all(|list| way.permitted_by.iter().any(|name| permits(list, name))) {
                rights.extend(self.named(way.target, team));
            }
        }
        for model in self.of_team(team) {
            for pattern in model.names.iter().filter(|name| name.contains('*')) {
                self.reach_pattern(pattern, model, lists, aliases, team, &mut rights)?;
            }
        }
        Ok(rights)
    }

    /// Adds the models that a pattern of the proxy permits, within all lists.
    fn reach_pattern(
        &self,
        pattern: &str,
        model: &Deployed,
        lists: &[List<'_>],
        aliases: &Aliases,
        team: Option<&str>,
        rights: &mut Rights,
    ) -> Result<(), String> {
        if rights.has(&model.provider, ALL) {
            return Ok(());
        }
        let mut parts = vec![pattern.to_owned()];
        for list in lists {
            parts = list
                .within(parts, &model.groups)
                .map_err(|Overlap| "patterns of its lists of models overlap".to_owned())?;
        }
        let other = |name: &&str| *name != pattern && (!name.contains('*') || name.len() > pattern.len());
        let others: BTreeSet<&str> = self.names(aliases, team).filter(other).collect();
        // A name goes to its own deployments, or to those of a longer pattern, before those of this one.
        let is_of_another = |part: &&String| others.iter().any(|other| matches(other, part));
        for part in parts.iter().filter(|part| !is_of_another(part)) {
            let own = mapped(pattern, part, &model.name)
                .ok_or_else(|| format!("the models of the pattern `{pattern}` cannot be named"))?;
            for other in others.iter().filter(|other| have_common(part, other)) {
                let target = self.way(other, aliases).target;
                let is_same = |own: &String| self.named(target, team).has(&model.provider, own);
                if !mapped(pattern, other, &model.name).as_ref().is_some_and(is_same) {
                    return Err(format!("`{other}` is another model than the pattern `{pattern}` says"));
                }
            }
            rights.add(&model.provider, &own);
        }
        Ok(())
    }

    /// Returns the names and patterns that callers of a key may send.
    fn names<'n>(&'n self, aliases: &'n Aliases, team: Option<&'n str>) -> impl Iterator<Item = &'n str> {
        let deployed = self.of_team(team).flat_map(|model| &model.names);
        let of_proxy = self.aliases.keys().chain(self.routed.keys());
        let aliases = of_proxy.chain(aliases.key.keys()).chain(aliases.team.keys());
        deployed.chain(aliases).map(String::as_str)
    }

    fn exact_names<'n>(&'n self, aliases: &'n Aliases, team: Option<&'n str>) -> BTreeSet<&'n str> {
        self.names(aliases, team).filter(|name| !name.contains('*')).collect()
    }

    /// Follows the aliases of a name in LiteLLM's order. The target of a key's own alias is permitted by its own name only.
    fn way<'n>(&'n self, name: &'n str, aliases: &'n Aliases) -> Way<'n> {
        let of =
            |map: &'n BTreeMap<String, String>, name: &'n str| map.get(name).map_or(name, String::as_str);
        let by_team = of(&aliases.team, name);
        let by_key = of(&aliases.key, by_team);
        let by_proxy = of(&self.aliases, by_key);
        let target = of(&aliases.key, by_proxy);
        let permitted_by = if by_key != by_team || target != by_proxy {
            vec![target]
        } else {
            let alias = self.aliases.get(name).or_else(|| self.routed.get(name));
            vec![name, alias.map_or(name, String::as_str)]
        };
        Way { permitted_by, target: of(&self.routed, target) }
    }

    fn groups_of(&self, name: &str, team: Option<&str>) -> Vec<String> {
        let has = |model: &&Deployed| model.names.iter().any(|own| own == name || matches(own, name));
        self.of_team(team).filter(has).flat_map(|model| model.groups.clone()).collect()
    }

    /// Returns the deployments of a name: those that have it, or those of the longest pattern that matches it.
    fn named(&self, name: &str, team: Option<&str>) -> Rights {
        let mut rights = Rights::default();
        let has = |model: &&Deployed| model.names.iter().any(|own| own == name);
        for model in self.of_team(team).filter(has) {
            rights.add(&model.provider, &model.name);
        }
        if !rights.is_empty() {
            return rights;
        }
        let patterns = self.of_team(team).flat_map(|model| &model.names);
        let longest =
            patterns.filter(|own| own.contains('*') && matches(own, name)).max_by_key(|own| own.len());
        let Some(pattern) = longest else { return rights };
        for model in self.of_team(team).filter(|model| model.names.contains(pattern)) {
            if let Some(own) = mapped(pattern, name, &model.name) {
                rights.add(&model.provider, &own);
            }
        }
        rights
    }
}

/// Returns the provider's name of a model that a pattern of the proxy matches: the text in the place of its `*` stands in
/// the provider's name, too. `None` where the pattern does not say where the text goes.
fn mapped(pattern: &str, name: &str, model: &str) -> Option<String> {
    if !model.contains('*') {
        return Some(model.to_owned());
    }
    let (before, behind) = pattern.split_once('*')?;
    let text = name.strip_prefix(before)?.strip_suffix(behind).filter(|_| !behind.contains('*'))?;
    (model.matches('*').count() == 1).then(|| model.replace('*', text))
}
